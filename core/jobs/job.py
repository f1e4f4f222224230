"""A job: whatever runs in the background. What it is, what it needs, and how it is found again."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from core.devices import cluster
from core.errors import Cancelled, InputError
from core.home import RUN_ID, home
from core.identity import identify
from core.words import say_duration

KINDS: dict[str, str] = {
    "train": "core.runs.training:TrainJob",
    "explain": "core.runs.explaining:ExplainJob",
    "evidence": "core.runs.explaining:EvidenceJob",
    "silence": "core.runs.silenced:SilenceJob",
    "baselines": "core.runs.fitting:BaselinesJob",
    "layout": "core.images.trial:LayoutJob",
    "match": "core.predict.predicting:MatchJob",
    "predict": "core.predict.predicting:PredictJob",
    "why": "core.predict.predicting:WhyJob",
    "export": "core.predict.exporting:ExportJob",
    "robustness": "core.predict.robustness:RobustnessJob",
    "speed": "core.runs.speed:SpeedJob",
    "estimate": "core.runs.estimate:EstimateJob",
    "tissue": "core.tissue.job:TissueJob",
    "tissue_train": "core.tissue.job:TrainTissueJob",
    "tissue_predict": "core.tissue.job:PredictTissueJob",
    "tissue_see": "core.tissue.job:SeeTissueJob",
    "transfer": "core.transfer.transferring:TransferJob",
    "enquiry": "core.transfer.enquiring:EnquiryJob",
}
"""Kind -> "module:class"; a module is imported when a job of the kind is read. Workers know the
kinds of the program that started them, so that one more entry is all that a new kind needs."""


KNOWN_AFTER = 2.0
"""Seconds of work that tell how long the rest takes."""
BY_USER = "Cancelled by the user."


class Lane(StrEnum):
    """Which workers run a job."""

    QUEUE = "queue"
    """Takes long and is waited for by nobody in particular: one after the other."""
    INTERACTIVE = "interactive"
    """Answers somebody who looks at a page: never behind a queue. Once it has ended it is kept for
    a week, and no longer than what it is about."""


class Inputs(NamedTuple):
    """What a job reads: none of it may be deleted under it."""

    datasets: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    """Ids of jobs that it starts after."""
    models: tuple[str, ...] = ()
    """Ids of models that somebody sent."""
    tissues: tuple[str, ...] = ()
    """Ids of stored spots."""
    files: tuple[str, ...] = ()
    """Paths within the home of other files that it reads where they are, such as weights."""


class Reporter(Protocol):
    """Who listens to a job, and may stop it."""

    def progress(self, done: int, total: int, text: str) -> None:
        """The share of the job that is done, and what happens now, in words."""

    def event(self, part: int, step: int, row: dict[str, Any]) -> None:
        """Something measured on the way; the same step of the same part replaces itself."""

    def enough(self) -> bool:
        """Whether the user wants the job to end early, with what it has."""

    def cancelled(self) -> bool:
        """Whether the user wants the job to stop; to be asked often."""


class Job(BaseModel):
    """One thing to be done in the background. Two jobs of equal content are the same job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    lane: ClassVar[Lane] = Lane.INTERACTIVE
    uses_torch: ClassVar[bool] = True
    spreads: ClassVar[bool] = False
    """Whether a cluster may do it: what it reads is among its inputs, and all that it leaves is in
    its folder. One that has ended can be run again on what it left, and leaves the same."""
    root: ClassVar[str] = "jobs"
    """Folder of the home that holds a folder a job."""
    patience: ClassVar[float] = 60
    """Seconds after which a job that was cancelled, and goes on, loses its worker."""
    when_memory_is_short: ClassVar[str] = "Let other work end first, then start again."

    @property
    def key(self) -> str:
        """The job's identity: 16 hexadecimal digits of the SHA-256 over kind and content."""
        return identify(self.kind, self.content())

    def content(self) -> dict[str, Any]:
        """Everything that decides the job, as a JSON document that `restore` reads back."""
        return self.model_dump(mode="json")

    @classmethod
    def restore(cls, content: dict[str, Any]) -> Self:
        """A job that was stored, by this version or an earlier one.

        Raises InputError when this version doesn't understand it.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InputError(f"It is no job of the kind {cls.kind}: {error}") from None

    @classmethod
    def folder(cls, job: str) -> Path:
        """The folder of the job of that id, for its log and what it leaves for itself.

        Raises InputError unless it is an id.
        """
        if not RUN_ID.fullmatch(job):
            raise InputError(f"Expected a job id of 16 hexadecimal digits, got {job!r}.")
        return home() / cls.root / job

    def title(self) -> str:
        """The job in one line, for lists."""
        raise NotImplementedError

    def inputs(self) -> Inputs:
        """The datasets and jobs that it reads."""
        return Inputs()

    def effort(self) -> tuple:
        """What decides how long it takes: jobs that agree in it take about as long."""
        return (self.kind,)

    def stands(self) -> bool | None:
        """Whether its result is there, so that nothing is to be done.

        None where that is what the job's record says.
        """
        return None

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        """Do the work; what needs torch is imported here.

        A job that was interrupted is run again, and ends with what an undisturbed one leaves.

        Args:
            folder: the job's own.
            reporter: who listens, and may stop it.
            device: where to compute, as torch calls it.

        Raises:
            Cancelled: soon after the reporter says so.
            GeneCanvasError: it can't be done, for a reason that a user can mend.
        """
        raise NotImplementedError

    @classmethod
    def load(cls) -> None:
        """Import what `run` needs and takes seconds to load: a worker does so in advance."""

    def afterwards(self, folder: Path) -> Iterator[None]:
        """What may be done once the result stands, which nobody waits for, in parts.

        Between two parts the worker takes other jobs first. What is left undone is done by whoever
        needs it.
        """
        return iter(())


class Pace:
    """How long work goes on, told by how quick it has been since this was first asked.

    What came before that, such as loading a network, says nothing of the rest.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[int, float] | None = None

    def say_left(self, done: int, total: int) -> str:
        """ ", about 12 seconds left", or nothing while too little is known."""
        now = self._clock()
        if self._first is None or done <= self._first[0]:
            self._first = done, now
        before, since = self._first
        if done == before or done >= total or now - since < KNOWN_AFTER:
            return ""
        seconds = (now - since) * (total - done) / (done - before)
        return f", about {say_duration(seconds)} left"


