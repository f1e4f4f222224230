"""What-ifs: the child differs in one thing, says which, and is compared on shared samples."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from sklearn.metrics import confusion_matrix

from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import InputError
from core.files import write_json
from core.home import run_folder
from core.jobs.record import JobState
from core.runs.result import RunResult
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.study import open_study, take_targets
from core.runs.whatif import (
    by_quantiles,
    compare_answers,
    compare_to_parent,
    describe_difference,
    drop_series,
    from_weights,
    half_the_training,
    merged_classes,
    only_genes,
    other_network,
    other_seed,
    permuted_labels,
    read_drop_series,
    say_places,
    shuffled_layout,
    without_genes,
    without_value,
)

CLASSES = ["BRCA", "COAD", "LUAD"]
GENES = [f"G{n}" for n in range(120)]


@pytest.fixture
def parent(home: Path) -> RunSpec:
    dataset = add_dataset(simulate(90, 200, seed=1)[0], "tiny").id
    return RunSpec.parse(
        {"cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"}}
    ).within()


def finish(spec: RunSpec, y: list[str], predicted: list[str], name: str | None = None) -> RunRecord:
    """A finished run that held out the samples s0, s1, …"""
    folder = run_folder(spec.id)
    folder.mkdir(parents=True)
    classes = sorted(set(y))
    pd.DataFrame(
        {"sample": [f"s{n}" for n in range(len(y))], "fold": 0, "true": y, "predicted": predicted,
         "logistic_regression": y, **{f"p_{name}": 1 / len(classes) for name in classes}}
    ).to_csv(folder / "predictions.csv", index=False)  # fmt: skip
    accuracy = float(np.mean([a == b for a, b in zip(y, predicted, strict=True)]))
    result = RunResult(
        run=spec.id, classes=classes, metrics={"accuracy": accuracy}, folds=[{}], scored=[0],
        baselines={"majority": {"accuracy": 0.5}}, n_train=10, n_validation=2, n_test=len(y),
        confusion=confusion_matrix(y, predicted).tolist(), seconds=1.0,
        weights="", parameters=10, device="cpu", precision="float32",
        versions={}, notes=[],
    )  # fmt: skip
    write_json(folder / "result.json", result.model_dump(mode="json"))
    store = RunStore()
    store.submit(spec, name)
    store.claim("cpu")
    store.finish(spec.id, JobState.DONE)
    return store.get(spec.id)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda spec: without_genes(spec, ["G1"]), "without G1"),
        (
            lambda spec: without_genes(spec, [f"G{n}" for n in range(50)]),
            "without 50 genes (G0, …)",
        ),
        (lambda spec: only_genes(spec, ["G1", "G2"]), "only G1, G2"),
        (by_quantiles, "across the genes of a sample: quantile normalisation"),
        (lambda spec: without_value(spec, "tumour_type", "LUAD", CLASSES), None),
        (lambda spec: merged_classes(spec, "BRCA", "LUAD"), "BRCA + LUAD as one class"),
        (half_the_training, "half of the training samples"),
        (permuted_labels, "labels permuted"),
        (shuffled_layout, "layout Random (control)"),
        (lambda spec: from_weights(spec, spec.id), "from this run's weights"),
        (lambda spec: other_seed(spec, 7), "seed 7"),
        (lambda spec: other_network(spec, "vgg16"), "VGG16 instead of SqueezeNet 1.1"),
    ],
)
def test_a_child_differs_in_what_it_says(change, words: str | None, parent: RunSpec) -> None:
    child = change(parent)
    assert child.id != parent.id
    said = describe_difference(parent, child, parent.id)
    if words is None:
        assert "tumour_type only BRCA, COAD" in said
    else:
        assert said == words
    assert describe_difference(child, child, child.id) == ""


def test_what_cannot_be_asked_is_refused(parent: RunSpec) -> None:
    folds = parent.model_copy(update={"split": parent.split.model_copy(update={"kind": "kfold"})})
    with pytest.raises(InputError, match="one hold-out split only"):
        half_the_training(folds)
    with pytest.raises(InputError, match="Choose two classes"):
        merged_classes(parent, "BRCA", "BRCA")
    with pytest.raises(InputError, match="no sample is left"):
        without_value(parent, "batch", "a", ["a"])
    with pytest.raises(InputError, match="at least one gene"):
        without_genes(parent, [])


def test_whether_other_genes_take_the_places_is_said(parent: RunSpec) -> None:
    genes = load_dataset(parent.cohort.dataset).var_names.tolist()
    few = parent.model_copy(
        update={"preparation": parent.preparation.model_copy(update={"genes": len(genes) - 20})}
    )
    assert say_places(without_genes(few, genes[:20])) == "Other genes took the places."
    said = f"not enough others to take the places: the image has {len(genes) - 21} genes"
    assert said in say_places(without_genes(few, genes[:21]))
    assert say_places(only_genes(few, genes[:9])) == ""


def test_half_of_the_training_tests_the_same_samples(parent: RunSpec) -> None:
    whole, [half, all_of_it] = (
        open_study(parent).folds[0],
        open_study(half_the_training(parent)).folds,
    )
    assert np.array_equal(whole.test, half.test)
    assert np.array_equal(whole.test, all_of_it.test)
    assert len(half.fitting) == pytest.approx(len(whole.fitting) / 2, abs=3)


def labels_of(spec: RunSpec, data: AnnData) -> np.ndarray:
    return take_targets(spec, spec.cohort.select(data))[1].labels


def test_merged_and_permuted_labels(parent: RunSpec) -> None:
    data = load_dataset(parent.cohort.dataset)
    labels = data.obs["tumour_type"].to_numpy().astype(str)
    first, second = np.unique(labels)[:2]
    merged = labels_of(merged_classes(parent, first, second), data)
    assert np.array_equal(merged == f"{first} + {second}", np.isin(labels, [first, second]))
    twice = merged_classes(merged_classes(parent, first, second), f"{first} + {second}", labels[-1])
    assert f"{first} + {second}" not in labels_of(twice, data)
    permuted = labels_of(permuted_labels(parent), data)
    assert sorted(permuted) == sorted(labels)
    assert (permuted == labels).mean() < 0.6


def test_the_effect_is_counted_on_shared_samples(parent: RunSpec) -> None:
    y = list("AAAABBBB")
    before = finish(parent, y, list("AAAABBAA"))
    after = finish(other_seed(parent, 1), y[:6], list("BBAABB"))
    effect = compare_to_parent(before, after)
    assert effect.shared == 6
    assert effect.lost == ["s0", "s1"]
    assert effect.gained == []
    assert effect.p == 0.5  # two of two discordant pairs on one side: 2 x .5^2
    assert effect.recall == {"A": (1.0, 0.5, 4), "B": (1.0, 1.0, 2)}
    assert "2 lost, 0 gained, which can be luck (not significant at 5 %;" in effect.sentence()


def test_merged_classes_count_as_one_for_both(parent: RunSpec) -> None:
    before = finish(parent, list("ABAB"), list("BAAB"))
    after = finish(merged_classes(parent, "A", "B"), ["A + B"] * 4, ["A + B"] * 4)
    assert "The same 4 answers" in compare_to_parent(before, after).sentence()


def test_permuted_labels_are_not_compared_sample_by_sample(parent: RunSpec) -> None:
    before = finish(parent, list("AB"), list("AB"))
    after = finish(permuted_labels(parent), list("AB"), list("AB"))
    with pytest.raises(InputError, match="no sample keeps its label"):
        compare_to_parent(before, after)


def test_what_became_of_a_class_and_of_all() -> None:
    tables = [
        pd.DataFrame({"sample": list("abcd"), "true": list("AABB"), "predicted": list(predicted)})
        for predicted in ("AABB", "AABA")
    ]
    effect = compare_answers(*tables)
    assert effect.say_class("A").startswith("A stays 2 of 2; overall 100.0 → 75.0 %, not signif")
    assert effect.say_class("B").startswith("B goes from 2 to 1 of 2; overall")


def test_a_series_of_left_out_genes(parent: RunSpec) -> None:
    series = drop_series(parent, GENES, "A")
    assert [words for words, _ in series] == [
        f"Without {n} {kind} genes of A" for n in (10, 50, 100) for kind in ("top", "random")
    ]
    assert series[0][1].preparation.without == tuple(GENES[:10])
    assert len(set(series[1][1].preparation.without) & set(GENES)) == 10
    y, store = list("AABB"), RunStore()
    finish(parent, y, y)
    for (words, child), wrong in zip(series, (1, 0, 2, 1, 2, 2), strict=True):
        finish(child, y, list("BB")[:wrong] + y[wrong:], words)
    store.label(series[2][1].id, name="renamed")
    table = read_drop_series(store.get(parent.id), store.list(), {"A": GENES})
    curves = table.pivot(index="genes", columns="kind", values="accuracy")
    assert curves["top"].to_dict() == {0: 1.0, 10: 0.75, 50: 0.5, 100: 0.5}
    assert curves["random"].to_dict() == {0: 1.0, 10: 1.0, 50: 0.75, 100: 0.5}
