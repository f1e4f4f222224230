"""How much may be sent to the server: the size of a file, how many in a time, how many at once.

Streamlit keeps what is sent in memory until a page takes it (`ui.uploads`), and bounds one file
only. So each sender has a store of files and of bytes that fills up again with time, and what is on
its way or wasn't taken yet has a limit for all together. A sender is who has signed in, else an
address.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import exists, get_instance

from core.people import is_shared
from core.words import say_duration, say_size
from ui.signin import name_of_request

UPLOADS = "/_stcore/upload_file/"
LENGTH = re.compile(r"[0-9]{1,18}")
FILES, FILES_A_SECOND = 300, 1.0
"""Files that one sender may send at once, and what comes back of them."""
BYTES, BYTES_A_SECOND = 8 << 30, 4 << 20
"""The same in bytes: 8 GiB at once, then 4 MiB a second."""
HELD = 4
"""What is on its way or not taken yet is at most so many files of the largest size..."""
HELD_OF_ONE = 2
"""...and of one sender so many."""
FORGOTTEN = 10_000
"""Senders that are remembered; the one that sent longest ago is forgotten."""


@dataclass
class Taken:
    """What this process was sent."""

    files: Counter[str] = field(default_factory=Counter)
    """How many files, by what came of them: taken, failed or refused."""
    bytes: int = 0


taken = Taken()


@dataclass
class Bucket:
    """What one sender may still send."""

    when: float
    files: float = FILES
    bytes: float = BYTES

    def wait(self, size: int, now: float) -> float:
        """Take a file of a size out; gives 0, or the seconds until it may be sent."""
        passed, self.when = now - self.when, now
        self.files = min(self.files + passed * FILES_A_SECOND, FILES)
        self.bytes = min(self.bytes + passed * BYTES_A_SECOND, BYTES)
        lacks = max((1 - self.files) / FILES_A_SECOND, (size - self.bytes) / BYTES_A_SECOND)
        if lacks > 0:
            return lacks
        self.files -= 1
        self.bytes -= size
        return 0


class Limits:
    """ASGI middleware: refuses uploads that are too large or too many, before they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._buckets: dict[str, Bucket] = {}
        self._coming: Counter[str] = Counter()
        """Bytes that each sender is sending."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or say why an upload is refused."""
        uploads = scope["type"] == "http" and UPLOADS in scope["path"]
        if not uploads or scope["method"] != "PUT":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        sender = (is_shared() and name_of_request(headers)) or (scope.get("client") or ("",))[0]
        given = headers.get("content-length", "")
        size = int(given) if LENGTH.fullmatch(given) else None
        status, why, wait = self.refuse(sender, size, time.monotonic())
        if status:
            taken.files["refused"] += 1
            later = {"Retry-After": str(ceil(wait))} if wait else {}
            await PlainTextResponse(why, status, later)(scope, receive, send)
            return

        answer = 500

        async def send_counted(message: Message) -> None:
            nonlocal answer
            if message["type"] == "http.response.start":
                answer = message["status"]
            await send(message)

        with self._receiving(sender, size or 0):
            await self.app(scope, receive, send_counted)
        taken.files["taken" if answer < 400 else "failed"] += 1
        taken.bytes += size or 0 if answer < 400 else 0

    def refuse(self, sender: str, size: int | None, now: float) -> tuple[int, str, float]:
        """Whether a sender may send a file now, which is then counted.

        Args:
            sender: whose.
            size: bytes of the request, which says so before it begins; None where it doesn't.
            now: seconds on a clock that only goes forward.

        Returns:
            Status (0: it may), why not, and after how many seconds it may (0: not by waiting).
        """
        largest = upload_limit()
        if size is None:
            return 411, "An upload has to say how long it is (Content-Length).", 0
        if size > largest:
            most = say_size(largest)
            return 413, f"The file has {say_size(size)}; at most {most} may be sent.", 0
        held, own = unclaimed() + self._coming.total(), self._coming[sender]
        if held + size > HELD * largest or own + size > HELD_OF_ONE * largest:
            why = "Other files are on their way. Send this one when they have arrived."
            return 503, why, 10
        bucket = self._buckets.pop(sender, None) or Bucket(now)
        self._buckets[sender] = bucket  # the last of the dictionary
        if len(self._buckets) > FORGOTTEN:
            del self._buckets[next(iter(self._buckets))]
        if wait := bucket.wait(size, now):
            said = say_duration(max(wait, 1))
            return 429, f"You have sent many files. Send this one again in {said}.", wait
        return 0, "", 0

    @contextmanager
    def _receiving(self, sender: str, size: int) -> Iterator[None]:
        self._coming[sender] += size
        try:
            yield
        finally:
            self._coming[sender] -= size
            if not self._coming[sender]:
                del self._coming[sender]


def upload_limit() -> int:
    """Bytes that one upload may have."""
    return st.get_option("server.maxUploadSize") << 20


def unclaimed() -> int:
    """Bytes of uploads that have arrived and that no page has taken yet."""
    if not exists():
        return 0
    kept = list(get_instance().uploaded_file_mgr.file_storage.values())
    return sum(len(file.data) for files in kept for file in list(files.values()))
