"""Linear models of one or several sources, chosen on inner folds."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from core.models import tuned
from core.models.tuned import (
    CLASSES,
    CLASSES_BY_RIDGE,
    LOGISTIC,
    RIDGE,
    VALUES,
    Aim,
    Choice,
    Sources,
    TunedLinear,
)
from tests.test_models_baselines import make_samples


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As those who use it have it."""
    with threadpool_limits(1):
        yield


def only(family: tuned.Family, **changed) -> Aim:
    return replace(CLASSES, families=(replace(family, **changed),))


def fixed(family: tuned.Family, strength: float) -> tuned.Candidate:
    """One that wasn't chosen."""
    nothing = np.array([])
    return tuned.Candidate((1.0,), family, strength, 1.0, nothing, nothing, lambda: nothing)


def standardise(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64)
    varies = x.std(axis=0) > 1e-6
    return (x - x.mean(axis=0)) / np.where(varies, x.std(axis=0), 1) * varies


def choose(blocks: list[np.ndarray], y: np.ndarray, aim: Aim = CLASSES) -> Choice:
    sources = Sources(blocks, [True, *[False] * (len(blocks) - 1)])
    targets = np.eye(y.max() + 1)[y] if aim.of_classes else y[:, None]
    strata = y if aim.of_classes else (y > np.median(y)).astype(int)
    return Choice(sources, targets, strata, np.arange(len(y)), aim, 0)


@pytest.mark.parametrize("family", [LOGISTIC, RIDGE])
def test_weights_give_the_answers(family: tuned.Family) -> None:
    rng = np.random.default_rng(1)
    x, y = make_samples(60, rng)
    new, _ = make_samples(30, rng)
    model = TunedLinear(only(family)).fit(x, y)
    log_odds = np.log(model.predict_proba(new))
    varies = x.std(axis=0) > 1e-6
    scores = (new - x.mean(axis=0)) / np.where(varies, x.std(axis=0), 1) @ model.coef_.T
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-6)
    for one, other in ((0, 1), (1, 2)):  # up to the offset
        gap, expected = scores[:, one] - scores[:, other], log_odds[:, one] - log_odds[:, other]
        np.testing.assert_allclose(gap - gap[0], expected - expected[0], atol=1e-3)


def test_ridge_is_the_known_solution() -> None:
    x, y = make_samples(40, np.random.default_rng(2))
    choice = choose([x], y, CLASSES_BY_RIDGE)
    chosen = choice.choose()
    z = standardise(x)
    z /= np.sqrt(np.square(z).sum(axis=1).mean())  # a sample's squared length is 1 on average
    target = np.eye(3)[y] - np.eye(3)[y].mean(axis=0)
    penalty = len(x) / chosen.strength * np.eye(x.shape[1])
    weights = np.linalg.solve(z.T @ z + penalty, z.T @ target) / chosen.temperature
    found = choice.fit(chosen).score(choice.sources, [x])
    expected = z @ weights + np.eye(3)[y].mean(axis=0) / chosen.temperature
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ridge_holds_a_fold_out_as_if_it_were_fitted_without_it() -> None:
    x, y = make_samples(40, np.random.default_rng(3))
    z, targets = standardise(x), np.eye(3)[y]
    axes = tuned._Axes.of(z @ z.T)
    fold = np.array([3, 4, 11, 30])
    others = np.setdiff1d(np.arange(40), fold)
    [held] = tuned._hold_out_ridge(axes, targets, [fold, others], [20.0])
    mean, known = z[others].mean(axis=0), z[others] - z[others].mean(axis=0)
    kernel = known @ known.T + 40 / 20.0 * np.eye(len(others))
    dual = np.linalg.solve(kernel, targets[others] - targets[others].mean(axis=0))
    expected = targets[others].mean(axis=0) + (z[fold] - mean) @ known.T @ dual
    for scores in (held.scores, held.finish()):
        np.testing.assert_allclose(scores[fold], expected, atol=1e-8)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_penalty_is_scikit_learns_of_two_classes_too(classes: int) -> None:
    x, y = make_samples(60, np.random.default_rng(12))
    x, y = standardise(x[y < classes]), y[y < classes]
    z = np.linalg.svd(x, full_matrices=False)
    z = z.U * z.S / z.S[0]
    for strength, (near, finish) in zip(
        (1.0, 100.0), tuned._logistic_path(z, np.eye(classes)[y], (1.0, 100.0)), strict=True
    ):
        model = LogisticRegression(C=strength, tol=1e-10, solver="newton-cg").fit(z, y)
        for weights, tolerance in ((near, 1e-2), (finish(), 1e-6)):
            answers = softmax(z @ weights[:, :-1].T + weights[:, -1], axis=1)
            np.testing.assert_allclose(answers, model.predict_proba(z), atol=tolerance)


