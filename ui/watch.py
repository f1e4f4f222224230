"""Every request has an id, and a line in the log when it is answered (`core.logs`)."""

import time
from collections import Counter
from uuid import uuid4

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.logs import REQUEST, log_event

ID = "x-request-id"
SECRET = ("/media/", "/_stcore/upload_file/")
"""Begins of paths whose rest opens a file or belongs to a session: whoever reads the log may not.
"""
QUIET = ("/health", "/metrics", "/_stcore/health")
"""Paths that a machine asks all the time: no line in the log while all is well."""

answered: Counter[str] = Counter()
"""How many requests this process has answered, by the first digit of the status."""
open_pages = 0
"""How many WebSockets are open: one for each browser tab."""


class Watch:
    """ASGI middleware, before all others: gives ids, and logs what was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under an id of its own; one that the sender made up is replaced."""
        global open_pages
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request, begun, status = uuid4().hex, time.monotonic(), 500
        headers = [(name, value) for name, value in scope["headers"] if name != ID.encode()]
        scope = {**scope, "headers": [*headers, (ID.encode(), request.encode())]}

        async def send_named(message: Message) -> None:
            nonlocal status
            global open_pages
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[ID] = request
            elif message["type"] == "websocket.accept":
                status = 101
                open_pages += 1
            elif message["type"] == "websocket.close" and status == 500:
                status = 403  # closed before it was open
            await send(message)

        token = REQUEST.set(request)
        try:
            await self.app(scope, receive, send_named)
        finally:
            open_pages -= status == 101
            answered[f"{status // 100}xx"] += 1
            path = scope["path"]
            if path not in QUIET or status >= 400:
                log_event(
                    "request", method=scope.get("method", "WEBSOCKET"), path=hide_secrets(path),
                    status=status, seconds=round(time.monotonic() - begun, 4),
                    address=(scope.get("client") or ("",))[0],
                )  # fmt: skip
            REQUEST.reset(token)


def hide_secrets(path: str) -> str:
    """A path as the log may show it; what follows `?` is no part of it."""
    for begin in SECRET:
        if path.startswith(begin):
            return f"{begin}…"
    return path


def find_request() -> str:
    """The id of the WebSocket whose page is being run; empty outside of a page."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ""
    return st.context.headers.get(ID, "")
