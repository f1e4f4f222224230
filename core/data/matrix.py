"""What a format with names of its own holds: expression with its samples and genes."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from core.data.notes import Notes
from core.errors import InputError

MAX_VALUES = 500_000_000
"""Largest matrix, samples x genes."""


@dataclass(frozen=True)
class Matrix:
    """Expression, what is known about its samples, and what reading did."""

    x: np.ndarray
    """(samples, genes) float32, NaN where nothing stands."""
    samples: np.ndarray
    genes: np.ndarray
    obs: pd.DataFrame
    notes: Notes
    symbols: dict[str, str] = field(default_factory=dict)
    """Id of a gene -> the symbol that the file gives beside it."""


def as_texts(column: pd.Series) -> pd.Series:
    """Words for a column of any type; whole numbers without a decimal point."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")
    return column.astype("string").fillna("")


def check_size(rows: int, columns: int, source: str) -> None:
    """Refuse a matrix with more values than can be worked with."""
    if int(rows) * int(columns) > MAX_VALUES:
        raise InputError(
            f"{source}: {rows} x {columns} are more than {MAX_VALUES:,} values. Keep fewer genes "
            "or samples."
        )