@pytest.mark.parametrize("strength", [1.0, 1000.0])
def test_what_is_kept_of_inner_folds_hangs_on_no_start_and_no_order(
    strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = make_samples(90, np.random.default_rng(15))
    z, fold = standardise(x), np.arange(0, 90, 3)
    z /= np.sqrt(np.square(z).sum(axis=1).mean())  # a sample's squared length is 1 on average
    near, kept = [], []
    for tolerance, order in ((1e-5, np.arange(90)), (1e-2, np.arange(90)[::-1])):
        monkeypatch.setattr(tuned, "NEAR", tolerance)
        folds = [np.flatnonzero(np.isin(order, part)) for part in (fold, fold + 1, fold + 2)]
        axes, targets = tuned._Axes.of(z[order] @ z[order].T), np.eye(3)[y[order]]
        *_, held = tuned._hold_out_logistic(axes, targets, folds, (strength / 10, strength))
        for scores, found in ((held.scores, near), (held.finish(), kept)):
            found.append(softmax(scores[np.argsort(order)], axis=1))
    assert np.abs(near[1] - near[0]).max() > 1e-4
    np.testing.assert_allclose(kept[1], kept[0], atol=1e-6)


def test_the_start_decides_nothing_of_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither weights nor the temperature, which comes from the inner folds."""
    rng = np.random.default_rng(16)
    x, y = make_samples(90, rng)
    new, _ = make_samples(30, rng)
    answers = []
    for tolerance in (1e-5, 1e-2):
        monkeypatch.setattr(tuned, "NEAR", tolerance)
        model = TunedLinear(only(LOGISTIC, strengths=(1000.0,))).fit(x, y)
        answers.append(model.predict_proba(new))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-6)


@pytest.mark.parametrize(
    ("losses", "rival", "least", "tried"),
    [
        ((8.0, 5.0, 4.5, 4.25), np.inf, 4.25, 4),
        ((8.0, 5.0, 4.5, 4.25), 4.2, 4.25, 4),  # from 4.5 it may fall by another .5 at most
        ((8.0, 5.0, 4.5, 4.25), 3.0, 4.5, 3),
        ((8.0, 5.0, 6.0, 1.0), np.inf, 5.0, 3),
    ],
)
def test_penalties_are_tried_while_that_can_help(
    losses: tuple[float, ...], rival: float, least: float, tried: int
) -> None:
    asked = []

    def hold_out(axes, targets, folds, strengths) -> Iterator[tuned.Held]:
        for loss in losses:
            asked.append(loss)
            yield tuned.Held(np.full(targets.shape, loss), lambda: None)

    family = tuned.Family("known losses", (1.0, 2.0, 3.0, 4.0), hold_out, RIDGE.fit)
    aim = Aim((family,), lambda scores, targets: (scores[:, 0], 1.0))
    x, y = make_samples(60, np.random.default_rng(13))
    assert choose([x], y, aim).judge((1.0,), family, rival).loss == least
    assert len(asked) == tried


def test_what_is_known_of_the_first_source_is_taken_and_changes_nothing() -> None:
    """Its inner products may come from other features, such as a picture of the genes."""
    rng = np.random.default_rng(14)
    x, y = make_samples(90, rng)
    maps, targets = rng.normal(size=(90, 40)), np.eye(3)[y]
    picture = np.repeat(x[:, ::-1], 2, axis=1)
    for genes, taken in ((x, True), (rng.normal(size=x.shape), False)):
        alone, steps = choose([genes], y), []
        alone.fit(alone.choose())
        sources = Sources([picture, maps], [True, False])
        both = Choice(sources, targets, y, np.arange(90), CLASSES, 0, alone, steps.append)
        found = both.choose()
        answers = softmax(both.fit(found).score(sources, [picture, maps]), axis=1)
        plain = choose([picture, maps], y)
        expected = plain.choose()
        assert found.shares == expected.shares == (1.0, 0.0)
        assert found.words == expected.words
        expected = softmax(plain.fit(expected).score(sources, [picture, maps]), axis=1)
        np.testing.assert_allclose(answers, expected, atol=1e-6)
        assert ("choosing the penalty" not in steps) == taken
        assert "choosing shares, 1 of at most 6" in steps


def test_the_penalty_of_least_inner_loss_is_taken() -> None:
    x, y = make_samples(60, np.random.default_rng(3))
    losses = {
        strength: choose([x], y, only(RIDGE, strengths=(strength,))).choose().loss
        for strength in RIDGE.strengths
    }
    assert choose([x], y, CLASSES_BY_RIDGE).choose().strength == min(losses, key=losses.get)


def test_the_better_family_is_taken() -> None:
    x, y = make_samples(90, np.random.default_rng(4))
    each = [choose([x], y, only(family)).choose() for family in (RIDGE, LOGISTIC)]
    both, best = choose([x], y).choose(), min(each, key=lambda candidate: candidate.loss)
    assert (both.family.name, both.strength) == (best.family.name, best.strength)


def test_inner_folds_keep_a_patients_samples_together() -> None:
    """Pairs of equal samples with labels by chance: apart, each gives its twin's label away."""
    rng = np.random.default_rng(5)
    x = np.repeat(rng.normal(size=(60, 300)), 2, axis=0)
    y, patients = np.repeat(rng.integers(0, 2, 60), 2), np.repeat(np.arange(60), 2)
    together = TunedLinear(CLASSES_BY_RIDGE).fit(x, y, patients).chosen_.loss
    apart = TunedLinear(CLASSES_BY_RIDGE).fit(x, y).chosen_.loss
    assert together > 0.4 > 0.2 > apart


@pytest.mark.parametrize("helps", [True, False])
def test_a_source_gets_a_share_if_it_helps(helps: bool) -> None:
    """Classes that the second source alone knows, or that the first one does."""
    rng = np.random.default_rng(6)
    x, y = make_samples(90, rng)
    noise = rng.normal(size=(90, 40)).astype(np.float32)
    blocks = [noise, x] if helps else [x, noise]
    chosen = choose(blocks, y).choose()
    assert chosen.shares[1] > 0.5 if helps else chosen.shares == (1.0, 0.0)


@pytest.mark.parametrize("family", [LOGISTIC, RIDGE])
def test_repeated_and_constant_features_change_nothing(family: tuned.Family) -> None:
    """So a picture of the genes, whatever its size, is the genes."""
    x, y = make_samples(60, np.random.default_rng(7))
    order = np.random.default_rng(0).permutation(60)
    picture = np.hstack([np.repeat(x[:, order], 4, axis=1), np.full((60, 9), 0.3, np.float32)])
    answers = []
    for block in (x, picture):
        choice = choose([block], y)
        candidate = choice.judge((1.0,), family)
        answers.append(softmax(choice.fit(candidate).score(choice.sources, [block]), axis=1))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-6)


