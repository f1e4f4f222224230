"""`bundle` and `import`: stories, models and datasets as one zip file, for another home."""

import argparse
from pathlib import Path
from typing import Any

from core.bundle import export_bundle, import_bundle
from core.cli.output import give, say
from core.cli.parser import add_command
from core.data.store import find_dataset
from core.runs.store import RunStore
from core.stories import find_story


def add_commands(commands: Any) -> None:
    """Add `bundle` and `import`."""
    bundle = add_command(
        commands, "bundle", write_bundle, "write stories, models and datasets as one zip file"
    )
    bundle.add_argument("file", type=Path, help="the zip file, which is written anew")
    for flag, what in (
        ("--story", "a story's title, or the beginning of its id"),
        ("--run", "a finished run's id, or its beginning: it goes along as a model"),
        ("--data", "a dataset's name, or the beginning of its id: it goes along with its values"),
    ):
        bundle.add_argument(
            flag, action="append", default=[], metavar=flag[2:].upper(),
            help=f"{what}; may be given several times",
        )  # fmt: skip
    add_command(
        commands, "import", take_bundle, "check a bundle that somebody sent, and keep what is in it"
    ).add_argument("file", type=Path, help="the zip file")


def write_bundle(options: argparse.Namespace) -> int:
    """Write what is named as a zip file."""
    named = {
        "stories": [find_story(text).id for text in options.story],
        "runs": [RunStore().find_id(text) for text in options.run],
        "datasets": [find_dataset(text).id for text in options.data],
    }
    path = export_bundle(options.file, **named, progress=say)
    size = path.stat().st_size
    document = {**named, "file": str(path), "bytes": size}
    return give(options, document, f"{path} ({size / 1e6:.1f} MB)")


def take_bundle(options: argparse.Namespace) -> int:
    """Import a bundle."""
    found = import_bundle(options.file)
    lines = [f"story {id}: kept" for id in found.stories]
    lines += [f"model {id}: checked and kept" for id in found.models]
    lines += [f"dataset {id[:12]}: kept" for id in found.datasets]
    lines += [
        f"dataset {id[:12]} ({name}) is neither in the bundle nor here: runs are not made anew "
        "without it"
        for id, name in found.missing.items()
    ]
    return give(options, found._asdict(), "\n".join(lines))
