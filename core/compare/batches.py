"""Each batch, site or cohort held out in turn: its own score, beside that of the plain model."""

from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from core.compare.records import REPEATS
from core.data.store import read_column
from core.errors import InputError
from core.evaluation.differences import MeanDifference, corrected_t
from core.evaluation.intervals import spread
from core.runs.fitted import load_fitted
from core.runs.outcome import NETWORK, Outcome, shared_reference


@dataclass(frozen=True)
class Batches:
    """How a run that held out one batch at a time does in each of them."""

    table: pd.DataFrame
    """A row a batch: batch, n, network, low, high (95 %, over patients), the reference model,
    difference (network minus reference), inside (the network's accuracy on validation samples of
    the other batches; NaN for other scores)."""
    reference: str
    """Name of the reference model."""
    difference: MeanDifference | None
    """Network minus reference, mean over batches, each of which counts once, tested as over any
    other splits; None for fewer than REPEATS batches."""


def score_batches(outcome: Outcome, metric: str) -> Batches:
    """Score each held-out batch by itself.

    Args:
        outcome: a run whose split is `leave_one_batch_out`.
        metric: a score of its task.
    """
    reference, record = shared_reference([outcome]), outcome.task.metrics[metric]
    names = _name_folds(outcome)
    rows = []
    for fold in outcome.result.scored:
        own = outcome.folds == fold
        draws = {
            model: spread(
                partial(record.compute, outcome.y[own], outcome.proba[model][own]),
                outcome.patients[own],
            )
            for model in (NETWORK, reference)
        }
        limits = draws[NETWORK].interval()
        low, high = (np.nan, np.nan) if limits is None else record.clip(limits)
        network, plain = draws[NETWORK].estimate, draws[reference].estimate
        rows.append(
            {
                "batch": names[fold],
                "n": int(own.sum()),
                "network": network,
                "low": low,
                "high": high,
                reference: plain,
                "difference": network - plain,
                "inside": _inside(outcome.run, fold, metric),
            }
        )
    table = pd.DataFrame(rows)
    known = table["difference"].dropna().to_numpy()
    enough = len(known) >= REPEATS
    return Batches(table, reference, corrected_t(known, outcome.test_to_train) if enough else None)


def _name_folds(outcome: Outcome) -> dict[int, str]:
    """Fold -> the batch that it held out; its number where the dataset is gone."""
    names = {fold: f"fold {fold + 1}" for fold in outcome.result.scored}
    with suppress(InputError, KeyError):
        column = read_column(outcome.spec.cohort.dataset, outcome.spec.split.batch)
        for fold in names:
            names[fold] = str(column[outcome.samples[outcome.folds == fold][0]])
    return names


def _inside(run: str, fold: int, metric: str) -> float:
    fitted = load_fitted(run, fold)
    return fitted.history[fitted.kept_epoch - 1].get(f"validation_{metric}", np.nan)
