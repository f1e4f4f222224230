"""Files that are brought together: which one holds the expression."""

import gzip
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from core.data import brought
from core.data.brought import find_expression


def write_three(folder: Path) -> list[Path]:
    """An expression of 6 samples and 12 genes, packed, and two tables about the samples."""
    samples = [f"s{n}" for n in range(6)]
    values = pd.DataFrame(np.arange(72.0).reshape(6, 12) / 7, index=samples)
    matrix, labels, ages = folder / "a.gz", folder / "b.csv", folder / "c.csv"
    matrix.write_bytes(gzip.compress(values.rename_axis("sample").to_csv().encode()))
    labels.write_text("sample,type\n" + "".join(f"{name},a long word\n" for name in samples) * 9)
    ages.write_text("sample,age\n" + "".join(f"{name},{n}\n" for n, name in enumerate(samples)))
    return [matrix, labels, ages]


def test_the_file_with_the_most_numbers_whatever_the_order(tmp_path: Path) -> None:
    files = write_three(tmp_path)
    assert files[0].stat().st_size < files[1].stat().st_size
    for order in permutations(files):
        assert order[find_expression(order)] == files[0]


def test_a_file_that_is_far_larger_is_not_read_for_it(tmp_path: Path, monkeypatch) -> None:
    matrix, labels = tmp_path / "matrix.csv", tmp_path / "labels.csv"
    labels.write_text("sample,type\ns1,A\n")
    matrix.write_text("sample,G1\n" + "s1,1.5\n" * 200)
    monkeypatch.setattr(brought, "read_any", lambda path: 1 / 0)
    assert find_expression([labels, matrix]) == 1


def test_what_cannot_be_read_holds_no_numbers(tmp_path: Path) -> None:
    picture, matrix = tmp_path / "picture.csv", tmp_path / "matrix.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    matrix.write_text("sample,G1,G2\ns1,1.5,2\ns2,1,2\n")
    assert find_expression([picture, matrix]) == 1
    assert find_expression([picture]) == 0
