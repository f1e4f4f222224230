"""Calls of another cohort: as the run itself answers, marked where unusual, scored where known."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from anndata import AnnData

from core.data.cohort import Cohort
from core.data.simulate import simulate
from core.data.store import add_dataset, delete_dataset, load_dataset
from core.errors import DamageError, InputError
from core.home import run_folder
from core.jobs.job import KINDS, job_class
from core.jobs.store import JobStore
from core.predict.earlier import delete_prediction, list_predictions
from core.predict.labelled import conformal_sets, score_known
from core.predict.model import Model, load_model
from core.predict.predicting import (
    PredictJob,
    WhyJob,
    cancel_why,
    load_prediction,
    match_samples,
    predict_samples,
)
from core.predict.request import PredictRequest
from core.predict.words import judged_calls, reliability_tables, value_table
from core.runs.execute import Silent, execute
from core.runs.result import load_predictions
from core.runs.spec import RunSpec

TASKS = {"classes": "tumour_type", "number": "purity", "two": "half"}


def quiet(*_: object) -> None:
    """Nobody listens."""


def make_data() -> AnnData:
    """Simulated samples with a number each."""
    data = simulate(90, 200, seed=1)[0]
    data.obs["purity"] = [f"{value:.3f}" for value in np.linspace(0, 1, data.n_obs)]
    data.obs["half"] = ["low" if kind < "K" else "high" for kind in data.obs["tumour_type"]]
    return data


def train(task: str) -> str:
    """A tiny solved run of two folds."""
    spec = RunSpec.parse(
        {
            "cohort": {
                "dataset": add_dataset(make_data(), "tiny").id,
                "label": TASKS[task],
                "group": "patient",
            },
            "task": "regression" if task == "number" else "classification",
            "preparation": {"genes": 60},
            "network": {
                "image_size": 32, "pool": 2, "weights": "scratch", "head": "linear",
                "freeze": "backbone",
            },
            "split": {"kind": "kfold", "folds": 2} if task != "two" else {},
        }
    )  # fmt: skip
    execute(spec, run_folder(spec.id), Silent(), torch.device("cpu"))
    return spec.id


@pytest.fixture(scope="module")
def trained(shared_home: Path) -> tuple[Path, dict[str, str]]:
    """A home with a run of each task, and their ids."""
    runs = {task: train(task) for task in TASKS}
    return shared_home, runs


@pytest.fixture
def runs(trained: tuple[Path, dict[str, str]], home: Path) -> dict[str, str]:
    """The runs, in a home of the test's own."""
    shutil.copytree(trained[0], home)
    return trained[1]


def ask(model: str, data: AnnData, **cohort: object) -> PredictRequest:
    """The question about all of some samples, whose patients are known."""
    cohort = {"group": "patient", **cohort}
    return PredictRequest(
        model=model, cohort=Cohort(dataset=add_dataset(data, "others").id, **cohort)
    )


def others(**_: object) -> AnnData:
    """Samples that no run has seen, of the same simulation."""
    data = simulate(90, 200, seed=1)[0]
    rng = np.random.default_rng(5)
    x = rng.poisson(np.maximum(np.asarray(data.X), 0.1)).astype(np.float32)
    obs = data.obs.assign(patient=[f"N{i}" for i in range(len(data))])
    obs.index = [f"new{i}" for i in range(len(data))]
    return AnnData(x, obs=obs, var=data.var, uns=dict(data.uns))


@pytest.mark.parametrize("task", ["classes", "number"])
def test_the_runs_own_held_out_samples_are_answered_as_the_run_answered(
    runs: dict[str, str], task: str
) -> None:
    run = runs[task]
    own = load_predictions(run).query("fold == 0").set_index("sample")
    model = load_model(run)
    data = load_dataset(model.spec.cohort.dataset)[list(own.index)].copy()
    rows = model.folds[0].prepare(data)
    answers = model.folds[0].answer(rows)
    expected = (
        own[[f"p_{name}" for name in model.classes]] if task == "classes" else own["predicted"]
    )
    assert np.allclose(np.squeeze(answers), expected.to_numpy(float), atol=1e-5)

    asked = ask(run, data)
    predict_samples(asked, quiet)
    calls = load_prediction(asked).calls
    assert calls["learned_from"].all()  # by the other fold
    assert calls["disagreement"].notna().all()
    assert list(calls["sample"]) == list(own.index)