_listening: ContextVar[Reporter | None] = ContextVar("listening", default=None)


@contextmanager
def listening(reporter: Reporter) -> Iterator[None]:
    """Have `stop_if_cancelled` ask this reporter within."""
    before = _listening.set(reporter)
    try:
        yield
    finally:
        _listening.reset(before)


def stop_if_cancelled() -> None:
    """Raise Cancelled where the job that this is a part of shall stop; does nothing in no job.

    For long loops that know no reporter, such as the training of a small network among many.
    """
    if reporter := _listening.get():
        stop_if_told(reporter)


def stop_if_told(reporter: Reporter) -> None:
    """Raise Cancelled where the user wants the job to stop."""
    if reporter.cancelled():
        raise Cancelled(BY_USER)


def stoppable(reporter: Reporter, words: str) -> Callable[[int, int], None]:
    """What tells a reporter, twice a second, that so many of so many `words` are done.

    It raises Cancelled when the reporter wants the job to stop.
    """
    told, pace = -math.inf, Pace()

    def tell(done: int, total: int) -> None:
        nonlocal told
        stop_if_told(reporter)
        if done == total or time.monotonic() - told > 0.5:
            told = time.monotonic()
            left = pace.say_left(done, total)
            reporter.progress(done, total, f"{done} of {total} {words}{left}")

    return tell


def job_class(kind: str) -> type[Job]:
    """The class of a kind; raises InputError for one that isn't registered."""
    if kind not in KINDS:
        raise InputError(f"Unknown kind of job {kind!r}. Known: {', '.join(KINDS)}.")
    module, _, name = KINDS[kind].partition(":")
    return getattr(import_module(module), name)


def kinds_of(*, on_cluster: bool) -> list[str]:
    """The kinds of jobs that are for a cluster, or for the workers of this computer.

    Raises InputError when GENECANVAS_RAY is no address.
    """
    if cluster() is None:
        return [] if on_cluster else [*KINDS]
    return [kind for kind in KINDS if job_class(kind).spreads == on_cluster]
