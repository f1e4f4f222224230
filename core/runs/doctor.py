"""What is damaged or left over in the home, and mending what can be made again.

Mending never deletes what nothing else can give back: a damaged file is set aside under another
name, and only what is computed from other files is removed.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from core.data.choices import CHOICES, load_choices
from core.data.groups import GROUPS, list_groups
from core.data.quota import BROUGHT
from core.data.store import check_dataset_file, damaged_datasets, list_datasets, mend_record
from core.download import hash_file
from core.errors import DamageError, InputError, StoreError
from core.files import UNREADABLE, read_json
from core.home import RUN_ID, dataset_folder, home, need_right_to_change, run_folder
from core.images.references import REFERENCE_ID
from core.jobs.job import Lane
from core.jobs.record import JobState
from core.runs.estimate import drop_stale
from core.runs.fitted import load_fitted
from core.runs.result import (
    kept_by,
    kept_sent,
    load_predictions,
    load_result,
    load_spec,
    result_path,
)
from core.runs.store import RunRecord, RunStore, unlisted_runs
from core.runs.training import TrainJob, drop_checkpoints
from core.scratch import clean_scratch
from core.words import DAY

COMPUTED = ("measures/*.npy", "baselines/*.npy", "baselines/*.csv", "baselines/*.json",
            "attributions/*.npz", "attributions/*.csv", "attributions/*.json")  # fmt: skip
"""Files of a run that are computed again when they are gone."""
FOLD_FILES = ("predictions.csv", "preprocessor.npz", "layout.npz", "model.safetensors")


class Finding(NamedTuple):
    """Something that is damaged."""

    thing: str
    problem: str
    remedy: str
    """What was done, or what can be."""
    mended: bool


def examine(repair: bool, say: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Look at all that is kept: hashes of datasets, and whether each run's files are whole.

    Args:
        repair: also mend what can be made again; else nothing is changed.
        say: told what is looked at.
    """
    found = []
    for what, look in (
        ("the list of runs", _examine_list),
        ("datasets", _examine_datasets),
        ("runs", _examine_runs),
        ("models that were sent", _examine_sent),
        ("reference files", _examine_references),
    ):
        say(f"looking at {what}")
        found += look(repair)
    if repair:
        tidy()
    return found


def tidy() -> None:
    """Remove what killed processes left behind; where nothing may be written, do nothing."""
    place = home()
    if not os.access(place, os.W_OK):
        return
    clean_scratch()
    clean_scratch(place / "datasets")
    clean_scratch(place / "models")
    clean_scratch(place / BROUGHT)
    for path in place.rglob(".*"):
        # half of a file that was being written; files in use are minutes old at most
        if path.is_file() and path.suffix != ".lease" and path.parent != place / "tmp":
            with suppress(OSError):
                if abs(time.time() - path.stat().st_mtime) > DAY:
                    path.unlink()
    drop_stale()
    for folder in place.glob("runs/*"):
        drop_checkpoints(folder)
    if RunStore.exists():
        with suppress(StoreError):
            RunStore().clean()


def list_again(run: str) -> JobState:
    """Put a run that the list has lost back, as its folder has it; returns its state.

    Raises InputError when its specification is damaged.
    """
    spec, folder = load_spec(run), run_folder(run)
    written = datetime.fromtimestamp((folder / "spec.json").stat().st_mtime, UTC)
    try:
        listing = read_json(folder / "listing.json")
        name, parent, study = listing["name"], listing["parent"], listing["study"]
        created = datetime.fromisoformat(listing["created"])
        said = {key: listing[key] for key in ("note", "tags", "starred") if key in listing}
    except UNREADABLE:
        name, parent, study, created, said = spec.title(), None, None, written, {}
    state, reason, finished = JobState.DONE, None, written
    if result_path(run).exists():
        finished = datetime.fromtimestamp(result_path(run).stat().st_mtime, UTC)
    else:
        state = JobState.FAILED
        reason = "The list of runs was lost before this one had ended. It can be resumed."
    store = RunStore()
    store.adopt(
        RunRecord(
            id=run, kind="train", lane=Lane.QUEUE, place=0, name=name, job=TrainJob(spec=spec),
            state=state, reason=reason, created=created, started=None, finished=finished, done=1,
            total=1, message="", parent=parent, study=study, device=None, slot=0,
            **said,
        )
    )  # fmt: skip
    if state == JobState.DONE:
        with suppress(InputError):
            for number in range(len(load_result(run).folds)):
                for row in load_fitted(run, number).history:
                    store.add_epoch(run, number, row)
    return state


