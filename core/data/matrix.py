"""What a format with names of its own holds: expression with its samples and genes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.notes import Notes


@dataclass(frozen=True)
class Matrix:
    """Expression, what is known about its samples, and what reading did."""

    x: np.ndarray
    """(samples, genes) float32, NaN where nothing stands."""
    samples: np.ndarray
    genes: np.ndarray
    obs: pd.DataFrame
    notes: Notes
