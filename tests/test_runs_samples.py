"""Samples over several runs: doubtful labels, answers, neighbours, and learning curves."""

from pathlib import Path

import numpy as np
import pytest

from core.compare.comparison import compare_runs
from core.compare.learning_curve import measure_curves
from core.compare.published import SOURCES, list_published, put_beside_published
from core.compare.samples import find_doubtful_labels, list_answers, view_sample
from core.data.simulate import simulate
from core.data.store import add_dataset, load_dataset
from core.errors import InputError
from core.runs.fitted import load_fitted
from core.runs.outcome import load_outcome
from core.runs.study import open_study
from tests.test_runs_compare import finish_run, keep_images


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def test_labels_that_both_judges_doubt_come_first(dataset: str) -> None:
    """The network doubts the first 30 % of the test samples, logistic regression 10 % of them."""
    outcome = load_outcome(finish_run(dataset, 0.3, plain_wrong=0.1))
    table = find_doubtful_labels([outcome])
    doubted = set(outcome.samples[~outcome.right()])
    both = set(outcome.samples[~outcome.right() & ~outcome.right("logistic_regression")])
    assert set(table["sample"]) == doubted
    assert set(table["sample"][: len(both)]) == both
    assert table["judges"].tolist() == sorted(table["judges"], reverse=True)
    assert (table.loc[table["judges"] == 1, "logistic_regression"] == "").all()
    assert table["p_label"][0] == pytest.approx(0.05)
    assert table["p_other"][0] == pytest.approx(0.8)
    assert (table["tested"] == 1).all()


def test_doubt_is_of_the_mean_over_runs_and_not_of_permuted_ones(dataset: str) -> None:
    runs = [finish_run(dataset, 0.3, training={"epochs": k + 1}) for k in range(2)]
    permuted = finish_run(dataset, 0.9, permute_labels=True)
    outcomes = [load_outcome(run) for run in (*runs, permuted)]
    table = find_doubtful_labels(outcomes)
    assert (table["tested"] == 2).all()
    assert set(table["sample"]) == set(outcomes[0].samples[~outcomes[0].right()])
    assert find_doubtful_labels(outcomes[2:]).empty


def test_a_network_that_is_clearly_worse_does_not_judge(dataset: str) -> None:
    good = finish_run(dataset, 0.1)
    bad = finish_run(dataset, 0.9, network={"backbone": "resnet50"})
    outcomes = [load_outcome(run) for run in (good, bad)]
    table = find_doubtful_labels(outcomes)
    assert (table["tested"] == 1).all()
    assert set(table["sample"]) == set(outcomes[0].samples[~outcomes[0].right()])


def test_what_each_run_said_of_a_sample(dataset: str) -> None:
    runs = [finish_run(dataset, 0.0), finish_run(dataset, 1.0, training={"epochs": 2})]
    outcomes = [load_outcome(run) for run in runs]
    sample = outcomes[0].samples[0]
    table = list_answers(sample, outcomes)
    assert table["run"].tolist() == runs
    assert table["right"].tolist() == [True, False]
    assert table["p_label"].tolist() == pytest.approx([0.8, 0.05])
    assert table["p_named"].tolist() == pytest.approx([0.8, 0.8])
    assert table.filter(like="p_").iloc[:, 2:].sum(axis=1).tolist() == pytest.approx([1, 1])


