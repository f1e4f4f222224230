"""Other networks on genes, without a picture: convolution, transformer, autoencoder, two heads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.models.baselines import fit_baseline, linear_form
from core.models.gene_models import SECOND_WEIGHT, TOKENS, order_genes, scale_of
from core.transfer.methods.linear import MODEL, answer, answer_by, source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.models.gene_networks import Trained

SOURCE_EPOCHS, TARGET_EPOCHS = 40, 40
TARGET_RATE = 1e-4


def train_convolution(problem: Problem) -> Trained:
    """A one-dimensional convolution over genes in order."""
    from core.models.gene_networks import build_convolution

    return _pretrain_and_tune(problem, build_convolution, order_genes(problem.source))


def train_transformer(problem: Problem) -> Trained:
    """A transformer of one layer, a token a gene."""
    from core.models.gene_networks import build_transformer

    most = np.argsort(-problem.source.std(axis=0), kind="stable")[:TOKENS]
    return _pretrain_and_tune(problem, build_transformer, most)


def train_two_heads(problem: Problem) -> Trained:
    """A network that also learns which cohort a sample is of."""
    from torch.nn import functional

    from core.models import gene_networks

    x = np.concatenate([problem.source, problem.target])
    y = np.concatenate([source_classes(problem), problem.target_labels])
    theirs = np.unique(problem.source_cohorts, return_inverse=True)[1]
    cohorts = np.append(theirs, np.full(len(problem.target), theirs.max() + 1))
    mean, spread = gene_networks.one_scale(x)
    with gene_networks.repeatable(problem.seed):
        network = gene_networks.Layers(x.shape[1], (256, 64), problem.n_classes + cohorts.max() + 1)
        values, classes = gene_networks.tensors((x - mean) / spread, y)
        of_cohort = gene_networks.tensors(x, cohorts)[1]

        def loss(rows: Tensor) -> Tensor:
            said = network(values[rows])
            first = functional.cross_entropy(said[:, : problem.n_classes], classes[rows])
            second = functional.cross_entropy(said[:, problem.n_classes :], of_cohort[rows])
            return first + SECOND_WEIGHT * second

        gene_networks.train(network, loss, len(x), problem.seed, SOURCE_EPOCHS)
    return gene_networks.Trained(gene_networks.First(network, problem.n_classes), mean, spread)


def fit_autoencoder(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of ridge regression of an autoencoder's features."""
    _, learned, asked = _learn_features(problem)
    return answer(learned, problem.target_labels, problem.target_groups, asked, problem)


def train_autoencoder(problem: Problem) -> Trained:
    """The encoder and the ridge regression of its features, as one network."""
    from core.models import gene_networks

    encoder, learned, _ = _learn_features(problem)
    fitted = fit_baseline(
        MODEL, learned, problem.target_labels, problem.n_classes, problem.seed,
        problem.target_groups,
    )  # fmt: skip
    weights, offset = linear_form(fitted.model, problem.n_classes)
    network = gene_networks.join_linear(encoder, weights, offset)
    return gene_networks.Trained(network, *_scale(problem))


def _scale(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return scale_of(np.concatenate([problem.source, problem.target, problem.unlabelled]))


def _learn_features(problem: Problem) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """The encoder, and its features of the labelled target samples and of those that are asked."""
    from core.models import gene_networks

    mean, spread = _scale(problem)
    everyone = np.concatenate([problem.source, problem.target, problem.unlabelled])
    with gene_networks.repeatable(problem.seed):
        x = gene_networks.as_tensor((everyone - mean) / spread)
        encoder = gene_networks.learn_features(x, problem.seed, SOURCE_EPOCHS)
        learned, asked = (
            gene_networks.features(encoder, gene_networks.as_tensor((part - mean) / spread))
            for part in (problem.target, problem.test)
        )
    return encoder, learned, asked


def _pretrain_and_tune(
    problem: Problem, build: Callable[[int, int], nn.Module], genes: np.ndarray
) -> Trained:
    """Train a network on the source's genes in this order, then on the labelled target samples."""
    from torch import nn

    from core.models import gene_networks

    y = source_classes(problem)
    mean, spread = gene_networks.one_scale(problem.source, problem.target)

    def prepare(x: np.ndarray) -> np.ndarray:
        return ((x - mean) / spread)[:, genes]

    with gene_networks.repeatable(problem.seed):
        network = build(len(genes), problem.n_classes)
        x, y = gene_networks.tensors(prepare(problem.source), y)
        loss = gene_networks.classify(network, x, y)
        gene_networks.train(network, loss, len(x), problem.seed, SOURCE_EPOCHS)
        if len(problem.target):
            x, y = gene_networks.tensors(prepare(problem.target), problem.target_labels)
            loss = gene_networks.classify(network, x, y)
            gene_networks.train(
                network, loss, len(x), problem.seed, TARGET_EPOCHS, rate=TARGET_RATE
            )
    whole = nn.Sequential(gene_networks.Take(genes), network).eval()
    return gene_networks.Trained(whole, mean, spread)


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
    train=train_autoencoder,
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
