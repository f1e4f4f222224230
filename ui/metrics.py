"""`/metrics`: numbers of the server and its jobs, as Prometheus reads them.

Only where GENECANVAS_METRICS says so, and to whom it says: Streamlit's own numbers too.
"""

import asyncio
import ipaddress
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.errors import GeneCanvasError, InputError
from core.home import at, home, server_home
from core.jobs.launch import count_workers
from core.jobs.queue import Queue
from core.sizes import tree_size
from ui import watch
from ui.limits import taken

ALLOWED = "GENECANVAS_METRICS"
PATH, STREAMLITS = "/metrics", "/_stcore/metrics"
MEASURE_SECONDS = 300
"""The home is measured no more often: it may hold very many files."""
QUANTILES = (0.5, 0.95)
REFUSED = (
    f"There is nothing here for this address. {ALLOWED}=1 shows the server's numbers to this "
    f"computer, {ALLOWED}=ADDRESS,... to others too."
)

_sizes: tuple[float, dict[str, int]] = float("-inf"), {}
"""When the home was measured, and the bytes of its folders."""


class Metrics:
    """ASGI middleware: answers `/metrics`, and lets to Streamlit's own who may read both."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in Prometheus' text format, version 0.0.4, or pass a request on."""
        app = self.app
        if scope["type"] == "http" and scope["path"].endswith((PATH, STREAMLITS)):
            if not may_read(scope):
                app = PlainTextResponse(REFUSED, 404)
            elif scope["path"] == PATH:
                app = await asyncio.to_thread(_answer)
        await app(scope, receive, send)


class Metric(NamedTuple):
    """One number under several labels."""

    name: str
    kind: str
    """gauge or counter"""
    help: str
    values: Iterable[tuple[dict[str, str], float]]


def allowed_addresses() -> tuple[str, ...] | None:
    """Who may read the numbers, beside this computer; None: nobody, this computer neither.

    Raises InputError when GENECANVAS_METRICS is neither 0, 1 nor addresses.
    """
    given = os.environ.get(ALLOWED, "")
    if given in ("", "0"):
        return None
    names = [name.strip() for name in given.split(",") if name.strip() != "1"]
    try:
        return tuple(str(ipaddress.ip_address(name)) for name in names)
    except ValueError:
        raise InputError(
            f"Expected {ALLOWED} to be 1, or addresses such as 10.0.0.7,10.0.0.8 that may read "
            f"the server's numbers, got {given!r}."
        ) from None


def may_read(scope: Scope) -> bool:
    """Whether the sender of a request may read the numbers."""
    allowed = allowed_addresses()
    if allowed is None or not scope.get("client"):
        return False
    try:
        address = ipaddress.ip_address(scope["client"][0])
    except ValueError:
        return False
    return address.is_loopback or str(address) in allowed


def collect() -> list[Metric]:
    """All numbers of this moment, of all homes together."""
    counts: Counter[tuple[str, str]] = Counter()
    waited: dict[str, list[float]] = defaultdict(list)
    lasted: dict[str, list[float]] = defaultdict(list)
    for store in Queue().stores():
        counts.update(store.counts())
        for kind, (waits, lasts) in store.times(3600).items():
            waited[kind] += waits
            lasted[kind] += lasts
    return [
        Metric("jobs", "gauge", "Jobs in the list.",
               [({"kind": kind, "state": state}, count)
                for (kind, state), count in sorted(counts.items())]),
        Metric("job_wait_seconds", "gauge",
               "From the first question to the start, of jobs first asked for within an hour.",
               _quantiles(waited)),
        Metric("job_seconds", "gauge",
               "From the last start to the end, of jobs that were done within an hour.",
               _quantiles(lasted)),
        Metric("workers", "gauge", "Workers that are alive, by lane.",
               [({"lane": lane}, count) for lane, count in count_workers().items()]),
        Metric("sessions", "gauge", "Browser tabs that are open.",
               [({}, watch.open_pages)]),
        Metric("requests_total", "counter", "Requests that were answered.",
               [({"status": status}, count) for status, count in sorted(watch.answered.items())]),
        Metric("uploads_total", "counter", "Files that were sent, by what came of them.",
               [({"answer": answer}, count) for answer, count in sorted(taken.files.items())]),
        Metric("upload_bytes_total", "counter", "Bytes of files that were taken.",
               [({}, taken.bytes)]),
        Metric("home_bytes", "gauge",
               f"Bytes in the home by folder, measured every {MEASURE_SECONDS} s at most.",
               [({"folder": name}, size) for name, size in _measure_home().items()]),
    ]  # fmt: skip


def _answer() -> PlainTextResponse:
    try:
        with at(server_home()):
            text = write_metrics(collect())
    except GeneCanvasError as error:
        return PlainTextResponse(f"{error}\n", 503)
    return PlainTextResponse(
        text, media_type="text/plain; version=0.0.4", headers={"Cache-Control": "no-store"}
    )


def write_metrics(metrics: Iterable[Metric]) -> str:
    """Write numbers in Prometheus' text format; each name begins with genecanvas_."""
    lines = []
    for metric in metrics:
        name = f"genecanvas_{metric.name}"
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        for labels, value in metric.values:
            written = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
            lines.append(f"{name}{{{written}}} {value}" if written else f"{name} {value}")
    return "".join(f"{line}\n" for line in lines)


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _quantiles(seconds: Mapping[str, Sequence[float]]) -> list[tuple[dict[str, str], float]]:
    """For each kind the smallest number that so many of all are no larger than."""
    found = []
    for kind, values in seconds.items():
        ordered = sorted(values)
        for share in QUANTILES if ordered else ():
            place = max(-(-len(ordered) * round(share * 100) // 100) - 1, 0)
            found.append(({"kind": kind, "quantile": str(share)}, round(ordered[place], 3)))
    return found


def _measure_home() -> dict[str, int]:
    global _sizes
    when, sizes = _sizes
    if time.monotonic() - when > MEASURE_SECONDS:
        folders = [path for path in home().iterdir() if path.is_dir()]
        sizes = {path.name: tree_size(path) for path in sorted(folders)}
        _sizes = time.monotonic(), sizes
    return sizes
