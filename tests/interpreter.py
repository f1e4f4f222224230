"""What `core.processes` starts, at once: processes forked where the libraries are loaded already.

Loading torch, scikit-learn and the rest takes several seconds of a processor, longer than most
tests' work. `python -m MODULE` is therefore forked from a process that has them loaded, and nothing
of ours, which is imported anew. All else is as `subprocess` has it: standard input and output,
environment, session, exit code, kill.
"""

import io
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

PIPE, CompletedProcess = subprocess.PIPE, subprocess.CompletedProcess
LIBRARIES = [
    "anndata", "h5py", "pandas", "pydantic", "safetensors.torch", "scipy.optimize", "scipy.stats",
    "sklearn.linear_model", "sklearn.metrics", "sklearn.model_selection", "sklearn.svm", "torch",
    "torchvision", "yaml",
]  # fmt: skip

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(LIBRARIES)


class Process(CONTEXT.Process):
    """A forked process that doesn't run the main script first, as multiprocessing would have it.

    Streamlit makes each page that it runs the main script, and leaves it so.
    """

    def start(self) -> None:
        kept, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = kept


class Popen:
    """A process that runs `python -m MODULE`."""

    def __init__(
        self, command: list[str], *, cwd: Path, stdin: int, stdout: io.IOBase, stderr: io.IOBase,
        env: Mapping[str, str] | None = None, start_new_session: bool = False,
    ) -> None:  # fmt: skip
        python, option, module = command
        assert (python, option, stdin) == (sys.executable, "-m", PIPE), command
        reader, writer = CONTEXT.Pipe(duplex=False)
        self.stdin = os.fdopen(os.dup(writer.fileno()), "wb")
        streams = [reader, *(_pass_on(stream) for stream in (stdout, stderr))]
        self._process = Process(
            target=_run, args=(module, cwd, dict(env or os.environ), streams, start_new_session),
            daemon=True,
        )  # fmt: skip
        self._process.start()
        for one in (*streams, writer):
            one.close()
        self.pid = self._process.pid
        self.kill, self.terminate = self._process.kill, self._process.terminate

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return self.returncode


def run(
    command: list[str],
    *,
    cwd: Path,
    input: str,
    env: Mapping[str, str],
    capture_output: bool,
    text: bool,
    check: bool,
) -> CompletedProcess[str]:
    """Run `python -m MODULE` and wait for its answer."""
    assert (capture_output, text, check) == (True, True, False)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = Popen(command, cwd=cwd, env=env, stdin=PIPE, stdout=out, stderr=errors)
        with suppress(BrokenPipeError), process.stdin as pipe:  # it may have ended already
            pipe.write(input.encode())
        code = process.wait()
        said = []
        for stream in (out, errors):
            stream.seek(0)
            said.append(stream.read())
    return CompletedProcess(command, code, *said)


def _pass_on(stream: io.IOBase) -> Connection:
    """A file as what another process can be handed."""
    return Connection(os.dup(stream.fileno()))


def _run(
    module: str, cwd: Path, environment: dict[str, str], streams: list[Connection], session: bool
) -> None:
    if session:
        os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = os.fdopen(0)
    sys.argv[1:] = []
    runpy.run_module(module, run_name="__main__", alter_sys=True)
