"""Heads: what is put on a backbone's maps to make scores of them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class LinearHead(nn.ModuleDict):
    """A linear model of whole maps, the first of which is the image itself.

    It is not trained by steps but solved (`core.training.exact`): a linear probe (Alain and Bengio
    2016, arXiv:1610.01644) that has the genes among its inputs, so that it contains the linear
    model of the genes alone.

    Args:
        maps: name -> channels and places a side of each.
        outputs: how many scores.
    """

    def __init__(self, maps: dict[str, tuple[int, int]], outputs: int) -> None:
        super().__init__(
            {
                name: LinearBranch(channels * places**2, outputs)
                for name, (channels, places) in maps.items()
            }
        )
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.counted = list(maps)
        """Names of the maps whose part is counted: all, unless an explanation asks about some, or
        the others have no share."""

    @property
    def needed(self) -> int:
        """How many of the maps are looked at; those behind the last one that is counted aren't."""
        return 1 + max(list(self).index(name) for name in self.counted)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps, each (batch, channels, places, places) -> scores (batch, outputs).

        Those behind the last one that is counted may be missing.
        """
        branches = list(self.items())[: len(maps)]
        parts = [
            branch(seen)
            for (name, branch), seen in zip(branches, maps, strict=True)
            if name in self.counted
        ]
        return self.offset + torch.stack(parts).sum(0)


class LinearBranch(nn.Module):
    """The part of a linear head that looks at one map of so many values.

    The mean is taken off before the product, in which large numbers would otherwise cancel.
    """

    def __init__(self, values: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(values, outputs, bias=False)
        self.register_buffer("mean", torch.zeros(values))

    def forward(self, seen: Tensor) -> Tensor:
        """A map (batch, channels, places, places) -> scores (batch, outputs)."""
        return self.linear(seen.permute(0, 2, 3, 1).flatten(1) - self.mean)


class Products(nn.Module):
    """Products of the values at each two places of an image, and their squares.

    Args:
        side: of the image.
        places: a side; an image of so many genes at most as there are places has one at each.
    """

    def __init__(self, side: int, places: int) -> None:
        super().__init__()
        self.pool = AveragePool(side, places)
        self.values = places**2 * (places**2 + 1) // 2
        """How many there are."""

    def forward(self, image: Tensor) -> Tensor:
        """(batch, 1, side, side) -> (batch, values, 1, 1)."""
        places = self.pool(image).flatten(1)
        first, second = torch.triu_indices(*2 * places.shape[1:], device=image.device)
        return (places[:, first] * places[:, second])[:, :, None, None]


class PositionHead(nn.ModuleDict):
    """A classifier that keeps where on a map something was: on a gene-image, which genes.

    Of each pooled map: reduce the channels with a 1 x 1 convolution, normalise over the batch,
    flatten, classify; the scores of all maps are added. Global average pooling would throw the
    place, and so the gene, away. Maps of early stages are fine and tell neighbouring genes apart,
    those of late ones tell patterns of many genes (hypercolumns: Hariharan et al. 2015,
    arXiv:1411.5752). Without the normalisation an untrained VGG hardly learns: after 16 layers
    its maps of any two samples are alike (correlation .95).

    Args:
        maps: stage -> channels and places a side of its pooled map.
        reduced: channels that are kept of each.
        classes: how many scores.
        dropout: share of the flattened values that is left out while training.
    """

    def __init__(
        self, maps: dict[str, tuple[int, int]], reduced: int, classes: int, dropout: float
    ) -> None:
        super().__init__(
            {
                name: PositionBranch(channels, places, reduced, classes, dropout)
                for name, (channels, places) in maps.items()
            }
        )

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Pooled maps, each (batch, channels, places, places) -> class scores (batch, classes)."""
        scores = [branch(pooled) for branch, pooled in zip(self.values(), maps, strict=True)]
        return torch.stack(scores).sum(0)


class PositionBranch(nn.Module):
    """The part of a position head that looks at one map; arguments as of `PositionHead`.

    The 1 x 1 convolution and the classifier are matrix products over a map whose channels lie
    beside each other, and nothing in between is copied into another order: a step takes less than
    half the time of the same modules in a row.
    """

    def __init__(
        self, channels: int, places: int, reduced: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1, bias=False)
        self.norm = nn.BatchNorm2d(reduced)
        self.relu = nn.ReLU()
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(reduced * places**2, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """A pooled map (batch, channels, places, places) -> class scores (batch, classes)."""
        kept = linear(pooled.permute(0, 2, 3, 1), self.reduce.weight.flatten(1))
        kept = self.relu(self.norm(kept.permute(0, 3, 1, 2)))
        weight = self.linear.weight.unflatten(1, kept.shape[1:]).permute(0, 2, 3, 1).flatten(1)
        rows = self.dropout(kept.permute(0, 2, 3, 1).flatten(1))
        return linear(rows, weight, self.linear.bias)


class Dropout(nn.Dropout):
    """torch's with a random byte a value, so that the share is a multiple of 1/256.

    On a CPU it takes a sixth of the time of torch's, which was a quarter of a head's step.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; what is kept is divided by the share that is kept."""
        dropped = round(256 * self.p)
        if not self.training or dropped == 0:
            return x
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device)
        chance = words.random_(-(2**63), None).view(torch.uint8)[: x.numel()].view(x.shape)
        kept = torch.ge(chance, dropped, out=torch.empty_like(x))
        return x * kept.mul_(256 / (256 - dropped))


class AveragePool(nn.Module):
    """torch's AdaptiveAvgPool2d from one fixed side to another, as two matrix products.

    torch's own adds gradients in no fixed order on a GPU, so that two equal runs differ.
    """

    def __init__(self, side: int, places: int) -> None:
        super().__init__()
        self.places = places
        matrix = torch.zeros(places, side)
        for place in range(places):
            start, stop = place * side // places, -(-(place + 1) * side // places)
            matrix[place, start:stop] = 1 / (stop - start)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, channels, side, side) -> (batch, channels, places, places)."""
        if maps.shape[-1] == self.places:
            return maps
        matrix = self.matrix.to(maps.dtype)
        return matrix @ maps @ matrix.T
