"""Modules of genes: planted ones are found, above and below the number that is exact."""

import numpy as np
import pytest

from core.errors import InputError
from core.images import modules
from core.images.modules import find_modules, grow_tree


def planted(genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Genes of three modules, the first the largest, as (samples, genes) and their modules."""
    rng = np.random.default_rng(0)
    module = np.sort(rng.choice(3, genes, p=[0.5, 0.3, 0.2]))
    activity = np.linalg.qr(rng.normal(size=(30, 3)))[0]
    return activity[:, module] + 0.01 * rng.normal(size=(30, genes)), module


@pytest.mark.parametrize("samples", [1000, 20])
@pytest.mark.parametrize("tree", [3000, 60])
def test_planted_modules_are_found_and_numbered_by_size(
    tree: int, samples: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modules, "TREE", tree)
    monkeypatch.setattr(modules, "TREE_SAMPLES", samples)
    x, module = planted(200)
    assert find_modules(grow_tree(x), 3).tolist() == (module + 1).tolist()


def test_an_impossible_number_is_refused() -> None:
    with pytest.raises(InputError, match="Expected 2 to 5 modules for 5 genes, got 6"):
        find_modules(grow_tree(np.eye(5)), 6)
