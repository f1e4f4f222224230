"""`robustness`: how much distortion a finished run's model stands."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.output import Progress, give
from core.cli.parser import add_command
from core.escape import write_csv
from core.files import write_atomic
from core.jobs.here import do_here
from core.predict.distortions import DISTORTIONS
from core.predict.robustness import RobustnessJob, load_robustness
from core.runs.result import load_result
from core.runs.store import RunStore


def add_commands(commands: Any) -> None:
    """Add `robustness`."""
    parser = add_command(
        commands, "robustness", robustness,
        "distort a run's held-out samples: how much does its model stand, and who breaks first",
    )  # fmt: skip
    parser.add_argument("run", help="a run's id, or its beginning")
    parser.add_argument("--csv", type=Path, help="CSV of all scores, a row a level and model")


def robustness(options: argparse.Namespace) -> int:
    """The sentence of each distortion."""
    run = RunStore().find(options.run).id
    load_result(run)
    said = Progress()
    do_here(RobustnessJob(about=run), lambda share, text: said(text, share == 1))
    found = load_robustness(run)
    if options.csv:
        write_atomic(options.csv, lambda path: write_csv(found.table(), path))
    lines = [found.summarise()]
    lines += [f"{DISTORTIONS[v.distortion].title}. {found.describe(v)}" for v in found.verdicts]
    document = {"run": run, **found.model_dump(mode="json")}
    document["csv"] = str(options.csv) if options.csv else None
    return give(options, document, "\n".join(lines))
