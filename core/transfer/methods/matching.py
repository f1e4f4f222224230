"""Two encoders whose outputs are made alike: from bulk to single cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.transfer.methods.linear import source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

WIDTHS = (128, 32)
DROPPED = 0.2
"""Share of genes that the autoencoder has to fill in."""
WEIGHT = 0.25
"""Of the difference between cohorts, beside the cross-entropy."""
KERNELS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Widths of the kernels, times the median squared distance."""
EPOCHS = 40


@dataclass(frozen=True)
class Matched:
    """Two encoders that were trained to give the same picture of both cohorts."""

    probabilities: np.ndarray
    """(test, classes)"""
    before: float
    """Squared maximum mean discrepancy of the encoded cohorts after the autoencoders; from 0 up"""
    after: float
    """The same at the end."""


def match_cohorts(problem: Problem, weight: float = WEIGHT) -> Matched:
    """Train an encoder for each cohort and one class head for both.

    Each encoder first learns to fill in genes (a fifth are set to 0). Then the loss is the
    cross-entropy of all labelled samples plus `weight` times the squared maximum mean discrepancy
    (Gretton et al. 2012, JMLR 13:723) of the encoded batches, with gradients through both encoders.

    Args:
        problem: the samples.
        weight: of the discrepancy; with 0 the cohorts aren't made alike.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    from core.models import gene_networks

    y = source_classes(problem)
    mean, spread = gene_networks.one_scale(problem.source, problem.target, problem.unlabelled)
    ours = np.concatenate([problem.target, problem.unlabelled])
    told = np.append(problem.target_labels, np.full(len(problem.unlabelled), -1))
    rng = np.random.default_rng(problem.seed)
    with gene_networks.repeatable(problem.seed):
        there, classes = gene_networks.tensors((problem.source - mean) / spread, y)
        here, known = gene_networks.tensors((ours - mean) / spread, told)
        of_source = gene_networks.Layers(there.shape[1], WIDTHS, there.shape[1], dropout=0.1)
        of_target = gene_networks.Layers(there.shape[1], WIDTHS, there.shape[1], dropout=0.1)
        _fill_in(of_source, there, problem.seed)
        of_target.load_state_dict(of_source.state_dict())
        _fill_in(of_target, here, problem.seed)
        head = nn.Linear(WIDTHS[-1], problem.n_classes)

        def loss(rows: torch.Tensor) -> torch.Tensor:
            others = torch.from_numpy(rng.choice(len(here), min(len(here), len(rows)), False))
            theirs, own = of_source.layers(there[rows]), of_target.layers(here[others])
            missed = functional.cross_entropy(head(theirs), classes[rows])
            if len(problem.target):
                labelled = head(of_target.layers(here[: len(problem.target)]))
                missed = missed + functional.cross_entropy(labelled, known[: len(problem.target)])
            return missed + weight * discrepancy(theirs, own)

        before = _measure(of_source, of_target, there, here)
        together = nn.ModuleList([of_source.layers, of_target.layers, head])
        gene_networks.train(together, loss, len(there), problem.seed, EPOCHS)
        after = _measure(of_source, of_target, there, here)
        said = gene_networks.probabilities(
            lambda x: head(of_target.layers(x)), (problem.test - mean) / spread
        )
    return Matched(said, before, after)


def discrepancy(left: Tensor, right: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of (n, features) and (m, features) tensors.

    The mean of five Gaussian kernels around the median squared distance; the biased estimate, which
    isn't negative.
    """
    import torch

    x = torch.cat([left, right])
    squares = torch.cdist(x, x).square()
    usual = squares.detach()[squares.detach() > 0].median() if len(x) > 1 else 1.0
    kernel = sum(torch.exp(-squares / (width * usual + 1e-12)) for width in KERNELS) / len(KERNELS)
    n = len(left)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def _fill_in(network: nn.Module, x: Tensor, seed: int) -> None:
    """Train an autoencoder to give whole samples from samples with a fifth of the genes at 0."""
    import torch
    from torch.nn import functional

    from core.models import gene_networks

    def loss(rows: torch.Tensor) -> torch.Tensor:
        kept = (torch.rand_like(x[rows]) >= DROPPED).float()
        return functional.mse_loss(network(x[rows] * kept), x[rows])

    gene_networks.train(network, loss, len(x), seed, EPOCHS // 2)


def _measure(of_source: nn.Module, of_target: nn.Module, there: Tensor, here: Tensor) -> float:
    import torch

    of_source.eval()
    of_target.eval()
    with torch.no_grad():
        return float(discrepancy(of_source.layers(there), of_target.layers(here)))


def _fit(problem: Problem) -> np.ndarray:
    return match_cohorts(problem).probabilities


def _examine(problem: Problem, hidden: np.ndarray) -> dict[str, float]:
    found = match_cohorts(problem)
    return {
        "squared maximum mean discrepancy of the encoded cohorts, before": found.before,
        "the same, after": found.after,
    }


MATCHED = TransferMethod(
    name="matched_encoders",
    title="Matched encoders (scDEAL)",
    description="Each cohort has an encoder of its own, such as bulk and single cells; both are "
    "trained until samples of the two look alike to one class head.",
    scenario="transductive",
    reference="Chen et al. 2022, Deep transfer learning of cancer drug responses by integrating "
    "bulk and single-cell RNA-seq data, Nature Communications 13:6494",
    departs="Gradients go through both encoders and the class head, where the published code "
    "trains the target's encoder by the discrepancy alone; five kernels around the median distance "
    "instead of one so wide that it compares means; the autoencoder's aim isn't zeroed with its "
    "input; no term for cell clusters; labelled target samples join the cross-entropy.",
    seconds=1.7,
    fit=_fit,
    examine=_examine,
)
