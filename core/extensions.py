"""Layouts, methods and networks of one's own: Python files that every process reads at its start.

`GENECANVAS_EXTENSIONS` names them, as `PATH` names folders: with a colon between two. Each is run
once, when `core` or `genecanvas` is imported, and registers its records through `genecanvas`. They
are programs with all rights of whoever starts GeneCanvas, so they are never taken from the home
folder.
"""

import os
import sys
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.records import Record, Registry

VARIABLE = "GENECANVAS_EXTENSIONS"

_loading = False
_only_here: set[str] = set()
"""Records that no file brought: other processes, such as workers, don't know them."""


def load_extensions() -> None:
    """Run the files that the environment names, in their order.

    Raises ImportError with the file's name when one is missing or fails: a run must not be trained
    by a program that lacks what its owner asked for.
    """
    global _loading
    if _loading:
        return
    for text in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        path = Path(text).expanduser().resolve()
        if path.stem in sys.modules:
            continue
        _loading = True
        try:
            found = spec_from_file_location(path.stem, path)
            module = module_from_spec(found)
            sys.modules[path.stem] = module
            found.loader.exec_module(module)
        except Exception as error:
            sys.modules.pop(path.stem, None)
            raise ImportError(
                f"{VARIABLE} names {path}, which can't be used: {error or type(error).__name__}. "
                "Mend the file, or leave it out."
            ) from error
        finally:
            _loading = False


def register(registry: Registry[Record], record: Record) -> None:
    """Add a record to a registry, in this process or, from an extension file, in every one.

    Raises InputError when the registry has a record of that name.
    """
    registry.add(record)
    if not _loading:
        _only_here.add(record.name)


def require_shared(names: Iterable[Any]) -> None:
    """Raise InputError for a record that only this process knows, before a worker asks for it."""
    if own := sorted(_only_here.intersection(names)):
        raise InputError(
            f"{own[0]!r} was registered in this process only, so no worker knows it. Put it into a "
            f"file of its own and let {VARIABLE} name that file (docs/extend.md), or train here "
            "with `fit`."
        )
