"""Runs that predict a number: what they may see, what they say, and how they are shown."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import stats
from sklearn.metrics import mean_absolute_error, r2_score

from core.compare.comparison import compare_runs
from core.data.store import add_dataset, load_dataset
from core.errors import InputError
from core.evaluation.metrics import VALUE_METRICS
from core.explain.genes import correlate
from core.explain.methods import Recipe
from core.jobs.here import do_here
from core.models import gene_models
from core.models.value_baselines import VALUE_BASELINES
from core.runs.explain import class_genes, load_attribution
from core.runs.explaining import collect_evidence, explain_run
from core.runs.fitted import load_fitted
from core.runs.network_genes import network_genes
from core.runs.outcome import compute_baselines, keep_measures, load_outcome, missing_baselines
from core.runs.result import headline, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.study import open_study
from core.runs.training import TrainJob
from core.runs.trust import load_evidence, request_planted
from core.runs.whatif import compare_values, other_seed
from core.training.tasks import TASKS

SAMPLES, GENES, WITHOUT = 120, 40, 5
PLANTED = [f"g{k}" for k in range(5)]


def simulate() -> AnnData:
    """Log values of genes that know nothing of each other, and columns of many kinds.

    `dose` is a linear function of five genes; of the first samples it isn't known. Each patient has
    two samples.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(6, 1, (SAMPLES, GENES)).astype(np.float32)
    dose = 5000 + 300 * (x[:, :5] - 6) @ np.array([1, -1, 2, 1, -2.0])
    obs = pd.DataFrame(
        {
            "dose": [f"{value:.4f}" for value in dose],
            "type": rng.choice(["A", "B"], SAMPLES),
            "stage": rng.integers(1, 5, SAMPLES).astype(str),
            "constant": "3.5",
            "rare": ["1.5", *["0"] * (SAMPLES - 7), "1", "2", "3", "4", "5", "6"],
            "endless": [*dose[:-1].astype(str), "inf"],
            "nothing": "",
            "patient": [f"p{k // 2}" for k in range(SAMPLES)],
        },
        index=[f"s{k:03}" for k in range(SAMPLES)],
    )
    obs.loc[obs.index[:WITHOUT], "dose"] = ["", "NA", "nan", "", "N/A"]
    genes = pd.DataFrame(index=[f"g{k}" for k in range(GENES)])
    return AnnData(x, obs=obs, var=genes, uns={"scale": "log2"})


def ask(dataset: str, label: str = "dose", **fields) -> RunSpec:
    return RunSpec.parse(
        {
            "cohort": {"dataset": dataset, "label": label, "group": "patient"},
            "task": "regression",
            "network": {"image_size": 32, "pool": 2},
            "training": {"epochs": 2, "precision": "float32"},
            **fields,
        }
    )


def train(spec: RunSpec) -> str:
    return do_here(TrainJob(spec=spec), lambda *_: None)


@pytest.fixture(autouse=True)
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That home, in place of one of each test's own."""
    monkeypatch.setenv("GENECANVAS_HOME", str(shared_home))
    return shared_home


@pytest.fixture(scope="module")
def dataset(shared_home: Path) -> str:
    return add_dataset(simulate(), "doses").id


@pytest.fixture(scope="module")
def run(dataset: str) -> str:
    return train(ask(dataset, split={"kind": "kfold", "folds": 3}))


def test_ridge_regression_finds_a_planted_function(run: str) -> None:
    """The genes decide the target, so a linear model is nearly right, and a mean never is."""
    result = load_result(run)
    assert result.task == "regression"
    assert result.baselines["ridge_regression"]["r2"] > 0.98
    assert abs(result.baselines["mean"]["r2"]) < 0.1
    assert set(result.metrics) == {"r2", "pearson", "spearman", "mae"}
    assert result.classes == ["dose"]
    assert (result.confusion, result.calibration) == ([], {})
    said = headline(run)
    assert said.startswith("R² of dose is ")
    assert "ridge regression on the same genes" in said


