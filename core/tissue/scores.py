"""How well genes are predicted: correlations within sections, tests and intervals over patients."""

from dataclasses import dataclass

import numpy as np

from core.evaluation.differences import holm

LIMITS = (0.0, 0.3, 0.5)
"""Numbers of genes are told whose median r is above each."""


def correlate(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """(genes,) Pearson's r over spots (spots, genes); 0 where a prediction is constant.

    NaN where what was measured is constant.
    """
    a, b = measured - measured.mean(axis=0), predicted - predicted.mean(axis=0)
    own, other = (a**2).sum(axis=0), (b**2).sum(axis=0)
    # what is left of a constant by rounding is no variation
    flat = other <= 1e-10 * len(b) * (1e-12 + (predicted**2).mean(axis=0))
    size = np.sqrt(own * np.where(flat, 1, other))
    r = np.where(flat, 0, (a * b).sum(axis=0) / np.where(size > 0, size, 1))
    return np.where(own > 1e-10 * len(a), np.clip(r, -1, 1), np.nan)


@dataclass(frozen=True, eq=False)
class GeneScores:
    """How one model predicts each gene, in sections of patients that it had not seen."""

    r: np.ndarray
    """(sections, genes) correlation over a section's spots; NaN where the gene was not predicted
    there, as it is not among those that the training patients chose."""
    patients: np.ndarray
    """(sections,) who each section is of."""

    @property
    def median(self) -> np.ndarray:
        """(genes,) over the sections in which the gene was predicted."""
        return _median(self.r)

    def count(self) -> dict[float, int]:
        """Genes whose median is above each of LIMITS."""
        median = self.median
        return {limit: int((median > limit).sum()) for limit in LIMITS}

    @property
    def by_patient(self) -> np.ndarray:
        """(patients, genes) mean over a patient's sections."""
        return _by_patient(self.r, self.patients)

    def interval(self) -> np.ndarray:
        """(2, genes) 95 % interval of the mean r over patients, as patients differ."""
        return mean_interval(self.by_patient)

    def overall(self) -> tuple[float, tuple[float, float] | None]:
        """The mean r over genes and patients, and its 95 % interval over patients."""
        by_patient = np.nanmean(self.by_patient, axis=1)
        low, high = mean_interval(by_patient[:, None])[:, 0]
        limits = None if np.isnan(low) else (float(low), float(high))
        return float(by_patient.mean()), limits

    def above(self, others: "list[GeneScores]") -> np.ndarray:
        """(genes,) p that a patient's r is no higher than with the best of others, by Holm.

        The others are models of the same sections and genes; without any, 0 is to be passed.
        """
        best = np.zeros_like(self.r)
        for other in others:
            best = np.maximum(best, np.nan_to_num(other.r))
        return sign_test(_by_patient(self.r - best, self.patients))


def sign_test(differences: np.ndarray) -> np.ndarray:
    """(genes,) p values that patients' differences (patients, genes) are above 0, by Holm's rule.

    One-sided binomial test over patients (as ST-Net's, He et al. 2020), adjusted for the number of
    genes. A difference of 0 speaks against; NaN says nothing.
    """
    from scipy.stats import binom

    known = np.isfinite(differences)
    patients = known.sum(axis=0)
    higher = (known & (np.nan_to_num(differences) > 0)).sum(axis=0)
    return holm(np.where(patients, binom.sf(higher - 1, patients, 0.5), 1))


def patients_needed(genes: int, level: float = 0.05) -> int:
    """Patients from which on a sign test could find something among so many genes."""
    return int(np.ceil(np.log2(genes / level)))


def mean_interval(values: np.ndarray) -> np.ndarray:
    """(2, columns) 95 % interval of the mean of independent rows, by Student's t; NaN of one row.

    The bootstrap's intervals are much too narrow for a handful of patients.
    """
    from scipy.stats import t

    n = np.isfinite(values).sum(axis=0)
    few = np.where(n > 1, n, 2)
    mean = np.nansum(values, axis=0) / np.maximum(n, 1)
    squares = np.nansum((values - mean) ** 2, axis=0)
    reach = t.ppf(0.975, few - 1) * np.sqrt(squares / (few - 1) / few)
    found = np.stack([mean - reach, mean + reach])
    return np.where(n > 1, np.clip(found, -1, 1), np.nan)


def _by_patient(r: np.ndarray, patients: np.ndarray) -> np.ndarray:
    found = []
    for name in np.unique(patients):
        own = r[patients == name]
        n = np.isfinite(own).sum(axis=0)
        found.append(np.where(n, np.nansum(own, axis=0) / np.maximum(n, 1), np.nan))
    return np.stack(found)


def _median(r: np.ndarray) -> np.ndarray:
    known = np.isfinite(r).any(axis=0)
    found = np.full(r.shape[1], np.nan)
    found[known] = np.nanmedian(r[:, known], axis=0)
    return found
