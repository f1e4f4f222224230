"""`report`: a finished run as one HTML file."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.explain import keep_sets
from core.cli.options import add_command
from core.cli.output import give
from core.runs.store import RunStore


def add_commands(commands: Any) -> None:
    """Add `report`."""
    parser = add_command(commands, "report", report, "write a finished run as one HTML file")
    parser.add_argument("run", help="a run's id, or its beginning")
    parser.add_argument("file", type=Path, help="the HTML file, which is written anew")
    parser.add_argument(
        "--sets",
        help="gene sets that the top genes are held against: a GMT file, a stored file's id, or "
        "the name of a collection that `data fetch` has fetched",
    )


def report(options: argparse.Namespace) -> int:
    """Write the report."""
    from core.report.run import write_run_report  # loads plotly, which no other command needs

    run = RunStore().find_id(options.run)
    path = write_run_report(run, options.file, keep_sets(options.sets))
    document = {"run": run, "file": str(path), "bytes": path.stat().st_size}
    return give(options, document, f"{path} ({document['bytes'] / 1e6:.1f} MB)")
