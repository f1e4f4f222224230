"""`data groups` on the command line: made, compared, divided, forgotten, and mistakes."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from core.data.store import add_dataset, load_dataset
from tests.test_cli import document, fail

SHIFT = 4.0
"""log2 of 2 ** SHIFT: by so much G0 is higher in samples of type A."""


@pytest.fixture
def dataset() -> str:
    """12 samples, half of type A, whose G0 is higher; each type on two sites."""
    values = np.random.default_rng(0).normal(8, 0.1, (12, 5)).astype(np.float32)
    values[:6, 0] += SHIFT
    about = pd.DataFrame(
        {"type": ["A"] * 6 + ["B"] * 6, "site": ["x", "y", "y"] * 4},
        index=[f"s{n}" for n in range(12)],
    )
    data = AnnData(values, obs=about, var=pd.DataFrame(index=[f"G{n}" for n in range(5)]))
    data.uns = {"scale": "log2", "notes": []}
    return add_dataset(data, "Twelve").id


def test_groups_are_made_compared_divided_and_forgotten(
    dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups = ("data", "groups")
    assert document(capsys, *groups, "list", "Twelve") == {"dataset": dataset, "groups": []}
    made = document(capsys, *groups, "make", "Twelve", "A on y", "--where", "type=A",
                    "--where", "site=y")  # fmt: skip
    assert made["samples"] == ["s1", "s2", "s4", "s5"]
    document(capsys, *groups, "make", "Twelve", "B", "--where", "type=B")
    listed = document(capsys, *groups, "list", dataset[:8])["groups"]
    assert [group["name"] for group in listed] == ["A on y", "B"]

    out = tmp_path / "genes.csv"
    found = document(capsys, *groups, "compare", "Twelve", "A on y", "B", "--out", str(out),
                     "--batch", "site")  # fmt: skip
    table = pd.read_csv(out)
    assert (found["genes"], len(table)) == (5, 5)
    assert table["gene"][0] == "G0"
    assert table["log2fc"][0] == pytest.approx(SHIFT, abs=0.3)
    assert {finding["code"] for finding in found["findings"]} >= {"few"}
    rest = document(capsys, *groups, "compare", "Twelve", made["id"][:6], "--out", str(out))
    assert rest["other"] == "all others"

    kept = document(capsys, *groups, "divide", "Twelve", "A on y", "B", "--name", "Two")
    assert kept["samples"] == 10
    assert load_dataset(kept["id"]).obs[kept["label"]].value_counts().to_dict() == {
        "B": 6, "A on y": 4,
    }  # fmt: skip
    document(capsys, *groups, "forget", "Twelve", "B")
    assert len(document(capsys, *groups, "list", "Twelve")["groups"]) == 1


def test_mistakes_about_groups_are_said_in_a_line(
    dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    groups, out = ("data", "groups"), ("--out", str(tmp_path / "genes.csv"))
    assert "Expected one group 'gone'" in fail(capsys, *groups, "compare", "Twelve", "gone", *out)
    document(capsys, *groups, "make", "Twelve", "all", "--where", "type=A,B")
    assert "nothing to compare" in fail(capsys, *groups, "compare", "Twelve", "all", *out)
    document(capsys, *groups, "make", "Twelve", "A", "--where", "type=A")
    assert "share none" in fail(capsys, *groups, "compare", "Twelve", "A", "all", *out)
    text = fail(capsys, *groups, "compare", "Twelve", "A", *out, "--batch", "ward")
    assert "no column 'ward'" in text
    assert not (tmp_path / "genes.csv").exists()
