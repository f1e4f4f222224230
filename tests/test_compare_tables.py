"""Tables of a comparison: what charts, screens and files show."""

from pathlib import Path

import numpy as np
import pytest

from core.compare.batches import score_batches
from core.compare.comparison import compare
from core.compare.detail import look_closely
from core.compare.tables import list_costs, list_models, list_ranks, list_runs, plain_score
from core.data.simulate import simulate
from core.data.store import add_dataset, read_column
from core.runs.outcome import load_outcome
from core.runs.spec import setting_title
from tests.test_runs_compare import finish_run


@pytest.fixture
def dataset(home: Path) -> str:
    return add_dataset(simulate(90, 200, seed=1)[0], "tiny").id


def test_single_runs_are_listed_with_their_plain_models_once(dataset: str) -> None:
    runs = [finish_run(dataset, wrong, training={"epochs": k}) for k, wrong in ((1, 0.4), (2, 0.2))]
    outcomes = [load_outcome(run) for run in runs]
    found = compare(outcomes, "accuracy")
    table = list_models(found, outcomes)
    assert table["score"].tolist() == sorted(table["score"], reverse=True)
    assert table["kind"].tolist() == ["baseline", "network", "network", "baseline"]
    assert table["model"].iloc[1] == "VGG16 · 2 epochs"
    worst = list_models(compare(outcomes, "brier"), outcomes)
    assert worst["score"].tolist() == sorted(worst["score"])
    assert plain_score(found) == outcomes[0].scores("logistic_regression")["accuracy"]
    rows = list_runs(found)
    assert rows["run"].tolist() == [run[:6] for run in runs]
    assert rows[setting_title("training.epochs")].tolist() == ["1", "2"]
    assert "control" not in rows
    costs = list_costs(found)
    assert costs["low"].tolist() == [run.interval[0] for run in reversed(found.runs)]
    assert np.isnan(costs["gigabytes"]).all()


def test_repeated_runs_are_listed_as_setups(dataset: str) -> None:
    outcomes = [
        load_outcome(finish_run(dataset, wrong, seed=seed, training={"epochs": k}))
        for seed in range(3)
        for k, wrong in ((1, 0.4), (2, 0.2))
    ]
    found = compare(outcomes, "accuracy")
    table = list_models(found, outcomes)
    assert table["splits"].tolist() == [3, 3, 3]
    assert table["model"].iloc[1] == "VGG16 · 2 epochs"
    ranks = list_ranks(found)
    assert ranks["rank"].tolist() == [1, 2, 3]
    assert ranks["model"].tolist() == table["model"].tolist()


def test_a_run_without_a_plain_model_says_so(dataset: str) -> None:
    found = compare([load_outcome(finish_run(dataset, 0.2))])
    networks = [setup for setup in found.setups if setup.kind == "network"]
    assert plain_score(found.model_copy(update={"setups": networks})) is None


def test_a_model_looked_at_closely(dataset: str) -> None:
    outcome = load_outcome(finish_run(dataset, 0.3))
    detail = look_closely(outcome, "network")
    counts = detail.confusion.set_index("true")
    assert counts.to_numpy().sum() == outcome.n_test
    assert np.trace(counts.to_numpy()) == outcome.right().sum()
    assert list(detail.bins) == ["Network", "Logistic regression"]
    assert sorted(detail.classes["class"]) == outcome.result.classes


def test_each_batch_that_was_held_out_is_scored_by_itself(dataset: str) -> None:
    split = {"kind": "leave_one_batch_out", "batch": "batch"}
    outcome = load_outcome(finish_run(dataset, 0.2, 0.4, split=split))
    found = score_batches(outcome, "accuracy")
    column = read_column(dataset, "batch")
    assert set(found.table["batch"]) == set(column)
    for row in found.table.itertuples():
        own = np.isin(outcome.samples, column.index[column == row.batch])
        assert row.n == own.sum()
        assert row.network == pytest.approx(outcome.right()[own].mean())
        assert row.low <= row.network <= row.high
    assert found.reference == "logistic_regression"
    assert found.difference.mean == pytest.approx(found.table["difference"].mean())
    [pair] = [d for d in compare([outcome]).setup_differences if d.b == "Logistic regression"]
    assert pair.p == pytest.approx(found.difference.p), "tested as in the headline"
