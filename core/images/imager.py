"""GeneImager: expression profiles to network input on the device, differentiable."""

import numpy as np
import torch
from torch import Tensor, nn

from core.data.prepare import Z_LIMIT
from core.errors import InputError
from core.images.layout import Channels, GeneLayout

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


class GeneImager(nn.Module):
    """Paint prepared expression on the canvas and bring it to the size that the network sees.

    One gather that enlarges by a whole factor, so that every pixel of the image belongs to one
    pixel of the canvas, and one multiply-add. All channels are between 0 and 1 before they are
    normalised with the mean and SD of ImageNet; free pixels are 0 after that, the value that a
    network sees as "nothing here", never zero expression. Genes that share a pixel are averaged.

    Args:
        layout: where each gene stands, on a square canvas that divides the image.
        image_size: pixels a side.
        channels: `value` paints the value thrice. `value_z_rank` paints it once, then its distance
            from the training mean in SD, clipped at 4 (0 is painted as .5), then the gene's rank
            among the genes of the sample (0 the lowest, 1 the highest, equal values the mean of
            their ranks). A rank is a step function: gradients don't flow through it, and an
            attribution sees the other two channels only.
        mean: (genes,) training mean of the values, for z.
        sd: (genes,) training SD of the values, for z.

    Raises:
        InputError: the canvas doesn't divide the image, or z is asked for without mean and SD.
    """

    def __init__(
        self,
        layout: GeneLayout,
        image_size: int,
        channels: Channels = "value",
        mean: np.ndarray | None = None,
        sd: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        rows, columns = layout.shape
        if rows != columns or image_size % rows:
            raise InputError(
                f"A canvas of {rows} x {columns} can't be enlarged to {image_size} x {image_size} "
                "by a whole factor."
            )
        self.layout, self.size, self.channels = layout, image_size, channels
        if channels == "value_z_rank":
            if mean is None or sd is None:
                raise InputError("The channels value_z_rank need mean and SD of each gene.")
            self.register_buffer("gene_mean", torch.as_tensor(mean))
            self.register_buffer("gene_sd", torch.as_tensor(sd))
        pixel, slot = torch.as_tensor(layout.row * columns + layout.col).unique(return_inverse=True)
        self.taken, self.shared = len(pixel), len(pixel) < len(layout.genes)
        if self.shared:
            self.register_buffer("slot", slot)
            self.register_buffer("share", 1 / torch.bincount(slot)[slot])
            value = torch.arange(len(pixel))
        else:
            value = slot.argsort()
        canvas = torch.full((rows * columns,), len(pixel))
        canvas[pixel] = value
        factor = image_size // rows
        image = canvas.view(rows, columns).repeat_interleave(factor, 0)
        image = image.repeat_interleave(factor, 1).flatten()
        shift, scale = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_SD)
        self.register_buffer("canvas", canvas)
        self.register_buffer("image", image)
        self.register_buffer("scale", (1 / scale).view(1, 3, 1))
        self.register_buffer("shift", -(shift / scale).view(1, 3, 1) * (image < len(pixel)))

    def pixels(self, x: Tensor) -> Tensor:
        """Paint (batch, genes) on the canvas: (batch, rows, columns), free pixels 0."""
        return self._gather(x, self.canvas).view(len(x), *self.layout.shape)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (batch, genes) in [0, 1] into (batch, 3, image_size, image_size)."""
        if self.channels == "value":
            painted = self._gather(x, self.image).unsqueeze(1)
        else:
            z = (x - self.gene_mean.to(x)) / self.gene_sd.to(x)
            z = z.clamp(-Z_LIMIT, Z_LIMIT) / (2 * Z_LIMIT) + 0.5
            planes = (x, z, rank_within_samples(x))
            painted = torch.stack([self._gather(plane, self.image) for plane in planes], dim=1)
        images = torch.addcmul(self.shift.to(x), painted, self.scale.to(x))
        return images.view(len(x), 3, self.size, self.size)

    def blank(self) -> Tensor:
        """A sample whose genes all are 0, (1, genes)."""
        return torch.zeros(1, len(self.layout.genes), device=self.image.device)

    def _gather(self, x: Tensor, pixels: Tensor) -> Tensor:
        """(batch, pixels) values of the taken pixels that `pixels` names, 0 for free ones."""
        if self.shared:
            sums = x.new_zeros(len(x), self.taken)
            x = sums.index_add(1, self.slot, x * self.share.to(x))
        return torch.cat([x, x.new_zeros(len(x), 1)], dim=1).index_select(1, pixels)


def rank_within_samples(x: Tensor) -> Tensor:
    """Rank of each of (batch, genes) within its sample, 0 to 1; equal values share their mean."""
    x = x.detach()
    ordered = x.sort(dim=1).values
    below = torch.searchsorted(ordered, x.contiguous())
    up_to = torch.searchsorted(ordered, x.contiguous(), right=True)
    return ((below + up_to - 1) / (2 * max(x.shape[1] - 1, 1))).to(x)
