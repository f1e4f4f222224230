"""GeneImager: expression profiles to network input on the device, differentiable."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from core.errors import InputError
from core.images.layout import GeneLayout

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)


class GeneImager(nn.Module):
    """Paint prepared expression on the canvas and bring it to the size that the network sees.

    One scatter and one nearest-neighbour upscale by a whole factor, so that every pixel of the
    image belongs to one pixel of the canvas. The three channels are equal before they are
    normalised with the mean and SD of ImageNet; free pixels are 0 after that, the value that a
    network sees as "nothing here", never zero expression.
    """

    def __init__(self, layout: GeneLayout, image_size: int) -> None:
        super().__init__()
        rows, columns = layout.shape
        if rows != columns or image_size % rows:
            raise InputError(
                f"A canvas of {rows} x {columns} can't be enlarged to {image_size} x {image_size} "
                "by a whole factor."
            )
        self.layout = layout
        self.layout, self.factor = layout, image_size // rows
        pixel = torch.as_tensor(layout.row * columns + layout.col)
        count = torch.bincount(pixel, minlength=rows * columns)
        self.register_buffer("pixel", pixel)
        self.register_buffer("share", 1 / count[pixel])
        self.register_buffer("taken", (count > 0).view(1, 1, rows, columns))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("sd", torch.tensor(IMAGENET_SD).view(1, 3, 1, 1))

    def pixels(self, x: Tensor) -> Tensor:
        """Paint (batch, genes) on the canvas: (batch, rows, columns), free pixels 0."""
        canvas = x.new_zeros(len(x), self.layout.shape[0] * self.layout.shape[1])
        return canvas.index_add(1, self.pixel, x * self.share.to(x)).view(
            len(x), *self.layout.shape
        )

    def forward(self, x: Tensor) -> Tensor:
        """Turn (batch, genes) in [0, 1] into (batch, 3, image_size, image_size)."""
        images = (self.pixels(x).unsqueeze(1) - self.mean.to(x)) / self.sd.to(x)
        images = torch.where(self.taken, images, torch.zeros((), dtype=x.dtype, device=x.device))
        return interpolate(images, scale_factor=self.factor, mode="nearest")
