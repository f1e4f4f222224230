"""Does this source fit? How far its samples are from the target's, whatever their classes."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.evaluation.metrics import METRICS
from core.models.baselines import fit_predict_proba
from core.transfer.cohorts import Material, Side
from core.transfer.experiment import fill_source
from core.transfer.preparing import PREPARATIONS
from core.transfer.references import MODEL

FOLDS = 5
FEWEST = 10
"""Fewer samples of a cohort say nothing of it."""


class Fit(BaseModel):
    """How far a source is from the target under a preparation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    preparation: str
    samples: int
    distance: float
    """Mean over genes of the difference of means, in SD within cohorts, of held-out samples"""
    domain_auroc: float
    """How well a linear model tells source and target samples apart that it has not seen, and that
    had no part in the preparation: .5 is not at all, 1 is always"""


def measure_fits(material: Material, preparations: tuple[str, ...]) -> list[Fit]:
    """Hold each source against the target, under each preparation that doesn't look ahead.

    Samples are divided into folds by patient. On each fold's others the preparation and a ridge
    regression of the cohort are fitted, and both are put to the fold. Had its samples had a part in
    the z-scores, a held-out sample would point away from its own cohort, whose mean is 0 with it,
    and the AUROC would fall below chance and mean nothing; so transductive preparations are left
    out here.
    """
    target = material.target
    found = []
    for number, name in enumerate(material.source_names):
        own = _part(material.source, material.source.cohorts == number)
        if min(len(own.x), len(target.x)) < FEWEST:
            continue
        for preparation in preparations:
            if not PREPARATIONS[preparation].transductive:
                found.append(_measure(own, target, name, preparation))
    return found


def _part(side: Side, chosen: np.ndarray) -> Side:
    return Side(*(getattr(side, name)[chosen] for name in ("x", "labels", "groups", "cohorts")))


def _measure(source: Side, target: Side, name: str, preparation: str) -> Fit:
    from sklearn.model_selection import StratifiedGroupKFold

    ours = fill_source(source)
    theirs = fill_source(Side(target.x, target.labels, target.groups, 0 * target.cohorts))
    domain = np.repeat([0, 1], [len(ours), len(theirs)])
    groups = np.concatenate([source.groups, target.groups])
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    answers, distances = np.zeros((len(domain), 2)), []
    for train, test in splitter.split(domain, domain, groups):
        in_source, in_target = train[domain[train] == 0], train[domain[train] == 1] - len(ours)
        fitted = PREPARATIONS[preparation].fit(
            ours[in_source], source.cohorts[in_source], theirs[in_target]
        )
        x = np.concatenate([fitted.source(ours, source.cohorts), fitted.target(theirs)])
        answers[test] = fit_predict_proba(
            MODEL, x[train], domain[train], x[test], 2, 0, groups[train]
        )
        distances.append(_distance(x[test], domain[test]))
    once = np.ones((1, len(domain)))
    return Fit(
        source=name, preparation=preparation, samples=len(ours),
        distance=float(np.mean(distances)),
        domain_auroc=float(METRICS["macro_auroc"].compute(domain, answers, once)[0]),
    )  # fmt: skip


def _distance(x: np.ndarray, domain: np.ndarray) -> float:
    """Mean over genes of the difference of the two means, in their common SD."""
    one, other = x[domain == 0].astype(np.float64), x[domain == 1].astype(np.float64)
    spread = np.sqrt((one.var(axis=0) + other.var(axis=0)) / 2)
    vary = spread > 1e-6
    return float(
        np.abs(one.mean(axis=0) - other.mean(axis=0))[vary] @ (1 / spread[vary]) / vary.sum()
    )
