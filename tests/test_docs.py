"""The docs: generated pages are fresh, links lead somewhere, the notebook runs to its end."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.glossary import GLOSSARY
from docs.generate import DOCS, PAGES

ROOT = Path(__file__).parents[1]
WRITTEN = [*DOCS.rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md"), ROOT / "README.md"]


@pytest.mark.parametrize("name", PAGES)
def test_pages_made_of_records_are_as_the_records(name: str) -> None:
    """Else: python -m docs.generate."""
    assert (DOCS / name).read_text() == PAGES[name]()


def test_every_term_stands_in_the_glossary_page_in_the_order_of_the_alphabet() -> None:
    page = (DOCS / "glossary.md").read_text()
    assert all(f"- **{term}**: {text}\n" in page for term, text in GLOSSARY.items())
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.lower)


def test_help_on_the_screen_names_terms_of_the_glossary() -> None:
    sources = [*(ROOT / "ui").rglob("*.py"), *(ROOT / "pages").glob("*.py")]
    asked = {
        term for path in sources for term in re.findall(r'define\("([^"]+)"\)', path.read_text())
    }
    assert len(asked) > 5
    assert asked <= set(GLOSSARY)


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith("http"):
            continue
        name, _, heading = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        if heading:
            found = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in found}
            assert heading in slugs, link


def test_files_named_in_code_and_on_the_screen_exist() -> None:
    sources = [*ROOT.glob("*.py"), *(p for d in ("core", "pages", "ui", "benchmarks", "tests")
                                     for p in (ROOT / d).rglob("*.py"))]  # fmt: skip
    for path in sources:
        for name in re.findall(
            r"\b(?:docs|benchmarks/results)/[\w/]+\.(?:md|py)", path.read_text()
        ):
            assert (ROOT / name).exists(), (path, name)


def test_the_notebook_goes_the_whole_way(home: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "docs/notebook.py"], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert len(list((home / "runs").glob("*/result.json"))) == 2
