"""Networks on genes, without a picture, as scikit-learn's models are fitted and asked.

Readable without torch and scikit-learn, which fitting loads. Kinds after Yue and Wang 2018,
"Deep learning for genomics: a concise overview", arXiv:1802.00810.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

    from core.models.gene_networks import Trained

EPOCHS, STEPS = 40, 300
"""Passes through the samples at least, and so many passes that there are as many steps."""
ORDERED = 4096
"""Genes that a convolution puts in order, at most: more take minutes and gigabytes."""
TOKENS = 64
"""Genes that a transformer sees."""
UNITS = 16
"""Features of each gene in it."""
FEATURES = 32
"""Of an autoencoder."""
SECOND_WEIGHT = 0.3
"""Weight of a second head's loss."""

UNTOLD = -100
"""Number of a class that isn't known, which a loss passes over."""

Make = Callable[[np.ndarray, np.ndarray, int], "nn.Module"]
"""Scaled samples (n, genes), `share_explained` of the genes, number of outputs -> the network."""


def scale_of(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and SD of each column, the SD 1 where a column is constant."""
    spread = x.std(axis=0)
    return x.mean(axis=0), np.where(spread > 1e-6, spread, 1)


def order_genes(x: np.ndarray) -> np.ndarray:
    """(genes,) positions that put genes next to each other that go together.

    The leaves of average linkage of 1 - correlation over samples (samples, genes), as image layouts
    of modules begin.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    mean, spread = scale_of(x)
    scaled = (x - mean) / spread
    apart = np.clip(1 - scaled.T @ scaled / len(x), 0, None)
    np.fill_diagonal(apart, 0)
    return leaves_list(linkage(squareform(apart, checks=False), "average"))


def share_explained(x: np.ndarray, y: np.ndarray, of_classes: bool) -> np.ndarray:
    """(genes,) share of each gene's variance that goes with the classes, or with the values.

    Args:
        x: (n, genes) scaled samples.
        y: (n,) class numbers, or standardised values.
        of_classes: which of the two.
    """
    told = np.eye(y.max() + 1)[y] if of_classes else y[:, None]
    told = told / np.sqrt(np.square(told).sum(axis=0)).clip(1e-12)
    return np.square(told.T @ x).sum(axis=0) / len(x)


def make_perceptron(x: np.ndarray, explained: np.ndarray, outputs: int) -> nn.Module:
    """One hidden layer of 64 units."""
    from core.models.gene_networks import Layers

    return Layers(x.shape[1], (64,), outputs)


def make_convolution(x: np.ndarray, explained: np.ndarray, outputs: int) -> nn.Module:
    """A convolution along a line of genes."""
    from torch import nn

    from core.models.gene_networks import Take, build_convolution

    most = np.sort(np.argsort(-explained, kind="stable")[:ORDERED])
    line = most[order_genes(x[:, most])] if len(most) > 1 else most
    return nn.Sequential(Take(line), build_convolution(len(line), outputs))


def make_transformer(x: np.ndarray, explained: np.ndarray, outputs: int) -> nn.Module:
    """Attention between the genes that say most by themselves."""
    from torch import nn

    from core.models.gene_networks import Take, build_transformer

    most = np.argsort(-explained, kind="stable")[:TOKENS]
    return nn.Sequential(Take(most), build_transformer(len(most), outputs))


class GeneNetwork:
    """A small network of standardised genes that learns classes, or values.

    Args:
        make: the untrained network.
        of_classes: whether it learns classes.
        seed: of its weights and of the order of samples.

    Attributes:
        classes_: sorted; of classes only.
        trained_: the network, and how genes are scaled. It gives scores of `classes_`, or values.
    """

    trained_: Trained

    def __init__(self, make: Make | None, of_classes: bool, seed: int = 0) -> None:
        self.make = make
        self.of_classes = of_classes
        self.seed = seed

    def fit(self, x: np.ndarray, y: np.ndarray, second: np.ndarray | None = None) -> GeneNetwork:
        """Learn (n, genes) samples.

        Args:
            x: the samples.
            y: (n,) their classes or values.
            second: (n,) a second label, as text, that a second head learns beside the first; a
                sample whose text is empty teaches the first head alone.
        """
        from core.models import gene_networks

        scale = scale_of(x)
        scaled = ((x - scale[0]) / scale[1]).astype(np.float32)
        told = self._encode(y)
        outputs = len(self.classes_) if self.of_classes else 1
        names, others = np.unique([""] if second is None else second, return_inverse=True)
        heads = outputs + (0 if second is None else len(names))
        with gene_networks.repeatable(self.seed):
            network = self.make(scaled, share_explained(scaled, told, self.of_classes), heads)
            values = gene_networks.as_tensor(scaled)
            first = gene_networks.judge(told, self.of_classes)
            beside = gene_networks.judge(np.where(names[others] == "", UNTOLD, others), True)

            def loss(rows: Tensor) -> Tensor:
                said = network(values[rows])
                found = first(said[:, :outputs], rows)
                if second is not None:
                    found = found + SECOND_WEIGHT * beside(said[:, outputs:], rows)
                return found

            gene_networks.train(network, loss, len(x), self.seed, count_passes(len(x)))
        network = gene_networks.First(network, outputs)
        self.trained_ = gene_networks.Trained(self._in_unit(network), *scale)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """(n, classes) probabilities of (n, genes) samples."""
        return self.trained_.answer(x)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) classes or values of (n, genes) samples."""
        if self.of_classes:
            return self.classes_[self.predict_proba(x).argmax(axis=1)]
        return self.trained_.value(x)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Numbers of the classes, or values of mean 0 and SD 1."""
        if self.of_classes:
            self.classes_, numbers = np.unique(y, return_inverse=True)
            return numbers
        self._mean, self._spread = float(np.mean(y)), float(np.std(y)) or 1.0
        return (y - self._mean) / self._spread

    def _in_unit(self, network: nn.Module) -> nn.Module:
        from core.models.gene_networks import InUnit

        network = network if self.of_classes else InUnit(network, self._mean, self._spread)
        return network.eval()


