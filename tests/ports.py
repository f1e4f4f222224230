"""Ports for servers that tests start."""

import secrets
import socket

FIRST, LAST = 11_000, 16_000
"""Below all ports that a system gives out by itself: one of those might go to somebody's connection
in the seconds until the server listens. None of these is one that browsers refuse."""


def free_port() -> int:
    """A port of the loopback address on which nobody listens."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
