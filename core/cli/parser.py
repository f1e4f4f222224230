"""What the command line is made of: a parser, groups and commands."""

import argparse
from collections.abc import Callable
from typing import Any

from core.errors import InputError


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are ours: one line, and where to read on."""

    def error(self, message: str) -> None:
        """Raise InputError instead of leaving the process."""
        raise InputError(f"{message} (`{self.prog} --help` lists what there is)")


def add_command(commands: Any, name: str, command: Callable, text: str) -> Parser:
    """A command with its help, and the option --json that all of them have."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="one JSON document to stdout")
    return parser


def add_group(commands: Any, name: str, text: str) -> Any:
    """A group of commands, such as `runs`, to which `add_command` adds."""
    group = commands.add_parser(name, help=text, description=text)
    return group.add_subparsers(required=True, metavar="COMMAND")