def test_neighbours_are_training_samples_in_order_of_correlation(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    keep_images(run)
    outcome, data = load_outcome(run), load_dataset(dataset)
    sample = outcome.samples[3]
    view = view_sample(outcome, sample, data, most=5)
    study = open_study(outcome.spec)
    fitted = load_fitted(run, 0).preprocessor
    x = fitted.transform(study.x, study.genes)
    place = study.samples.tolist().index(sample)
    painted = dict(zip(fitted.genes, x[place], strict=True))
    assert view.values.tolist() == [painted[gene] for gene in view.layout.genes]
    scaled = (x - fitted.mean) / fitted.unit_sd
    train = study.folds[0].train
    expected = [np.corrcoef(scaled[place], scaled[other])[0, 1] for other in train]
    order = np.argsort(expected)[::-1][:5]
    assert view.neighbours["sample"].tolist() == study.samples[train[order]].tolist()
    assert view.neighbours["correlation"].to_numpy() == pytest.approx(
        np.array(expected)[order], abs=1e-4
    )
    assert view.neighbours["label"].tolist() == study.labels[train[order]].tolist()


def test_a_sample_that_was_not_tested_is_refused(dataset: str) -> None:
    run = finish_run(dataset, 0.2)
    outcome, data = load_outcome(run), load_dataset(dataset)
    with pytest.raises(InputError, match="did not test"):
        view_sample(outcome, "nobody", data)
    with pytest.raises(InputError, match=r"preprocessor\.npz of run .* is missing"):
        view_sample(outcome, outcome.samples[0], data)


@pytest.fixture
def larger(home: Path) -> str:
    """Enough samples for a quarter of them to hold every class."""
    return add_dataset(simulate(240, 200, seed=1)[0], "larger").id


def test_a_learning_curve_measures_each_size(larger: str) -> None:
    split = {"kind": "learning_curve", "sizes": 3}
    runs = [finish_run(larger, 0.3, split=split, seed=seed) for seed in range(2)]
    other = finish_run(larger, 0.2)
    network, plain = measure_curves([load_outcome(run) for run in (*runs, other)], "accuracy")
    assert (network.model, plain.model) == ("network", "logistic_regression")
    study = open_study(load_outcome(runs[0]).spec)
    sizes = [len(fold.fitting) for fold in study.folds]
    assert network.points["n_train"].tolist() == pytest.approx(sizes, abs=2)
    assert (network.points["runs"] == 2).all()
    wrong = round(0.3 * len(study.folds[0].test)) / len(study.folds[0].test)
    assert network.points["score"].tolist() == pytest.approx([1 - wrong] * 3, abs=0.02)
    last = network.at(2)
    assert last["n_train"] == pytest.approx(2 * network.points["n_train"].max())
    assert last["low"] <= last["score"] <= last["high"]
    assert network.curve["n_train"].max() == pytest.approx(4 * network.points["n_train"].max())
    assert measure_curves([load_outcome(other)], "accuracy") == []


def test_the_brier_score_falls_along_a_curve(larger: str) -> None:
    run = finish_run(larger, 0.3, split={"kind": "learning_curve", "sizes": 3})
    network = measure_curves([load_outcome(run)], "brier")[0]
    assert network.points["score"].between(0, 2).all()
    assert (np.diff(network.curve["score"]) <= 1e-12).all()


def test_published_figures_stand_beside_their_networks(dataset: str) -> None:
    runs = [
        finish_run(dataset, 0.2),
        finish_run(dataset, 0.3, network={"backbone": "vgg19"}, split={"test_size": 0.4}),
        finish_run(dataset, 0.3, layout={"name": "random"}),
    ]
    table = put_beside_published(compare_runs(runs)).set_index("network")
    assert list(table.index) == ["VGG16", "VGG19"]
    assert table.loc["VGG16", "Paper"] == 0.95
    assert table.loc["VGG16", "Rukhsar 2022"] == 0.929
    assert table.loc["VGG19", "Reproduction"] == 0.914
    assert np.isnan(table.loc["VGG19", "Paper"])
    assert table.loc["VGG16", "split"] == "70/30"
    assert table.loc["VGG16", "low"] < table.loc["VGG16", "accuracy"] < table.loc["VGG16", "high"]
    squeezed = finish_run(dataset, 0.2, network={"backbone": "squeezenet1_1"})
    assert put_beside_published(compare_runs([squeezed])).empty


def test_every_published_figure_has_a_source() -> None:
    table = list_published()
    assert len(table) == sum(len(source.accuracy) for source in SOURCES)
    assert table["accuracy"].between(0.5, 1).all()
    assert (table[["citation", "samples", "split"]] != "").all(axis=None)
