"""Names of samples, genes and columns that every program reads alike."""

import re
from collections.abc import Iterable

from core.errors import InputError

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def refuse_unseen(
    samples: Iterable[str], genes: Iterable[str], columns: Iterable[str], source: str
) -> None:
    """Raise InputError for a name with a character that can't be seen.

    NUL and its like end names early in HDF5 and in other programs.
    """
    for what, names in (("sample", samples), ("gene", genes), ("column", columns)):
        for number, name in enumerate(map(str, names)):
            if CONTROL.search(name):
                raise InputError(
                    f"{source}: the name of {what} {number + 1} holds a character that can't be "
                    f"seen ({name[:40]!r}). Remove it."
                )
