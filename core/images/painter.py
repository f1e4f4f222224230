"""What the loop and the cache of frozen stages need of a module that paints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Painter(Protocol):
    """A module: prepared rows (batch, ...) -> images (batch, 3, size, size)."""

    size: int
    """Pixels a side."""

    def __call__(self, rows: Tensor) -> Tensor:
        """The images."""

    def blank(self) -> Tensor:
        """A row, on the painter's device, that can be painted; its values don't matter."""

    def buffers(self) -> Iterator[Tensor]:
        """All tensors that decide how it paints."""

    def to(self, device: torch.device) -> Painter:
        """The same, on another device."""