def damage_of(run: str) -> str | None:
    """What is wrong with the files of a run that is done; None when they are whole."""
    try:
        load_spec(run)
        result = load_result(run)
        load_predictions(run)
        for number in range(len(result.folds)):
            load_fitted(run, number)
            for name in FOLD_FILES:
                kept_by(run).check(f"folds/{number}/{name}")
        return kept_by(run).problem
    except InputError as error:
        return str(error)
    return None


def damaged_decisions(dataset: str) -> dict[str, str]:
    """What was decided about a dataset and can't be read: file -> what is wrong."""
    found = {}
    for name, read in ((CHOICES, load_choices), (GROUPS, list_groups)):
        try:
            read(dataset)
        except DamageError as error:
            found[name] = str(error)
    return found


def set_aside_decisions(dataset: str) -> None:
    """Set damaged files of what was decided about a dataset aside, so that it is decided anew."""
    need_right_to_change()
    for name in damaged_decisions(dataset):
        _set_aside(dataset_folder(dataset) / name)


def reopen(run: str) -> str:
    """Set the damaged files of a run that is done aside, so that resuming makes them again.

    Folds that are whole are kept, and the others are trained anew, to the same numbers on the same
    kind of machine. Returns what will be done.
    """
    need_right_to_change()
    again = []
    folder = run_folder(run)
    for place in sorted(folder.glob("folds/*")):
        if not _is_whole(run, int(place.name)):
            again.append(str(int(place.name) + 1))
            _set_aside(place / "fold.json")
    for name in ("result.json", "predictions.csv"):
        _set_aside(folder / name)
    said = f"trains fold {', '.join(again)} again" if again else "needs no training"
    RunStore().reopen(run, f"Files of this run were damaged. Resuming makes them again; it {said}.")
    return f"resume the run to have it made again, which {said}"


def _is_whole(run: str, number: int) -> bool:
    try:
        load_fitted(run, number)
        for name in FOLD_FILES:
            kept_by(run).check(f"folds/{number}/{name}")
        pd.read_csv(run_folder(run) / f"folds/{number}/predictions.csv")
    except (InputError, *UNREADABLE):
        return False
    return True


