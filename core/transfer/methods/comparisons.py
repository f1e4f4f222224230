"""What every picture has: models without transfer, and the plainest transfer there is."""

from functools import partial

import numpy as np

from core.transfer.methods.linear import answer, both, source_classes
from core.transfer.problem import Problem, TransferMethod

SMITH = (
    "Smith et al. 2020, Standard machine learning approaches outperform deep representation "
    "learning on phenotype prediction from transcriptomics data, BMC Bioinformatics 21:119"
)
EPOCHS = 60
"""Passes of a network through the target's samples."""


def fit_target_only(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of the tuned linear model of the n target samples."""
    return answer(
        problem.target, problem.target_labels, problem.target_groups, problem.test, problem
    )


def fit_source_only(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of the tuned linear model of the source."""
    return answer(
        problem.source, source_classes(problem), problem.source_groups, problem.test, problem
    )


def fit_pooled(problem: Problem, weight: int = 1) -> np.ndarray:
    """The same of both together, each target sample counting `weight` times."""
    return answer(*both(problem, weight), problem.test, problem)


def fit_scratch(problem: Problem) -> np.ndarray:
    """(test, classes) probabilities of a network of the n target samples alone."""
    from core.transfer.methods import networks
    from core.transfer.methods.frozen import WIDTHS

    mean, spread = networks.one_scale(problem.target)
    with networks.repeatable(problem.seed):
        network = networks.Layers(problem.target.shape[1], WIDTHS, problem.n_classes)
        x, y = networks.tensors((problem.target - mean) / spread, problem.target_labels)
        networks.train(network, networks.classify(network, x, y), len(x), problem.seed, EPOCHS)
        return networks.probabilities(network, (problem.test - mean) / spread)


TARGET_ONLY = TransferMethod(
    name="target_only",
    title="Target only",
    description="The tuned linear model of the labelled target samples alone: what any transfer "
    "has to beat.",
    scenario="inductive",
    reference=SMITH,
    departs="Logistic or ridge regression and its penalty are chosen on inner folds.",
    seconds=0.3,
    fit=fit_target_only,
    min_target=2,
    learns_from="target",
)
SCRATCH = TransferMethod(
    name="scratch",
    title="Network from scratch",
    description="A network of four layers that sees the labelled target samples alone, so that a "
    "gain of a pretrained one isn't a gain of networks.",
    scenario="inductive",
    reference="Hanczar et al. 2022, Assessment of deep learning and transfer learning for cancer "
    "prediction based on gene expression data, BMC Bioinformatics 23:262",
    departs="Four layers of 256 units, dropout of a half, and 60 passes without early stopping: "
    "few target samples leave none to stop by.",
    seconds=2.0,
    fit=fit_scratch,
    min_target=2,
    learns_from="target",
)
SOURCE_ONLY = TransferMethod(
    name="source_only",
    title="Source only",
    description="The tuned linear model of the source, asked about target samples as it is.",
    scenario="transductive",
    reference=SMITH,
    departs="Logistic or ridge regression and its penalty are chosen on inner folds.",
    seconds=0.5,
    fit=fit_source_only,
)
POOLED = TransferMethod(
    name="pooled",
    title="Pooled",
    description="The tuned linear model of source and labelled target samples together.",
    scenario="inductive",
    reference=SMITH,
    departs="Source samples count as much as target samples.",
    seconds=0.6,
    fit=fit_pooled,
)
POOLED_5 = TransferMethod(
    name="pooled_5",
    title="Pooled, target weight 5",
    description="Source and target together, each labelled target sample counting five times.",
    scenario="inductive",
    reference="Daumé III 2007, Frustratingly easy domain adaptation (WEIGHTED), "
    "ACL 45:256, arXiv:0907.1815",
    departs="The weight is always 5, not chosen.",
    seconds=0.8,
    fit=partial(fit_pooled, weight=5),
)