class AutoencoderModel(GeneNetwork):
    """The tuned linear model, or ridge regression, of features that an autoencoder finds.

    `trained_` is the encoder and the linear model as one network.
    """

    def __init__(self, of_classes: bool, seed: int = 0) -> None:
        super().__init__(None, of_classes, seed)

    def fit(
        self, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None
    ) -> AutoencoderModel:
        """Learn (n, genes) samples of classes or values (n,).

        Samples that share one of `groups` (n,), such as a patient, are in one inner fold.
        """
        from core.models import gene_networks
        from core.models.baselines import BASELINES, linear_form
        from core.models.value_baselines import VALUE_BASELINES

        scale = scale_of(x)
        told = self._encode(y)
        with gene_networks.repeatable(self.seed):
            scaled = gene_networks.as_tensor((x - scale[0]) / scale[1])
            encoder = gene_networks.learn_features(scaled, self.seed, count_passes(len(x)))
            features = gene_networks.features(encoder, scaled)
        if self.of_classes:
            linear = BASELINES["tuned_linear"].build(self.seed, len(y)).fit(features, told, groups)
        else:
            linear = VALUE_BASELINES["ridge_regression"].build(self.seed, len(y))
            linear.fit(features.astype(np.float64), told)
        form = linear_form(linear, len(self.classes_) if self.of_classes else 1)
        network = self._in_unit(gene_networks.join_linear(encoder, *form))
        self.trained_ = gene_networks.Trained(network, *scale)
        return self


def count_passes(samples: int) -> int:
    """Through so many samples, in batches as `gene_networks.train` makes them."""
    from core.models.gene_networks import BATCH

    return max(EPOCHS, -(-STEPS // -(-samples // BATCH)))
