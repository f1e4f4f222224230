"""Asking what tiles say of genes, as a job."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from functools import partial
from pathlib import Path
from typing import ClassVar

from core.jobs.job import Inputs, Job, Lane, Reporter, stoppable
from core.jobs.launch import request
from core.tissue.answers import require_room
from core.tissue.learning import learn
from core.tissue.networks import NETWORKS
from core.tissue.predicting import (
    effects_path,
    find_effects,
    has_prediction,
    predict_section,
)
from core.tissue.result import RESULT, answer_folder, save_answer, summarise
from core.tissue.spec import TissueSpec
from core.tissue.store import get_tissue, load_tissue


class TissueJob(Job):
    """Which genes tiles predict in held-out patients; the answer stands in the tissue's folder."""

    kind: ClassVar[str] = "tissue"

    asked: TissueSpec

    def title(self) -> str:
        how = NETWORKS[self.asked.backbone].title if self.asked.has_network else "colour"
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
        require_room(self.asked)
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

            told = stoppable(reporter, "steps of one network")
            train = trainer(spec, folder, answer_folder(spec), device, told)
        fitted = stoppable(reporter, "models fitted")
        genes, learned = learn(tissue, spec, see, fitted, train)
        result, table = summarise(spec, genes, learned, tissue.patients)
        save_answer(answer_folder(spec), result, table, learned)
        for path in folder.glob("*.npy"):
            path.unlink()


class TrainTissueJob(TissueJob):
    """The same with networks that are trained, which takes minutes to hours: it waits its turn."""

    kind: ClassVar[str] = "tissue_train"
    lane: ClassVar[Lane] = Lane.QUEUE


class PredictTissueJob(Job):
    """What an answer's models say of the genes of other sections."""

    kind: ClassVar[str] = "tissue_predict"

    asked: TissueSpec
    section: str
    """The id of stored spots, with or without counts."""

    def title(self) -> str:
        return f"Genes of tissue {self.section[:6]} by what {self.asked.tissue[:6]} taught"

    def inputs(self) -> Inputs:
        return Inputs(tissues=(self.asked.tissue, self.section))

    def stands(self) -> bool:
        return has_prediction(self.asked, self.section)

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        stoppable(reporter, "sections looked at")(0, 1)
        predict_section(self.asked, self.section, device)


class SeeTissueJob(Job):
    """Where on a spot's tile an answer's model sees its genes."""

    kind: ClassVar[str] = "tissue_see"

    asked: TissueSpec
    spot: str

    def title(self) -> str:
        return f"Where on the tile of {self.spot}"

    def inputs(self) -> Inputs:
        return Inputs(tissues=(self.asked.tissue,))

    def stands(self) -> bool:
        return effects_path(self.asked, self.spot).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        stoppable(reporter, "tiles looked at")(0, 1)
        find_effects(self.asked, self.spot, device)


def job_of(asked: TissueSpec) -> TissueJob:
    """The job that answers a question."""
    return (TrainTissueJob if asked.train else TissueJob)(asked=asked)


def ask(job: TissueJob | PredictTissueJob | SeeTissueJob) -> None:
    """Have a job done in the background, unless its result stands or it is under way.

    Raises InputError where a tissue that it needs isn't here, or the disk has no room for the
    networks that it would keep.
    """
    for tissue in job.inputs().tissues:
        get_tissue(tissue)
    if isinstance(job, TissueJob):
        require_room(job.asked)
    request(job)
