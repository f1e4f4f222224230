"""Homes that earlier versions left still open, and say what was done then."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from core.cli import main
from core.compare.comparison import compare_runs
from core.data.cohort import Cohort
from core.data.store import list_datasets, load_dataset
from core.explain.methods import Recipe
from core.jobs.record import JobState
from core.runs.doctor import examine
from core.runs.explain import gene_expression, load_attribution
from core.runs.explaining import explain_run
from core.runs.fitted import load_fitted
from core.runs.outcome import NETWORK, load_outcome
from core.runs.result import headline, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from tests.earlier_homes import HOMES, unpack_home


@pytest.fixture(params=HOMES, ids=lambda path: path.parent.name)
def earlier(request: pytest.FixtureRequest, home: Path) -> str:
    """A copy of an earlier home; the version that left it."""
    unpack_home(request.param, home)
    return request.param.parent.name.removeprefix("home_")


def runs_by_folds() -> dict[int, str]:
    return {len(load_result(record.id).folds): record.id for record in RunStore().list()}


def test_all_is_there_whole_and_can_be_shown(
    earlier: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [record.state for record in RunStore().list()] == [JobState.DONE] * 2
    assert load_dataset(list_datasets()[0].id).shape == (60, 200)
    assert examine(repair=False) == []
    for run in runs_by_folds().values():
        assert main(["runs", "show", run]) == 0
    assert main(["runs", "list"]) == 0
    assert main(["compare", *runs_by_folds().values()]) == 0
    assert "60 held-out samples" in capsys.readouterr().out


def test_the_same_question_asked_today_is_the_run_of_then(earlier: str, home: Path) -> None:
    """Said by what differs from today's defaults, in the form of today or of then."""
    then = {"network": {"edge": "cut"}}
    if earlier == "0_1_0":
        then["training"] = {"keep": "best", "variants": 0}
    today = RunSpec(cohort=Cohort(label="x")).model_dump(mode="json")
    for record in RunStore().list():
        path = home / "runs" / record.id / "spec.json"
        document = json.loads(path.read_bytes())
        assert RunSpec.restore(document) == record.spec
        flat: dict = {}
        for name, value in document.items():
            if isinstance(value, dict) and name in today:
                value = {k: v for k, v in value.items() if v != today[name].get(k)}
                value |= then.get(name, {})
            if value not in ({}, [], None, False):
                flat[name] = value
        assert "cohort" not in flat
        assert len(flat) < len(document)
        asked = RunSpec.from_yaml(yaml.safe_dump(flat))
        assert asked.id == record.spec.id
        assert RunSpec.parse({**record.spec.model_dump(), "seed": 77}).id != record.spec.id


def test_pooled_scores_are_of_all_folds(earlier: str) -> None:
    run = runs_by_folds()[2]
    outcome, result = load_outcome(run), load_result(run)
    assert result.scored == [0, 1]
    assert outcome.n_test == result.n_test == 60
    assert outcome.right(NETWORK).mean() == pytest.approx(result.metrics["accuracy"])


def test_networks_are_set_against_logistic_regression_as_they_were(earlier: str) -> None:
    for run in runs_by_folds().values():
        said = headline(run)
        assert "logistic regression on the same genes" in said
        assert "tuned" not in said + compare_runs([run]).headline
        [against] = compare_runs([run]).against_baseline
        assert against.b == "logistic_regression"


def test_the_first_version_kept_the_best_epoch_and_drew_augmentations_anew(earlier: str) -> None:
    for record in RunStore().list():
        training = record.spec.training
        if earlier == "0_1_0":
            assert (training.keep, training.variants) == ("best", 0)
        fold = load_fitted(record.id, 0)
        losses = [row["validation_loss"] for row in fold.history]
        best = 1 + int(np.argmin(losses))
        assert fold.kept_epoch == (best if training.keep == "best" else len(losses))


def test_samples_are_explained_by_the_network_that_had_not_seen_them(earlier: str) -> None:
    run = runs_by_folds()[2]
    explain_run(run, Recipe("saliency"), lambda *_: None)
    found = load_attribution(run, Recipe("saliency"))
    fold_of = load_predictions(run).set_index("sample")["fold"]
    assert (fold_of[found.samples].to_numpy() == found.folds).all()


def test_a_network_answers_as_it_did(earlier: str) -> None:
    """The prepared expression, the layout and the head are read as what they were."""
    import torch

    for folds, run in runs_by_folds().items():
        fitted = load_fitted(run, folds - 1)
        data = load_dataset(fitted.spec.cohort.dataset)
        proba = fitted.predict(data[fitted.test], device=torch.device("cpu"))
        table = load_predictions(run)
        table = table[table["fold"] == fitted.fold]
        assert table["sample"].tolist() == proba.index.tolist() == fitted.test.tolist()
        kept = table[[f"p_{name}" for name in fitted.classes]].to_numpy()
        # other processors add in another order
        np.testing.assert_allclose(proba, kept, atol=1e-4)


def test_what_was_explained_then_is_still_there(earlier: str) -> None:
    run = runs_by_folds()[1]
    found = load_attribution(run, Recipe("saliency"))
    assert len(found.samples) == load_result(run).n_test == 18
    gene = str(found.genes[0])
    data = load_dataset(list_datasets()[0].id)
    assert len(gene_expression(run, data, gene)) == 60
