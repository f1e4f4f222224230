"""The trust card against Quantus (Hedström et al. 2023, JMLR 24:34), where that is installed."""

from dataclasses import replace

import numpy as np
import pytest
from torch import Tensor, nn

from core.explain import evidence
from core.explain.case import Case
from core.explain.forward import ClassScores
from core.explain.rankings import rank_correlation
from tests.test_explain_evidence import squeezenet  # noqa: F401

quantus = pytest.importorskip("quantus")
STEP = 8


class GenesAsImage(nn.Module):
    """(batch, 1, 8, 8), a cell a gene -> class scores: Quantus looks at images only."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.forward_genes = ClassScores(case.imager, case.network, pairs=False)

    def forward(self, genes: Tensor) -> Tensor:
        return self.forward_genes(genes.flatten(1))


def test_deletion_is_pixel_flipping(squeezenet: Case) -> None:  # noqa: F811
    """The class score after every 8 of 64 genes that went to the baseline .5, highest first."""
    case = replace(squeezenet, baseline=np.full((6, 64), 0.5, dtype=np.float32))
    scores = case.explain().scores
    order, counts = np.argsort(-scores, axis=1, kind="stable"), np.arange(STEP, 65, STEP)
    ours = evidence._walk(case, order, case.x, case.baseline, counts)
    measure = quantus.PixelFlipping(
        features_in_step=STEP, abs=False, normalise=False, disable_warnings=True,
        perturb_func=lambda arr, indices, **_: _flip(arr, indices),
    )  # fmt: skip
    theirs = measure(
        model=GenesAsImage(case).eval(),
        x_batch=case.x.reshape(-1, 1, 8, 8),
        y_batch=case.targets,
        a_batch=scores.reshape(-1, 1, 8, 8),
        channel_first=True,
        softmax=False,
        device="cpu",
    )
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-4)


def _flip(genes: np.ndarray, indices: np.ndarray) -> np.ndarray:
    flat = genes.reshape(len(genes), -1).copy()
    np.put_along_axis(flat, np.asarray(indices).reshape(len(genes), -1), 0.5, axis=1)
    return flat.reshape(genes.shape)


def test_similarity_under_randomisation_is_spearmans() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 5, 40))
    theirs = [
        quantus.similarity_func.correlation_spearman(*pair) for pair in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(rank_correlation(a, b), theirs, atol=1e-12)
