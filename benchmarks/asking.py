"""How long benchmarks are asked: over the app's splits of a cohort, each answer a row of a file.

They can be ended at any time; what is in the file isn't computed again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from core.data.cohort import Cohort
from core.data.read import read_dataset
from core.runs.spec import RunSpec
from core.runs.study import Study, open_study


def make_parser(doc: str) -> argparse.ArgumentParser:
    """One that takes the data, what is asked of them, the file of rows and the number of splits."""
    parser = argparse.ArgumentParser(description=doc.partition("\n")[0])
    parser.add_argument("expression", type=Path)
    parser.add_argument("samples", type=Path, nargs="?")
    parser.add_argument("rows", type=Path)
    parser.add_argument("--label", nargs="+", required=True)
    parser.add_argument("--group")
    parser.add_argument("--where", default="")
    parser.add_argument("--splits", type=int, default=6)
    return parser


def open_studies(given: argparse.Namespace) -> Iterator[tuple[int, Study]]:
    """Each split by its seed, as a run of the app has it (70/30 by group).

    Several label columns make one class of each combination.
    """
    data, label = read_dataset(given.expression, given.samples), " ".join(given.label)
    data.obs[label] = data.obs[given.label].astype(str).agg(" ".join, axis=1)
    column, _, value = given.where.partition("=")
    where = {column: [value]} if column else {}
    cohort = Cohort(label=label, group=given.group, where=where)
    for seed in range(given.splits):
        yield seed, open_study(RunSpec(cohort=cohort, seed=seed), data)


class Rows:
    """A CSV file of answers.

    Args:
        path: of the file; made with the first row.
        columns: its columns.
    """

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path, self.columns = path, columns

    def read(self) -> pd.DataFrame:
        """All that is there."""
        return pd.read_csv(self.path) if self.path.exists() else pd.DataFrame(columns=self.columns)

    def has(self, **values: str | int) -> bool:
        """Whether there is a row with these values."""
        return bool((self.read()[list(values)] == list(values.values())).all(axis=1).any())

    def add(self, *row: object) -> None:
        """Put a row at the end."""
        frame = pd.DataFrame([row], columns=self.columns)
        frame.to_csv(self.path, mode="a", header=not self.path.exists(), index=False)
