"""Bundles: stories, models of runs with their notes, datasets with their groups, as one zip file.

A stranger may have written it. So its names, sizes and hashes are checked before anything is read;
datasets are read as any file is, and must have the content that their ids are the hash of; models
go through the door of model folders, and a run comes as such a model: what a run's own folder holds
beside it could not be checked. Nothing is unpickled, and nothing that is here is overwritten.
"""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from anndata import AnnData
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import __version__
from core.data.choices import CHOICES, Choices, load_choices, save_choices
from core.data.cohort import nest_cohort
from core.data.formats.asking import read_any
from core.data.formats.unpack import copy_limited, most_unpacked
from core.data.groups import GROUPS, Groups, list_groups, save_groups
from core.data.matrix import Matrix
from core.data.store import add_dataset, check_dataset_file, content_hash, get_record
from core.download import hash_file
from core.errors import InputError
from core.files import UNREADABLE, read_json, unzipping, write_atomic, write_json
from core.home import DATASET_ID, RUN_ID, dataset_folder
from core.predict.exporting import export_path
from core.predict.folder import export_model
from core.predict.sent import Label, import_model, label_sent
from core.runs.result import load_spec
from core.runs.store import RunStore
from core.scratch import scratch
from core.stories import list_files, take_story

DOCUMENT, MATRIX = "bundle.json", "data.h5ad"
BESIDE = (CHOICES, GROUPS)
"""What goes along with a matrix, where it is there."""
MOST_FILES = 5000
MOST_TOGETHER = 20_000_000_000
_ID, _DATASET = RUN_ID.pattern, DATASET_ID.pattern
NAMES = re.compile(
    rf"stories/{_ID}/(story|{_ID})\.json|models/{_ID}/[A-Za-z0-9]+(-\d+)?\.[a-z]+"
    rf"|datasets/{_DATASET}/({'|'.join(map(re.escape, (MATRIX, *BESIDE)))})"
)
"""Files that a bundle can have, beside its document."""


class Reference(BaseModel):
    """A dataset that something in the bundle is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=300)
    scale: Literal["counts", "linear", "log2"]
    samples: int = Field(ge=1)
    included: bool


class Document(BaseModel):
    """bundle.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["genecanvas bundle"] = "genecanvas bundle"
    version: Literal[1] = 1
    written_by: str
    datasets: dict[str, Reference]
    """Id, the SHA-256 of the content -> what it is, also of datasets that aren't in the bundle."""
    labels: dict[str, Label] = {}
    """Id of a run -> what people call it."""
    files: dict[str, str]
    """Every other file -> its SHA-256."""


class Imported(NamedTuple):
    """What came of a bundle."""

    stories: list[str]
    models: list[str]
    datasets: list[str]
    missing: dict[str, str]
    """Id -> name of datasets that the runs are of, and that are neither in the bundle nor here."""


