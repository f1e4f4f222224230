"""The command line: the same jobs as the pages, without a browser. One module a group of commands.

Each module has `add_commands`, which adds its commands to the parser; a command is a function of
the parsed options that returns the exit code.
"""

import sys

from core.cli import (
    app,
    compare,
    data,
    doctor,
    explain,
    layout,
    models,
    predict,
    report,
    robustness,
    run,
    runs,
    simulate,
)
from core.cli.options import Parser
from core.errors import GeneCanvasError
from core.files import UNWRITABLE, describe_os_error

GROUPS = (
    app, data, simulate, layout, run, runs, explain, predict, robustness, models, doctor, compare,
    report,
)  # fmt: skip
"""In the order of the help."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success, 1 when a run failed, 2 on a user's mistake.

    Args:
        arguments: the words behind the program's name; by default those of this process.
    """
    parser = Parser(prog="genecanvas", description="The same jobs as the pages, without a browser.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands)
    try:
        options = parser.parse_args(arguments)
        return options.command(options)
    except GeneCanvasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"error: {describe_os_error(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
