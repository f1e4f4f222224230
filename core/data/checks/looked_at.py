"""What the single checks of a dataset look at."""

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
from anndata import AnnData

from core.data.prepare import PreparationSpec
from core.data.profile import MatrixProfile
from core.data.similarity import Similarity

LISTED = 4


@dataclass(frozen=True)
class Checked:
    """Everything that the single checks look at."""

    data: AnnData
    profile: MatrixProfile
    similarity: Similarity
    preparation: PreparationSpec
    scale: str
    label: str | None
    group: str | None
    batch: str | None

    def column(self, name: str | None) -> pd.Series | None:
        """A column of the samples as texts; None without a name."""
        return None if name is None else self.data.obs[name].astype(str)


def list_names(names: Collection[str]) -> str:
    """The first names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + more
