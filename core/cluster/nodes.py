"""The computers of a cluster: what each has, and whether it computes what this one would."""

import hashlib
import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from core.cluster.task import find_home
from core.extensions import VARIABLE
from core.jobs.computers import Computer
from core.processes import ROOT

PACKAGES = (
    "anndata", "numba", "numpy", "openTSNE", "pandas", "safetensors", "scikit-learn", "scipy",
    "torch", "torchvision", "umap-learn",
)  # fmt: skip
"""Those of which another version may give other numbers."""
MOST_THREADS = 4
"""Of a task on a CPU, where OMP_NUM_THREADS says nothing: more gain little on small images."""


class Answer(NamedTuple):
    """What a computer says of itself."""

    name: str
    versions: dict[str, str]
    sees_home: bool


def describe_here(home: str, token: str) -> Answer:
    """Versions of Python, this program and the packages, and whether the home is seen here."""
    versions = {"Python": platform.python_version(), "GeneCanvas": _digest_program()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "none"
    return Answer(platform.node(), versions, find_home(home, token) is not None)


DESCRIBE_HERE = ray.remote(max_retries=0, num_cpus=0)(describe_here)


def _digest_program() -> str:
    """The first digits of the SHA-256 over the files of `core`, and of extensions."""
    digest = hashlib.sha256()
    files = sorted((ROOT / "core").rglob("*.py"))
    files += [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    for path in files:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def say_differences(here: dict[str, str], there: dict[str, str]) -> str:
    """What differs between two computers' versions, in a sentence; empty where nothing does."""
    found = [
        f"{name} {there.get(name, 'none')} instead of {mine}"
        for name, mine in here.items()
        if there.get(name) != mine
    ]
    if not found:
        return ""
    more = f" and {len(found) - 4} more" if len(found) > 4 else ""
    return (
        f"It has {', '.join(found[:4])}{more}, so that its numbers might differ. Install the same "
        "there, then it gets jobs."
    )


def say_lines(error: Exception) -> list[str]:
    """The lines of an error of Ray, of which some say nothing; one at least."""
    return str(error).strip().splitlines() or ["no more is known"]


class Nodes:
    """The living computers of the cluster, each asked once what it is."""

    def __init__(self, home: Path, token: str) -> None:
        self._home, self._token = str(home), token
        self._mine = describe_here(self._home, token).versions
        self._asked: dict[str, ray.ObjectRef] = {}
        self._answers: dict[str, Answer | str] = {}
        self.alive: dict[str, Computer] = {}
        """Id -> computer."""

    def look(self) -> bool:
        """Look who is there; whether that has changed."""
        before = dict(self.alive)
        found = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
        for id in found.keys() - self._asked.keys():
            strategy = NodeAffinitySchedulingStrategy(id, soft=False)
            self._asked[id] = DESCRIBE_HERE.options(scheduling_strategy=strategy).remote(
                self._home, self._token
            )
        for id, ref in self._asked.items():
            if id not in self._answers and ray.wait([ref], timeout=0)[0]:
                try:
                    self._answers[id] = ray.get(ref)
                except ray.exceptions.RayError as error:
                    self._answers[id] = f"GeneCanvas can't be run there: {say_lines(error)[-1]}"
        self.alive = {id: self._describe(id, node) for id, node in found.items()}
        if any(computer.gpus for computer in self.alive.values()):
            self.alive = {
                id: computer
                if computer.gpus or computer.why_unused
                else computer.model_copy(
                    update={"why_unused": "It has no GPU, and others of the cluster do."}
                )
                for id, computer in self.alive.items()
            }
        return self.alive != before

    def _describe(self, id: str, node: dict[str, Any]) -> Computer:
        has, answer = node["Resources"], self._answers.get(id)
        kinds = [name.partition(":")[2] for name in has if name.startswith("accelerator_type:")]
        told, why = {}, "It hasn't said yet what it is."
        if isinstance(answer, str):
            why = answer
        elif answer is not None:
            told = {"versions": answer.versions, "sees_home": answer.sees_home}
            why = say_differences(self._mine, answer.versions)
            if not why and not has.get("CPU"):
                why = "It lends no processor."
        name = answer.name if isinstance(answer, Answer) else node["NodeManagerHostname"]
        return Computer(
            name=name, cpus=int(has.get("CPU", 0)), gpus=int(has.get("GPU", 0)),
            kind=", ".join(kinds), memory=int(has.get("memory", 0)), why_unused=why, **told,
        )  # fmt: skip

    @property
    def used(self) -> list[Computer]:
        """Those that get jobs."""
        return [computer for computer in self.alive.values() if not computer.why_unused]

    @property
    def unused(self) -> list[str]:
        """The ids of those that get none."""
        return [id for id, computer in self.alive.items() if computer.why_unused]

    def share(self) -> "Share":
        """What a task takes of a computer, and how many fit."""
        return share(self.used, os.environ.get("OMP_NUM_THREADS", ""))


class Share(NamedTuple):
    """What a task takes of a computer."""

    gpus: int
    threads: int
    """And as many CPUs."""
    at_once: int
    """Tasks that fit into all computers together."""


def share(computers: Sequence[Computer], given_threads: str) -> Share:
    """A GPU for each task where there are any, with its part of the CPUs; else some CPUs.

    Args:
        computers: those that get jobs.
        given_threads: what OMP_NUM_THREADS says; empty where it isn't set.
    """
    if not computers:
        return Share(0, 1, 0)
    given = int(given_threads) if given_threads.isdigit() and int(given_threads) else None
    gpus = any(computer.gpus for computer in computers)
    if gpus:
        fit = min(computer.cpus // computer.gpus for computer in computers)
    else:
        fit = min(*(computer.cpus for computer in computers), MOST_THREADS)
    threads = max(1, min(given or fit, fit))
    at_once = sum(
        min(computer.cpus // threads, computer.gpus if gpus else computer.cpus)
        for computer in computers
    )
    return Share(int(gpus), threads, at_once)
