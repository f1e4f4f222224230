"""A run's identity, and what three channels make of a run."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import InputError
from core.explain.methods import Recipe
from core.home import run_folder
from core.images.layouts import LAYOUTS
from core.images.placement import TSNE
from core.models.baselines import BASELINES
from core.records import Registry
from core.runs.execute import execute
from core.runs.explain import load_attribution
from core.runs.explaining import explain_run
from core.runs.preflight import preflight, store_data
from core.runs.spec import BEFORE, RunSpec, setting_title
from core.runs.store import RunStore
from core.training.augmentations import AUGMENTATIONS
from core.training.splits import SPLITS
from tests.test_training_results import Silent

QUESTION = {"cohort": {"dataset": "0" * 64, "label": "x"}}


def forget(document: dict) -> None:
    """Take out of a specification what came after version 0.1.0."""
    for part, fields in BEFORE.items():
        for name in fields:
            del (document[part] if part else document)[name]


@pytest.fixture
def first_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every baseline model as it was at first, when the ids of a test were given."""
    for name in BASELINES.names:
        monkeypatch.setitem(BASELINES._records, name, replace(BASELINES[name], version=1))


@pytest.mark.usefixtures("first_versions")
def test_a_field_that_is_added_makes_no_other_run_of_the_same_question() -> None:
    """What was done before is what the field asks for where it isn't said."""
    before = RunSpec.parse(QUESTION).model_dump(mode="json")
    same = {part: dict(fields) for part, fields in BEFORE.items() if part} | BEFORE[""]
    forget(before)
    restored = RunSpec.restore(before)
    assert restored == RunSpec.parse({**QUESTION, **same})
    content = restored.model_dump(mode="json", exclude={"cohort": {"batch"}})
    forget(content)
    canonical = json.dumps({"kind": "train", **content}, sort_keys=True, separators=(",", ":"))
    assert restored.id == hashlib.sha256(canonical.encode()).hexdigest()[:16]
    others = [
        {"layout": {"reference": "1" * 64}},
        {"network": {"channels": "value_z_rank"}},
        {"task": "regression"},
    ]
    ids = {RunSpec.parse({**QUESTION, **same, **other}).id for other in others}
    assert len({restored.id, *ids}) == 4


@pytest.mark.usefixtures("first_versions")
def test_networks_that_see_their_whole_image_keep_their_runs() -> None:
    """Ids of before there was a choice, which are those of `cut` where it says something."""
    ids = {
        ("vgg16", 32): "785422b4d2c9a7e4",
        ("resnet50", 224): "d4b9febf6a4a2986",
        ("squeezenet1_1", 33): "92315edcb621a38a",
        ("squeezenet1_1", 32): "a22f5373f75547ec",
    }
    for (name, size), known in ids.items():
        network = {"backbone": name, "image_size": size}
        cut, padded = (
            RunSpec.parse({**QUESTION, "network": {**network, "edge": edge}})
            for edge in ("cut", "padded")
        )
        asked = RunSpec.parse({**QUESTION, "network": network})
        assert (cut.id, asked) == (known, padded)
        if cut.network.may_cut:
            assert padded.id != known
        else:
            assert cut == padded


def test_a_network_of_whole_images_differs_in_no_setting_but_its_own() -> None:
    """A comparison of SqueezeNet with VGG names the networks and says nothing of the edge."""
    one, other = (
        RunSpec.parse({**QUESTION, "network": {"backbone": name}}).settings
        for name in ("squeezenet1_1", "vgg16")
    )
    assert [name for name in one if one[name] != other[name]] == ["network.backbone"]


def test_a_column_that_decides_no_number_makes_no_other_run() -> None:
    spec, with_batch = (
        RunSpec(cohort=Cohort(dataset="0" * 64, label="x", batch=batch)) for batch in (None, "site")
    )
    assert spec.id == with_batch.id
    assert spec.settings == with_batch.settings
    assert spec.key_without("seed") == with_batch.key_without("seed")
    assert RunSpec.from_yaml(with_batch.to_yaml()) == with_batch


