"""Scores and intervals against answers known by hand, publications and independent programs."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from core.evaluation.intervals import (
    Bootstrap,
    gather,
    interval,
    spread,
    weigh,
    weigh_by_name,
)
from core.evaluation.metrics import (
    CLASS_METRICS,
    METRICS,
    order_by_confusion,
    pool_patients,
    reliability,
    say_most_confused,
    score,
    score_classes,
)


def draw(n: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers and probabilities that know something of them; some samples tie."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    proba = rng.dirichlet(np.ones(classes), n) + 0.5 * np.eye(classes)[y] * rng.random((n, 1))
    proba = (proba / proba.sum(axis=1, keepdims=True)).round(2)
    proba[:, 0] += 1 - proba.sum(axis=1)
    return y, proba.clip(0)


def ask_scikit_learn(y: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """The same scores by scikit-learn, for positive weights and every class present."""
    predicted, classes, own = (
        proba.argmax(axis=1),
        range(proba.shape[1]),
        {"sample_weight": weights},
    )
    onehot = np.eye(proba.shape[1])[y]
    return {
        "accuracy": sklearn.accuracy_score(y, predicted, **own),
        "balanced_accuracy": sklearn.balanced_accuracy_score(y, predicted, **own),
        "macro_f1": sklearn.f1_score(y, predicted, average="macro", **own),
        "mcc": sklearn.matthews_corrcoef(y, predicted, **own),
        "macro_auroc": np.mean(
            [sklearn.roc_auc_score(y == k, proba[:, k], **own) for k in classes]
        ),
        "average_precision": sklearn.average_precision_score(onehot, proba, **own),
        "brier": sklearn.brier_score_loss(y, proba, labels=classes, scale_by_half=False, **own),
    }  # fmt: skip


def test_scores_of_a_tiny_case() -> None:
    y = np.array([0, 0, 0, 1, 1, 2])
    proba = np.eye(3)[[0, 0, 1, 1, 1, 0]] * 0.7 + 0.1
    scores = score(y, proba)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)
    assert scores["brier"] == pytest.approx((4 * 0.06 + 2 * (0.9**2 + 0.8**2 + 0.1**2)) / 6)
    assert scores["calibration_error"] == pytest.approx(0.8 - 4 / 6)
    assert set(scores) == set(CLASS_METRICS.names)


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_equal_scikit_learn(classes: int) -> None:
    y, proba = draw(200, classes, seed=0)
    scores = score(y, proba)
    for name, expected in ask_scikit_learn(y, proba, np.ones(200)).items():
        assert scores[name] == pytest.approx(expected), name


def test_weighted_scores_equal_scikit_learn() -> None:
    y, proba = draw(150, 3, seed=1)
    weights = np.random.default_rng(1).integers(1, 5, (2, 150)).astype(np.float32)
    for row, own in enumerate(weights):
        for name, expected in ask_scikit_learn(y, proba, own).items():
            found = METRICS[name].compute(y, proba, weights)[row]
            assert found == pytest.approx(expected, rel=1e-5), name


@pytest.mark.parametrize("metric", CLASS_METRICS, ids=lambda metric: metric.name)
def test_a_sample_of_weight_two_counts_as_two(metric) -> None:
    y, proba = draw(60, 3, seed=2)
    counts = np.random.default_rng(2).integers(0, 3, 60)
    weighted = metric.compute(y, proba, counts[None].astype(float))[0]
    assert weighted == pytest.approx(score(y.repeat(counts), proba.repeat(counts, 0))[metric.name])


def test_a_class_without_samples_does_not_count() -> None:
    y = np.array([0, 0, 1, 1])
    proba = np.array([[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
    scores = score(y, proba)
    assert scores["balanced_accuracy"] == pytest.approx(0.75)
    assert scores["macro_auroc"] == pytest.approx((1 + 2.5 / 4) / 2)
    assert scores["average_precision"] == pytest.approx((1 + (1 + 2 / 4) / 2) / 2)


def test_samples_of_one_class_have_no_auroc() -> None:
    scores = score(np.zeros(3, int), np.array([[0.9, 0.1]] * 3))
    assert np.isnan(scores["macro_auroc"])
    assert scores["accuracy"] == 1


def test_scores_of_each_class() -> None:
    y = np.array([0, 0, 0, 1, 1, 2])
    table = score_classes(y, np.eye(4)[[0, 0, 1, 1, 1, 0]], ["a", "b", "c", "d"])
    assert table["n"].tolist() == [3, 2, 1, 0]
    assert table["recall"].tolist()[:3] == pytest.approx([2 / 3, 1, 0])
    assert table["precision"].tolist()[:2] == pytest.approx([2 / 3, 2 / 3])
    assert table["f1"].tolist()[:3] == pytest.approx([2 / 3, 4 / 5, 0])
    assert table.loc[2:, "precision"].isna().all()
    assert np.isnan(table.loc[3, "recall"])
    assert (table["recall_low"][0], table["recall_high"][0]) == pytest.approx(interval(2, 3))


def test_reliability_bins() -> None:
    proba = np.array([[0.95, 0.05], [0.91, 0.09], [0.09, 0.91], [0.55, 0.45], [1.0, 0.0]])
    table = reliability(np.array([0, 1, 1, 1, 0]), proba)
    assert table["n"].tolist() == [1, 4]
    assert table["accuracy"].tolist() == [0, 0.75]
    assert table["confidence"].tolist() == pytest.approx([0.55, (0.95 + 0.91 + 0.91 + 1) / 4])
    assert (table["low"][1], table["high"][1]) == pytest.approx(interval(3, 4))


def test_the_most_confused_pair_in_words() -> None:
    counts = np.array([[8, 0, 2], [0, 5, 0], [4, 0, 6]])
    assert say_most_confused(counts, ["a", "b", "c"]) == (
        "Most confused: c and a. 4 of 10 c were taken for a, and 2 of 10 a for c."
    )
    assert "No sample" in say_most_confused(np.eye(2, dtype=int), ["a", "b"])


def test_confused_classes_stand_side_by_side() -> None:
    counts = np.diag([10, 10, 10, 10])
    counts[0, 2] = counts[3, 1] = 5
    order = order_by_confusion(counts).tolist()
    assert sorted(order) == [0, 1, 2, 3]
    assert abs(order.index(0) - order.index(2)) == abs(order.index(1) - order.index(3)) == 1
    assert order_by_confusion(np.eye(2)).tolist() == [0, 1]


def test_samples_of_a_patient_and_class_are_pooled() -> None:
    y = np.array([0, 1, 0, 0])
    proba = np.array([[0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.6, 0.4]])
    pooled_y, pooled = pool_patients(y, proba, np.array(["p", "p", "p", "q"]))
    assert pooled_y.tolist() == [0, 1, 0]
    np.testing.assert_allclose(pooled, [[0.55, 0.45], [0.3, 0.7], [0.6, 0.4]])


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263, score method.
    assert interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)


SPATIAL = np.array(
    [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26,
     30, 41]
)  # fmt: skip
"""Spatial test A of 26 children, Efron and Tibshirani 1993, table 14.1."""


def variance(weights: np.ndarray) -> np.ndarray:
    mean = weights @ SPATIAL / weights.sum(axis=1)
    return weights @ SPATIAL**2 / weights.sum(axis=1) - mean**2


def test_bca_interval_of_a_published_example() -> None:
    # Efron and Tibshirani 1993, table 14.2: estimate 171.5, 90 % BCa interval 115.8 to 259.6 from
    # 2 000 resamples, whose own random error is some units.
    patients = np.arange(26)
    found = gather(variance(weigh(patients, 20_000)), 26, 20_000)
    assert found.estimate == pytest.approx(171.5, abs=0.05)
    assert found.interval(0.9) == pytest.approx((115.8, 259.6), rel=0.03)


def test_bca_interval_equals_scipys_on_the_same_resamples() -> None:
    result = stats.bootstrap(
        (SPATIAL,), np.var, n_resamples=999, method="BCa", rng=np.random.default_rng(0)
    )
    left_out = variance(1.0 - np.eye(26))
    found = Bootstrap(SPATIAL.var(), result.bootstrap_distribution, left_out, 26).interval()
    assert found == pytest.approx(tuple(result.confidence_interval))


def test_whole_patients_are_drawn() -> None:
    patients = np.array(["p", "q", "q", "q", "r"])
    once, draws, left_out = np.split(weigh(patients, 50), [1, 51])
    assert (once == 1).all()
    assert (draws[:, 1] == draws[:, 2]).all()
    assert (draws[:, [0, 1, 4]].sum(axis=1) == 3).all()
    assert left_out.tolist() == [[0, 1, 1, 1, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 0]]


def test_a_patient_drawn_by_name_weighs_the_same_in_every_set() -> None:
    one = weigh_by_name(np.array(["p", "q", "q", "r"]), 200)
    other = weigh_by_name(np.array(["s", "r", "q"]), 200)
    someone = (one[:, [0, 1, 3]].max(axis=1) > 0) & (other.max(axis=1) > 0)
    both = someone & ~(one == 1).all(axis=1) & ~(other == 1).all(axis=1)
    assert both.sum() > 150
    assert (one[both][:, [3, 1, 2]] == other[both][:, [1, 2, 2]]).all()
    assert one.any(axis=1).all()
    large = weigh_by_name(np.arange(300).astype(str), 500)
    assert large.mean() == pytest.approx(1, abs=0.02)
    assert large.var() == pytest.approx(1, abs=0.03)


def test_a_difference_of_the_same_patients_is_narrower_than_its_parts() -> None:
    rng = np.random.default_rng(0)
    right = rng.random(200) < 0.8
    other = right.copy()
    other[:6] = False
    weights = weigh(np.arange(200))
    one, two = (gather(weights @ r / weights.sum(axis=1), 200) for r in (right, other))
    low, high = (one - two).interval()
    assert 0 < low < right[:6].sum() / 200 < high
    assert high - low < np.diff(one.interval())[0] / 2
    assert (one - two).estimate == pytest.approx(right[:6].sum() / 200)


def test_draws_without_a_score_are_left_out_of_its_interval() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [17, 3])
    proba = 0.2 * y + 0.8 * rng.random(20)
    values = METRICS["macro_auroc"].compute(
        y, np.stack([1 - proba, proba], 1), weigh(np.arange(20))
    )
    assert 0.02 < np.isnan(values).mean() < 0.1
    low, high = gather(values, 20).interval()
    draws = values[1:2001][np.isfinite(values[1:2001])]
    assert low >= draws.min()
    assert low > np.quantile(draws, 0.001)
    assert high <= 1
    values[1:1500] = np.nan
    assert gather(values, 20).interval() is None


def test_draws_that_are_computed_some_at_a_time_are_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    y, proba = draw(60, 3, seed=2)
    patients = np.array([f"P{i // 2}" for i in range(60)])
    whole = gather(METRICS["macro_auroc"].compute(y, proba, weigh(patients)), 30)
    monkeypatch.setattr("core.evaluation.intervals.CELLS", 60 * 7)
    parts = spread(lambda weights: METRICS["macro_auroc"].compute(y, proba, weights), patients)
    assert np.allclose(parts.replicates, whole.replicates)
    assert parts.interval() == pytest.approx(whole.interval())


def test_an_interval_stands_where_it_makes_no_difference_who_is_left_out() -> None:
    draws = np.linspace(0, 1, 101)
    low, high = Bootstrap(0.5, draws, np.full(4, 0.5), 4).interval()
    assert (low, high) == pytest.approx((0.025, 0.975), abs=0.01)


def test_nothing_wrong_still_has_an_interval() -> None:
    right = np.ones(50)
    weights = weigh(np.arange(50))
    found = gather(weights @ right / weights.sum(axis=1), 50)
    low, high = METRICS["accuracy"].clip(found.interval())
    assert (low, high) == pytest.approx(interval(50, 50))
    low, high = (found - found).interval()
    assert -low == high == pytest.approx(1.959964**2 / (50 + 1.959964**2))


def test_probabilities_need_not_be_exactly_one_in_sum() -> None:
    y, proba = draw(40, 3, seed=3)
    rounded = pd.DataFrame(proba).round(6).to_numpy()
    assert score(y, rounded) == pytest.approx(score(y, proba), abs=1e-4)
