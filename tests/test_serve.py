"""The server that `make run` starts: back after it was killed, gone when it is stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from core.processes import ROOT
from core.serve import LONGEST_HEADER
from tests.ports import free_port
from tests.workers import LONG


def wait_for(port: int, seconds: float = LONG) -> None:
    for _ in range(int(seconds * 5)):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).read()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError("the server does not answer")


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def open_socket(port: int, cookie: str) -> bytes:
    """The first line of the answer to whoever opens a WebSocket."""
    lines = ["GET /_stcore/stream HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket",
             "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Cookie: {cookie}",
             f"Sec-WebSocket-Key: {'A' * 22}==", "", ""]  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall("\r\n".join(lines).encode())
        return connection.recv(100).split(b"\r\n")[0]


def test_a_killed_server_is_started_again_and_a_stopped_one_is_not() -> None:
    port = free_port()
    keeper = subprocess.Popen(
        [sys.executable, "-m", "core.serve", f"--server.port={port}"], cwd=ROOT, env={**os.environ}
    )
    try:
        wait_for(port)
        longest = "a=" + "x" * (LONGEST_HEADER - len("Cookie: a="))
        assert b"101" in open_socket(port, longest)  # of a sign-in
        first = child_of(keeper.pid)
        time.sleep(5)  # it has lived long enough to have started well
        os.kill(first, signal.SIGKILL)
        while not Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split():
            time.sleep(0.05)
        wait_for(port)
        second = child_of(keeper.pid)
        assert second != first
    finally:
        keeper.terminate()
        assert keeper.wait(LONG) == 0
    assert not Path(f"/proc/{second}").exists()


def test_a_server_that_can_not_start_is_not_started_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "core.serve", f"--server.port={port}"]
        assert subprocess.run(command, cwd=ROOT, check=False, timeout=LONG).returncode != 0


def test_no_other_computer_reaches_it_unless_told_in_so_many_words() -> None:
    command = [sys.executable, "-m", "core.serve", f"--server.port={free_port()}",
               "--server.address=0.0.0.0"]  # fmt: skip
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=LONG, capture_output=True)
    assert ended.returncode != 0
    assert b"GENECANVAS_OPEN_TO=everyone" in ended.stderr
    assert b"Traceback" not in ended.stderr
