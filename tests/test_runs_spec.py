"""A run's identity, and what three channels make of a run."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.explain.methods import Recipe
from core.home import run_folder
from core.records import Registry
from core.runs.execute import execute
from core.runs.explain import explain_run, load_attribution
from core.runs.preflight import preflight
from core.runs.spec import RunSpec, setting_title
from core.training.augmentations import AUGMENTATIONS
from tests.test_training_results import Silent


def test_a_run_from_before_a_field_is_still_the_same_run() -> None:
    spec = RunSpec(cohort=Cohort(dataset="0" * 64, label="x"))
    document = spec.model_dump(mode="json")
    before = {**document, "layout": {**document["layout"]}, "network": {**document["network"]}}
    del before["layout"]["reference"], before["network"]["channels"]
    before |= before.pop("cohort")
    del before["batch"]
    canonical = json.dumps(before, sort_keys=True, separators=(",", ":"))
    assert spec.id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
    assert RunSpec.parse(before).id == RunSpec.parse(document).id == spec.id
    with_file = RunSpec.parse({**document, "layout": {"reference": "1" * 64}})
    with_channels = RunSpec.parse({**document, "network": {"channels": "value_z_rank"}})
    assert len({spec.id, with_file.id, with_channels.id}) == 3
    assert RunSpec.from_yaml(with_channels.to_yaml()).id == with_channels.id


def test_a_column_that_decides_no_number_makes_no_other_run() -> None:
    spec, with_batch = (
        RunSpec(cohort=Cohort(dataset="0" * 64, label="x", batch=batch)) for batch in (None, "site")
    )
    assert spec.id == with_batch.id
    assert spec.settings == with_batch.settings
    assert RunSpec.from_yaml(with_batch.to_yaml()) == with_batch


def test_a_run_without_a_class_or_with_one_said_twice_is_refused() -> None:
    with pytest.raises(InputError, match="label is missing"):
        RunSpec.parse({"cohort": {"dataset": "0" * 64}})
    with pytest.raises(InputError, match="label: Extra inputs"):
        RunSpec.parse({"label": "x", "cohort": {"label": "y"}})


def test_each_setting_has_a_title_of_its_own() -> None:
    names = RunSpec(cohort=Cohort(label="x")).settings
    titles = [setting_title(name) for name in names]
    assert None not in titles
    assert len(set(titles)) == len(names)
    assert setting_title("cohort.label") == "Class"
    assert setting_title("seed") == "Seed"


def test_another_strength_of_an_augmentation_is_another_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec, other = (
        RunSpec.parse(
            {"cohort": {"dataset": "0" * 64, "label": "x"}, "training": {"augmentation": name}}
        )
        for name in ("noise", "mixup")
    )
    before = spec.id, other.id
    stronger = Registry(
        "augmentation",
        [
            replace(record, version=2) if record.name == "noise" else record
            for record in AUGMENTATIONS
        ],
    )
    monkeypatch.setattr("core.runs.spec.AUGMENTATIONS", stronger)
    assert spec.id != before[0]
    assert other.id == before[1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"training": {"augmentation": "thinning"}, "preparation": {"scale": "linear"}},
         "the values are linear"),
        ({"training": {"augmentation": "repeat_noise"}}, "no patient column is chosen"),
        ({"training": {"augmentation": "repeat_noise"}, "cohort": {"group": "patient"}},
         "found [5-9]"),
    ],
    ids=str,
)  # fmt: skip
def test_an_augmentation_without_what_it_needs_is_refused_before_the_run(
    fields: dict, words: str
) -> None:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    cohort = {"dataset": dataset, "label": "tumour_type", **fields.get("cohort", {})}
    with pytest.raises(InputError, match=words):
        preflight(RunSpec.parse({**fields, "cohort": cohort}))


def test_a_network_is_trained_and_explained_on_value_z_and_rank(home: Path) -> None:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    runs = {}
    for channels in ("value", "value_z_rank"):
        spec = RunSpec.parse(
            {
                "cohort": {"dataset": dataset, "label": "tumour_type"},
                "preparation": {"genes": 60, "scaling": "minmax"},
                "network": {"image_size": 32, "channels": channels},
                "training": {"epochs": 6, "precision": "float32"},
            }
        )
        runs[channels] = spec, execute(spec, run_folder(spec.id), Silent())
    assert runs["value"][1].metrics != runs["value_z_rank"][1].metrics
    spec, result = runs["value_z_rank"]
    assert result.metrics["accuracy"] > 1 / len(result.classes)
    explain_run(spec.id, Recipe("integrated_gradients"), lambda *_: None)
    found = load_attribution(spec.id, Recipe("integrated_gradients"))
    assert np.isfinite(found.scores).all()
    assert found.scores.any()
