"""Differences of two runs, or of a run and a baseline model, on the same held-out samples."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from core.compare.records import Difference
from core.compare.settings import control_of
from core.evaluation.differences import LEVEL, holm, mcnemar, paired_interval, say_verdict
from core.evaluation.metrics import METRICS
from core.runs.outcome import NETWORK, Outcome

ALL_PAIRS = 8
"""With more runs or setups than this, each is compared with the best only."""
_Pair = tuple[Outcome, str, Outcome, str]
"""Two runs, each with one of its models."""


def choose_pairs(
    scores: Sequence[float], metric: str, controls: Sequence[bool]
) -> list[tuple[int, int]]:
    """All pairs of a few, or each of many with the best; the better one first, controls last."""
    sign = -1 if METRICS[metric].best > METRICS[metric].worst else 1
    order = sorted(range(len(scores)), key=lambda k: (controls[k], sign * scores[k]))
    if len(order) > ALL_PAIRS:
        return [(order[0], other) for other in order[1:]]
    return list(combinations(order, 2))


def pair_runs(outcomes: Sequence[Outcome], metric: str) -> list[tuple[int, int]]:
    """All pairs of a few runs; of many, each with the best on the same samples."""
    scores = [outcome.scores()[metric] for outcome in outcomes]
    controls = [control_of(outcome.spec) is not None for outcome in outcomes]
    if len(outcomes) <= ALL_PAIRS:
        return choose_pairs(scores, metric, controls)
    groups: list[list[int]] = []
    for k, outcome in enumerate(outcomes):
        home = next((g for g in groups if outcomes[g[0]].same_samples(outcome)), None)
        groups.append([k]) if home is None else home.append(k)
    pairs = []
    for group in groups:
        chosen = choose_pairs([scores[k] for k in group], metric, [controls[k] for k in group])
        pairs += [(group[i], group[j]) for i, j in chosen]
    return pairs


def compare_pairs(pairs: Sequence[_Pair], metric: str) -> list[Difference]:
    """The differences of pairs, with verdicts that allow for their number."""
    paired = [k for k, (one, _, other, _) in enumerate(pairs) if one.same_samples(other)]
    tests = {k: p for k in paired if (p := _test(pairs[k], metric)) is not None}
    adjusted = dict(zip(tests, holm(np.array(list(tests.values()))).tolist(), strict=True))
    found = []
    for k, (one, model, other, other_model) in enumerate(pairs):
        points = limits = low = high = significant = None
        note, how = "Other test samples: the scores can't be compared sample by sample.", ""
        if k in paired:
            limits = _bound(pairs[k], metric, LEVEL)
            points = METRICS[metric].points * (
                one.scores(model)[metric] - other.scores(other_model)[metric]
            )
            note = "No interval: this score is biased with few samples."
        if limits is not None:
            low, high = (METRICS[metric].points * limit for limit in limits)
            wider = _bound(pairs[k], metric, LEVEL / len(paired))
            significant = wider is not None and not wider[0] <= 0 <= wider[1]
            how = say_correction(len(paired))
        if k in tests:
            significant, how = adjusted[k] < LEVEL, say_p(adjusted[k], len(tests))
        if significant is not None:
            note = f"This {say_verdict(significant, how)}."
        found.append(
            Difference(
                a=one.run, b=other.run if other_model == NETWORK else other_model, points=points,
                low=low, high=high, p=tests.get(k), p_holm=adjusted.get(k),
                significant=significant, note=note,
            )
        )  # fmt: skip
    return found


def _test(pair: _Pair, metric: str) -> float | None:
    """Exact McNemar p value over patients; of the accuracy only."""
    one, model, other, other_model = pair
    if metric != "accuracy":
        return None
    return mcnemar(one.right(model), other.right(other_model), one.patients)


def _bound(pair: _Pair, metric: str, alpha: float) -> tuple[float, float] | None:
    """Interval of the metric's difference that misses the truth in a share `alpha` of cases."""
    one, model, other, other_model = pair
    if metric == "accuracy":
        rights = one.right(model), other.right(other_model)
        return paired_interval(*rights, one.patients, 1 - alpha)
    if not METRICS[metric].has_interval:
        return None
    return (one.spread(metric, model) - other.spread(metric, other_model)).interval(1 - alpha)


def say_correction(comparisons: int) -> str:
    """By how many comparisons an interval was corrected; empty for one."""
    return f"interval corrected for {comparisons} comparisons" if comparisons > 1 else ""


def say_p(p: float, comparisons: int) -> str:
    """A p value, and by how many comparisons it was corrected."""
    if comparisons == 1:
        return f"p = {p:.2g}"
    return f"Holm p = {p:.2g} for {comparisons} comparisons"
