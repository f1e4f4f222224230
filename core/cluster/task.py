"""What a computer of the cluster does of a job: one attempt, in a process of its own.

The job finds a home as it knows it: a private folder whose datasets, weights and runs are those of
the home where this computer sees it, and were sent where it doesn't. It writes into the folder of
its attempt only.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, NamedTuple

import numpy as np
import ray
from threadpoolctl import threadpool_limits

from core.cluster.post import Asked, Told
from core.errors import GeneCanvasError
from core.files import UNREADABLE, read_json
from core.home import PEOPLE, home
from core.jobs.computers import FILE
from core.jobs.job import KINDS, Job, job_class
from core.jobs.record import JobState
from core.jobs.worker import do_job, print_to
from core.scratch import clean_scratch, scratch

LINKED = ("brought", "datasets", "models", "tissues", "weights")
"""Folders of a home that jobs read, and that hold the same on all computers."""
CARE = 10
"""Times as long as sending what was written took, nothing is sent anew."""


class Order(NamedTuple):
    """All that a computer needs to know of a job."""

    attempt: str
    number: int
    job: str
    kind: str
    content: dict[str, Any]
    name: str
    own: str
    """The job's folder within the home."""
    folder: str
    """The attempt's folder within the home."""
    needs: tuple[str, ...]
    """Folders and files of the home that it reads."""
    home: str
    """The server's home."""
    inner: str
    """The path within it to the home that the job is of."""
    token: str
    threads: int
    kinds: dict[str, str]


def run_attempt(order: Order, post: ray.actor.ActorHandle) -> tuple[str, str | None]:
    """Do a job; gives the state in which it ended, and why where it has no result."""
    device = take_processor(order.threads)
    KINDS.update(order.kinds)
    view = find_home(order.home, order.token)
    own_home = None if view else home()
    parent = Path(tempfile.gettempdir(), f"genecanvas-{os.getuid()}") if view else None
    if parent:
        parent.mkdir(mode=0o700, exist_ok=True)
    clean_scratch(parent)
    with scratch(parent) as place:
        os.environ["GENECANVAS_HOME"] = str(place)
        folder = place / order.own
        if view:
            _link(view, place, order)
        else:
            _bring(own_home, place, order, post)
        teller = Teller(order.attempt, post, place / "log.txt", None if view else folder)
        with print_to(place / "log.txt"), teller:
            teller.log(
                f"attempt {order.number}, process {os.getpid()} on {os.uname().nodename}: "
                f"{order.kind} {order.job} on {device}, {order.name}"
            )
            job = job_class(order.kind).restore(order.content)
            state, reason = do_job(job, folder, teller, device)
            if state == JobState.DONE:
                _go_on(job, folder, teller)
        return str(state), reason


def take_processor(threads: int) -> str:
    """Compute on the GPU that Ray gave this task, else on the CPU alone; with so many threads.

    Gives the device's name. To be called before torch is loaded.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    threadpool_limits(threads)
    device = "cuda:0" if ray.get_gpu_ids() else "cpu"
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["GENECANVAS_DEVICES"] = device
    os.environ.pop("GENECANVAS_RAY", None)
    return device


def find_home(there: str, token: str) -> Path | None:
    """Where this computer sees the coordinator's home: GENECANVAS_HOME, else the same path.

    None where what is there is another folder, or may not be written.
    """
    view = Path(os.environ.get("GENECANVAS_HOME") or there)
    with suppress(*UNREADABLE):
        if read_json(view / FILE)["token"] == token and os.access(view, os.W_OK):
            return view
    return None


def _link(view: Path, place: Path, order: Order) -> None:
    """Have what the job needs where it looks for it, and where others may have its result."""
    (place / PEOPLE).symlink_to(view / PEOPLE)
    for name in LINKED:
        source = _where(name, order, view)
        source.mkdir(exist_ok=True)
        (place / name).symlink_to(source)
    runs = {need: need for need in order.needs if not need.startswith(LINKED)}
    for path, source in {**runs, order.own: order.folder}.items():
        (place / path).parent.mkdir(exist_ok=True)
        (place / path).symlink_to(view / order.inner / source)


def _where(path: str, order: Order, view: Path) -> Path:
    """Where a path of the job's home is; the weights folder is the server's."""
    return view / path if path.startswith("weights") else view / order.inner / path


def _bring(cache: Path, place: Path, order: Order, post: ray.actor.ActorHandle) -> None:
    """Have what the job needs sent: once to this computer's own home, save the files of jobs."""
    for name in LINKED:
        (cache / name).mkdir(exist_ok=True)
        (place / name).symlink_to(cache / name)
    for need in order.needs:
        target = (cache if need.startswith(LINKED) else place) / need
        if target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        asked = str(_where(need, order, Path()))
        arriving = place / "arriving"  # which goes with this process, also where it is killed
        for path in ray.get(post.list_files.remote([asked])):
            content = ray.get(ray.get(post.fetch.remote(order.attempt, path)))
            _write(arriving / Path(path).relative_to(Path(asked).parent), content)
        with suppress(OSError):  # missing, or another task was quicker
            (arriving / target.name).rename(target)
        shutil.rmtree(arriving, ignore_errors=True)
    folder = place / order.own
    folder.mkdir(parents=True)
    for name in ray.get(post.list_begun.remote(order.attempt)):
        _write(folder / name, ray.get(post.fetch_begun.remote(order.attempt, name)))


