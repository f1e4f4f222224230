"""Known tissue markers per TCGA tumour type, and how many of them head a gene table.

The table beside this file holds genes that pathology or tissue atlases name for a type, each with
where that is written. It is short on purpose: a network may well use other genes, so few found
markers are a reason to look closer, no proof against the list.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
from scipy import stats

from core.explain.genes import top_rows


@lru_cache(maxsize=1)
def load_markers() -> pd.DataFrame:
    """The markers: type (TCGA's abbreviation), gene (symbol), reference; not to be changed."""
    return pd.read_csv(Path(__file__).with_name("markers.csv"), keep_default_na=False)


def match_type(cls: str) -> str | None:
    """The tumour type that a class is named after, such as LUAD for "TCGA-LUAD"; None if none."""
    words = cls.upper().replace("_", "-").replace(" ", "-").split("-")
    types = {*load_markers()["type"]} & {*words}
    return types.pop() if len(types) == 1 else None


@dataclass(frozen=True)
class MarkerCheck:
    """How many of a type's known markers are among the first genes of a table."""

    table: pd.DataFrame
    """gene, rank (NaN where it is not on the image), score, reference; the best rank first"""
    k: int
    """How many genes are the first ones: fewer than asked for where some are tied for the last of
    these places"""
    found: int
    """Markers among the k first"""
    present: int
    """Markers on the image"""
    expected: float
    """How many of the present ones a random order would bring among the k first"""
    p: float
    """Chance that a random order finds as many (hypergeometric, one-sided)"""

    @property
    def recall(self) -> float:
        """Share of the present markers that are found; NaN without any."""
        return self.found / self.present if self.present else float("nan")


def check_markers(genes: pd.DataFrame, tumour_type: str, k: int) -> MarkerCheck:
    """Look a type's known markers up in a gene table (gene, rank, tied, score; symbols as ids)."""
    markers = load_markers()
    own = markers.loc[markers["type"] == tumour_type, ["gene", "reference"]]
    table = own.merge(genes[["gene", "rank", "score"]], on="gene", how="left")
    table = table[["gene", "rank", "score", "reference"]]
    top = set(top_rows(genes, k)["gene"])
    present, found = int(table["rank"].notna().sum()), int(table["gene"].isin(top).sum())
    k = len(top)
    return MarkerCheck(
        table=table.sort_values("rank", kind="stable", ignore_index=True),
        k=k,
        found=found,
        present=present,
        expected=k * present / len(genes),
        p=float(stats.hypergeom.sf(found - 1, len(genes), present, k)),
    )
