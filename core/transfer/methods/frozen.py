"""A network pretrained on the source and fine-tuned on the target, its first layers frozen."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.transfer.methods.linear import answer_by, source_classes
from core.transfer.problem import Problem, TransferMethod

if TYPE_CHECKING:
    from core.models.gene_networks import Trained

WIDTHS = (256, 256, 256, 256)
SOURCE_EPOCHS = 60
"""At most; a fifth of the source says when to stop."""
TARGET_EPOCHS = 60
TARGET_RATE = 1e-4
"""A tenth of the rate of the source, so that what was learned there isn't overwritten."""


def train_frozen(problem: Problem, frozen: int) -> Trained:
    """A network that learned from the source, then from the target.

    Without target samples it is the network of the source.

    Args:
        problem: the samples.
        frozen: how many of the first layers keep the source's weights, from 0 to 4.
    """
    from core.models import gene_networks

    y = source_classes(problem)
    mean, spread = gene_networks.one_scale(problem.source, problem.target)
    with gene_networks.repeatable(problem.seed):
        network = gene_networks.Layers(problem.source.shape[1], WIDTHS, problem.n_classes)
        x, y = gene_networks.tensors((problem.source - mean) / spread, y)
        learned, held_out = gene_networks.split(y.numpy(), problem.seed)
        judge = partial(gene_networks.classify(network, x, y), held_out) if len(held_out) else None
        loss = gene_networks.classify(network, x[learned], y[learned])
        gene_networks.train(network, loss, len(learned), problem.seed, SOURCE_EPOCHS, judge=judge)
        for layer in network.layers[:frozen]:
            layer.requires_grad_(False)
        if len(problem.target):
            x, y = gene_networks.tensors((problem.target - mean) / spread, problem.target_labels)
            loss = gene_networks.classify(network, x, y)
            gene_networks.train(
                network, loss, len(x), problem.seed, TARGET_EPOCHS, rate=TARGET_RATE
            )
    return gene_networks.Trained(network, mean, spread)


def _record(frozen: int) -> TransferMethod:
    kept = {0: "all of its layers learn", 1: "the first layer keeps", 4: "all four layers keep"}
    said = kept.get(frozen, f"the first {frozen} layers keep")
    return TransferMethod(
        name=f"frozen_{frozen}",
        title=f"Pretrained network, {frozen} of 4 layers frozen",
        description="A network learns from the source, then from the labelled target samples, "
        f"where {said}{' what the source taught' if frozen else ''}.",
        scenario="inductive",
        reference="Hanczar et al. 2022, Assessment of deep learning and transfer learning for "
        "cancer prediction based on gene expression data, BMC Bioinformatics 23:262",
        departs="Widths (4 x 256), dropout (.5), rates (1e-3, then 1e-4) and passes (60 at most) "
        "are ours, as the article's aren't published as code; weight decay; the source's head is "
        "fine-tuned too.",
        seconds=0.5,
        fit=partial(answer_by, partial(train_frozen, frozen=frozen)),
        train=partial(train_frozen, frozen=frozen),
    )


FROZEN = [_record(frozen) for frozen in range(len(WIDTHS) + 1)]
