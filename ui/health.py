"""`/health`: whether the queue is looked after, the store can be written, and the disk has room.

For whoever watches the server: a container's runtime, a proxy, a person. It says what is wrong and
no more: no path, no number, no name.
"""

import asyncio
import os
import shutil
import time

from starlette.requests import Request
from starlette.responses import JSONResponse

from core.errors import GeneCanvasError
from core.home import at, home, server_home
from core.jobs.store import JobStore

LEAST_ROOM = 1_000_000_000
"""Bytes that have to be free where the home is."""
LONGEST_LOOK = 60.0
"""Seconds since the last good look at the queue after which nobody looks after it."""
FRESH = 2.0
"""Seconds for which an answer holds: asking often costs nothing."""
OK = "ok"


class Health:
    """Answers `/health`; told by the server that it has looked after the queue."""

    def __init__(self) -> None:
        self._looked = time.monotonic()  # at its start a server has a minute
        self._found: dict[str, str] = {}
        self._when = float("-inf")
        self._lock = asyncio.Lock()

    def looked_after_queue(self) -> None:
        """Note that the queue has just been looked after."""
        self._looked = time.monotonic()

    async def answer(self, _: Request) -> JSONResponse:
        """200 where all is well, else 503; each check by name, `ok` or what is wrong."""
        async with self._lock:
            if time.monotonic() - self._when > FRESH:
                self._found = await asyncio.to_thread(self.check)
                self._when = time.monotonic()
        well = set(self._found.values()) == {OK}
        return JSONResponse(
            {"status": OK if well else "failing", **self._found},
            200 if well else 503,
            {"Cache-Control": "no-store"},
        )

    def check(self) -> dict[str, str]:
        """Look at the queue, the store and the disk."""
        with at(server_home()):
            return self._check()

    def _check(self) -> dict[str, str]:
        late = time.monotonic() - self._looked > LONGEST_LOOK
        return {
            "queue": "not looked after" if late else OK,
            "store": _check_store(),
            "disk": _check_disk(),
        }


def _check_store() -> str:
    try:
        if not os.access(home(), os.W_OK):
            return "may only be read"
        JobStore().check_writable()
    except (GeneCanvasError, OSError):
        return "can't be used"
    return OK


def _check_disk() -> str:
    try:
        return OK if shutil.disk_usage(home()).free >= LEAST_ROOM else "almost full"
    except OSError:
        return "can't be read"
