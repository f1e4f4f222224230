"""Other networks on genes, without a picture: convolution, transformer, autoencoder, two heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.transfer.methods.linear import answer, answer_by, source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.transfer.methods.networks import Trained

SOURCE_EPOCHS, TARGET_EPOCHS = 40, 40
TARGET_RATE = 1e-4
TOKENS = 64
"""Genes that the transformer sees: those that vary most in the source."""
UNITS = 16
"""Features of each gene in it."""
FEATURES = 32
"""Of the autoencoder."""
SECOND = 0.3
"""Weight of the second head's loss."""


def order_genes(x: np.ndarray) -> np.ndarray:
    """(genes,) positions that put genes next to each other that go together.

    The leaves of average linkage of 1 - correlation over samples (samples, genes), as image layouts
    of modules begin.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    spread = x.std(axis=0)
    scaled = (x - x.mean(axis=0)) / np.where(spread > 1e-6, spread, 1)
    apart = np.clip(1 - scaled.T @ scaled / len(x), 0, None)
    np.fill_diagonal(apart, 0)
    return leaves_list(linkage(squareform(apart, checks=False), "average"))


def train_convolution(problem: Problem) -> Trained:
    """A one-dimensional convolution over genes in order."""
    order = order_genes(problem.source)

    def build() -> nn.Module:
        from torch import nn

        return nn.Sequential(
            nn.Unflatten(1, (1, len(order))), nn.Conv1d(1, 16, 9, stride=3, padding=4), nn.ReLU(),
            nn.Conv1d(16, 16, 5, stride=2, padding=2), nn.ReLU(), nn.AdaptiveAvgPool1d(16),
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(256, problem.n_classes),
        )  # fmt: skip

    return _pretrain_and_tune(problem, build, order)


def train_transformer(problem: Problem) -> Trained:
    """A transformer of one layer, a token a gene."""
    most = np.argsort(-problem.source.std(axis=0), kind="stable")[:TOKENS]

    def build() -> nn.Module:
        return _transformer(len(most), problem.n_classes)

    return _pretrain_and_tune(problem, build, most)


def _transformer(genes: int, classes: int) -> nn.Module:
    import torch
    from torch import nn

    class Tokens(nn.Module):
        """A vector a gene, plus its value times another."""

        def __init__(self) -> None:
            super().__init__()
            self.gene = nn.Parameter(torch.randn(genes, UNITS) / UNITS**0.5)
            self.value = nn.Parameter(torch.randn(genes, UNITS) / UNITS**0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.gene + x[:, :, None] * self.value

    class Pooled(nn.Module):
        """The mean over genes."""

        def forward(self, x: Tensor) -> Tensor:
            return x.mean(dim=1)

    layer = nn.TransformerEncoderLayer(
        UNITS, 4, 2 * UNITS, dropout=0.1, batch_first=True, norm_first=True
    )
    return nn.Sequential(Tokens(), layer, nn.LayerNorm(UNITS), Pooled(), nn.Linear(UNITS, classes))


def train_two_heads(problem: Problem) -> Trained:
    """A network that also learns which cohort a sample is of."""
    from torch.nn import functional

    from core.transfer.methods import networks

    x = np.concatenate([problem.source, problem.target])
    y = np.concatenate([source_classes(problem), problem.target_labels])
    theirs = np.unique(problem.source_cohorts, return_inverse=True)[1]
    cohorts = np.append(theirs, np.full(len(problem.target), theirs.max() + 1))
    mean, spread = networks.one_scale(x)
    with networks.repeatable(problem.seed):
        network = networks.Layers(x.shape[1], (256, 64), problem.n_classes + cohorts.max() + 1)
        values, classes = networks.tensors((x - mean) / spread, y)
        of_cohort = networks.tensors(x, cohorts)[1]

        def loss(rows: Tensor) -> Tensor:
            said = network(values[rows])
            first = functional.cross_entropy(said[:, : problem.n_classes], classes[rows])
            second = functional.cross_entropy(said[:, problem.n_classes :], of_cohort[rows])
            return first + SECOND * second

        networks.train(network, loss, len(x), problem.seed, SOURCE_EPOCHS)
    return networks.Trained(networks.First(network, problem.n_classes), mean, spread)


def fit_autoencoder(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of ridge regression of an autoencoder's features."""
    import torch
    from torch.nn import functional

    from core.transfer.methods import networks

    parts = [problem.source, problem.target, problem.unlabelled]
    mean, spread = networks.one_scale(*parts)
    with networks.repeatable(problem.seed):
        x = networks.as_tensor((np.concatenate(parts) - mean) / spread)
        network = networks.Layers(x.shape[1], (128, FEATURES), x.shape[1], dropout=0.1)
        networks.train(
            network, lambda rows: functional.mse_loss(network(x[rows]), x[rows]), len(x),
            problem.seed, SOURCE_EPOCHS,
        )  # fmt: skip
        with torch.no_grad():
            learned, asked = (
                network.layers(networks.as_tensor((part - mean) / spread)).numpy()
                for part in (problem.target, problem.test)
            )
    return answer(learned, problem.target_labels, problem.target_groups, asked, problem)


