"""`app`: the pages, in a browser."""

import argparse
from typing import Any

from core.errors import InputError
from core.processes import ROOT
from core.serve import serve


def add_commands(commands: Any) -> None:
    """Add `app`, whose options are those of Streamlit, such as --server.port 8502."""
    text = "start the app, by default on http://127.0.0.1:8501"
    # Of another prefix than Streamlit's options, so that they are words to be handed on.
    app = commands.add_parser("app", help=text, prefix_chars="+", add_help=False)
    app.set_defaults(command=start)
    app.add_argument("options", nargs="*")


def start(options: argparse.Namespace) -> int:
    """Serve the pages until the server is stopped."""
    if not (ROOT / "app.py").exists():
        raise InputError(
            f"The app's pages are not in {ROOT}. Install GeneCanvas from its folder, with "
            "`pip install -e .`."
        )
    return serve(options.options)
