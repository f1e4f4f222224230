"""Homes with finished runs, for tests that need some and must not wait for a training."""

import tarfile
from pathlib import Path

HOMES = sorted((Path(__file__).parent / "data").glob("home_*/home.tar.xz"))
LATEST = HOMES[-1]


def unpack_home(packed: Path, home: Path) -> None:
    """Put an earlier home where `home` is expected."""
    with tarfile.open(packed) as archive:
        archive.extractall(home.parent, filter="data")
