"""Linear models whose penalty, and the share of each source of features, is chosen on inner folds.

On expression profiles a well-penalised linear model is hard to beat (Smith et al. 2020, "Standard
machine learning approaches outperform deep representation learning on phenotype prediction from
transcriptomics data"). Where there are more features than samples it depends on them through the
samples' inner products alone, so that it is fitted on the principal axes of the samples (Hastie and
Tibshirani 2004, "Efficient quadratic regularization for expression arrays"). Inner products of
several sources add up, each with a share (multiple kernel learning: Gönen and Alpaydın 2011).
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import brentq, minimize
from scipy.sparse.linalg import LinearOperator, cg
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedGroupKFold

INNER_FOLDS = 5
"""Folds of the training samples that choose."""
LOGISTIC_STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
"""Inverse penalties, of features scaled so that a sample's squared length is 1 on average."""
RIDGE_STRENGTHS = (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0, 30000.0)
"""Inverse penalties per sample, of features scaled likewise."""
STEP = 0.3
"""Share that goes to a source when it is found to help."""
MOST_STEPS = 6
"""More steps would leave the first source less than a tenth."""
CHOOSING = 1000
"""So many samples at most choose; the chosen model is fitted on all."""
LANDMARKS = 3000
"""So many samples at most span the principal axes (Nyström's method: Williams and Seeger 2001)."""
AT_ONCE = 4096
"""Features whose inner products are added at once."""
NEAR = 1e-5
"""Largest derivative of the mean logistic loss at the end of a fit that only helps to choose."""
MOST_TRIES = 1000
"""Steps after which such a fit, or one of Newton's steps, is taken as it is."""
EXACT = 1e-11
"""Largest derivative at the end of a fit that is kept: then probabilities agree to six digits,
whatever the order of the samples, the start and the number of threads."""
MOST_STEPS_OF_NEWTON = 100
"""A fit takes five to fifteen."""
RIGHT = 1e-5
"""Inner products of samples, whose squares are 1 on average, that differ by less are the same."""
UNKNOWN = -30.0
"""Score of a class that no training sample has: a probability of 1e-13 beside a score of 0."""
HOTTEST = 50.0
"""Bound of a temperature and of its inverse."""


class Sources:
    """Blocks of features of the training samples, each to be given a share.

    Features are centred, and a block is divided by one number, so that a sample's squared length in
    it is 1 on average. In a block that is standardised each feature first gets an SD of 1.

    Args:
        blocks: (samples, features) of each source.
        standardised: of each source, whether it is.
    """

    def __init__(self, blocks: Sequence[np.ndarray], standardised: Sequence[bool]) -> None:
        self.blocks = blocks
        self.means = [block.mean(axis=0, dtype=np.float64) for block in blocks]
        self.scales: list[np.ndarray] = []
        """(features,) of each source: what centred features are multiplied with."""
        for block, mean, standardise in zip(blocks, self.means, standardised, strict=True):
            variance = np.zeros(len(mean))
            for part in _parts(len(mean)):
                centred = block[:, part] - mean[part]
                variance[part] = np.square(centred, out=centred).mean(axis=0)
            # a mean of equal numbers misses them by a last bit
            varies = variance > 1e-12 * (np.square(mean) + variance)
            own = np.sqrt(np.where(varies, variance, 1)) if standardise else np.ones(len(mean))
            length = np.sqrt((variance / own**2)[varies].sum()) or 1.0
            self.scales.append(varies / (own * length))

    def __len__(self) -> int:
        """How many."""
        return len(self.blocks)

    @property
    def samples(self) -> int:
        """How many."""
        return len(self.blocks[0])

    def compare(self, rows: np.ndarray, others: np.ndarray | None = None) -> list[np.ndarray]:
        """Inner products (rows, others) of samples, of each source; of `rows` themselves."""
        found = []
        for number, block in enumerate(self.blocks):
            gram = np.zeros((len(rows), len(rows if others is None else others)))
            for part in _parts(block.shape[1]):
                left = self._scaled(number, rows, part)
                gram += left @ (left if others is None else self._scaled(number, others, part)).T
            found.append(gram)
        return found

    def weigh(self, rows: np.ndarray, dual: np.ndarray, shares: Sequence[float]) -> list:
        """Weights (features, outputs) of centred features, of each source.

        `dual` (rows, outputs) are the weights of the samples `rows` in the sum of all sources'
        inner products, each times its share.
        """
        found = []
        for number, (block, share) in enumerate(zip(self.blocks, shares, strict=True)):
            weights = np.zeros((block.shape[1], dual.shape[1]))
            for part in _parts(block.shape[1]) if share else ():
                weights[part] = share * (self._scaled(number, rows, part).T @ dual)
            found.append(weights * self.scales[number][:, None])
        return found

    def _scaled(self, number: int, rows: np.ndarray, part: slice) -> np.ndarray:
        block = self.blocks[number]
        asked = block[:, part] if len(rows) == len(block) else block[rows, part]
        centred = np.subtract(asked, self.means[number][part], dtype=np.float64)
        centred *= self.scales[number][part]
        return centred