def _write(path: Path, content: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content.tofile(path)


def _go_on(job: Job, folder: Path, teller: "Teller") -> None:
    """Do what follows a result; what goes wrong stands in the log, as the result is there."""
    try:
        for _ in job.afterwards(folder):
            pass
    except (OSError, MemoryError, GeneCanvasError) as error:
        teller.log(f"{job.kind}: {error}")


class Teller:
    """A job's reporter, which tells the post all that it hears, again and again, in a thread.

    On a computer that doesn't see the home it also sends the files that have been written.
    """

    def __init__(
        self, attempt: str, post: ray.actor.ActorHandle, log: Path, mirrored: Path | None
    ) -> None:
        self.terminated = False
        self._attempt, self._post = attempt, post
        self._log, self._read = log, 0
        self._mirror = None if mirrored is None else Mirror(attempt, post, mirrored)
        self._node = ray.get_runtime_context().get_node_id()
        self._lock, self._ended = Lock(), Event()
        self._progress: tuple[int, int, str] | None = None
        self._events: list[tuple[int, int, dict[str, Any]]] = []
        self._asked = Asked()
        self._thread = Thread(target=self._go_on_telling, daemon=True)

    def __enter__(self) -> "Teller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._tell()
        if self._mirror:
            self._mirror.settle()

    def progress(self, done: int, total: int, text: str) -> None:
        """Tell how far the job is, and write it to the log."""
        with self._lock:
            self._progress = done, total, text
        self.log(text)

    def event(self, part: int, step: int, row: dict[str, Any]) -> None:
        """Tell what was measured."""
        with self._lock:
            self._events.append((part, step, row))

    def log(self, text: str) -> None:
        """Write a line to the log; a full disk loses it."""
        with suppress(OSError), self._log.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def enough(self) -> bool:
        """Whether the user wants the job to end early."""
        return self._asked.enough

    def cancelled(self) -> bool:
        """Whether the user wants the job to stop, or nobody waits for it any more."""
        return self._asked.cancel or self.terminated

    def _go_on_telling(self) -> None:
        while not self._ended.wait(self._asked.pace):
            try:
                self._tell()
                if self._mirror:
                    self._mirror.send()
            except ray.exceptions.RayError:  # the coordinator has ended
                self.terminated = True
                return

    def _tell(self) -> None:
        with self._lock:
            progress, self._progress = self._progress, None
            events, self._events = self._events, []
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        text = text[: text.rfind(b"\n") + 1]
        self._read += len(text)
        told = Told(self._node, progress, events, text.decode(errors="replace"))
        self._asked = ray.get(self._post.tell.remote(self._attempt, told))


class Mirror:
    """Sends what an attempt has written; a file after all that are older than it."""

    def __init__(self, attempt: str, post: ray.actor.ActorHandle, folder: Path) -> None:
        self._attempt, self._post, self._folder = attempt, post, folder
        self._sent = {path: _version(path) for path in self._files()}
        self._next = 0.0

    def send(self) -> None:
        """Send what is new, unless much was sent just before."""
        started = time.monotonic()
        if started < self._next:
            return
        for path in self._files():
            with suppress(FileNotFoundError):  # removed meanwhile
                version = _version(path)
                if self._sent.get(path) != version:
                    content = np.fromfile(path, np.uint8)
                    name = str(path.relative_to(self._folder))
                    ray.get(self._post.keep.remote(self._attempt, name, content))
                    self._sent[path] = version
        now = time.monotonic()
        self._next = now + CARE * (now - started)

    def settle(self) -> None:
        """Send all that is new, and have removed what is gone."""
        self._next = 0.0
        self.send()
        names = [str(path.relative_to(self._folder)) for path in self._files()]
        ray.get(self._post.settle.remote(self._attempt, names))

    def _files(self) -> Sequence[Path]:
        found = []
        for path in self._folder.rglob("*"):
            with suppress(FileNotFoundError):
                if path.is_file() and not path.name.startswith("."):
                    found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]


def _version(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
