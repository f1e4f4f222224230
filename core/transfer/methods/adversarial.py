"""An encoder that keeps the classes and hides the cohort from the best linear adversary."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from core.transfer.methods.linear import source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.gene_networks import Layers

WIDTHS = (256, 64)
STRENGTH = 0.178
"""10 ** -.75, the article's weight of the domain loss."""
STEPS = 300
"""Of the encoder; as many passes where a batch holds all samples."""
BATCH = 512
"""Samples in a step: what tells the cohorts apart is estimated from them."""
RIDGE = 0.1
"""Share of the features' mean variance that is added to each when the adversary is solved."""
TARGET_EPOCHS = 60
TARGET_RATE = 1e-4
HELD_OUT = 5
"""One sample in so many shows whether the cohort is hidden in samples never learned from."""


@dataclass(frozen=True)
class Domains:
    """How well a fresh classifier tells target from source samples that nothing was fitted on."""

    before: float
    """AUROC by genes."""
    after: float
    """AUROC by what the encoder makes of them, before it is fine-tuned; about .5 if it hides all"""


def fit_against_domains(problem: Problem, strength: float = STRENGTH) -> np.ndarray:
    """(test, classes) probabilities of an encoder that hides which cohort a sample is of.

    The loss is the cross-entropy of the labelled samples' classes plus `strength` times log(1 +
    `separation`) of all training samples' features by cohort. The target is one of the cohorts.
    Then encoder and class head are fine-tuned on the labelled target samples.

    Args:
        problem: the samples.
        strength: weight of the domain loss; with 0 nothing is forgotten.
    """
    from core.models import gene_networks

    with gene_networks.repeatable(problem.seed):
        mean, spread, network = _train(problem, strength)
        if len(problem.target) > 1:
            x, y = gene_networks.tensors((problem.target - mean) / spread, problem.target_labels)
            tune = gene_networks.classify(network, x, y)
            gene_networks.train(
                network, tune, len(x), problem.seed, TARGET_EPOCHS, rate=TARGET_RATE
            )
        return gene_networks.probabilities(network, (problem.test - mean) / spread)


def measure_domains(problem: Problem, strength: float = STRENGTH) -> Domains:
    """Train an encoder on four fifths of each cohort, and tell the cohorts of the rest apart.

    A fresh logistic regression learns from the samples that the encoder has learned from, and is
    put to those that neither has seen: on the encoder's own samples the AUROC falls below a half,
    since their cohorts' means were made equal.

    Args:
        problem: the samples; `unlabelled` has five or more.
        strength: as of `fit_against_domains`.
    """
    import torch
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from core.models import gene_networks
    from core.models.baselines import one_thread

    rng = np.random.default_rng(problem.seed)
    theirs = rng.permutation(len(problem.source)) % HELD_OUT == 0
    ours = rng.permutation(len(problem.unlabelled)) % HELD_OUT == 0
    learned = replace(
        problem, source=problem.source[~theirs], source_labels=problem.source_labels[~theirs],
        source_cohorts=problem.source_cohorts[~theirs],
        source_groups=problem.source_groups[~theirs], unlabelled=problem.unlabelled[~ours],
    )  # fmt: skip
    asked = np.concatenate([problem.source[theirs], problem.unlabelled[ours]])
    of_asked = np.arange(len(asked)) >= theirs.sum()
    known = np.concatenate([learned.source, learned.target, learned.unlabelled])
    of_known = np.arange(len(known)) >= len(learned.source)
    with gene_networks.repeatable(problem.seed):
        mean, spread, network = _train(learned, strength)
        with torch.no_grad():
            features = [
                network.layers(gene_networks.as_tensor((x - mean) / spread)).numpy()
                for x in (known, asked)
            ]
    found = []
    for fitted, tested in ((known, asked), features):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
        with one_thread():
            said = model.fit(fitted, of_known).decision_function(tested)
        found.append(float(roc_auc_score(of_asked, said)))
    return Domains(*found)