def export_bundle(
    path: Path,
    *,
    stories: Sequence[str] = (),
    runs: Sequence[str] = (),
    datasets: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write a bundle, atomically; returns its absolute path.

    Args:
        path: the zip file, which is written anew.
        stories: their ids.
        runs: ids of finished runs; they go along as model folders, without a sample's expression.
        datasets: ids of those that go along with all their values.
        progress: told what is written.

    Raises:
        InputError: nothing is named, or something that is named isn't there or is damaged.
    """
    if not (stories or runs or datasets):
        raise InputError("A bundle needs something to hold: name a story, a run or a dataset.")
    path = path.expanduser().absolute()
    with scratch() as place:
        for story in stories:
            progress(f"story {story}")
            for file in list_files(story):
                _copy(file, place / "stories" / story / file.name)
        for run in runs:
            progress(f"run {run}")
            _take_model(run, place / "models" / run)
        for dataset in datasets:
            progress(f"dataset {dataset[:12]}")
            check_dataset_file(dataset)
            for name in (MATRIX, *BESIDE):
                if (file := dataset_folder(dataset) / name).exists():
                    _copy(file, place / "datasets" / dataset / name)
        files = sorted(file for file in place.rglob("*") if file.is_file())
        document = Document(
            written_by=__version__,
            datasets=_refer(runs, datasets),
            labels=_label(runs),
            files={file.relative_to(place).as_posix(): hash_file(file, "sha256") for file in files},
        )
        write_json(place / DOCUMENT, document.model_dump(mode="json"))

        def pack(temporary: Path) -> None:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packed:
                for file in (place / DOCUMENT, *files):
                    packed.write(file, file.relative_to(place).as_posix())

        write_atomic(path, pack)
    return path


def import_bundle(path: Path) -> Imported:
    """Check a bundle, and keep what is in it; what is here already stays as it is.

    Raises:
        InputError: in one sentence, what is wrong with it and where. Parts that came before the one
            that is wrong, each checked, are kept.
    """
    path = Path(path).expanduser().absolute()
    with scratch() as place:
        _unpack(path, place)
        document = _read_document(place, path.name)
        datasets = [id for id, reference in document.datasets.items() if reference.included]
        for dataset in datasets:
            _keep_dataset(place / "datasets" / dataset, document.datasets[dataset])
        models = []
        for folder in sorted((place / "models").glob("*")):
            models.append(import_model(folder))
            if folder.name in document.labels:
                label_sent(models[-1], document.labels[folder.name])
        stories = [take_story(folder).id for folder in sorted((place / "stories").glob("*"))]
    missing = {
        id: reference.name
        for id, reference in document.datasets.items()
        if not reference.included and not dataset_folder(id).exists()
    }
    return Imported(stories, models, datasets, missing)


def _copy(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(file, place)
    except FileNotFoundError:
        raise InputError(f"{file} is missing. Remove its view from the story.") from None


def _take_model(run: str, folder: Path) -> None:
    """A run's model folder, as it was packed for sending where it was."""
    folder.parent.mkdir(exist_ok=True)
    if export_path(run).exists():
        shutil.unpack_archive(export_path(run), folder)
    else:
        export_model(run, folder, lambda done, total: None)


def _refer(runs: Sequence[str], datasets: Sequence[str]) -> dict[str, Reference]:
    """The datasets that go along, and those that runs are of as far as they are here."""
    found = {}
    for dataset in [*datasets, *(load_spec(run).cohort.dataset for run in runs)]:
        with suppress(InputError):
            record = get_record(dataset)
            found[dataset] = Reference(
                name=record.name, scale=record.scale, samples=record.samples,
                included=dataset in datasets,
            )  # fmt: skip
    return found


def _label(runs: Sequence[str]) -> dict[str, Label]:
    """What runs are called, of those that the list of runs knows."""
    found = {}
    for run in runs:
        with suppress(InputError):
            record = RunStore().get(run)
            found[run] = Label(
                name=record.name, note=record.note, tags=record.tags, starred=record.starred
            )
    return found


def _unpack(path: Path, place: Path) -> None:
    """Write a bundle's files to a folder, of the names that a bundle can have and no others."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise InputError(f"{path.name} is no zip file. Expected a bundle that GeneCanvas wrote.")
    left = min(most_unpacked(path.stat().st_size), MOST_TOGETHER)
    refuse = lambda why: InputError(f"{path.name} {why}.")  # noqa: E731
    with unzipping(refuse), zipfile.ZipFile(path) as packed:
        if len(packed.infolist()) > MOST_FILES:
            raise InputError(f"{path.name} holds more than {MOST_FILES:,} files.")
        for info in packed.infolist():
            name = info.filename
            shown = f"{path.name}: {name[:100]!r}"
            if name != DOCUMENT and not NAMES.fullmatch(name):
                raise InputError(f"{shown} is no file of a bundle.")
            if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
                raise InputError(f"{shown} is a link, not a file.")
            if (place / name).exists():
                raise InputError(f"{shown} stands there twice.")
            if info.file_size > left:
                raise InputError(f"{shown} unpacks to more than a file of this size may.")
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            with packed.open(info) as stream:
                copy_limited(stream, place / name, name, left)
            left -= (place / name).stat().st_size


def _read_document(place: Path, name: str) -> Document:
    """bundle.json, once all that it names is there, and is what it says."""
    try:
        document = Document.model_validate(read_json(place / DOCUMENT))
    except (*UNREADABLE, ValidationError):
        raise InputError(
            f"{name}: {DOCUMENT} is missing or damaged. Ask for the bundle again."
        ) from None
    files = {file.relative_to(place).as_posix() for file in place.rglob("*") if file.is_file()}
    if odd := sorted((files - {DOCUMENT}) ^ set(document.files)):
        raise InputError(f"{name}: {odd[0]!r:.120} is missing, or isn't named in {DOCUMENT}.")
    for file, expected in document.files.items():
        if hash_file(place / file, "sha256") != expected:
            raise InputError(f"{name}: {file} isn't what {DOCUMENT} says. Ask for it again.")
    for dataset, reference in document.datasets.items():
        there = f"datasets/{dataset}/{MATRIX}" in files
        if not DATASET_ID.fullmatch(dataset) or reference.included != there:
            raise InputError(f"{name}: the dataset {dataset[:64]!r} isn't there as it is said.")
    return document


def _keep_dataset(folder: Path, reference: Reference) -> None:
    """Keep a dataset if its content is that of its id, and what was decided about it if nothing is
    decided here."""
    read = read_any(folder / MATRIX)
    name = reference.name
    if not isinstance(read, Matrix):
        raise InputError(f"The dataset {name!r} is no h5ad file.")
    data = AnnData(
        read.x, obs=pd.DataFrame(read.obs).set_axis(read.samples.astype(str)),
        var=pd.DataFrame(index=read.genes.astype(str)),
        uns={"scale": reference.scale, "source": "a bundle"},
    )  # fmt: skip
    if content_hash(data) != folder.name:
        raise InputError(
            f"The dataset {name!r} isn't the one that its id {folder.name[:12]} stands for. Ask "
            "for the bundle again."
        )
    add_dataset(data, name)
    for file, there, keep in (
        (CHOICES, load_choices(folder.name), _keep_choices),
        (GROUPS, list_groups(folder.name), _keep_groups),
    ):
        if (folder / file).exists() and not there:
            try:
                keep(folder.name, read_json(folder / file))
            except (*UNREADABLE, ValidationError):
                raise InputError(
                    f"What was decided about {name!r} ({file}) is damaged. Ask for the bundle "
                    "again."
                ) from None


def _keep_choices(dataset: str, document: Any) -> None:
    choices = Choices.model_validate(nest_cohort(document))
    save_choices(dataset, choices.changed(dataset=dataset))


def _keep_groups(dataset: str, document: Any) -> None:
    save_groups(dataset, Groups.model_validate(document).groups)
