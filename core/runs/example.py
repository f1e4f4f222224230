"""The real example: tumours that come with the program, with a finished run and a story of them."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from anndata import AnnData

from core.data.read import read_dataset
from core.data.store import DatasetRecord, add_dataset
from core.files import write_folder
from core.home import home
from core.processes import ROOT
from core.runs.doctor import list_again
from core.runs.store import unlisted_runs

ASSETS = ROOT / "assets"
READY = ASSETS / "tumours_ready.zip"
"""What `assets/make_ready.py` made of them: `runs/<id>` and `stories/<id>`, as in a home."""
NAME = "TCGA: tumours of eleven types"


def add_example() -> DatasetRecord:
    """Keep the example's tumours, and the run and the story of them unless they are here."""
    record = add_dataset(read_tumours(), NAME)
    add_ready(READY)
    return record


def read_tumours() -> AnnData:
    """The example's tumours, read as anybody's file is."""
    return read_dataset(ASSETS / "tumours.parquet", ASSETS / "tumours.csv")


def add_ready(path: Path) -> None:
    """Keep the runs and stories of a file that came with the program; those here stay as they are.

    Such a file is trusted as the program is; what strangers send comes by `core.bundle`.
    """
    with zipfile.ZipFile(path) as packed:
        names = [PurePosixPath(name) for name in packed.namelist()]
        for folder in sorted({name.parents[-3] for name in names}):
            place = home() / folder
            if not place.exists():
                own = [name for name in names if folder in name.parents]
                write_folder(place, lambda new, own=own: _unpack(packed, own, new))
    for run in unlisted_runs():
        if any(run in name.parts for name in names):
            list_again(run)


def _unpack(packed: zipfile.ZipFile, names: list[PurePosixPath], place: Path) -> None:
    for name in names:
        target = place.joinpath(*name.parts[2:])
        target.parent.mkdir(parents=True, exist_ok=True)
        with packed.open(str(name)) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)