def separation(features: Tensor, domains: Tensor) -> Tensor:
    """How far the best linear adversary tells domains apart: 0 if it can't.

    The trace of S^-1 B, in which B holds the squared distances of the domains' means from the mean
    of these, and S is the covariance within domains plus RIDGE of its mean variance (Fisher 1936;
    of several groups Rao 1948). Every domain weighs the same.

    Args:
        features: (samples, features).
        domains: (samples,) number of the domain of each.
    """
    import torch

    own = [features[domains == number] for number in domains.unique()]
    means = torch.stack([rows.mean(dim=0) for rows in own])
    within = torch.cat([rows - mean for rows, mean in zip(own, means, strict=True)])
    covariance = within.T @ within / len(within)
    ridge = RIDGE * covariance.diagonal().mean() + 1e-6
    covariance = covariance + ridge * torch.eye(len(covariance))
    between = means - means.mean(dim=0)
    return (between * torch.linalg.solve(covariance, between.T).T).sum()


def _train(problem: Problem, strength: float) -> tuple[np.ndarray, np.ndarray, Layers]:
    """Mean and SD of each gene, and the network before it is fine-tuned."""
    import torch
    from torch.nn import functional

    from core.models import gene_networks

    parts = problem.source, problem.target, problem.unlabelled
    mean, spread = gene_networks.one_scale(*parts)
    everyone = (np.concatenate(parts) - mean) / spread
    _, cohorts = np.unique(problem.source_cohorts, return_inverse=True)
    ours = len(everyone) - len(problem.source)
    domains = torch.from_numpy(np.append(cohorts, np.full(ours, cohorts.max() + 1)))
    labels = source_classes(problem), problem.target_labels, np.full(len(problem.unlabelled), -1)
    network = gene_networks.Layers(everyone.shape[1], WIDTHS, problem.n_classes, 0, norm=True)
    x, classes = gene_networks.tensors(everyone, np.concatenate(labels))

    def loss(rows: Tensor) -> Tensor:
        features, known = network.layers(x[rows]), classes[rows]
        missed = functional.cross_entropy(
            network.head(features), known, ignore_index=-1, reduction="sum"
        )
        hidden = torch.log1p(separation(features, domains[rows]))
        return missed / (known >= 0).sum().clamp(min=1) + strength * hidden

    passes = -(-STEPS // -(-len(x) // BATCH))
    gene_networks.train(network, loss, len(x), problem.seed, passes, batch=BATCH)
    return mean, spread, network


FEWEST_UNLABELLED = 10
"""Target samples without which nothing is held out of the encoder."""


def _examine(problem: Problem, hidden: np.ndarray, strength: float) -> dict[str, float]:
    if len(problem.unlabelled) < FEWEST_UNLABELLED:
        return {}
    found = measure_domains(problem, strength)
    return {
        "AUROC by which a fresh model tells the target from the sources, by genes": found.before,
        "the same, by what the encoder makes of them": found.after,
    }


def _record(name: str, title: str, strength: float, description: str) -> TransferMethod:
    return TransferMethod(
        name=name,
        title=title,
        description=description,
        scenario="inductive",
        reference="De Bois et al. 2021, Adversarial multi-source transfer learning in healthcare: "
        "application to glucose prediction for diabetic people, Computer Methods and Programs in "
        "Biomedicine 199:105874",
        departs="The adversary is a linear discriminant that is solved in every step. The "
        "published one is a network behind a gradient reversal: here it hid nothing, since it lags "
        "behind the encoder and gives no gradient while it is right (a fresh classifier told "
        "cohorts apart with an AUROC of 1.00; .46 with the one that is solved). No dropout, under "
        "whose noise a cohort hides only as long as there is noise. Layers on genes (256 and 64 "
        "units) instead of convolutions over time; the target is one of the domains, its "
        "unlabelled samples too (Ganin et al. 2016, JMLR 17:59); 300 steps at a rate of 1e-3 "
        "instead of a patience; weight decay.",
        seconds=2.1,
        fit=partial(fit_against_domains, strength=strength),
        examine=partial(_examine, strength=strength),
        version=2,
    )


ADVERSARIAL = _record(
    "adversarial",
    "Adversarial network",
    STRENGTH,
    "A network learns the classes, and features by which no linear adversary tells the cohorts "
    "apart. Hurts where cohorts differ in their share of classes, since then it forgets the class.",
)
ADVERSARIAL_OFF = _record(
    "adversarial_off",
    "Adversarial network without the adversary",
    0.0,
    "The same network without an adversary: what hiding the cohort has to beat.",
)
ADVERSARIAL_STRONG = _record(
    "adversarial_strong",
    "Adversarial network, strong adversary",
    1.0,
    "The same with a domain loss that weighs as much as the class loss.",
)
