"""Promises about the whole: no leak, no Streamlit in core, no torch in pages."""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.data.simulate import simulate
from core.files import write_atomic
from core.images.layouts import LAYOUTS
from core.processes import ROOT, run_module
from core.runs.source import source_of
from core.runs.spec import RunSpec
from core.runs.study import open_study


@pytest.mark.parametrize("layout", [method.name for method in LAYOUTS if not method.needs])
def test_nothing_fitted_has_seen_a_test_sample(layout: str, tmp_path: Path) -> None:
    data, _ = simulate(120, 200)
    spec = RunSpec.parse(
        {"cohort": {"dataset": "0" * 64, "label": "tumour_type", "group": "patient"}, "seed": 1,
         "preparation": {"genes": 100}, "layout": {"name": layout}}
    )  # fmt: skip
    fitted = []
    for changed in (False, True):
        study = open_study(spec, data)
        if changed:
            test = study.folds[0].test
            drawn = np.random.default_rng(1).integers(0, 10_000, (len(test), study.x.shape[1]))
            study.x[test] = drawn
        place = tmp_path / str(changed)
        place.mkdir()
        source_of(spec).fit(spec, study, study.folds[0]).save(place)
        with np.load(place / "preprocessor.npz") as one, np.load(place / "layout.npz") as two:
            fitted.append({**one, **two})
    assert fitted[0].keys() == fitted[1].keys()
    for name, value in fitted[0].items():
        assert value.tobytes() == fitted[1][name].tobytes(), name


def imports_of(path: Path) -> set[str]:
    """Modules of core that a file imports."""
    nodes = ast.walk(ast.parse(path.read_text()))
    found = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name for name in found if name.startswith("core.")}


def test_what_pages_import_does_not_load_torch() -> None:
    files = [*ROOT.glob("pages/*.py"), *ROOT.glob("ui/**/*.py"), ROOT / "app.py"]
    modules = sorted(set().union(*map(imports_of, files)))
    assert modules
    also = ["core.explain.attribution", "core.models.backbones", "core.models.spec",
            "core.training.spec"]  # fmt: skip
    code = (
        f"import sys, {', '.join([*modules, *also])}; "
        "sys.exit('torch' in sys.modules or 'captum' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_core_imports_and_its_tests_are_found_without_streamlit_and_playwright() -> None:
    """As on a GPU node, where neither is installed."""
    answer = run_module("tests.without_pages")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    found = {Path(line.partition("::")[0]).name for line in answer.stdout.splitlines()}
    named = {path.name for path in (ROOT / "tests").glob("test_*.py")}
    left_out = {name for name in named if name.startswith(("test_browser_", "test_pages_"))}
    assert found & named == named - left_out


def test_a_failed_write_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the n")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_each_chart_has_about_these_numbers_beside_it() -> None:
    silent = {}
    for path in {*ROOT.glob("ui/*.py"), *ROOT.glob("pages/*.py")}:
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        charts = [call for call in calls if getattr(call.func, "id", None) == "show_figure"]
        lines = [call.lineno for call in charts if "about" not in {k.arg for k in call.keywords}]
        silent |= {path.name: lines} if lines else {}
    assert not silent, silent


def calls_in(folder: str, found: set[str], *, but: set[str] = frozenset()) -> dict[str, set[str]]:
    """File -> those of some dotted names that it uses."""
    used = {}
    for path in ROOT.glob(f"{folder}/**/*.py"):
        if path.relative_to(ROOT).as_posix() in but:
            continue
        nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)]
        names = {ast.unparse(node) for node in nodes} & found
        used |= {path.relative_to(ROOT).as_posix(): names} if names else {}
    return used


def test_what_pages_remember_belongs_to_a_home() -> None:
    """Streamlit's caches are one for all who use the server; `ui.kept` puts the home in the key."""
    caches = {"st.cache_data", "st.cache_resource"}
    for folder in ("ui", "pages"):
        assert not calls_in(folder, caches, but={"ui/kept.py"})


def test_files_are_made_in_the_home_of_their_page() -> None:
    """Streamlit makes them in a thread of no session; `ui.download` tells it which home it is."""
    for folder in ("ui", "pages"):
        assert not calls_in(folder, {"st.download_button"}, but={"ui/download.py"})


def test_one_place_knows_where_a_home_is() -> None:
    """Whatever asks `core.home` is in the home of its person; nothing finds another way there."""
    asking = {
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("ui/**/*.py"), *ROOT.glob("pages/*.py")]
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("environ.get", "getenv", "user_data_path"))
        and ("GENECANVAS_HOME" in ast.unparse(node) or "user_data_path" in ast.unparse(node))
    }
    # another computer of a cluster has the whole home at the place that its own environment names
    assert asking == {"core/home.py", "core/jobs/queue.py", "core/cluster/task.py"}


OUTSIDE = {
    "core/backup.py", "core/cluster/coordinator.py", "core/home.py", "core/jobs/computers.py",
    "core/jobs/launch.py", "core/jobs/queue.py",
    "core/models/own_weights.py", "core/people.py", "core/runs/training.py", "core/sharing.py",
    "core/jobs/store.py", "app.py", "pages/lab.py", "ui/account.py", "ui/download.py",
    "ui/health.py", "ui/metrics.py", "ui/people.py", "ui/share.py", "ui/signin.py",
}  # fmt: skip
"""What knows that there are several homes: each file here was looked at for what it gives away."""


def test_few_places_know_of_other_homes() -> None:
    """A new one has to be looked at, and to be written down above."""
    several = {"at", "server_home", "working_homes", "homes_inside", "server_of", "person_home",
               "guest_home", "serve_people", "living_in", "where"}  # fmt: skip
    found = set()
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("ui/**/*.py"), *ROOT.glob("pages/*.py"),
                 ROOT / "app.py"]:  # fmt: skip
        imported = {
            name.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
            and node.module in ("core.home", "core.people", "core.sharing")
            for name in node.names
        }
        if imported & several:
            found.add(path.relative_to(ROOT).as_posix())
    assert found <= OUTSIDE, found - OUTSIDE


def test_who_only_looks_changes_nothing() -> None:
    """Functions that delete by themselves ask first; all others write through `core.files`."""
    asking = {"need_right_to_change", "scratch", "write_folder", "write_atomic", "write_json"}
    silent = []
    for path in {*ROOT.glob("core/**/*.py")} - {*ROOT.glob("core/cli/*.py")}:
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef) or not function.name.startswith("delete_"):
                continue
            called = {
                getattr(node.func, "id", getattr(node.func, "attr", ""))
                for node in ast.walk(function)
                if isinstance(node, ast.Call)
            }
            if not called & (asking | {"save_groups"}):
                silent.append(f"{path.name}: {function.name}")
    assert not silent
