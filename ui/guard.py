"""Which requests the server answers; the style of its pages, and that they fetch nothing from afar.

A website that a user visits can send requests to this server through the user's browser: under a
name of its own that it lets point here (DNS rebinding), or from another port of this computer.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STREAMLIT = "sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA="
"""The only script inside Streamlit's page (a browser test tells when another version has another).
"""
POLICY = "; ".join(
    (
        "default-src 'self'",
        # plotly compiles the programs that draw on the graphics card, Streamlit loads our
        # component's script from memory; a script inside a page is never run.
        f"script-src 'self' '{STREAMLIT}' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "media-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",  # a link's target never learns which gene led there
    "X-Content-Type-Options": "nosniff",
    "X-DNS-Prefetch-Control": "off",  # browsers look up the hosts of links before a click
    "Cross-Origin-Opener-Policy": "same-origin",  # a window that opened a page can't reach into it
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
    "payment=(), usb=()",
}
ENCRYPTED = {"Strict-Transport-Security": "max-age=31536000"}
"""Of an answer over TLS: a browser that had one asks this name over TLS only, for a year."""
CONTENT = {"Cache-Control": "private, no-store"}
"""Of files that pages hand out: nobody who uses the browser later finds them there."""

STYLE = Path(__file__).parents[1] / "assets/style.css"
"""Stands in the page itself: Streamlit would bring it after what it is for, which then jumps."""
CONDITIONS = (b"accept-encoding", b"if-none-match", b"if-modified-since")
"""Headers of a request by which a page would come packed, or not at all."""
LOOPBACK = ["localhost", "127.0.0.1", "::1"]
OPEN_TO = "GENECANVAS_OPEN_TO"


class Guard:
    """ASGI middleware: refuses what doesn't come from this server's own pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with the headers that pages need, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return

        start: Message | None = None
        page = b""

        async def send_guarded(message: Message) -> None:
            nonlocal start, page
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                if scope.get("scheme") in ("https", "wss"):
                    headers.update(ENCRYPTED)
                if scope["path"].startswith(address_of("media/")):
                    headers.update(CONTENT)
                if is_page and headers.get("content-type", "").startswith("text/html"):
                    start = message  # until its length is known
                    return
            elif start is not None and message["type"] == "http.response.body":
                page += message.get("body", b"")
                if message.get("more_body"):
                    return
                page = page.replace(
                    b"</body>", b"<style>" + STYLE.read_bytes() + b"</style></body>"
                )
                headers = MutableHeaders(scope=start)
                headers["content-length"] = str(len(page))
                del headers["etag"], headers["last-modified"]
                await send(start)
                message = {"type": "http.response.body", "body": page}
            await send(message)

        is_page = "text/html" in Headers(scope=scope).get("accept", "")
        if is_page:
            kept = [(name, value) for name, value in scope["headers"] if name not in CONDITIONS]
            scope = {**scope, "headers": kept}
        refused = refuse(Headers(scope=scope))
        if not refused:
            await self.app(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused})
        else:
            await PlainTextResponse(refused, 403)(scope, receive, send_guarded)


def address_of(route: str) -> str:
    """The path under which Streamlit serves something."""
    base = st.get_option("server.baseUrlPath").strip("/")
    return f"/{base}/{route}" if base else f"/{route}"


def refuse(headers: Headers) -> str:
    """Why a request is refused; empty for one that is answered.

    Programs send no Origin and are answered; browsers send it wherever one page's script, form or
    WebSocket could reach another server.
    """
    host, known = headers.get("host", "").lower(), st.get_option("server.allowedHosts") or LOOPBACK
    if not _is_among(host, known):
        return (
            f"This server answers under these names: {', '.join(known)}. Who starts it can name "
            "others with --server.allowedHosts."
        )
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host:
        return f"This server answers pages of its own only: open http://{host}."
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not (
        headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    ):
        return f"This server answers pages of its own only: open http://{host}."
    return ""


def refuse_open_address(signs_in: bool = False) -> str:
    """Why the server may not listen where it was told to; empty where it may.

    Where nobody signs in, whoever can reach the address sees, changes and deletes everything. So an
    address that other computers reach has to be asked for in so many words.
    """
    address = st.get_option("server.address")
    if signs_in or address in LOOPBACK or os.environ.get(OPEN_TO) == "everyone":
        return ""
    where = f"on {address}" if address else "on all addresses of this computer"
    return (
        f"The app was told to listen {where}, where other computers reach it, and nobody signs "
        "in: everyone who can open it sees, changes and deletes all that is stored. Have people "
        "sign in (docs/sharing.md); or, if that is what you want, start it with "
        f"{OPEN_TO}=everyone; else leave out --server.address."
    )


def _is_among(host: str, names: list[str]) -> bool:
    """Whether a Host header, with a port or not, is one of the names (`*.x`, `*` as Streamlit)."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return "@" not in host and any(
        known in ("*", name) or (known.startswith("*.") and name.endswith(known[1:]))
        for known in names
    )
