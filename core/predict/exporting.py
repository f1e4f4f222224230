"""A model folder as one file, made as a job: what a page gives to be saved."""

# ruff: noqa: D102 -- `Job` says what its methods are for

import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import ClassVar

from core.files import write_atomic
from core.home import run_folder
from core.jobs.job import Inputs, Job, Reporter, stoppable
from core.jobs.launch import AnswerState, answer_state, request
from core.runs.result import load_spec

FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive, so that the same run gives the same bytes."""


def export_path(run: str) -> Path:
    """Where a run's model folder stands as a zip file."""
    return run_folder(run) / "model.zip"


class ExportJob(Job):
    """A finished run as a model folder in a zip file; it stands in the run's folder."""

    kind: ClassVar[str] = "export"

    about: str
    """The run."""

    def title(self) -> str:
        return f"Model folder of run {self.about[:6]}"

    def inputs(self) -> Inputs:
        return Inputs((load_spec(self.about).cohort.dataset,), (self.about,))

    def effort(self) -> tuple:
        return (self.kind, self.about)

    def stands(self) -> bool:
        return export_path(self.about).exists()

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        from core.predict.folder import export_model

        if self.stands():
            return
        reporter.progress(0, 1, "opening the run")
        place = Path(tempfile.mkdtemp(dir=run_folder(self.about), prefix=".", suffix=".export"))
        try:
            made = export_model(self.about, place / "model", stoppable(reporter, "folds written"))
            write_atomic(export_path(self.about), lambda path: _pack(made, path))
        finally:
            shutil.rmtree(place, ignore_errors=True)


def request_export(run: str) -> None:
    """Have a run's model folder packed in the background, unless that stands or is under way."""
    request(ExportJob(about=run))


def export_state(run: str) -> AnswerState:
    """Whether the file stands, and how far it is."""
    return answer_state(ExportJob(about=run))


def _pack(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.writestr(
                zipfile.ZipInfo(file.name, FIRST_DATE), file.read_bytes(), zipfile.ZIP_DEFLATED
            )