def test_what_a_model_was_asked_is_listed_and_deleted_and_nothing_else(
    runs: dict[str, str],
) -> None:
    samples = others()
    one, two = (ask(runs["two"], samples, label=label) for label in ("batch", "patient"))
    for number, asked in enumerate((one, two)):
        predict_samples(asked, quiet)
        os.utime(asked.folder / "summary.json", (number, number))
    found = list_predictions(one.model)
    assert [(earlier.key, earlier.asked) for earlier in found] == [(two.key, two), (one.key, one)]
    assert found[1].summary == load_prediction(one).summary

    for damage in ("{", (one.folder / "request.json").read_text()):
        (two.folder / "request.json").write_text(damage)
        damaged = list_predictions(one.model)[0]
        assert (damaged.key, damaged.asked) == (two.key, None)
    beside = {path for path in run_folder(one.model).rglob("*") if two.folder not in path.parents}
    delete_prediction(one.model, two.key)
    assert set(run_folder(one.model).rglob("*")) == beside - {two.folder}
    for key in (two.key, "..", "", f"../predictions/{one.key}"):
        with pytest.raises(InputError, match="any more"):
            delete_prediction(one.model, key)

    method = "integrated_gradients"
    JobStore().submit(WhyJob(about=one.model, asked=one, samples=("new1",), method=method))
    with pytest.raises(InputError, match="being worked on"):
        delete_prediction(one.model, one.key)
    cancel_why(one, ["new1"], method)
    delete_prediction(one.model, one.key)
    assert list_predictions(one.model) == []


def test_new_samples_are_called_scored_and_mapped(runs: dict[str, str]) -> None:
    asked = ask(runs["classes"], others(), label="tumour_type")
    predict_samples(asked, quiet)
    found = load_prediction(asked)
    calls, summary = found.calls, found.summary
    names = load_model(runs["classes"]).classes
    assert np.allclose(calls[[f"p_{name}" for name in names]].sum(axis=1), 1)
    assert np.allclose(calls[[f"l_{name}" for name in names]].sum(axis=1), 1)
    assert calls["novelty"].between(0, 1).all()
    assert not calls["learned_from"].any()
    assert set(calls["nearest"]) <= set(
        load_dataset(load_model(asked.model).spec.cohort.dataset).obs_names
    )
    assert summary.n == sum(summary.called.values()) == 90
    assert summary.flagged == calls["flagged"].sum()
    right = (calls["called"] == calls["true"]).mean()
    [accuracy] = [
        s for s in summary.scores.scores if (s.model, s.metric) == ("network", "accuracy")
    ]
    assert accuracy.value == pytest.approx(right)
    assert accuracy.interval[0] < right <= accuracy.interval[1]
    assert set(found.map["kind"]) == {"new", "training"}
    predict_samples(asked, quiet)  # stands already
    (asked.folder / "summary.json").write_text("{}")
    with pytest.raises(DamageError):
        load_prediction(asked)


def test_samples_of_no_class_that_it_knows_are_flagged(runs: dict[str, str]) -> None:
    data = others()
    rng = np.random.default_rng(0)
    data.X = rng.permuted(np.asarray(data.X), axis=1)  # each sample's genes mixed up
    asked = ask(runs["classes"], data)
    predict_samples(asked, quiet)
    summary = load_prediction(asked).summary
    assert summary.flagged > summary.n / 2
    assert summary.scores is None


def test_values_are_predicted_in_their_unit(runs: dict[str, str]) -> None:
    data = others()
    data.obs["age"] = "0.5"
    asked = ask(runs["number"], data, label="age")
    predict_samples(asked, quiet)
    found = load_prediction(asked)
    assert found.calls["called"].dtype == float
    assert found.summary.called == {}
    assert found.summary.scores.p is None
    assert found.summary.scores.confusion == []


def test_the_threshold_between_two_classes_may_be_sought_in_the_new_samples(
    runs: dict[str, str],
) -> None:
    data = others()
    asked = ask(runs["two"], data)
    parted = asked.model_copy(update={"two_groups": True})
    for each in (asked, parted):
        predict_samples(each, quiet)
    before, after = load_prediction(asked).calls, load_prediction(parted).calls
    unsure = before["p_low"].between(1e-3, 1 - 1e-3) & after["p_low"].between(1e-3, 1 - 1e-3)
    moves = [np.log(calls["p_low"] / calls["p_high"])[unsure] for calls in (before, after)]
    assert np.ptp(moves[1] - moves[0]) < 1e-6  # all by the same
    assert "two groups" in load_prediction(parted).summary.notes[0]
    for run, some in ((runs["classes"], data), (runs["two"], data[:5].copy())):
        few = ask(run, some).model_copy(update={"two_groups": True})
        assert any(f.code == "two_groups" for f in match_samples(few, quiet).findings)


def test_a_refused_cohort_is_not_called(runs: dict[str, str]) -> None:
    data = others()
    data = data[:, :15].copy()
    asked = ask(runs["classes"], data)
    card = match_samples(asked, quiet)
    assert card.refused
    with pytest.raises(InputError, match="genes"):
        predict_samples(asked, quiet)
    assert not (asked.folder / "calls.csv").exists()