@pytest.mark.parametrize("family", [LOGISTIC, RIDGE])
def test_answers_are_the_same_to_six_digits_in_another_order(family: tuned.Family) -> None:
    x, y = make_samples(90, np.random.default_rng(8))
    answers = []
    for order in (np.arange(90), np.arange(90)[::-1], np.random.default_rng(0).permutation(90)):
        choice = choose([x[order]], y[order])
        found = choice.fit(fixed(family, 100.0))
        answers.append(softmax(found.score(choice.sources, [x]), axis=1))
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-7)
    np.testing.assert_allclose(answers[2], answers[0], atol=1e-7)


def test_landmarks_that_span_everything_give_the_same_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Samples of a space of five dimensions are spanned by any few of them."""
    rng = np.random.default_rng(9)
    x = rng.normal(size=(120, 5)) @ rng.normal(size=(5, 30))
    y = (x[:, 0] > 0).astype(int)
    exact, few = [], []
    for most, found in ((1000, exact), (40, few)):
        monkeypatch.setattr(tuned, "LANDMARKS", most)
        monkeypatch.setattr(tuned, "CHOOSING", most)
        choice = choose([x], y)
        found.append(choice.fit(fixed(RIDGE, 300.0)).score(choice.sources, [x]))
    np.testing.assert_allclose(few[0], exact[0], atol=1e-6)


def test_a_class_without_samples_is_never_named() -> None:
    x, y = make_samples(60, np.random.default_rng(10))
    for family in (LOGISTIC, RIDGE):
        choice = choose([x], np.where(y == 1, 3, y))
        found = choice.fit(choice.judge((1.0,), family))
        answers = softmax(found.score(choice.sources, [x]), axis=1).argmax(axis=1)
        assert set(answers) == {0, 2, 3}


def test_a_number_is_predicted() -> None:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(80, 20))
    y = x @ rng.normal(size=20) + 5
    choice = choose([x], y, VALUES)
    found = choice.fit(choice.choose()).score(choice.sources, [x])[:, 0]
    assert np.corrcoef(found, y)[0, 1] > 0.99
    assert abs(found.mean() - y.mean()) < 1e-6
