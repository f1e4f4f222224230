"""Frozen stages run once: what they give is kept on disk, under a key of all that decides it."""

import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import InputError
from core.files import write_array
from core.home import home
from core.images.painter import Painter
from core.models.network import GeneImageNetwork
from core.training.device import compute_in_parts, name_hardware

DEFAULT_GB = 5.0
AT_ONCE = 32


class FrozenPart:
    """The frozen stages of a network with the imager before them, and a cache of what they give.

    The key of an entry is a SHA-256 over the rows that go in (which dataset, fold, preparation and
    augmentation decide), the tensors of the painter (such as the layout's), the image size and its
    padding, the frozen tensors, the shapes that are kept of them, the number format, the kind of
    device and torch's version.

    Args:
        network: its frozen stages.
        imager: paints the rows.
        precision: the number format, which the caller computes in.
        on_part: called after every few samples; may raise Cancelled.
        keep: whether what isn't in the cache is put there; None: where computing a batch takes
            longer than writing it and reading it once, which is measured when there is one. A GPU
            is often quicker than a disk. The numbers are the same.
    """

    def __init__(
        self,
        network: GeneImageNetwork,
        imager: Painter,
        precision: str,
        on_part: Callable[[], None] = lambda: None,
        *,
        keep: bool | None = None,
    ) -> None:
        self.on_part, self.keep = on_part, keep
        self._seconds = math.inf
        """The quickest computation of a row so far."""
        self._used: set[Path] = set()
        self._full = False
        device = next(network.parameters()).device
        self.network, self.imager, self.folder = network, imager, home() / "features"
        with torch.no_grad():
            painted = imager(imager.blank())
            shapes = [_channels_last(maps).shape[1:] for maps in network.frozen_maps(painted)]
        self.rest = AfterFrozen(network, shapes)
        """The part that trains: rows of features -> class scores."""
        tensors = [*imager.buffers()]
        for name in network.spec.frozen_stages:
            tensors += network.stage_module(name).state_dict().values()
        hardware = name_hardware(device)
        size = imager.size, network.spec.padding
        words = (network.spec.backbone, shapes, size, precision, hardware, torch.__version__)
        self._digest = hashlib.sha256(repr(words).encode())
        for tensor in tensors:
            self._digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())

    def features(self, x: Tensor) -> Tensor:
        """Rows of features (samples, values) float32 of prepared rows (samples, ...).

        Mapped into memory from the cache; computed and put there when they aren't in it yet. Where
        all that this training uses doesn't fit into the quota, the rest of it is computed each
        time, because each entry would push out the one that is wanted next. Where keeping doesn't
        pay, all of it is.
        """
        if self.keep is False:
            return compute_in_parts(self._compute, x, AT_ONCE)
        digest = self._digest.copy()
        digest.update(x.cpu().contiguous().numpy().tobytes())
        path = self.folder / f"{digest.hexdigest()}.npy"
        with suppress(OSError, ValueError):
            found = torch.from_numpy(np.load(path, mmap_mode="c"))
            os.utime(path)
            self._used.add(path)
            return found.to(x.device)
        rows = compute_in_parts(self._compute, x, AT_ONCE)
        if self.keep is None:
            self.keep = self._pays(rows[:AT_ONCE])
        if not self.keep:
            return rows
        if make_room(self.folder, rows.nbytes, self._used):
            write_array(path, rows.cpu().numpy())
            self._used.add(path)
        elif not self._full:
            self._full = True
            print(
                f"The features that this training uses take more than {quota() / 1e9:g} GB "
                "(GENECANVAS_FEATURES_GB): those beyond are computed each time.",
                file=sys.stderr,
            )
        return rows

    @torch.no_grad()
    def _compute(self, x: Tensor) -> Tensor:
        started = time.perf_counter()
        maps = self.network.frozen_maps(self.imager(x))
        rows = torch.cat([_channels_last(kept).float().flatten(1) for kept in maps], dim=1)
        if self.keep is None:
            rows[-1, -1].item()  # a GPU has computed them then
            self._seconds = min(self._seconds, (time.perf_counter() - started) / len(x))
        self.on_part()
        return rows

    def _pays(self, rows: Tensor) -> bool:
        """Whether computing rows took longer than it takes to write and to read them."""
        path = self.folder / f"trial-{os.getpid()}.npy"
        started = time.perf_counter()
        write_array(path, rows.cpu().numpy())
        torch.from_numpy(np.load(path)).to(rows.device)[-1, -1].item()
        kept = time.perf_counter() - started
        path.unlink()
        computed = self._seconds * len(rows)
        if computed > kept:
            return True
        print(
            f"Features of frozen stages are not kept: computing {len(rows)} rows takes "
            f"{1000 * computed:.1f} ms, writing and reading them {1000 * kept:.1f} ms.",
            file=sys.stderr,
        )
        return False


class AfterFrozen(nn.Module):
    """What comes after the frozen stages; shares its parameters with the whole network."""

    def __init__(self, network: GeneImageNetwork, shapes: list[torch.Size]) -> None:
        super().__init__()
        self.network, self.shapes = network, shapes

    def forward(self, features: Tensor) -> Tensor:
        """Rows of features (batch, values) -> class scores (batch, classes)."""
        parts = features.split([shape.numel() for shape in self.shapes], dim=1)
        maps = [part.unflatten(1, shape) for part, shape in zip(parts, self.shapes, strict=True)]
        return self.network.score_frozen([part.permute(0, 3, 1, 2) for part in maps])


def _channels_last(maps: Tensor) -> Tensor:
    """(batch, channels, rows, columns) -> (batch, rows, columns, channels), as a head reads it."""
    return maps.permute(0, 2, 3, 1)


def quota() -> int:
    """Bytes that cached features may take: GENECANVAS_FEATURES_GB x 10^9, or 5 GB.

    Raises InputError when the variable isn't a number of at least 0.
    """
    given = os.environ.get("GENECANVAS_FEATURES_GB", str(DEFAULT_GB))
    try:
        gigabytes = float(given)
        if not gigabytes >= 0:
            raise ValueError
        return int(gigabytes * 1e9)
    except (ValueError, OverflowError):
        raise InputError(
            "Expected GENECANVAS_FEATURES_GB to be a number of gigabytes of at least 0, got "
            f"{given!r}."
        ) from None


def make_room(folder: Path, size: int, keep: Set[Path]) -> bool:
    """Delete the entries that were not used for longest until `size` bytes fit into the quota.

    False, and nothing is deleted, when they would not fit beside those in `keep`.
    """
    taken = size + sum(map(_bytes, keep))
    if taken > quota():
        return False
    others = [path for path in folder.glob("*.npy") if path not in keep]
    for path in sorted(others, key=_last_use, reverse=True):
        taken += _bytes(path)
        if taken > quota():
            with suppress(OSError):  # deleted, or mapped by another process where that forbids it
                path.unlink()
    return True


def _bytes(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _last_use(path: Path) -> float:
    with suppress(OSError):
        return path.stat().st_mtime
    return 0.0
