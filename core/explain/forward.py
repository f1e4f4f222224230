"""From prepared expression to class scores, as one module that attribution methods can hook."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class ClassScores(nn.Module):
    """(batch, genes) -> class scores (batch, classes), through the imager and the network.

    With `pairs` the scores are (batch, classes * classes): the difference of every two class
    scores, so that "why this class and not that" is a target like any other.
    """

    def __init__(self, imager: nn.Module, network: nn.Module, *, pairs: bool) -> None:
        super().__init__()
        self.imager, self.network, self.pairs = imager, network, pairs

    def forward(self, expression: Tensor) -> Tensor:
        """Class scores before softmax, or their differences."""
        scores = self.network(self.imager(expression))
        if not self.pairs:
            return scores
        return (scores[:, :, None] - scores[:, None, :]).flatten(1)

    @torch.no_grad()
    def find_targets(self, x: Tensor, targets: Tensor, against: Tensor | None) -> Tensor:
        """(batch,) which of the scores of `x` is that of `targets`, less that of `against`."""
        if against is None:
            return targets
        return targets * self.network(self.imager(x[:1])).shape[1] + against


def pick(scores: Tensor, targets: Tensor) -> Tensor:
    """(batch,) each row's target out of (batch, scores)."""
    return scores.gather(1, targets[:, None])[:, 0]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, exact float32 and no gradients of weights, for as long as it lasts."""
    modes = [(module, module.training) for module in network.modules()]
    learned = [weights for weights in network.parameters() if weights.requires_grad]
    network.eval().requires_grad_(False)
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        for weights in learned:
            weights.requires_grad_()
