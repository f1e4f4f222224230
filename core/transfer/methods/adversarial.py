"""An encoder that keeps the classes and misleads a classifier of cohorts: gradient reversal."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from core.transfer.methods.linear import domain_auc, source_classes
from core.transfer.problem import Problem, TransferMethod

WIDTHS = (256, 64)
STRENGTH = 0.178
"""10 ** -.75, the article's weight of the domain loss."""
EPOCHS = 60
TARGET_RATE = 1e-4


@dataclass(frozen=True)
class Adversarial:
    """An encoder trained against a domain classifier."""

    probabilities: np.ndarray
    """(test, classes)"""
    before: float
    """AUROC of telling target from source samples by their genes."""
    after: float
    """The same by what the encoder makes of them, before it is fine-tuned on the target."""


def train_against_domains(
    problem: Problem, strength: float = STRENGTH, measure: bool = True
) -> Adversarial:
    """Train an encoder and a class head, with a domain classifier behind a gradient reversal.

    The loss is the cross-entropy of the labelled samples' classes plus `strength` times that of all
    training samples' cohorts, each cohort weighing the same. The target is one of the cohorts. Then
    encoder and class head are fine-tuned on the labelled target samples.

    Args:
        problem: the samples.
        strength: weight of the domain loss; with 0 nothing is forgotten.
        measure: whether the two domain AUROCs are computed; else they are NaN.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    from core.transfer.methods import networks

    y = source_classes(problem)
    mean, spread = networks.one_scale(problem.source, problem.target, problem.unlabelled)
    parts = problem.source, problem.target, problem.unlabelled
    everyone = (np.concatenate(parts) - mean) / spread
    from_target = np.arange(len(everyone)) >= len(problem.source)
    _, cohorts = np.unique(problem.source_cohorts, return_inverse=True)
    domains = np.append(cohorts, np.full(from_target.sum(), cohorts.max() + 1))
    weights = len(domains) / np.bincount(domains)
    known = np.concatenate([y, problem.target_labels, np.full(len(problem.unlabelled), -1)])
    with networks.repeatable(problem.seed):
        network = networks.Layers(everyone.shape[1], WIDTHS, problem.n_classes, norm=True)
        adversary = networks.Layers(WIDTHS[-1], (64,), len(weights), dropout=0)
        x, classes = networks.tensors(everyone, known)
        of_domain = torch.from_numpy(domains)
        by_size = networks.as_tensor(weights / weights.min())

        def loss(rows: torch.Tensor) -> torch.Tensor:
            features = network.layers(x[rows])
            told = adversary(networks.reverse_gradient(features))
            task = functional.cross_entropy(
                network.head(features), classes[rows], ignore_index=-1, reduction="sum"
            ) / (classes[rows] >= 0).sum().clamp(min=1)
            return task + strength * functional.cross_entropy(told, of_domain[rows], by_size)

        networks.train(
            nn.ModuleList([network, adversary]), loss, len(x), problem.seed, EPOCHS, batch=64
        )
        before = after = np.nan
        if measure:
            with torch.no_grad():
                features = network.layers(x).numpy()
            before, after = (
                domain_auc(values, from_target, problem.seed) for values in (everyone, features)
            )
        if len(problem.target) > 1:
            ours = len(problem.source) + np.arange(len(problem.target))
            tune = networks.classify(network, x[ours], classes[ours])
            networks.train(network, tune, len(ours), problem.seed, EPOCHS, rate=TARGET_RATE)
        said = networks.probabilities(network, (problem.test - mean) / spread)
    return Adversarial(said, before, after)


def _fit(problem: Problem, strength: float) -> np.ndarray:
    return train_against_domains(problem, strength, measure=False).probabilities


def _record(name: str, title: str, strength: float, description: str) -> TransferMethod:
    return TransferMethod(
        name=name,
        title=title,
        description=description,
        scenario="inductive",
        reference="De Bois et al. 2021, Adversarial multi-source transfer learning in healthcare: "
        "application to glucose prediction for diabetic people, Computer Methods and Programs in "
        "Biomedicine 199:105874",
        departs="Layers on genes (256 and 64 units) instead of convolutions over time; the target "
        "is one of the domains, its unlabelled samples too (Ganin et al. 2016, JMLR 17:59); 60 "
        "passes at a rate of 1e-3 instead of a patience; weight decay.",
        seconds=3.0,
        fit=partial(_fit, strength=strength),
    )


ADVERSARIAL = _record(
    "adversarial",
    "Adversarial network",
    STRENGTH,
    "A network learns the classes, and to mislead a classifier of the cohorts. With a few hundred "
    "samples another classifier still told them apart (benchmarks/results/transfer_methods.md). "
    "Hurts where cohorts differ in their share of classes, since then it forgets the class.",
)
ADVERSARIAL_OFF = _record(
    "adversarial_off",
    "Adversarial network without the adversary",
    0.0,
    "The same network without a classifier of cohorts: what misleading one has to beat.",
)
ADVERSARIAL_STRONG = _record(
    "adversarial_strong",
    "Adversarial network, strong adversary",
    1.0,
    "The same with a domain loss that weighs as much as the class loss.",
)
