"""HDF5 files: every link and dataset is looked at before anything is read.

HDF5 can fetch a dataset's values out of any other file: through external links, external storage
and virtual datasets. None of them is followed here; a file that holds one is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

from core.data.formats.unpack import most_unpacked
from core.errors import InputError

MAX_OBJECTS = 200_000
"""Most groups and datasets that a file may hold."""
FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""What HDF5 and h5py unpack themselves: deflate, shuffle, checksum, szip, nbit, scale-offset, lzf.
Others would be looked for as libraries on this computer."""


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file without a way out of it; raises InputError for one that has one, or is damaged.

    What is raised while it is open, and isn't ours, becomes an InputError as well.
    """
    try:
        with h5py.File(path) as file:
            for place, dataset in _walk(file, path.name):
                _refuse_ways_out(place, dataset, path.name)
            yield file
    except (InputError, MemoryError):
        raise
    except Exception:  # a damaged file can fail in any way, in words of the library's own
        why = "its parts can't be read" if h5py.is_hdf5(path) else "it doesn't begin as HDF5 does"
        raise InputError(
            f"{path.name} is damaged, cut short, or not an h5ad file: {why}. Download it again, or "
            "write it again with the program that made it."
        ) from None


def _walk(file: h5py.File, name: str) -> Iterator[tuple[str, h5py.Dataset]]:
    """Every dataset once, with its place; external links are refused on the way."""
    groups, seen = [("", file)], set()
    while groups:
        at, group = groups.pop()
        for key in group:
            place = f"{at}/{key}"
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.SoftLink):
                continue  # leads to a place in this file, which is looked at by itself
            if not isinstance(link, h5py.HardLink):
                raise _say_way_out(name, place, "an external link")
            thing = group[key]
            address = h5py.h5o.get_info(thing.id).addr
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > MAX_OBJECTS:
                raise InputError(
                    f"{name} holds more than {MAX_OBJECTS:,} groups and datasets; these can't be "
                    "looked through."
                )
            if isinstance(thing, h5py.Group):
                groups.append((place, thing))
            elif isinstance(thing, h5py.Dataset):
                yield place, thing


def _refuse_ways_out(place: str, dataset: h5py.Dataset, name: str) -> None:
    if dataset.external:
        raise _say_way_out(name, place, "external storage")
    if dataset.is_virtual:
        raise _say_way_out(name, place, "a virtual dataset")
    properties = dataset.id.get_create_plist()
    used = {properties.get_filter(number)[0] for number in range(properties.get_nfilters())}
    if used - FILTERS:
        raise InputError(
            f"{name}: {place} is packed with the HDF5 filter {min(used - FILTERS)}, which isn't "
            "known here. Write the file again with gzip or without packing."
        )


def _say_way_out(name: str, place: str, what: str) -> InputError:
    return InputError(
        f"{name}: {place} is {what}, which takes its values from another file. Such files are not "
        "read; write everything into one file."
    )


def check_declared(things: list[h5py.Group | h5py.Dataset], path: Path) -> None:
    """Refuse what would unpack to more than a file of this size may hold, before it is read."""
    most = most_unpacked(path.stat().st_size)
    declared = 0

    def add(_: str, thing: h5py.Group | h5py.Dataset) -> None:
        nonlocal declared
        if isinstance(thing, h5py.Dataset) and thing.shape is not None:
            declared += thing.nbytes

    for thing in things:
        add("", thing)
        if isinstance(thing, h5py.Group):
            thing.visititems(add)
    if declared > most:
        raise InputError(
            f"{path.name} announces {declared / 1e9:.1f} GB of values, more than a file of its "
            f"size may hold ({most / 1e9:.1f} GB). It is damaged, or made of nothing; store only "
            "what is there."
        )
