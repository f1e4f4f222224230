"""The post between the tasks of a cluster and their coordinator: an actor on the latter's computer.

Tasks tell how they go and learn what is asked of them. Those on computers that don't see the home
get files from here, and give back what they have written. Nobody but the coordinator looks at the
list of jobs.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import ray

AT_ONCE = 32
"""Calls that are answered at the same time."""
CALM = 100
"""Tasks that may each tell once a second; more of them tell less often."""


class Told(NamedTuple):
    """What a task tells from time to time."""

    node: str
    progress: tuple[int, int, str] | None
    events: list[tuple[int, int, dict[str, Any]]]
    log: str


class Asked(NamedTuple):
    """What a task is asked."""

    cancel: bool = False
    enough: bool = False
    pace: float = 0.5
    """Seconds until it tells again."""


class Sent(NamedTuple):
    """A file that is kept for the computers that ask for it."""

    version: tuple[int, int]
    """When it was written, and its size."""
    content: ray.ObjectRef
    attempts: set[str]
    """Those that asked for it and run."""


class Post:
    """What the actor does; `start_post` starts one."""

    def __init__(self, home: str) -> None:
        self._home = Path(home)
        self._lock, self._sending = Lock(), Lock()
        self._folders: dict[str, Path] = {}
        self._asked: dict[str, Asked] = {}
        self._told: list[tuple[str, Told]] = []
        self._sent: dict[Path, Sent] = {}

    # --- for the coordinator ----------------------------------------------------------------

    def expect(self, attempt: str, folder: str) -> None:
        """Listen to an attempt that is about to begin, and writes into that folder."""
        with self._lock:
            self._folders[attempt] = Path(folder)

    def forget(self, attempt: str) -> None:
        """Take nothing of an attempt any more, and let go of what only it was sent."""
        with self._lock:
            self._folders.pop(attempt, None)
        with self._sending:
            for sent in self._sent.values():
                sent.attempts.discard(attempt)
            self._sent = {path: sent for path, sent in self._sent.items() if sent.attempts}

    def ask(self, asked: dict[str, Asked]) -> None:
        """Say what is asked of attempts; of those that aren't named nothing is."""
        with self._lock:
            self._asked = asked

    def collect(self) -> list[tuple[str, Told]]:
        """What was told since the last call."""
        with self._lock:
            told, self._told = self._told, []
            return told

    # --- for tasks --------------------------------------------------------------------------

    def tell(self, attempt: str, told: Told) -> Asked:
        """Pass on what an attempt tells; one that nobody waits for any more shall stop."""
        with self._lock:
            if attempt not in self._folders:
                return Asked(cancel=True)
            self._told.append((attempt, told))
            pace = max(Asked().pace, len(self._folders) / CALM)
            return self._asked.get(attempt, Asked())._replace(pace=pace)

    def list_files(self, paths: Sequence[str]) -> list[str]:
        """The files of the home under some of its folders or files, as far as they are there."""
        found = []
        for path in map(self._locate, paths):
            files = [path] if path.is_file() else sorted(path.rglob("*"))
            found += [str(file.relative_to(self._home)) for file in files if _is_whole(file)]
        return found

    def fetch(self, attempt: str, path: str) -> ray.ObjectRef:
        """A file's bytes; Ray brings an object to each computer once.

        It is kept while attempts run that asked for it.
        """
        file = self._locate(path)
        with self._sending:
            if attempt not in self._folders:
                raise KeyError(attempt)
            stat = file.stat()
            version = stat.st_mtime_ns, stat.st_size
            sent = self._sent.get(file)
            if sent is None or sent.version != version:
                content = np.memmap(file, np.uint8, "r") if stat.st_size else np.empty(0, np.uint8)
                sent = self._sent[file] = Sent(version, ray.put(content), set())
            sent.attempts.add(attempt)
            return sent.content

    def list_begun(self, attempt: str) -> list[str]:
        """The files that an attempt goes on from."""
        folder = self._folders[attempt]
        return [str(file.relative_to(folder)) for file in folder.rglob("*") if _is_whole(file)]

    def fetch_begun(self, attempt: str, name: str) -> np.ndarray:
        """The bytes of one of them."""
        return np.fromfile(self._inside(attempt, name), np.uint8)

    def keep(self, attempt: str, name: str, content: np.ndarray) -> None:
        """Write a file of an attempt, as a whole."""
        path = self._inside(attempt, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}")
        with temporary.open("wb") as file:
            content.tofile(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def settle(self, attempt: str, names: Sequence[str]) -> None:
        """Remove the files of an attempt that it has removed."""
        folder, kept = self._folders[attempt], {*names}
        for path in folder.rglob("*"):
            if path.is_file() and str(path.relative_to(folder)) not in kept:
                path.unlink()

    def _locate(self, path: str) -> Path:
        return _within(self._home, path)

    def _inside(self, attempt: str, name: str) -> Path:
        return _within(self._folders[attempt], name)


def _within(folder: Path, path: str) -> Path:
    """A path below a folder; raises ValueError for one that leads out of it."""
    if ".." in Path(path).parts or Path(path).is_absolute():
        raise ValueError(f"Expected a path within {folder}, got {path!r}.")
    return folder / path


def _is_whole(file: Path) -> bool:
    """Whether it is a file, and not one that is being written."""
    return file.is_file() and not file.name.startswith(".")


def start_post(home: Path) -> ray.actor.ActorHandle:
    """Start the post on this computer; it ends with this process."""
    here = ray.get_runtime_context().get_node_id()
    return (
        ray.remote(Post)
        .options(
            num_cpus=0, max_concurrency=AT_ONCE, max_restarts=0, max_task_retries=0,
            scheduling_strategy=ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                here, soft=False
            ),
        )
        .remote(str(home))
    )  # fmt: skip
