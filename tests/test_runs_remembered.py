"""A what-if in a process that remembers its parent: quicker, and the same bits."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.data.choices import Choices, save_choices
from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import DamageError
from core.files import read_json
from core.home import dataset_folder, run_folder
from core.memory import Memory
from core.runs import remembered
from core.runs.execute import Silent, execute
from core.runs.remembered import recall_baseline, recall_dataset, recall_doubts, recall_source
from core.runs.spec import RunSpec
from core.runs.study import Study, open_study

DOCUMENT = {
    "preparation": {"genes": 60},
    "network": {"image_size": 32, "pool": 2, "freeze": "backbone", "head": "linear"},
    "training": {"augmentation": "none"},
}


@pytest.fixture(scope="module")
def dataset(shared_home: Path) -> str:
    return add_dataset(simulate(120, 200, seed=1)[0], "tiny").id


@pytest.fixture(autouse=True)
def memory(shared_home: Path, dataset: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    """A memory of the test's own, as a new process has it."""
    shutil.copytree(shared_home, home)
    monkeypatch.setattr(remembered, "MEMORY", memory := Memory(most=500e6))
    return memory


def spec_of(dataset: str, **changed: Any) -> RunSpec:
    cohort = {"dataset": dataset, "label": "tumour_type", "group": "patient"}
    document = {"cohort": cohort, **DOCUMENT}
    for name, value in changed.items():
        part = document.get(name)
        document[name] = {**part, **value} if isinstance(part, dict) else value
    return RunSpec.parse(document)


def bits_of(spec: RunSpec) -> dict[str, Any]:
    """Train a run; what stands in its folder then, without how long it took."""
    folder = run_folder(spec.id)
    shutil.rmtree(folder, ignore_errors=True)
    execute(spec, folder, Silent(), torch.device("cpu"))
    fold = read_json(folder / "folds/0/fold.json")
    row = [{**row, "seconds": 0} for row in fold["history"]]
    found: dict[str, Any] = {"fold": {**fold, "history": row, "seconds": 0, "peak_bytes": 0}}
    for name in ("predictions.csv", "findings.json", "folds/0/model.safetensors"):
        found[name] = (folder / name).read_bytes()
    for name in ("preprocessor", "layout"):
        with np.load(folder / f"folds/0/{name}.npz") as arrays:
            found[name] = {key: value.tobytes() for key, value in arrays.items()}
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {"split": {"validation": 0.2}},
        {"layout": {"name": "random"}},
        {"permute_labels": True},
        {"seed": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_remembered_answer_is_that_of_a_fresh_process(
    changed: dict, dataset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = spec_of(dataset), spec_of(dataset, **changed)
    bits_of(parent)
    after_its_parent = bits_of(child)
    monkeypatch.setattr(remembered, "MEMORY", Memory(most=0))
    assert bits_of(child) == after_its_parent


def take(spec: RunSpec, study: Study | None = None) -> dict[str, object]:
    """All that is remembered for a run."""
    data = recall_dataset(spec.cohort.dataset)
    study = study or open_study(spec, data)
    fold = study.folds[0]
    source, rows = recall_source(spec, study, fold)
    return {
        "dataset": data,
        "doubts": next(iter(recall_doubts(spec, data)), None),
        "source": source,
        "baseline": recall_baseline("tuned_linear", spec, study, fold, rows),
    }


def differing(one: dict[str, object], two: dict[str, object]) -> set[str]:
    """What isn't the very same object in both."""
    return {name for name in one if one[name] is not two[name]}


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ({"split": {"validation": 0.2}}, set()),
        ({"network": {"backbone": "vgg16"}}, set()),
        ({"layout": {"name": "random"}}, {"source"}),
        ({"network": {"image_size": 64}}, {"source"}),
        ({"preparation": {"genes": 50}}, {"doubts", "source", "baseline"}),
        ({"seed": 1}, {"source", "baseline"}),
        ({"cohort": {"leave_out": ("S0001",)}}, {"doubts", "source", "baseline"}),
    ],
)
def test_only_what_a_change_decides_is_computed_anew(
    changed: dict, anew: set[str], dataset: str
) -> None:
    before, after = take(spec_of(dataset)), take(spec_of(dataset, **changed))
    assert differing(before, after) == anew


def test_other_labels_are_learned_anew(dataset: str) -> None:
    spec = spec_of(dataset)
    study = open_study(spec)
    study.y[study.folds[0].train[:2]] = study.y[study.folds[0].train[:2]][::-1] + 1
    assert differing(take(spec), take(spec, study)) == {"baseline"}


def test_a_choice_of_the_data_page_is_seen(dataset: str) -> None:
    spec, data = spec_of(dataset), recall_dataset(dataset)
    before = recall_doubts(spec, data)
    assert before[0] is recall_doubts(spec, data)[0]
    save_choices(dataset, Choices(cohort=Cohort(dataset=dataset, batch="batch")))
    assert before[0] is not recall_doubts(spec, data)[0]


def test_what_is_remembered_cannot_be_changed(dataset: str) -> None:
    spec = spec_of(dataset)
    data = recall_dataset(dataset)
    study = open_study(spec, data)
    for array in (data.X, recall_source(spec, study, study.folds[0])[1]):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_a_file_that_was_written_again_is_read_again(dataset: str) -> None:
    path = dataset_folder(dataset) / "data.h5ad"
    first = recall_dataset(dataset)
    assert recall_dataset(dataset) is first
    os.utime(path, ns=(0, 0))
    assert recall_dataset(dataset) is not first
    path.write_bytes(b"torn")
    with pytest.raises(DamageError, match="can't be read"):
        recall_dataset(dataset)
