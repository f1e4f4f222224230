"""A network of the labelled target samples alone: what a pretrained one has to beat."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.transfer.methods.linear import answer_by
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from core.models.gene_networks import Trained

EPOCHS = 60
"""Passes through the target's samples."""


def train_scratch(problem: Problem) -> Trained:
    """A network of the n target samples alone."""
    from core.models import gene_networks
    from core.transfer.methods.frozen import WIDTHS

    mean, spread = gene_networks.one_scale(problem.target)
    with gene_networks.repeatable(problem.seed):
        network = gene_networks.Layers(problem.target.shape[1], WIDTHS, problem.n_classes)
        x, y = gene_networks.tensors((problem.target - mean) / spread, problem.target_labels)
        gene_networks.train(
            network, gene_networks.classify(network, x, y), len(x), problem.seed, EPOCHS
        )
    return gene_networks.Trained(network, mean, spread)


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
    seconds=0.5,
    fit=partial(answer_by, train_scratch),
    train=train_scratch,
    min_target=2,
    learns_from="target",
)