@pytest.mark.parametrize(
    ("part", "odd", "used"),
    [
        ("layout", {"perplexity": 50}, {"name": "tsne", "perplexity": 50}),
        ("split", {"folds": 7, "batch": "site"}, {"kind": "kfold", "folds": 7}),
    ],
)
def test_what_a_layout_or_a_split_does_not_read_makes_no_other_run(
    part: str, odd: dict, used: dict
) -> None:
    cohort = {"label": "tumour_type"}
    plain, asked = (RunSpec.parse({"cohort": cohort, part: fields}) for fields in ({}, odd))
    assert asked == plain
    assert asked.id == plain.id
    assert not {f"{part}.{name}" for name in odd} & plain.settings.keys()
    read = RunSpec.parse({"cohort": cohort, part: used})
    without = {name: value for name, value in used.items() if name in ("name", "kind")}
    assert read.id != RunSpec.parse({"cohort": cohort, part: without}).id


def test_more_genes_than_a_dataset_has_are_all_of_them(home: Path) -> None:
    data = simulate(90, 200, seed=1)[0]
    dataset = add_dataset(data, "tiny").id
    asked = {"cohort": {"dataset": dataset, "label": "tumour_type"}}
    runs = [
        RunStore().submit(RunSpec.parse({**asked, "preparation": {"genes": genes}}))[0]
        for genes in (1024, 200, 199)
    ]
    assert [run.spec.preparation.genes for run in runs] == [200, 200, 199]
    assert runs[0].id == runs[1].id != runs[2].id
    more = RunSpec.parse({**asked, "preparation": {"genes": 1024}})
    assert store_data(more, data, "tiny").id == runs[0].id


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


@pytest.mark.parametrize(
    ("registry", "record", "resting", "others"),
    [
        (LAYOUTS, "random", [{"layout": {"name": "random"}}], [{}]),
        (SPLITS, "kfold", [{"split": {"kind": "kfold"}}], [{}]),
        (AUGMENTATIONS, "noise", [{"training": {"augmentation": "noise"}}], [{}]),
        (BASELINES, "logistic_regression", [{}, {"seed": 1}], []),
        (BASELINES, "linear_svm", [], [{}]),  # computed when a comparison asks for it
    ],
)
def test_a_version_raised_makes_other_runs_of_what_rests_on_it_and_no_more(
    registry: Registry,
    record: str,
    resting: list[dict],
    others: list[dict],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ids(parts: list[dict]) -> list[str]:
        return [RunSpec.parse({**QUESTION, **part}).id for part in parts]

    before = ids(resting), ids(others)
    monkeypatch.setitem(registry._records, record, replace(registry[record], version=2))
    assert not set(ids(resting)) & set(before[0])
    assert ids(others) == before[1]


def test_an_embedding_that_changed_makes_other_runs_of_all_its_layouts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ids() -> list[str]:
        names = ("tsne", "deepinsight", "umap")
        return [RunSpec.parse({**QUESTION, "layout": {"name": name}}).id for name in names]

    before = ids()
    changed = replace(TSNE, version=2)
    for name in ("tsne", "deepinsight"):
        record = replace(LAYOUTS[name], embedding=changed)
        monkeypatch.setitem(LAYOUTS._records, name, record)
    assert [one == other for one, other in zip(before, ids(), strict=True)] == [False, False, True]


def test_a_preparation_that_gives_other_values_is_another_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = RunSpec.parse(QUESTION).id
    monkeypatch.setattr(PreparationSpec, "version", 2)
    assert RunSpec.parse(QUESTION).id != before


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


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"network": {"weights": "imagenet"}}, "SqueezeNet 1.1 · 70/30 · augmented"),
        ({"preset": "recommended"}, "SqueezeNet 1.1 from scratch · 70/30 · linear head"),
        (
            {"network": {"backbone": "vgg16", "weights": "imagenet"}, "seed": 3,
             "training": {"augmentation": "none"}, "permute_labels": True},
            "VGG16 · 70/30 · not augmented · permuted labels · seed 3",
        ),
        (
            {"network": {"weights": "imagenet"}, "training": {"augmentation": "flip"},
             "layout": {"name": "random"}},
            "SqueezeNet 1.1 · 70/30 · augmented by flips · Random (control)",
        ),
    ],
)  # fmt: skip
def test_a_run_is_named_in_words(fields: dict, title: str) -> None:
    cohort = {"dataset": "0" * 64, "label": "x"}
    assert RunSpec.parse({"cohort": cohort, **fields}).title() == title
