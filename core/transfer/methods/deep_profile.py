"""Features that many small autoencoders of the source agree on, and principal components beside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.models.baselines import one_thread
from core.models.gene_models import scale_of
from core.transfer.methods.components import principal_axes
from core.transfer.methods.linear import answer_sparsely
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from torch import Tensor

COMPONENTS = 200
"""Principal components that autoencoders see, at most; at most half as many as samples."""
LATENT = {5: (100, 25), 10: (100, 50), 25: (100, 50)}
"""Latent dimensions -> widths of the encoder's layers."""
SEEDS = 2
"""Autoencoders of each size."""
CLUSTERS = 25
EPOCHS = 40
RATE = 2e-3


def learn_features(source: np.ndarray, target: list[np.ndarray], seed: int) -> list[np.ndarray]:
    """(samples, features) of the source and of each part of the target.

    Principal components of the source go through variational autoencoders of several sizes and
    seeds. Their latent dimensions are clustered by k-means, and a feature is the mean of a cluster.

    Args:
        source: (samples, genes).
        target: (samples, genes) each; scaled as the source is.
        seed: of all that is drawn.
    """
    from sklearn.cluster import KMeans

    from core.models import gene_networks

    mean, spread = scale_of(source)
    axes = principal_axes(source, min(COMPONENTS, len(source) // 2))
    parts = [(x - mean) / spread @ axes for x in (source, *target)]
    scale = np.median(parts[0].std(axis=0))  # one number: noise becomes 1, programs stay above
    inputs = [gene_networks.as_tensor(x / scale) for x in parts]
    found: list[list[np.ndarray]] = [[] for _ in inputs]
    for latent, widths in LATENT.items():
        for number in range(SEEDS):
            with gene_networks.repeatable(seed * SEEDS + number):
                encode = _train_autoencoder(inputs[0], widths, latent, seed * SEEDS + number)
                for own, x in zip(found, inputs, strict=True):
                    own.append(encode(x))
    nodes = [np.concatenate(own, axis=1) for own in found]
    with one_thread():
        few = min(CLUSTERS, nodes[0].shape[1])
        of = KMeans(few, n_init=3, random_state=seed).fit_predict(nodes[0].T)
    mixing = np.eye(few)[of] / np.bincount(of, minlength=few).clip(1)
    return [own @ mixing for own in nodes]


def _train_autoencoder(
    x: Tensor, widths: tuple[int, ...], latent: int, seed: int
) -> Callable[[Tensor], np.ndarray]:
    """The mean of each latent dimension, as a function of (samples, components)."""
    import torch
    from torch import nn
    from torch.nn import functional

    from core.models import gene_networks

    encoder = gene_networks.Layers(x.shape[1], widths, 2 * latent, dropout=0, norm=True)
    decoder = gene_networks.Layers(latent, widths[::-1], x.shape[1], dropout=0, norm=True)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        mean, logs = encoder(x[rows]).chunk(2, dim=1)
        logs = logs.clamp(-10, 10)
        drawn = mean + torch.exp(logs / 2) * torch.randn_like(mean)
        missed = x.shape[1] * functional.mse_loss(decoder(drawn), x[rows])
        return missed - 0.5 * (1 + logs - mean.square() - logs.exp()).sum(dim=1).mean()

    both = nn.ModuleList([encoder, decoder])
    gene_networks.train(both, loss, len(x), seed, EPOCHS, rate=RATE, batch=50)

    def encode(asked: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return encoder(asked)[:, :latent].numpy()

    return encode


def fit_deep_profile(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of a sparse logistic regression of the features."""
    parts = [problem.target, problem.test]
    _, learned, asked = learn_features(problem.source, parts, problem.seed)
    return answer_sparsely(
        learned, problem.target_labels, asked, problem.n_classes, problem.seed
    )  # fmt: skip


def fit_source_components(problem: Problem, number: int) -> np.ndarray:
    """The same of the source's principal components, the target scaled as the source is."""
    mean, spread = scale_of(problem.source)
    axes = principal_axes(problem.source, number)
    learned, asked = ((x - mean) / spread @ axes for x in (problem.target, problem.test))
    return answer_sparsely(
        learned, problem.target_labels, asked, problem.n_classes, problem.seed
    )  # fmt: skip


_REFERENCE = (
    "Dincer et al. 2018, DeepProfile, bioRxiv 278739; Qiu et al. 2024, Deep profiling of gene "
    "expression across 18 human cancers, Nature Biomedical Engineering"
)
DEEP_PROFILE = TransferMethod(
    name="deep_profile",
    title="DeepProfile",
    description="Six small variational autoencoders of the source; latent dimensions that agree "
    "are averaged into 25 features, on which a sparse model of the target is fitted.",
    scenario="unsupervised",
    reference=_REFERENCE,
    departs="2 seeds of 3 sizes and 40 passes instead of 100 seeds of 6 sizes and 50 passes; a "
    "rate of 2e-3 instead of 5e-4, since a few hundred samples make few steps; 200 components at "
    "most instead of 1,000; 25 features instead of 150. That features find planted programs better "
    "than principal components is not reproduced: median |r| .62 beside .68, .63 beside .60.",
    seconds=1.9,
    fit=fit_deep_profile,
    min_target=2,
    learns_from="samples",
    version=2,
)
SAME_SIZE = TransferMethod(
    name="components_beside",
    title="Principal components as many as DeepProfile's features",
    description="A sparse model of the target on the source's 25 first principal components: what "
    "autoencoders have to beat.",
    scenario="unsupervised",
    reference="Smith et al. 2020, Standard machine learning approaches outperform deep "
    "representation learning on phenotype prediction from transcriptomics data, BMC "
    "Bioinformatics 21:119",
    departs="Logistic regression with an L1 penalty, as DeepProfile's features get.",
    seconds=0.05,
    fit=partial(fit_source_components, number=CLUSTERS),
    min_target=2,
    learns_from="samples",
)
