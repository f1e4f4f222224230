"""`doctor`: look for damage in all that is stored."""

import argparse
from typing import Any

from core.cli.output import give, say
from core.cli.parser import add_command
from core.home import home
from core.runs.doctor import examine
from core.tissue.doctor import examine_tissues
from core.transfer.doctor import examine_transfers


def add_commands(commands: Any) -> None:
    """Add `doctor`."""
    doctor = add_command(commands, "doctor", look, "look for damage in all that is stored")
    doctor.add_argument(
        "--repair", action="store_true",
        help="mend what can be made again: the list of runs from their folders, records, results",
    )  # fmt: skip


def look(options: argparse.Namespace) -> int:
    """Say what is damaged; 1 where something stays so."""
    found = examine(options.repair, say)
    say("looking at transfers")
    found += examine_transfers(options.repair)
    say("looking at tissues")
    found += examine_tissues(options.repair)
    lines = [f"{row.thing}: {row.problem} -> {row.remedy}" for row in found]
    document = {"home": str(home()), "found": [row._asdict() for row in found]}
    give(options, document, "\n".join(lines) or f"nothing in {home()} is damaged")
    return 0 if all(row.mended for row in found) else 1
