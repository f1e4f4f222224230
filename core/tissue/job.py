"""Asking what tiles say of genes, as a job."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

from core.errors import InputError
from core.jobs.job import Inputs, Job, Lane, Reporter, stoppable
from core.jobs.launch import AnswerState, answer_state, cancel, find, request
from core.tissue.learning import learn
from core.tissue.result import RESULT, answer_folder, save_answer, summarise
from core.tissue.spec import TissueSpec
from core.tissue.store import get_tissue, load_tissue


class TissueJob(Job):
    """Which genes tiles predict in held-out patients; the answer stands in the tissue's folder."""

    kind: ClassVar[str] = "tissue"

    asked: TissueSpec

    def title(self) -> str:
        how = self.asked.backbone if self.asked.has_network else "colour"
        return f"Genes of tissue {self.asked.tissue[:6]} by {how}"

    def inputs(self) -> Inputs:
        return Inputs(tissues=(self.asked.tissue,))

    def effort(self) -> tuple:
        asked = self.asked
        return (self.kind, asked.tissue, asked.backbone, asked.symmetric, asked.train, asked.epochs)

    def stands(self) -> bool:
        return (answer_folder(self.asked) / RESULT).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        reporter.progress(0, 1, "opening the tissue")
        spec, tissue, see, train = self.asked, load_tissue(self.asked.tissue), None, None
        if spec.has_network:
            from core.tissue.frozen import frozen_features

            see = partial(
                frozen_features, backbone=spec.backbone, weights=spec.weights,
                symmetric=spec.symmetric, device=device,
                progress=stoppable(reporter, "tiles seen"),
            )  # fmt: skip
        if spec.train:
            from core.tissue.network import trainer

            train = trainer(spec, folder, device, stoppable(reporter, "steps of one network"))
        fitted = stoppable(reporter, "models fitted")
        genes, learned = learn(tissue, spec, see, fitted, train)
        result, table = summarise(spec, genes, learned, tissue.patients)
        save_answer(answer_folder(spec), result, table, learned)
        for path in folder.glob("said_*.npy"):
            path.unlink()


class TrainTissueJob(TissueJob):
    """The same with networks that are trained, which takes minutes to hours: it waits its turn."""

    kind: ClassVar[str] = "tissue_train"
    lane: ClassVar[Lane] = Lane.QUEUE


def job_of(asked: TissueSpec) -> TissueJob:
    """The job that answers a question."""
    return (TrainTissueJob if asked.train else TissueJob)(asked=asked)


def request_tissue(asked: TissueSpec) -> None:
    """Have it computed in the background, unless that stands or is under way.

    Raises InputError where the tissue isn't here.
    """
    get_tissue(asked.tissue)
    request(job_of(asked))


def tissue_state(asked: TissueSpec) -> AnswerState:
    """Whether the answer stands, and how far it is."""
    return answer_state(job_of(asked))


def cancel_tissue(asked: TissueSpec) -> None:
    """Have it stop, unless it has ended."""
    if record := find(job_of(asked)):
        with suppress(InputError):
            cancel(record.id)
