"""The command line: the same jobs as the pages, without a browser. One module a group of commands.

Each module has `add_commands`, which adds its commands to the parser; a command is a function of
the parsed options that returns the exit code. Only the module of the command that is asked for is
loaded: listing runs needs nothing of what trains.
"""

import sys
from importlib import import_module

from core.cli.parser import Parser
from core.errors import GeneCanvasError
from core.files import UNWRITABLE, describe_os_error

COMMANDS = {
    "app": ("app", "start the app, by default on http://127.0.0.1:8501"),
    "data": ("data", "look at an expression file, fetch public datasets"),
    "simulate": ("simulate", "write the simulated example dataset"),
    "layout": ("layout", "lay genes out on a canvas, on all samples"),
    "run": ("run", "train and test a network; waits for the result"),
    "runs": ("runs", "list, show and manage runs"),
    "explain": ("explain", "carry a finished run back to genes"),
    "predict": ("predict", "apply a finished model to samples of another cohort"),
    "robustness": (
        "robustness",
        "distort a run's held-out samples: how much does its model stand, and who breaks first",
    ),
    "tissue": ("tissue", "what images of tissue say of genes"),
    "transfer": ("transfer", "do samples of other cohorts help to tell classes apart in this one"),
    "export": ("models", "write a finished run as a folder that others can use"),
    "models": ("models", "models that others sent: import, list and delete them"),
    "computers": ("computers", "list what trains: devices, or a cluster's computers"),
    "doctor": ("doctor", "look for damage in all that is stored"),
    "backup": ("backup", "write all that is stored as one zip file; work goes on"),
    "restore": ("backup", "make a new home from a backup"),
    "compare": ("compare", "finished runs side by side"),
    "study": ("compare", "train all runs of a study, then compare them"),
    "bundle": ("bundle", "write stories, models and datasets as one zip file"),
    "import": ("bundle", "check a bundle that somebody sent, and keep what is in it"),
    "report": ("report", "write a finished run, several side by side, or a story as one HTML file"),
    "archive": ("report", "write a finished run as a folder to be deposited"),
}
"""Command -> its module, and what the help says of it; in the order of the help."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success, 1 when a run failed, 2 on a user's mistake.

    Args:
        arguments: the words behind the program's name; by default those of this process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = build_parser(arguments[0] if arguments else "").parse_args(arguments)
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


def build_parser(asked: str) -> Parser:
    """The parser of a command; the others it knows by name, for its help."""
    parser = Parser(prog="genecanvas", description="The same jobs as the pages, without a browser.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    loaded, _ = COMMANDS.get(asked, ("", ""))
    for name, (module, text) in COMMANDS.items():
        if name in commands.choices:
            continue
        if module == loaded:
            import_module(f"core.cli.{module}").add_commands(commands)
        else:
            commands.add_parser(name, help=text)
    return parser
