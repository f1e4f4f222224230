"""Whether two models, or many, really differ: tests on shared samples and on repeated splits."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

SAME = 0.005
"""Scores that differ by less are practically the same: half a percentage point."""
LEVEL = 0.05
"""A difference whose p value, corrected for the number of comparisons, is below is significant."""


def mcnemar(right_a: np.ndarray, right_b: np.ndarray, patients: np.ndarray | None = None) -> float:
    """Exact two-sided p value of two models on the same samples.

    With one sample a patient this is the exact McNemar (1947) test. A patient with several samples
    counts as one draw: under no difference the two models' right answers could be exchanged for
    each whole patient, and the p value is the exact share of such exchanges that make a difference
    at least as large (Fisher's randomisation test).

    Args:
        right_a: (samples,) whether the first model is right.
        right_b: (samples,) whether the second model is right.
        patients: (samples,) who each sample is from; by default every sample is another's.
    """
    gains = right_a.astype(int) - right_b.astype(int)
    if patients is not None:
        number = np.unique(patients, return_inverse=True)[1]
        gains = np.bincount(number, gains).round().astype(int)
    chances = np.ones(1)
    for gain in np.abs(gains[gains != 0]):
        chances = np.convolve(chances, np.bincount([0, 2 * gain]) / 2)
    sums = np.arange(len(chances)) - len(chances) // 2
    return float(min(1.0, chances[np.abs(sums) >= abs(gains.sum())].sum()))


def paired_interval(
    right_a: np.ndarray,
    right_b: np.ndarray,
    patients: np.ndarray | None = None,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of the accuracy of one model minus another's on the same samples.

    Bonett and Price (2012, J. Educ. Behav. Stat. 37:479): Wald's interval after adding one sample
    that only the first model gets right and one that only the second does, which keeps the level
    when few samples are judged differently, where the bootstrap's interval is too short. With
    several samples a patient, two average patients are added, and the variance is that of a ratio
    of sums over patients.

    Args:
        right_a: (samples,) whether the first model is right.
        right_b: (samples,) whether the second model is right.
        patients: (samples,) who each sample is from; by default every sample is another's.
        level: of the interval.
    """
    from scipy.special import ndtri

    gains = right_a.astype(float) - right_b.astype(float)
    number = (
        np.arange(len(gains)) if patients is None else np.unique(patients, return_inverse=True)[1]
    )
    gains, sizes = np.bincount(number, gains), np.bincount(number)
    average = sizes.mean()
    gains, sizes = np.append(gains, [average, -average]), np.append(sizes, [average, average])
    middle = gains.sum() / sizes.sum()
    reach = ndtri((1 + level) / 2) * np.sqrt(((gains - middle * sizes) ** 2).sum()) / sizes.sum()
    return float(max(middle - reach, -1)), float(min(middle + reach, 1))


@dataclass(frozen=True)
class MeanDifference:
    """A mean over repeated splits, and Student's t distribution of what it says."""

    mean: float
    scale: float
    splits: int

    @property
    def p(self) -> float:
        """Two-sided p value of the corrected t test."""
        from scipy.stats import t

        return float(2 * t.sf(abs(self.mean) / self.scale, self.splits - 1))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Interval of the mean; of the Bayesian posterior just as well."""
        from scipy.stats import t

        low, high = t.interval(level, self.splits - 1, self.mean, self.scale)
        return float(low), float(high)

    def chances(self, same: float = SAME) -> tuple[float, float, float]:
        """Bayesian correlated t test: chances of below -same, practically the same, above same.

        Posterior of the true mean under the reference prior (Corani and Benavoli 2015; Benavoli et
        al. 2017, JMLR 18(77)).
        """
        from scipy.stats import t

        low, high = t.cdf([-same, same], self.splits - 1, self.mean, self.scale)
        return float(low), float(high - low), float(1 - high)


def corrected_t(values: np.ndarray, test_to_train: float) -> MeanDifference:
    """Mean over repeated splits whose training samples overlap, by Nadeau and Bengio (2003).

    The variance of the mean is (1 / splits + n_test / n_train) times the values' own; the same
    holds for repeated k-fold cross-validation (Bouckaert and Frank 2004).

    Args:
        values: (splits,) score differences, or scores, at least two.
        test_to_train: number of test samples divided by number of training samples.
    """
    values = np.asarray(values, dtype=float)
    spread = np.sqrt((1 / len(values) + test_to_train) * values.var(ddof=1))
    return MeanDifference(float(values.mean()), float(max(spread, 1e-12)), len(values))


@dataclass(frozen=True)
class Ranking:
    """Models ranked over splits."""

    ranks: np.ndarray
    """(models,) mean rank; 1 is best."""
    p: float
    """Of the hypothesis that all models rank alike."""
    critical_difference: float
    """Mean ranks further apart than this differ at the 5 % level, all pairs considered."""


def rank_models(scores: np.ndarray, test_to_train: float = 0.0) -> Ranking:
    """Friedman's test in Iman and Davenport's form, with a critical difference of mean ranks.

    This departs from Demšar (2006, JMLR 7:1), who has one row a dataset. Splits of one dataset
    overlap, so that their rows repeat each other; Friedman's and Nemenyi's own tests then see
    differences everywhere (benchmarks/results/coverage.md). Here the variance of a mean rank is
    estimated from what is left of the ranks without the means of models, and enlarged by Nadeau and
    Bengio's (1 / splits + n_test / n_train) in place of 1 / splits; the critical difference is
    Tukey's with the same variance. Because few rows can agree by chance, one row of random ranks is
    added to what is left.

    Args:
        scores: (splits, models), at least two of each; higher is better.
        test_to_train: test samples divided by training samples; 0 for independent rows.
    """
    from scipy.stats import f, rankdata

    splits, models = scores.shape
    ranks = rankdata(-scores, axis=1)
    means = ranks.mean(axis=0)
    freedom = (splits - 1) * (models - 1)
    random_row = (models - 1) * models * (models + 1) / 12
    left = (((ranks - means) ** 2).sum() + random_row) / (freedom + models - 1)
    between = ((means - means.mean()) ** 2).sum() / (models - 1)
    variance = left * (1 / splits + test_to_train)
    return Ranking(
        means,
        float(f.sf(between / variance, models - 1, freedom)),
        float(_tukey_point(models, freedom) * np.sqrt(variance)),
    )


@lru_cache
def _tukey_point(models: int, freedom: int) -> float:
    """95 % point of the studentised range; a tenth of a second of numerical integration."""
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(0.95, models, freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """p values adjusted for their number (Holm 1979), in the order given."""
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty_like(p)
    result[order] = np.minimum(adjusted, 1)
    return result


def say_verdict(significant: bool, how: str = "") -> str:
    """What a test says, in everyday words and in the statistician's: '… can be luck (…)'."""
    words = "is more than luck (significant" if significant else "can be luck (not significant"
    return f"{words} at 5 %{'; ' if how else ''}{how})"
