"""Where everything is kept: in one folder, GENECANVAS_HOME or the platform's user data folder."""

import os
import re
from pathlib import Path

import platformdirs

from core.errors import InputError

RUN_ID = re.compile(r"[0-9a-f]{16}")
DATASET_ID = re.compile(r"[0-9a-f]{64}")


def home() -> Path:
    """The folder of this installation's datasets, runs and weights, made if it is missing."""
    chosen = os.environ.get("GENECANVAS_HOME")
    folder = Path(chosen) if chosen else Path(platformdirs.user_data_path("genecanvas"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def dataset_folder(dataset: str) -> Path:
    """The folder of a stored dataset; raises InputError unless `dataset` is a SHA-256 in hex."""
    if not DATASET_ID.fullmatch(dataset):
        raise InputError(f"Expected a dataset id of 64 hexadecimal digits, got {dataset!r}.")
    return home() / "datasets" / dataset


def run_folder(run: str) -> Path:
    """The folder of a run; raises InputError unless `run` is a run id."""
    if not RUN_ID.fullmatch(run):
        raise InputError(f"Expected a run id of 16 hexadecimal digits, got {run!r}.")
    return home() / "runs" / run


def sent_folder(model: str) -> Path:
    """The folder of a model that somebody sent; raises InputError unless `model` is an id."""
    return home() / "models" / run_folder(model).name


def story_folder(story: str) -> Path:
    """The folder of a story; raises InputError unless `story` is an id."""
    if not RUN_ID.fullmatch(story):
        raise InputError(f"Expected a story's id of 16 hexadecimal digits, got {story!r}.")
    return home() / "stories" / story


def download_folder(name: str) -> Path:
    """The folder of a public dataset's files as they were downloaded; users may put files there."""
    return home() / "downloads" / name


def weights_folder() -> Path:
    """The folder where downloaded network weights are cached, and where a user may put files."""
    folder = home() / "weights"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