def _set_aside(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.rename(path.with_name(f"{path.name}.damaged"))


def _examine_list(repair: bool) -> Iterator[Finding]:
    """The list itself, and runs that it has lost or can't understand."""
    try:
        damaged = RunStore().damaged() if RunStore.exists() else []
    except InputError as error:
        if not repair:
            yield Finding("The list of runs", str(error), "--repair makes it from the folders",
                          mended=False)  # fmt: skip
            return
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        for path in home().glob("runs.sqlite*"):
            path.rename(path.with_name(f"damaged-{stamp}-{path.name}"))
        yield Finding("The list of runs", str(error), "set aside and made from the folders",
                      mended=True)  # fmt: skip
        damaged = []
    for run in damaged:
        try:
            spec = load_spec(run.id)
        except InputError:
            remedy = f"delete it: `runs delete {run.id}`"
            yield Finding(f"Run {run.id}", run.why, remedy, mended=False)
            continue
        if repair:
            RunStore().respecify(run.id, TrainJob(spec=spec))
        remedy = "taken from its folder" if repair else "--repair takes it from its folder"
        yield Finding(f"Run {run.id}", run.why, remedy, mended=repair)
    for run in unlisted_runs():
        try:
            state = list_again(run) if repair else ""
        except InputError as error:
            yield Finding(f"Run {run}", str(error), f"remove its folder {run_folder(run)}",
                          mended=False)  # fmt: skip
            continue
        remedy = f"listed again as {state}" if repair else "--repair lists it again"
        yield Finding(f"Run {run}", "has a folder, but isn't listed", remedy, mended=repair)


def _examine_datasets(repair: bool) -> Iterator[Finding]:
    for damaged in damaged_datasets():
        thing, remedy = f"Dataset {damaged.id[:12]}…", "--repair makes it again from the matrix"
        mended = False
        if repair:
            try:
                mended, remedy = True, f"made again, named {mend_record(damaged.id).name!r}"
            except InputError as error:
                mended, remedy = False, str(error)
        yield Finding(thing, damaged.why, remedy, mended)
    for record in list_datasets():
        try:
            check_dataset_file(record.id)
        except InputError as error:
            yield Finding(f"Dataset {record.name!r}", str(error),
                          "delete it on the page Data and add its file again",
                          mended=False)  # fmt: skip
        damaged = damaged_decisions(record.id)
        if repair:
            set_aside_decisions(record.id)
        for why in damaged.values():
            remedy = "set aside" if repair else "--repair sets it aside"
            yield Finding(f"Dataset {record.name!r}", why, remedy, mended=repair)


def _examine_runs(repair: bool) -> Iterator[Finding]:
    try:
        records = RunStore().list() if RunStore.exists() else []
    except StoreError:
        return  # that is a finding of its own
    for record in records:
        thing = f"Run {record.id}"
        damage = damage_of(record.id) if record.state == JobState.DONE else None
        if damage is not None:
            remedy = reopen(record.id) if repair else "--repair lets it be resumed"
            yield Finding(thing, damage, remedy, mended=repair)
        for path in damaged_computed(record.id):
            if repair:
                path.unlink()
            remedy = "removed" if repair else "--repair removes it"
            yield Finding(thing, f"{path.relative_to(run_folder(record.id))} is damaged",
                          f"{remedy}: it is computed again when it is asked for",
                          mended=repair)  # fmt: skip


def _examine_sent(repair: bool) -> Iterator[Finding]:
    for folder in sorted(home().glob("models/*")):
        if RUN_ID.fullmatch(folder.name) and (problem := kept_sent(folder.name).problem):
            yield Finding(f"Model {folder.name}", problem, "import its folder again, or delete it: "
                          f"`genecanvas models delete {folder.name}`", mended=False)  # fmt: skip


def damaged_computed(run: str) -> list[Path]:
    """Files that were computed of a run, and would be again, and can't be read."""
    found = []
    for pattern in COMPUTED:
        for path in run_folder(run).glob(pattern):
            try:
                if path.suffix == ".json":
                    read_json(path)
                elif path.suffix == ".csv":
                    pd.read_csv(path)
                elif path.suffix == ".npz":
                    with np.load(path, allow_pickle=False) as file:
                        for name in file.files:
                            file[name]
                else:
                    np.load(path, allow_pickle=False)
            except UNREADABLE:
                found.append(path)
    return found


def drop_computed(run: str) -> None:
    """Remove those files."""
    need_right_to_change()
    for path in damaged_computed(run):
        path.unlink()


def _examine_references(repair: bool) -> Iterator[Finding]:
    for path in sorted(home().glob("references/*")):
        if REFERENCE_ID.fullmatch(path.name) and hash_file(path, "sha256") != path.name:
            yield Finding(f"Reference file {path.name[:12]}…", f"{path} is not what was added",
                          "delete it and add the file again", mended=False)  # fmt: skip