@dataclass(frozen=True)
class Held:
    """What inner folds are given by models that have not seen them."""

    scores: np.ndarray
    """(samples, outputs), near enough to choose by"""
    finish: Callable[[], np.ndarray]
    """Computes them to so many digits that no start and no processor gives other ones."""


@dataclass(frozen=True)
class Family:
    """Linear models that differ in their penalty."""

    name: str
    strengths: tuple[float, ...]
    """Inverse penalties, from strong to weak."""
    hold_out: Callable[["_Axes", np.ndarray, list[np.ndarray], Sequence[float]], Iterator["Held"]]
    """What each inner fold is given by the model of the others; for each strength in turn, computed
    when it is asked for"""
    fit: Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
    """(samples, axes) and (samples, outputs) targets -> weights (axes, outputs), offsets."""


@dataclass(frozen=True)
class Aim:
    """What a linear model is to predict, and how that is judged."""

    families: tuple[Family, ...]
    """Which are tried. The first one has to be quick: it chooses the shares."""
    judge: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, float]]
    """Scores and targets (samples, outputs) -> (samples,) losses, and the temperature by which the
    scores are then to be divided."""
    of_classes: bool = True
    """Whether outputs are classes."""


def _hold_out_ridge(
    axes: "_Axes", targets: np.ndarray, folds: list[np.ndarray], strengths: Sequence[float]
) -> Iterator[Held]:
    """Without fitting anew: what a linear smoother says of samples that it doesn't know.

    Their residuals are (I - H)^-1 times those of the fit to all (Cook and Weisberg 1982), H being
    the part of the hat matrix that is of these samples.
    """
    unit, mean = axes.unit, targets.mean(axis=0)
    projected = unit.T @ targets
    parts = [unit[fold] for fold in folds]
    for strength in strengths:
        shrunk = axes.sizes**2 / (axes.sizes**2 + len(targets) / strength)
        fitted = mean + unit @ (shrunk[:, None] * projected)
        scores = np.empty_like(targets)
        for fold, part in zip(folds, parts, strict=True):
            hat = (part * shrunk) @ part.T + 1 / len(targets)
            residuals = np.linalg.solve(np.eye(len(fold)) - hat, targets[fold] - fitted[fold])
            scores[fold] = targets[fold] - residuals
        yield Held(scores, lambda scores=scores: scores)