def test_networks_on_genes_stand_beside_it(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what they know after a step or two: that is less than the planted function."""
    for limit in ("EPOCHS", "STEPS"):
        monkeypatch.setattr(gene_models, limit, 1)
    networks = [record.name for record in VALUE_BASELINES if record.is_network]
    assert {name for _, name in missing_baselines([run])} == {*networks} - {"two_heads"}
    compute_baselines([run], lambda *_: None, "type")
    assert not missing_baselines([run])
    outcome = load_outcome(run)
    assert outcome.second == "type"
    for name in networks:
        assert outcome.proba[name].shape == (SAMPLES - WITHOUT, 1)
        assert outcome.scores(name)["r2"] < outcome.scores("ridge_regression")["r2"]
        genes = network_genes(run, name)
        assert set(genes["class"]) == {"dose"}
        assert len(genes) == GENES


def test_permuted_values_can_not_be_predicted(dataset: str) -> None:
    run = train(ask(dataset, permute_labels=True))
    assert load_result(run).baselines["ridge_regression"]["r2"] < 0.3


def test_every_score_has_an_interval_that_holds_it(run: str) -> None:
    result = load_result(run)
    assert set(result.intervals) == set(VALUE_METRICS.names)
    for name, (low, high) in result.intervals.items():
        assert low <= result.metrics[name] <= high
    low, high = result.gap
    assert low <= result.metrics["r2"] - result.baselines["ridge_regression"]["r2"] <= high
    outcome = load_outcome(run)
    assert outcome.interval("r2") == pytest.approx(result.intervals["r2"])
    keep_measures(run)
    assert load_outcome(run).scores() == pytest.approx(result.metrics)


def test_predictions_are_in_the_targets_unit(run: str) -> None:
    """Standardised on a fold's training samples alone, and given back."""
    table, data = load_predictions(run), simulate()
    assert list(table) == ["sample", "fold", "true", "predicted", "ridge_regression"]
    assert table["true"].to_numpy() == pytest.approx(
        data.obs.loc[table["sample"], "dose"].to_numpy(float)
    )
    assert abs(table["predicted"] - 5000).median() < 3000
    for number in range(3):
        fitted = load_fitted(run, number)
        learned = data.obs.loc[fitted.train, "dose"].to_numpy(float)
        assert fitted.scale == pytest.approx({"mean": learned.mean(), "sd": learned.std()})
        own = table[table["fold"] == number].set_index("sample")["predicted"]
        again = fitted.predict(load_dataset(fitted.spec.cohort.dataset)[own.index])
        assert list(again) == ["dose"]
        assert again["dose"].to_numpy() == pytest.approx(own.to_numpy(), rel=1e-4)


def test_samples_without_a_value_are_left_out_and_counted(run: str) -> None:
    result = load_result(run)
    assert result.n_test == SAMPLES - WITHOUT
    assert f"{WITHOUT} of {SAMPLES} samples have no value of dose and were left out." in " ".join(
        result.notes
    )


@pytest.mark.parametrize("split", [{"kind": "kfold", "folds": 4}, {"kind": "holdout"}])
def test_patients_stay_together_and_values_are_spread_evenly(dataset: str, split: dict) -> None:
    study = open_study(ask(dataset, split=split))
    for fold in study.folds:
        sides = [set(study.patients[part]) for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, sides)) == len(set.union(*sides))
        gap = study.y[fold.test].mean() - study.y[fold.fitting].mean()
        assert abs(gap) < 0.5 * study.y.std()


def test_a_gene_that_is_the_target_is_never_among_the_inputs(dataset: str) -> None:
    """The genes are independent, so whoever predicts one of them has looked at it."""
    run = train(ask(dataset, "gene:g7"))
    fitted, result = load_fitted(run, 0), load_result(run)
    assert "g7" not in fitted.preprocessor.all_genes
    assert len(fitted.preprocessor.all_genes) == GENES - 1
    assert result.baselines["ridge_regression"]["r2"] < 0.3
    table = load_predictions(run).set_index("sample")
    data = simulate()
    assert table["true"].to_numpy() == pytest.approx(data[table.index, "g7"].X[:, 0], rel=1e-5)


