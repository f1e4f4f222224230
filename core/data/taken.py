"""What was taken from a file on its way to a dataset, and what each column was taken for."""

from dataclasses import dataclass, field

import numpy as np

from core.data.roles import ABOUT_SAMPLES, ROW_NUMBER, Column, Role

ENOUGH_ROWS = 10
"""Rows from which 1, 2, 3, … in any order are the rows' numbers, whatever the name."""
LISTED = 4
LONGEST = 30
"""Letters of a value that are shown."""
WORDS: tuple[Role, ...] = (*ABOUT_SAMPLES, "id", "ignore")
"""What a column of words can be, beside genes."""
NUMBERS: tuple[Role, ...] = (*ABOUT_SAMPLES, "gene", "id", "ignore")
ROWS: tuple[Role, ...] = (*ABOUT_SAMPLES, "ignore")
"""What a row about samples can be, and a column of a table of labels."""
BESIDE: tuple[Role, ...] = ("sample", "id", "ignore")
"""What a column beside samples can be."""


def show_values(values: np.ndarray) -> str:
    """Some different values, for a person."""
    different = [str(value)[:LONGEST] for value in dict.fromkeys(values[:20]) if value != ""]
    return ", ".join(different[:LISTED]) + (" …" if len(different) > LISTED else "")


@dataclass
class Taken:
    """A matrix on its way to a dataset."""

    x: np.ndarray
    """(samples, genes) float32."""
    samples: np.ndarray
    genes: np.ndarray
    """Names as they were written."""
    obs: dict[str, np.ndarray]
    """Column about samples -> a text a sample."""
    columns: dict[str, Column] = field(default_factory=dict)
    """What isn't simply a gene or a sample, by name."""

    def tell(
        self,
        name: str,
        role: Role,
        why: str,
        values: np.ndarray,
        can: tuple[Role, ...],
        *,
        doubtful: bool = False,
    ) -> None:
        """Keep what a column was taken for, and what else it could be."""
        self.columns[name] = Column(
            name=name, role=role, why=why, example=show_values(values), can=can, doubtful=doubtful
        )


def are_row_numbers(values: np.ndarray, name: str | None = None) -> bool:
    """Whether values are the rows' numbers: 1, 2, 3, … in any order, or, under a name that programs
    give to row numbers, whole and all different."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2 or not np.isfinite(values).all() or (values != np.round(values)).any():
        return False
    different = len(np.unique(values)) == len(values)
    if name is not None and ROW_NUMBER.fullmatch(name):
        return different
    return different and len(values) >= ENOUGH_ROWS and np.ptp(values) == len(values) - 1
