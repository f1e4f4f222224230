"""`backup` and `restore`: a home as one zip file, and a home made from it."""

import argparse
from pathlib import Path
from typing import Any

from core.backup import restore_backup, write_backup
from core.cli.output import Progress, give
from core.cli.parser import add_command


def add_commands(commands: Any) -> None:
    """Add `backup` and `restore`."""
    add_command(
        commands, "backup", back_up, "write all that is stored as one zip file; work goes on"
    ).add_argument("file", type=Path, help="the zip file, which is written anew")
    restore = add_command(commands, "restore", bring_back, "make a new home from a backup")
    restore.add_argument("file", type=Path, help="the zip file")
    restore.add_argument("folder", type=Path, help="the new home: empty, or not there yet")


def back_up(options: argparse.Namespace) -> int:
    """Write the backup."""
    say = Progress()
    path = write_backup(
        options.file, lambda done, total: say(f"{done} of {total} files", done == total)
    )
    size = path.stat().st_size
    return give(options, {"file": str(path), "bytes": size}, f"{path} ({size / 1e6:.1f} MB)")


def bring_back(options: argparse.Namespace) -> int:
    """Make the home."""
    folder = restore_backup(options.file, options.folder)
    text = f"{folder}\nTo use it: GENECANVAS_HOME={folder}"
    return give(options, {"home": str(folder)}, text)
