"""The app's server, started again should it die: a page must not be gone for everybody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from core.processes import ROOT

SHORTEST = 5.0
"""Seconds that a server must have lived to be started again; else it would never get further."""
LONGEST_HEADER = 16_384
"""Bytes of a header of the WebSocket's request: cookies of a sign-in stand in one, and the library
would stop at 8 KB."""


def serve(options: Sequence[str] = ()) -> int:
    """Run `streamlit run app.py` until it is stopped; gives its exit status.

    Args:
        options: Streamlit's own options, such as `--server.port=8501`.
    """
    command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
    environment = {"WEBSOCKETS_MAX_LINE_LENGTH": str(LONGEST_HEADER + 2), **os.environ}
    child: subprocess.Popen | None = None
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        if child is not None and child.poll() is None:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while True:
        started = time.monotonic()
        child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment)
        if stopping:
            child.terminate()
        status = child.wait()
        if stopping or status >= 0 or time.monotonic() - started < SHORTEST:
            return 0 if stopping else status  # it ended by itself, and has said why
        print(
            f"The server was ended by signal {-status}. It is started again.",
            file=sys.stderr, flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:]))