def test_counts_of_a_target_gene_become_log_counts_per_million() -> None:
    data = AnnData(
        np.array([[10.0, 90], [40, 160]], np.float32), obs=pd.DataFrame(index=["a", "b"]),
        var=pd.DataFrame(index=["x", "y"]), uns={"scale": "counts"},
    )  # fmt: skip
    cohort = ask("0" * 64, "gene:x").cohort.changed(group=None)
    chosen = cohort.select(data)
    assert list(chosen.var_names) == ["y"]
    expected = np.log2(1e6 * np.array([0.1, 0.2]) + 1)
    assert chosen.obs["gene:x"].to_numpy() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("type", "120 of 120 samples have a type that is no number, for example '[AB]'"),
        ("stage", r"only 4 different values \(1, 2, 3, 4\): that looks like classes"),
        ("constant", "constant is 3.5 in all samples"),
        ("rare", "rare is 0 in 113 of 120 samples: it hardly varies"),
        ("endless", "1 samples have an infinite endless"),
        ("nothing", "No sample has a value of nothing"),
        ("gene:g99", "has no gene 'g99'"),
        ("beauty", "no label column 'beauty'"),
    ],
)
def test_what_is_no_target_is_told_in_a_sentence(dataset: str, label: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_study(ask(dataset, label))


def test_settings_of_classes_are_refused_and_decide_nothing(dataset: str) -> None:
    for field in ({"loss": "focal"}, {"class_weights": True}, {"balanced_sampling": True}):
        with pytest.raises(InputError, match="says nothing for the task regression"):
            ask(dataset, training=field)
    smooth = ask(dataset, training={"label_smoothing": 0.3})
    assert smooth.id == ask(dataset, training={}).id
    assert "training.loss" not in smooth.settings
    assert smooth.settings["task"] == "regression"
    with pytest.raises(InputError, match="Unknown task 'ranking'"):
        ask(dataset, task="ranking")


@pytest.mark.parametrize("metric", VALUE_METRICS, ids=lambda metric: metric.name)
def test_weights_count_as_repeats(metric) -> None:
    """A sample of weight 3 is the sample three times; scikit-learn and SciPy agree."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 9, 30).astype(float)
    predicted = (y + rng.normal(0, 3, 30)).round()
    counts = rng.integers(0, 4, 30)
    value = metric.compute(y, predicted[:, None], counts[None].astype(float))[0]
    own, other = y.repeat(counts), predicted.repeat(counts)
    expected = {
        "r2": r2_score,
        "mae": mean_absolute_error,
        "pearson": lambda a, b: stats.pearsonr(a, b)[0],
        "spearman": lambda a, b: stats.spearmanr(a, b)[0],
    }[metric.name](own, other)
    assert value == pytest.approx(expected)


def test_a_constant_prediction_correlates_with_nothing() -> None:
    y, ones = np.arange(4.0), np.ones((1, 4))
    for name, expected in (("r2", 0), ("pearson", 0), ("spearman", 0), ("mae", 1)):
        found = VALUE_METRICS[name].compute(y, np.full((4, 1), 1.5), ones)[0]
        assert found == pytest.approx(expected)
        same = VALUE_METRICS[name].compute(np.ones(4), y[:, None], ones)[0]
        assert name == "mae" or np.isnan(same)


def test_correlations_are_scipys() -> None:
    rng = np.random.default_rng(2)
    x, values = rng.normal(size=(20, 3)), rng.normal(size=20)
    x[:, 2] = 1
    r, p = correlate(x, values)
    for gene in range(2):
        expected = stats.pearsonr(x[:, gene], values)
        assert (r[gene], p[gene]) == pytest.approx(tuple(expected))
    assert (r[2], p[2]) == (0, 1)


def test_mostly_one_value_is_still_divided_in_two_ranges() -> None:
    task = TASKS["regression"]
    values = np.concatenate([np.zeros(85), np.arange(1, 16)])
    for texts in (values, -values):
        strata = task.strata(task.read(texts.astype(str), "x"))
        assert sorted(np.unique(strata, return_counts=True)[1]) == [15, 85]


def test_runs_of_two_tasks_are_never_in_one_table(run: str, dataset: str) -> None:
    classes = train(ask(dataset, "type", task="classification"))
    with pytest.raises(InputError, match="Runs of different tasks have no score in common"):
        compare_runs([run, classes])
    with pytest.raises(InputError, match=r"Unknown metric 'accuracy'\. Known: r2"):
        compare_runs([run], "accuracy")
    other = train(ask(dataset, split={"kind": "kfold", "folds": 3}, training={"epochs": 1}))
    comparison = compare_runs([run, other])
    assert comparison.metric == "r2"
    assert "ridge regression in R²" in comparison.headline
    assert comparison.differences[0].points is not None
    error = compare_runs([run, other], "mae").differences[0]
    gap = load_result(error.a).metrics["mae"] - load_result(error.b).metrics["mae"]
    assert error.points == pytest.approx(gap)


def test_a_what_if_is_measured_on_shared_samples(run: str, dataset: str) -> None:
    child = train(other_seed(ask(dataset, split={"kind": "kfold", "folds": 3}), 1))
    store = RunStore()
    effect = compare_values(store.get(run), store.get(child))
    assert effect.shared == SAMPLES - WITHOUT
    assert effect.parent_r2 == pytest.approx(load_result(run).metrics["r2"])
    low, high = effect.limits
    assert low <= effect.child_r2 - effect.parent_r2 <= high
    assert "shared held-out samples" in effect.sentence()


@pytest.mark.parametrize("method", ["integrated_gradients", "gradcam"])
def test_the_one_output_is_explained(run: str, method: str) -> None:
    recipe = Recipe(method)
    explain_run(run, recipe, lambda *_: None)
    found, table = load_attribution(run, recipe), class_genes(run, recipe)
    assert set(found.labels) == {"dose"}
    assert len(found.samples) <= 42
    assert set(table["class"]) == {"dose"}
    if method == "gradcam":
        assert found.maps is not None
        return
    assert np.median(found.completeness) < 0.2
    assert table["log2fc"].isna().all()
    strongest = table.sort_values("p")["gene"].tolist()[:2]
    assert set(strongest) <= set(PLANTED)
    assert set(table.sort_values("logistic")["gene"].tolist()[:5]) == set(PLANTED)


def test_a_trust_card_judges_by_r2(run: str) -> None:
    recipe = Recipe("input_x_gradient")
    collect_evidence(run, recipe, lambda *_: None)
    rows = {row.name: row for row in load_evidence(run, recipe).evidence}
    assert "the network's R² is" in rows["skill"].sentence
    assert rows["skill"].value == pytest.approx(load_result(run).intervals["r2"][0])
    assert rows["planted"].light == "none"
    with pytest.raises(InputError, match="no planted self-test of a regression"):
        request_planted(run, load_dataset(load_fitted(run, 0).spec.cohort.dataset))


@pytest.mark.parametrize("choice", [{"baseline": "others"}, {"against": "dose"}])
def test_there_is_no_other_class_to_hold_it_against(run: str, choice: dict) -> None:
    with pytest.raises(InputError, match="there is no other class"):
        explain_run(run, Recipe(**choice), lambda *_: None)
