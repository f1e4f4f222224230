"""What commands print: answers to stdout, and what happens meanwhile to stderr."""

import argparse
import json
import sys
import time
from typing import Any


def say(text: str) -> None:
    """A line to stderr."""
    print(text, file=sys.stderr, flush=True)


def give(options: argparse.Namespace, document: dict[str, Any] | list, text: str) -> int:
    """The command's answer, one JSON document or text for a person; returns the exit code 0."""
    print(json.dumps(document, indent=1, ensure_ascii=False) if options.json else text)
    return 0


class Progress:
    """How far something is, said once a second at most, and when it is done."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, text: str, done: bool) -> None:
        """Say it, unless something was said just now and this isn't the end."""
        if done or time.monotonic() - self._said > 1:
            self._said = time.monotonic()
            say(text)
