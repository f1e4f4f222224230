"""The log: as Python writes it, or with GENECANVAS_LOG=json one JSON document a line.

Events carry the ids of the request and of the job that they are about, so that one line leads to
the others: from a request to the job that it asked for, and from there to the worker's lines.
"""

import json
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from core.errors import InputError

FORM = "GENECANVAS_LOG"
REQUEST: ContextVar[str] = ContextVar("request", default="")
"""The id of the request that is being answered; empty outside of one."""
_JOB: ContextVar[str] = ContextVar("job", default="")
_log = logging.getLogger("genecanvas")


class JsonLines(logging.Formatter):
    """Writes each event as one JSON document on one line.

    Args:
        find_request: tells the request's id where `REQUEST` doesn't.
    """

    def __init__(self, find_request: Callable[[], str] = lambda: "") -> None:
        super().__init__()
        self._find_request = find_request

    def format(self, record: logging.LogRecord) -> str:
        """Time (UTC), level, logger and event; then ids, further fields and an exception."""
        document: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "request": REQUEST.get() or self._find_request(),
            "job": _JOB.get(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            document["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(
            {name: value for name, value in document.items() if value != ""}, default=str
        )


def wants_json() -> bool:
    """Whether GENECANVAS_LOG is json; raises InputError unless it is json, text or empty."""
    form = os.environ.get(FORM, "")
    if form not in ("", "text", "json"):
        raise InputError(f"Expected {FORM} to be text or json, got {form!r}.")
    return form == "json"


def start_log(
    stream: TextIO, *, everything: bool, find_request: Callable[[], str] = lambda: ""
) -> None:
    """Write the program's events to a stream as JSON lines, if GENECANVAS_LOG says so.

    Args:
        stream: where to.
        everything: take what the libraries log too, away from handlers of their own; their
            warnings and errors are written.
        find_request: tells the id of the request where none is set.

    Raises:
        InputError: GENECANVAS_LOG is neither text nor json.
    """
    if not wants_json():
        return
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(find_request))
    logger = logging.getLogger() if everything else _log
    logger.handlers[:] = [handler]
    _log.setLevel(logging.INFO)
    if everything:
        for other in logging.Logger.manager.loggerDict.values():
            if isinstance(other, logging.Logger) and other.handlers:
                other.handlers.clear()
                other.propagate = True


def log_event(event: str, **fields: Any) -> None:
    """Log what happened, with fields of its own; nothing is written unless the log is JSON."""
    _log.info(event, extra={"fields": fields})


@contextmanager
def about_job(job: str) -> Iterator[None]:
    """Let what is logged inside carry a job's id."""
    token = _JOB.set(job)
    try:
        yield
    finally:
        _JOB.reset(token)