def _fit_ridge(
    z: np.ndarray, targets: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Ridge regression of each output (Hoerl and Kennard 1970), on axes at right angles."""
    mean = targets.mean(axis=0)
    sizes = np.square(z).sum(axis=0)
    return z.T @ (targets - mean) / (sizes + len(z) / strength)[:, None], mean


def _hold_out_logistic(
    axes: "_Axes", targets: np.ndarray, folds: list[np.ndarray], strengths: Sequence[float]
) -> Iterator[Held]:
    """Each fit begins where the one before ended."""
    z = axes.unit * axes.sizes
    classes, paths = [], []
    for fold in folds:
        others = np.setdiff1d(np.arange(len(z)), fold)
        classes.append(np.flatnonzero(targets[others].any(axis=0)))
        paths.append(_logistic_path(z[others], targets[np.ix_(others, classes[-1])], strengths))

    def score(fits: list[np.ndarray]) -> np.ndarray:
        scores = np.full(targets.shape, -np.inf)
        for fold, present, weights in zip(folds, classes, fits, strict=True):
            scores[np.ix_(fold, present)] = z[fold] @ weights[:, :-1].T + weights[:, -1]
        return scores

    for fits in zip(*paths, strict=True):
        near = score([weights for weights, _ in fits])
        yield Held(near, lambda fits=fits: score([finish() for _, finish in fits]))


def _logistic_path(
    z: np.ndarray, targets: np.ndarray, strengths: Sequence[float]
) -> Iterator[tuple[np.ndarray, Callable[[], np.ndarray]]]:
    """Weights (classes, axes, and the offset) of multinomial logistic regressions.

    They are near enough to choose by; the function computes them exactly. The penalties are
    scikit-learn's. On principal axes the second derivatives of the loss are nearly diagonal, so
    that weights divided by their roots come near the solution in few steps.
    """
    rows = np.hstack([z, np.ones((len(z), 1))])  # the last weight is the offset
    squares = np.square(rows).sum(axis=0)
    weights = np.zeros((targets.shape[1], len(squares)))
    curvature = 1 / len(weights)
    for strength in strengths:
        # of two classes scikit-learn has one weight an axis, whose square is half of these two's
        penalty = np.full(len(squares), (2 if len(weights) == 2 else 1) / strength)
        penalty[-1] = 0
        unit = 1 / np.sqrt(curvature * squares + penalty)
        loss = _LogisticLoss(rows, targets, penalty, unit)
        weights = _come_near(loss, weights / unit, NEAR * len(z)) * unit
        proba = softmax(weights @ rows.T, axis=0)
        curvature = (proba * (1 - proba)).mean()
        yield weights, partial(_finish, loss, weights)


class _LogisticLoss:
    """The penalised loss, summed over samples, of weights (classes, axes) that are in `unit`."""

    def __init__(
        self, rows: np.ndarray, targets: np.ndarray, penalty: np.ndarray, unit: np.ndarray
    ) -> None:
        self.rows, self.columns = rows, np.ascontiguousarray(rows.T)
        self.own, self.penalty, self.unit = np.ascontiguousarray(targets.T), penalty, unit

    def __call__(self, scaled: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """And its derivatives, and the (classes, samples) probabilities."""
        weights = scaled * self.unit
        scores = weights @ self.columns
        scores -= scores.max(axis=0)
        hit = np.vdot(scores, self.own)
        proba = np.exp(scores, out=scores)
        sums = proba.sum(axis=0)
        proba /= sums
        pulled = self.penalty * weights
        cost = np.log(sums).sum() - hit + np.vdot(pulled, weights) / 2
        return float(cost), ((proba - self.own) @ self.rows + pulled) * self.unit, proba

    def bend(self, proba: np.ndarray, step: np.ndarray) -> np.ndarray:
        """By how much the derivatives change with a step, where the probabilities are these.

        To seven digits, which takes half the time.
        """
        weights = step.reshape(len(proba), -1) * self.unit
        moved = proba * (weights.astype(np.float32) @ self._short_columns)
        moved -= proba * moved.sum(axis=0)
        back = moved.astype(np.float32) @ self._short_rows
        return ((back + self.penalty * weights) * self.unit).ravel()

    @cached_property
    def _short_rows(self) -> np.ndarray:
        return self.rows.astype(np.float32)

    @cached_property
    def _short_columns(self) -> np.ndarray:
        return self.columns.astype(np.float32)


def _come_near(loss: _LogisticLoss, start: np.ndarray, tolerance: float) -> np.ndarray:
    """L-BFGS (Liu and Nocedal 1989), until no derivative is above `tolerance`."""

    def flat(values: np.ndarray) -> tuple[float, np.ndarray]:
        height, slope, _ = loss(values.reshape(start.shape))
        return height, slope.ravel()

    limits = {"gtol": tolerance, "ftol": 0, "maxiter": MOST_TRIES, "maxcor": 8}
    found = minimize(flat, start.ravel(), jac=True, method="L-BFGS-B", options=limits)
    return found.x.reshape(start.shape)


def _finish(loss: _LogisticLoss, weights: np.ndarray) -> np.ndarray:
    """Weights of which no derivative of the mean loss is above EXACT, from some that are near.

    Newton's steps, each by conjugate gradients (Nash 1984): they come a hundred times nearer each,
    where L-BFGS would need thousands.
    """
    at = weights / loss.unit
    height, slope, proba = loss(at)
    samples = proba.shape[1]
    for _ in range(MOST_STEPS_OF_NEWTON):
        steepest = np.abs(slope).max() / samples
        if steepest <= EXACT:
            break
        bend = partial(loss.bend, proba)
        operator = LinearOperator((slope.size, slope.size), bend, dtype=np.float64)
        rtol = np.clip(np.sqrt(steepest), 0.01, 0.1)
        step, _ = cg(operator, -slope.ravel(), rtol=rtol, maxiter=MOST_TRIES)
        step, highest = step.reshape(at.shape), height + 1e-12 * abs(height)  # but a last bit
        while (found := loss(at + step))[0] > highest and np.abs(step).max() > 1e-12:
            step = step / 2
        at = at + step
        height, slope, proba = found
    return at * loss.unit


def _fit_logistic(
    z: np.ndarray, targets: np.ndarray, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression, to so many digits that no processor gives another answer."""
    present = np.flatnonzero(targets.any(axis=0))
    weights = np.zeros((z.shape[1], targets.shape[1]))
    offsets = np.full(targets.shape[1], UNKNOWN)
    path = [*(weaker for weaker in LOGISTIC_STRENGTHS if weaker < strength), strength]
    *_, (_, finish) = _logistic_path(z, targets[:, present], path)
    found = finish()
    weights[:, present], offsets[present] = found[:, :-1].T, found[:, -1]
    return weights, offsets


def _judge_classes(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, float]:
    """Brier scores, with the temperature of least log loss (Guo et al. 2017).

    Log loss chose penalties that are right less often: it asks most of the few samples that are far
    off.
    """
    scores = scores - scores.max(axis=1, keepdims=True)
    own = scores[targets.astype(bool)].mean()
    finite = np.where(np.isfinite(scores), scores, 0)

    def rise(log_temperature: float) -> float:
        """With the inverse temperature the log loss rises by so much; it is convex in it."""
        proba = softmax(scores * np.exp(-log_temperature), axis=1)
        return float((proba * finite).sum(axis=1).mean() - own)

    bound = np.log(HOTTEST)
    if rise(bound) >= 0:
        temperature = HOTTEST
    elif rise(-bound) <= 0:
        temperature = 1 / HOTTEST
    else:
        temperature = float(np.exp(brentq(rise, -bound, bound)))
    proba = softmax(scores / temperature, axis=1)
    return np.square(proba - targets).sum(axis=1), temperature


def _judge_values(scores: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, float]:
    """Squared errors."""
    return np.square(scores - targets).sum(axis=1), 1.0


LOGISTIC = Family("logistic regression", LOGISTIC_STRENGTHS, _hold_out_logistic, _fit_logistic)
RIDGE = Family("ridge regression", RIDGE_STRENGTHS, _hold_out_ridge, _fit_ridge)
CLASSES = Aim((RIDGE, LOGISTIC), _judge_classes)
CLASSES_BY_RIDGE = Aim((RIDGE,), _judge_classes)
VALUES = Aim((RIDGE,), _judge_values, of_classes=False)


@dataclass(frozen=True)
class Candidate:
    """A linear model that was tried on the inner folds."""

    shares: tuple[float, ...]
    """Of each source; they add up to 1."""
    family: Family = field(repr=False)
    strength: float
    temperature: float
    losses: np.ndarray = field(repr=False)
    """(asked samples,)"""
    scores: np.ndarray = field(repr=False)
    """(asked samples, outputs), divided by the temperature"""
    finish: Callable[[], np.ndarray] = field(repr=False)
    """Computes the exact (samples, outputs) scores on the inner folds, before the temperature."""

    @property
    def words(self) -> str:
        """Family and penalty: 'ridge regression, inverse penalty 300'."""
        return f"{self.family.name}, inverse penalty {self.strength:g}"

    @property
    def loss(self) -> float:
        """The mean; NaN where the samples can't be divided into inner folds."""
        return float(self.losses.mean()) if len(self.losses) else np.nan


@dataclass(frozen=True)
class Solution:
    """A fitted linear model of several sources."""

    weights: list[np.ndarray]
    """(features, outputs) of the centred features of each source"""
    offsets: np.ndarray
    """(outputs,)"""

    def score(self, sources: Sources, blocks: Sequence[np.ndarray]) -> np.ndarray:
        """(samples, outputs) scores of other samples; softmax makes probabilities of them."""
        scores = np.tile(self.offsets, (len(blocks[0]), 1))
        for block, mean, weights in zip(blocks, sources.means, self.weights, strict=True):
            if weights.any():
                scores += (block - mean) @ weights
        return scores


class Choice:
    """Which linear model of some samples is the best on inner folds.

    Args:
        sources: features of the samples.
        targets: (samples, outputs) what the scores shall become: 1 for the own class and 0 for
            others, or values.
        strata: (samples,) what each inner fold has its share of: classes, or ranges of values.
        groups: (samples,) those of a group, such as a patient, are in one inner fold.
        aim: what is tried and how it is judged.
        seed: of the inner folds.
        alone: a choice for the same samples from one source, likely the first of these. What was
            found there isn't computed again where its inner products are the same to RIGHT.
        on_step: told before each candidate what is being done; what it raises ends the work.
    """

    def __init__(
        self,
        sources: Sources,
        targets: np.ndarray,
        strata: np.ndarray,
        groups: np.ndarray,
        aim: Aim,
        seed: int,
        alone: "Choice | None" = None,
        on_step: Callable[[str], None] = lambda doing: None,
    ) -> None:
        self.sources, self.aim, self.on_step = sources, aim, on_step
        self.targets = targets.astype(np.float64)
        self.landmarks = _draw(sources.samples, groups, LANDMARKS, seed)
        rows = _draw(sources.samples, groups, CHOOSING, seed)
        self._folds = _divide(strata[rows], groups[rows], seed)
        asked = _find_asked(self.targets[rows], self._folds, aim.of_classes)
        self._rows, self._asked, self._of_group = rows, asked, groups[rows][asked]
        self._grams = sources.compare(rows)
        self._axes: dict[tuple[float, ...], _Axes] = {}
        self._judged: dict[tuple[tuple[float, ...], str], Candidate] = {}
        self._finished: dict[tuple[tuple[float, ...], str], Candidate] = {}
        self._solved: dict[tuple[tuple[float, ...], str, float], tuple[np.ndarray, np.ndarray]] = {}
        if alone is not None and self._begins_with(alone):
            self._grams[0] = alone._grams[0]
            self._axes[self._first] = alone._axes_of(alone._first)
            for known, own in ((alone._judged, self._judged), (alone._finished, self._finished)):
                for (_, family), candidate in known.items():
                    own[self._first, family] = replace(candidate, shares=self._first)
            self._solved = {
                (self._first, *key): found for (_, *key), found in alone._solved.items()
            }

    @property
    def asked(self) -> np.ndarray:
        """Positions of the samples that are asked on the inner folds; none where there are none."""
        return self._rows[self._asked]

    def choose(self) -> Candidate:
        """The best shares, family and penalty.

        The first source begins alone. In each step STEP of the shares goes to the source with which
        the first family loses least on the inner folds, as long as the loss falls by more than its
        standard error. What was reached in this way, and the first source alone, are then tried by
        all families; again the former has to be better by more than the standard error. What is
        chosen is fitted exactly on the inner folds too.
        """
        quick = self.aim.families[0]
        number = len(self.sources)
        alone = mixed = self.judge(self._first, quick)
        for step in range(1, 1 + MOST_STEPS if self._folds and number > 1 else 1):
            doing = f"choosing shares, {step} of at most {MOST_STEPS}"
            tried = [_step(mixed.shares, source) for source in range(1, number)]
            candidates = [self.judge(shares, quick, doing=doing) for shares in tried]
            found = min(candidates, key=lambda candidate: candidate.loss)
            if not self._is_better(found, mixed):
                break
            mixed = found
        chosen = self._best_family(alone)
        if mixed is not alone and self._is_better(reached := self._best_family(mixed), chosen):
            chosen = reached
        return self._finish(chosen)

    def judge(
        self,
        shares: tuple[float, ...],
        family: Family,
        rival: float = np.inf,
        doing: str = "choosing the penalty",
    ) -> Candidate:
        """A family with these shares and the penalty of least loss on the inner folds.

        Penalties are tried from strong to weak until the loss no longer falls, or falls so slowly
        that it will not come down to that of a rival: from one to the next it falls less and less.
        """
        if (shares, family.name) not in self._judged:
            self.on_step(doing)
            self._judged[shares, family.name] = self._judge(shares, family, rival)
        return self._judged[shares, family.name]

    def _judge(self, shares: tuple[float, ...], family: Family, rival: float) -> Candidate:
        if not self._folds:
            middle = family.strengths[len(family.strengths) // 2]
            nobody = np.empty((0, self.targets.shape[1]))
            return Candidate(shares, family, middle, 1.0, nobody[:, 0], nobody, lambda: nobody)
        targets, best = self.targets[self._rows], None
        held_out = family.hold_out(self._axes_of(shares), targets, self._folds, family.strengths)
        for number, strength in enumerate(family.strengths, 1):
            held = next(held_out)
            losses, temperature, said = self._temper(held.scores)
            fall = np.inf if best is None else best.loss - losses.mean()
            if fall <= 0:
                break
            best = Candidate(shares, family, strength, temperature, losses, said, held.finish)
            if best.loss - (len(family.strengths) - number) * fall > rival:
                break
        return best

    def _temper(self, scores: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        """Losses of the asked samples, the temperature, and their scores divided by it."""
        asked = scores[self._asked]
        losses, temperature = self.aim.judge(asked, self.targets[self._rows][self._asked])
        return losses, temperature, asked / temperature

    def _finish(self, chosen: Candidate) -> Candidate:
        """The candidate with exact scores on the inner folds, and the temperature for these."""
        key = chosen.shares, chosen.family.name
        if self._folds and key not in self._finished:
            self.on_step("fitting the inner folds exactly")
            losses, temperature, said = self._temper(chosen.finish())
            self._finished[key] = replace(
                chosen, losses=losses, temperature=temperature, scores=said
            )
        return self._finished.get(key, chosen)

    def fit(self, chosen: Candidate) -> Solution:
        """Fit a candidate to all samples, on the principal axes of all, or of LANDMARKS."""
        self.on_step("fitting to all samples")
        key = chosen.shares, chosen.family.name, chosen.strength
        if key not in self._solved:
            self._solved[key] = self._solve(chosen)
        dual, offsets = self._solved[key]
        dual, offsets = dual / chosen.temperature, offsets / chosen.temperature
        return Solution(self.sources.weigh(self.landmarks, dual, chosen.shares), offsets)

    def _solve(self, chosen: Candidate) -> tuple[np.ndarray, np.ndarray]:
        """Weights (landmarks, outputs) of the landmarks, and offsets, before the temperature."""
        if len(self._rows) == self.sources.samples:
            axes = self._axes_of(chosen.shares)
        else:
            axes = _Axes.of(_mix(self._landmark_grams, chosen.shares))
        z, turn = axes.unit * axes.sizes, axes.unit / axes.sizes
        if len(self.landmarks) < self.sources.samples:
            everyone = np.arange(self.sources.samples)
            known = _mix(self.sources.compare(everyone, self.landmarks), chosen.shares)
            z = (known - known.mean(axis=0)) @ turn
            sizes, back = eigh(z.T @ z)
            kept = sizes > 1e-10 * sizes[-1]
            z, turn = z @ back[:, kept], turn @ back[:, kept]
        weights, offsets = chosen.family.fit(z, self.targets, chosen.strength)
        dual = turn @ weights
        if self.aim.of_classes:  # what is added to all classes' scores says nothing
            dual -= dual.mean(axis=1, keepdims=True)
        return dual, offsets

    @property
    def _first(self) -> tuple[float, ...]:
        """All for the first source."""
        return tuple(float(source == 0) for source in range(len(self.sources)))

    def _begins_with(self, alone: "Choice") -> bool:
        """Whether that choice is this one with the first source alone."""
        return (
            alone.aim is self.aim
            and np.array_equal(alone.targets, self.targets)
            and np.array_equal(alone._rows, self._rows)
            and np.array_equal(alone.landmarks, self.landmarks)
            and len(alone._folds) == len(self._folds)
            and all(map(np.array_equal, alone._folds, self._folds))
            and np.allclose(alone._grams[0], self._grams[0], rtol=0, atol=RIGHT)
        )

    @cached_property
    def _landmark_grams(self) -> list[np.ndarray]:
        return self.sources.compare(self.landmarks)

    def _axes_of(self, shares: tuple[float, ...]) -> "_Axes":
        if shares not in self._axes:
            self._axes[shares] = _Axes.of(_mix(self._grams, shares))
        return self._axes[shares]

    def _best_family(self, candidate: Candidate) -> Candidate:
        best = candidate
        for family in self.aim.families[1:]:
            best = min((best, self.judge(best.shares, family, best.loss)), key=lambda c: c.loss)
        return best

    def _is_better(self, new: Candidate, old: Candidate) -> bool:
        """Whether the loss falls by more than the standard error over groups."""
        _, of = np.unique(self._of_group, return_inverse=True)
        gains = np.bincount(of, old.losses - new.losses)
        return gains.mean() > gains.std() / np.sqrt(len(gains))


class TunedLinear(ClassifierMixin, BaseEstimator):
    """The linear model of standardised genes, with the penalty that is best on inner folds.

    Args:
        aim: which families are tried.
        seed: of the division into inner folds.

    Attributes:
        choice_: how that was done.
        chosen_: what was chosen on the inner folds.
        solution_: the fitted model.
        classes_: sorted.
        coef_: (classes, genes) weights of the standardised genes; they add up to 0 over classes.
        weights_, offset_: (genes, classes) and (classes,) of the scores of genes as they are.
    """

    def __init__(self, aim: Aim, seed: int = 0) -> None:
        self.aim = aim
        self.seed = seed

    def fit(self, x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> "TunedLinear":
        """Fit on (n, genes) samples of classes (n,).

        Samples that share one of `groups` (n,), such as a patient, are in one inner fold.
        """
        self.classes_, numbers = np.unique(y, return_inverse=True)
        groups = np.arange(len(y)) if groups is None else groups
        self._sources = Sources([np.asarray(x)], [True])
        targets = np.eye(len(self.classes_))[numbers]
        self.choice_ = Choice(self._sources, targets, numbers, groups, self.aim, self.seed)
        self.chosen_ = self.choice_.choose()
        self.solution_ = self.choice_.fit(self.chosen_)
        [self.weights_], [mean] = self.solution_.weights, self._sources.means
        self.offset_ = self.solution_.offsets - mean @ self.weights_
        self.coef_ = (self.solution_.weights[0] * np.std(x, axis=0, dtype=float)[:, None]).T
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        """(n, classes) probabilities of (n, genes) samples."""
        return softmax(self.solution_.score(self._sources, [np.asarray(x)]), axis=1)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(n,) classes of (n, genes) samples."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]


@dataclass(frozen=True)
class _Axes:
    """Principal axes of samples whose inner products are known."""

    unit: np.ndarray
    """(samples, axes) coordinates on axes scaled so that their squares add up to 1"""
    sizes: np.ndarray
    """(axes,) what they have to be multiplied with, ascending"""

    @classmethod
    def of(cls, gram: np.ndarray) -> "_Axes":
        """Of (samples, samples) inner products."""
        mean = gram.mean(axis=0)
        squares, unit = eigh(gram - mean - mean[:, None] + mean.mean(), driver="evd")
        kept = squares > 1e-10 * squares[-1]
        kept[-1] = True  # where all samples are alike
        return cls(unit[:, kept], np.sqrt(np.maximum(squares[kept], 1e-30)))


def _mix(grams: Sequence[np.ndarray], shares: Sequence[float]) -> np.ndarray:
    return sum(share * gram for share, gram in zip(shares, grams, strict=True) if share)


def _parts(features: int) -> list[slice]:
    return [slice(start, start + AT_ONCE) for start in range(0, features, AT_ONCE)]


def _draw(samples: int, groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Positions of all samples, or of whole groups at random that are `most` at most."""
    if samples <= most:
        return np.arange(samples)
    _, of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(sizes))
    taken = order[np.cumsum(sizes[order]) <= most]
    return np.flatnonzero(np.isin(of, taken))


def _step(shares: tuple[float, ...], source: int) -> tuple[float, ...]:
    """The shares when STEP of them goes to a source."""
    return tuple(
        (1 - STEP) * share + STEP * (number == source) for number, share in enumerate(shares)
    )


def _find_asked(targets: np.ndarray, folds: list[np.ndarray], of_classes: bool) -> np.ndarray:
    """Samples of inner folds; those whose class has no others to learn from say nothing."""
    known = np.zeros(len(targets), dtype=bool)
    for fold in folds:
        others = targets.sum(axis=0) - targets[fold].sum(axis=0)
        known[fold] = (targets[fold] @ others > 0) if of_classes else True
    return np.flatnonzero(known)


def _divide(strata: np.ndarray, groups: np.ndarray, seed: int) -> list[np.ndarray]:
    """Inner folds that keep groups together; none where a fold would leave one stratum to learn."""
    y, who = (np.unique(names, return_inverse=True)[1] for names in (strata, groups))
    return _draw_folds(y.tobytes(), who.tobytes(), seed)


@lru_cache(maxsize=4)
def _draw_folds(strata: bytes, groups: bytes, seed: int) -> list[np.ndarray]:
    """Of int64 numbers; a baseline model and a head of the same samples ask for the same folds."""
    y, who = np.frombuffer(strata, np.int64), np.frombuffer(groups, np.int64)
    sizes = [len(np.unique(who[y == number])) for number in range(y.max() + 1)]
    number = min(INNER_FOLDS, max(min(sizes), 2), max(sizes))
    if number < 2 or len(sizes) < 2:
        return []
    splitter = StratifiedGroupKFold(number, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # a class of fewer samples than folds is missing in some
        warnings.simplefilter("ignore", UserWarning)
        folds = list(splitter.split(y, y, who))
    if any(len(np.unique(y[train])) < 2 for train, _ in folds):
        return []
    return [test for _, test in folds]