def _pretrain_and_tune(
    problem: Problem, build: Callable[[], nn.Module], genes: np.ndarray
) -> Trained:
    """Train a network on the source's genes in this order, then on the labelled target samples."""
    from torch import nn

    from core.transfer.methods import networks

    y = source_classes(problem)
    mean, spread = networks.one_scale(problem.source, problem.target)

    def prepare(x: np.ndarray) -> np.ndarray:
        return ((x - mean) / spread)[:, genes]

    with networks.repeatable(problem.seed):
        network = build()
        x, y = networks.tensors(prepare(problem.source), y)
        loss = networks.classify(network, x, y)
        networks.train(network, loss, len(x), problem.seed, SOURCE_EPOCHS)
        if len(problem.target):
            x, y = networks.tensors(prepare(problem.target), problem.target_labels)
            loss = networks.classify(network, x, y)
            networks.train(network, loss, len(x), problem.seed, TARGET_EPOCHS, rate=TARGET_RATE)
    whole = nn.Sequential(networks.Take(genes), network).eval()
    return networks.Trained(whole, mean, spread)


_record = partial(
    TransferMethod,
    reference="Yue and Wang 2018, Deep learning for genomics: a concise overview, arXiv:1802.00810",
)
_PASSES = "40 passes through the source, then 40 through the target at a tenth of the rate."
CONVOLUTION = _record(
    name="convolution",
    title="Convolution over genes in order",
    description="Genes that go together in the source stand next to each other in a line, and a "
    "small one-dimensional convolution looks along it; learned on the source, then the target.",
    scenario="inductive",
    departs=f"The line is ours: leaves of a clustering of the source's genes. {_PASSES}",
    seconds=1.5,
    fit=partial(answer_by, train_convolution),
    train=train_convolution,
)
TRANSFORMER = _record(
    name="transformer",
    title="Small transformer over genes",
    description="Every gene is a token; one layer of attention over the 64 genes that vary most "
    "in the source, learned on the source, then the target.",
    scenario="inductive",
    departs=f"One layer of 16 features and four heads. {_PASSES}",
    seconds=4.7,
    fit=partial(answer_by, train_transformer),
    train=train_transformer,
)
AUTOENCODER = _record(
    name="autoencoder",
    title="Autoencoder features",
    description="An autoencoder learns 32 features of all samples without their labels; the tuned "
    "linear model of the target uses these.",
    scenario="unsupervised",
    departs="Layers of 128 and 32 units, 40 passes, no corrupted input.",
    seconds=0.7,
    fit=fit_autoencoder,
    min_target=2,
    learns_from="samples",
)
TWO_HEADS = _record(
    name="two_heads",
    title="Network with two heads",
    description="One network learns the classes and, with a second head, which cohort a sample is "
    "of: the opposite of the adversarial network.",
    scenario="inductive",
    departs="The second label is the cohort, its loss weighs 0.3; source and target together, 40 "
    "passes.",
    seconds=0.8,
    fit=partial(answer_by, train_two_heads),
    train=train_two_heads,
)