def test_predictions_outlive_the_dataset_and_go_with_the_run(runs: dict[str, str]) -> None:
    asked = ask(runs["classes"], others())
    predict_samples(asked, quiet)
    delete_dataset(asked.cohort.dataset)
    assert load_prediction(asked).summary.n == 90
    assert asked.folder.is_relative_to(run_folder(runs["classes"]))


def known_model(classes: list[str]) -> Model:
    """What answers a question about classes, without any network."""
    spec = RunSpec.parse({"cohort": {"label": "x"}})
    inside = {"network": {"accuracy": 0.9}, "linear": {"accuracy": 0.8}}
    return Model("0" * 16, True, spec, classes, [], pd.DataFrame(), inside, 10)


def test_scores_leave_out_what_was_learned_and_classes_that_nobody_knows() -> None:
    known = np.array(["a", "a", "b", "b", "z", "", "a"])
    answers = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.1, 0.9], [1, 0], [1, 0], [0, 1]])
    linear = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.1, 0.9], [1, 0], [1, 0], [0, 1]])
    learned = np.array([0, 0, 0, 0, 0, 0, 1], dtype=bool)
    scores = score_known(
        known_model(["a", "b", "c"]),
        known,
        np.hstack([answers, np.zeros((7, 1))]),
        np.hstack([linear, np.zeros((7, 1))]),
        np.array(list("pqrstuv")),
        learned,
    )
    value = {(s.model, s.metric): s.value for s in scores.scores}
    assert value["network", "accuracy"] == 0.75
    assert value["linear", "accuracy"] == 1
    assert scores.difference == pytest.approx(-0.25)
    assert scores.p == 1.0
    assert scores.n == 4
    assert scores.only_model == ["c"]
    assert scores.only_cohort == {"z": 1}
    assert scores.learned_from == 1
    assert scores.confusion == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]


def test_jobs_of_predictions_name_what_they_need(runs: dict[str, str]) -> None:
    asked = ask(runs["classes"], others())
    job = PredictJob(about=asked.model, asked=asked)
    own = load_model(asked.model).spec.cohort.dataset
    assert set(job.inputs().datasets) == {asked.cohort.dataset, own}
    assert job.inputs().jobs == (asked.model,)
    assert job_class("predict").restore(job.content()) == job
    assert {"match", "predict", "why"} <= set(KINDS)


def test_sets_of_classes_are_calibrated_on_known_samples_of_the_same_cohort() -> None:
    """Of 19 known samples the true class has 0.05, 0.1, ... 0.95; the 18th largest doubt is 0.9."""
    shares = np.append(np.arange(1, 20) * 0.05, 0.5)
    answers = np.stack([shares, 1 - shares], axis=1)
    answers = np.vstack([answers, [[0.95, 0.05], [0.5, 0.5], [0.02, 0.98]]])
    known = np.array(["a"] * 20 + ["", "", ""])
    usable = np.ones(23, dtype=bool)
    sets = conformal_sets(["a", "b"], known, answers, usable)
    assert sets[:20].tolist() == [""] * 20
    assert sets[20:].tolist() == ["a", "a / b", "b"]
    assert conformal_sets(["a", "b"], known[:20], answers[:20], usable[:20]) is None
    usable[0] = False
    assert conformal_sets(["a", "b"], known, answers, usable) is None
    rng = np.random.default_rng(0)
    covered = []
    for _ in range(200):
        y = rng.integers(0, 3, 60)
        answers = rng.dirichlet(np.ones(3), 60)
        known = np.array(list("abc"))[y]
        known[30:] = ""
        found = conformal_sets(list("abc"), known, answers, np.ones(60, dtype=bool))
        truth = np.array(list("abc"))[y[30:]]
        covered += [one in may.split(" / ") for one, may in zip(truth, found[30:], strict=True)]
    assert 0.89 < np.mean(covered) < 0.96


def test_what_is_judged_is_known_and_was_not_learned_from() -> None:
    calls = pd.DataFrame({
        "sample": ["a", "b", "c", "d"], "called": [1.5, 2.5, 3.5, 4.5],
        "true": ["1", "", None, "4"], "learned_from": [False, False, False, True],
    })  # fmt: skip
    assert judged_calls(calls)["sample"].tolist() == ["a"]
    assert value_table(calls).to_numpy().tolist() == [["a", 1.0, 1.5]]


def test_reliability_is_of_both_models_on_samples_of_classes_that_the_model_has() -> None:
    calls = pd.DataFrame({
        "true": ["x", "y", "z"], "learned_from": False, "p_x": [1.0, 1.0, 1.0],
        "p_y": [0.0, 0.0, 0.0], "l_x": [1.0, 0.0, 1.0], "l_y": [0.0, 1.0, 0.0],
    })  # fmt: skip
    tables = reliability_tables(calls, ["x", "y"])
    rights = {name: table["accuracy"].tolist() for name, table in tables.items()}
    assert rights == {"Network": [0.5], "Tuned linear model": [1.0]}
