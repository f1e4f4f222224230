"""A small network that learns to fill in hidden genes of the source, before it meets a class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.models.gene_models import scale_of
from core.transfer.methods.linear import answer
from core.transfer.problem import Problem, TransferMethod

GENES = 64
"""Those that vary most in the source."""
UNITS, LAYERS, HEADS = 32, 2, 4
HIDDEN = 0.15
"""Share of genes that is hidden of each sample."""
EPOCHS = 60
HELD_OUT = 5
"""One sample in so many shows how well hidden genes are filled in."""


@dataclass(frozen=True)
class Filled:
    """A network that fills in hidden genes."""

    encode: Callable[[np.ndarray], np.ndarray]
    """(samples, genes) -> (samples, UNITS), the mean over genes of what it makes of each"""
    explained: float
    """Share of the variance of hidden genes that it explains in held-out samples of the source; 0
    is what each gene's mean explains, and less is worse than that"""


def learn_to_fill_in(source: np.ndarray, seed: int) -> Filled:
    """Train a transformer to predict hidden genes of (samples, genes) from the others."""
    import torch
    from torch import nn

    from core.models import gene_networks

    mean, spread = scale_of(source)
    most = np.argsort(-source.std(axis=0), kind="stable")[:GENES]

    class Genes(nn.Module):
        """A token a gene: its own vector, and its value times another, or one for hidden."""

        def __init__(self) -> None:
            super().__init__()
            own = [torch.randn(len(most), UNITS) / UNITS**0.5 for _ in range(2)]
            self.gene, self.value = map(nn.Parameter, own)
            self.hidden = nn.Parameter(torch.zeros(UNITS))
            layer = nn.TransformerEncoderLayer(
                UNITS, HEADS, 2 * UNITS, dropout=0.0, batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
            self.out = nn.Parameter(torch.zeros(len(most), UNITS))

        def forward(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
            shown = x[:, :, None] * self.value
            return self.layers(self.gene + torch.where(hidden[:, :, None], self.hidden, shown))

        def fill_in(self, x: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
            return (self(x, hidden) * self.out).sum(dim=2)

    def prepare(x: np.ndarray) -> torch.Tensor:
        return gene_networks.as_tensor(((x - mean) / spread)[:, most])

    order = np.random.default_rng(seed).permutation(len(source))
    held_out, learned = np.split(order, [len(source) // HELD_OUT])
    with gene_networks.repeatable(seed):
        network, x, asked = Genes(), prepare(source[learned]), prepare(source[held_out])

        def loss(rows: torch.Tensor) -> torch.Tensor:
            hidden = torch.rand_like(x[rows]) < HIDDEN
            missed = (network.fill_in(x[rows], hidden) - x[rows]).square()
            return (missed * hidden).sum() / hidden.sum().clamp(min=1)

        gene_networks.train(network, loss, len(x), seed, EPOCHS)
        hidden = torch.rand_like(asked) < HIDDEN
        with torch.no_grad():
            missed = (network.fill_in(asked, hidden) - asked)[hidden].square().sum()
        explained = 1 - float(missed / asked[hidden].square().sum().clamp(min=1e-12))

    def encode(samples: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            values = prepare(samples)
            return network(values, torch.zeros_like(values, dtype=torch.bool)).mean(dim=1).numpy()

    return Filled(encode, explained)


def fit_masked_genes(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of ridge regression of what the network makes of samples."""
    encode = learn_to_fill_in(problem.source, problem.seed).encode
    learned, asked = encode(problem.target), encode(problem.test)
    return answer(learned, problem.target_labels, problem.target_groups, asked, problem)


def _examine(problem: Problem, hidden: np.ndarray) -> dict[str, float]:
    found = learn_to_fill_in(problem.source, problem.seed)
    return {"share of hidden genes' variance that is filled in, in held-out samples":
            found.explained}  # fmt: skip


MASKED_GENES = TransferMethod(
    name="masked_genes",
    title="Pretraining on hidden genes",
    description="A small transformer learns to fill in hidden genes of the source, without labels; "
    "ridge regression of the target uses what it makes of a sample.",
    scenario="unsupervised",
    reference="Theodoris et al. 2023, Transfer learning enables predictions in network biology, "
    "Nature 618:616 (Geneformer)",
    departs="64 genes and two layers of 32 features, learned from one's own source instead of 30 "
    "million cells; it fills in values instead of naming the gene of a rank (rank values are a "
    "preparation); it isn't fine-tuned.",
    seconds=5.1,
    fit=fit_masked_genes,
    examine=_examine,
    min_target=2,
    learns_from="samples",
)
