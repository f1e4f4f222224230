"""Planted cohorts for tests of transfer."""

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.store import add_dataset
from core.transfer.cohorts import Side

GENES = 60
EFFECT = 0.8


def make_side(
    samples: int, seed: int, direction: np.ndarray, shift: float = 0.0, noise: float = 1.0
) -> Side:
    """Two classes in turn, apart along a direction; each sample is another patient's."""
    rng = np.random.default_rng(seed)
    y = np.arange(samples) % 2
    x = noise * rng.normal(size=(samples, GENES)) + np.outer(2 * y - 1, direction)
    x += shift * rng.normal(size=GENES)
    groups = np.array([f"{seed}-{number}" for number in range(samples)])
    return Side(x.astype(np.float32), y, groups, np.zeros(samples, int))


def program(first: int) -> np.ndarray:
    """A class difference in ten genes."""
    direction = np.zeros(GENES)
    direction[first : first + 10] = EFFECT / 2
    return direction


def add_cohort(name: str, side: Side, genes: list[str] | None = None, **columns: object) -> str:
    words = np.array(["a", "b"])[side.labels]
    obs = pd.DataFrame(
        {"y": words, "who": side.groups, **columns}, index=[f"{name}{n}" for n in range(len(words))]
    ).astype(str)
    names = genes or [f"GENE{number}" for number in range(GENES)]
    data = AnnData(side.x + 8, obs=obs, var=pd.DataFrame(index=names))
    data.uns = {"scale": "log2", "notes": []}
    return add_dataset(data, name).id


def add_pair() -> dict[str, dict]:
    """A source and a target of one program as a specification names them; both are kept."""
    source = add_cohort("S", make_side(40, 1, program(0)), ic50=[f"{n}.5" for n in range(40)])
    target = add_cohort("T", make_side(40, 2, program(0)))
    return {
        "sources": [{"dataset": source, "label": "y", "group": "who"}],
        "target": {"dataset": target, "label": "y", "group": "who"},
    }
