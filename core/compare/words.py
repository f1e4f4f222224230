"""The sentences of a comparison: its headline, and what a reader of the numbers must know."""

from collections.abc import Callable, Sequence

import numpy as np

from core.compare.effects import grid_of, measure_effects
from core.compare.pairs import say_correction, say_p
from core.compare.records import REPEATS, Difference, Setup, Tuned
from core.compare.settings import name_setup
from core.compare.setups import Entry, differ_over_splits, shared_splits
from core.evaluation.differences import LEVEL, holm, say_verdict
from core.evaluation.metrics import METRICS, Metric
from core.runs.outcome import Outcome, shared_reference
from core.runs.spec import setting_title


def say_headline(
    outcomes: Sequence[Outcome],
    entries: Sequence[Entry],
    against: Sequence[Difference],
    metric: str,
    differing: Sequence[str],
) -> str:
    """The sentence of the page: the best setup, or the best run, against the baseline model.

    Learning curves beside other splits ask another question and are no candidates.
    """
    better = max if METRICS[metric].best > METRICS[metric].worst else min
    task, scale = outcomes[0].task, METRICS[metric].points
    reference = shared_reference(outcomes)
    plain = task.baselines[reference].phrase
    networks = [entry for entry in entries if entry.setup.kind == "network"]
    only_controls = not networks
    if only_controls:
        networks = [entry for entry in entries if entry.setup.runs]
    curves = {o.run for o in outcomes if o.spec.split.kind == "learning_curve"}
    networks = [entry for entry in networks if entry.setup.runs[0] not in curves] or networks
    plain_entries = [entry for entry in entries if entry.setup.model == reference]
    over_splits = {}
    for entry in networks:
        pairs = [differ_over_splits(entry, other) for other in plain_entries]
        if pair := next((pair for pair in pairs if pair is not None), None):
            over_splits[id(entry)] = pair
    repeated = [entry for entry in networks if id(entry) in over_splits]
    if repeated:
        best = better(repeated, key=_mean_on_shared(repeated))
        found, name = over_splits[id(best)], best.setup.name
        adjusted = holm(np.array([pair.p for pair in over_splits.values()]))
        p = float(adjusted[list(over_splits).index(id(best))])
        low, high = (scale * limit for limit in found.interval())
        points, significant = scale * found.mean, p < LEVEL
        how = say_p(p, len(over_splits))
        sample = f"{found.splits} splits, n = {best.setup.n_test}"
        alike = len(repeated) == len(networks) and bool(shared_splits(networks))
    else:
        real = {run for entry in networks for run in entry.setup.runs}
        at = better(
            [k for k, outcome in enumerate(outcomes) if outcome.run in real],
            key=lambda k: outcomes[k].scores()[metric],
        )
        difference = against[at]
        low, high, points = difference.low, difference.high, difference.points
        significant, p = difference.significant, difference.p_holm
        how = say_correction(len(against)) if p is None else say_p(p, len(against))
        name = name_setup(outcomes[at].spec, differing)
        sample = f"n = {outcomes[at].n_test}"
        alike = all(o.same_samples(outcomes[at]) for o in outcomes if o.run in real)
    verdict = None if significant is None else say_verdict(significant, how)
    chosen = "A control only: " if only_controls else ""
    if len(networks) > 1:
        chosen = f"Best of {len(networks)}{' controls' if only_controls else ''}"
        chosen += ": " if alike else ", not all on the same splits: "
    unit = "" if metric == "accuracy" else f" in {METRICS[metric].title}"
    gap = _say_gap(points, low, high, plain + unit, sample, verdict, METRICS[metric])
    return f"{chosen}{name} is {gap}."


def _mean_on_shared(entries: Sequence[Entry]) -> Callable[[Entry], float]:
    """What setups are ordered by: their mean over the splits that all of them share, if any."""
    shared = shared_splits(entries)
    return lambda entry: float(
        np.mean([entry.scores[split] for split in shared]) if shared else entry.setup.mean
    )


def _say_gap(
    points: float, low: float | None, high: float | None, other: str, sample: str,
    verdict: str | None, metric: Metric,
) -> str:  # fmt: skip
    """'1.8 points below X (95 % CI 0.6 to 3.1, n = 180), which is more than luck (…)'."""
    side = "above" if points > 0 else "below"
    digits = metric.digits
    gap = f"{abs(points):{digits}}{metric.unit} {side} {other}"
    if low is None or high is None or verdict is None:
        return f"{gap} ({sample})"
    if low > 0 or high < 0:
        near, far = sorted((abs(low), abs(high)))
        return f"{gap} (95 % CI {near:{digits}} to {far:{digits}}, {sample}), which {verdict}"
    limits = f"(95 % CI {-low:{digits}} below to {high:{digits}} above, {sample})"
    if abs(points) < 0.0005 * metric.points:
        return f"as good as {other} {limits}"
    return f"{gap} {limits}, which {verdict}"


def say_effects(outcomes: Sequence[Outcome], metric: str) -> list[str]:
    """What each setting does, a sentence each, from runs that differ in that setting alone.

    'Augmentation: -1.1 points with Geometric: flips against None, over 3 splits, Holm p = 0.4: no
    difference shown.'
    """
    grid, record = grid_of(outcomes), METRICS[metric]
    if len(grid) < 2:
        return []
    said = []
    for setting, rows in measure_effects(grid, metric).groupby("setting", sort=False):
        ordered = rows.sort_values("effect", kind="stable")
        if len(rows) == 2:
            first, last = rows.iloc[0], rows.iloc[1]
            what = f"with {last['level']} against {first['level']}"
        else:
            first, last = ordered.iloc[0], ordered.iloc[-1]
            what = f"from {first['level']}, the lowest of {len(rows)}, to {last['level']}, the best"
        gap, splits, p = last["effect"] - first["effect"], first["splits"], rows["p_holm"].min()
        verdict = f"which takes {REPEATS} to tell from luck"
        if np.isfinite(p):
            shown = "more than luck" if p < LEVEL else "no difference shown"
            verdict = f"Holm p = {p:.2g}: {shown}"
        said.append(
            f"{setting_title(str(setting))}: {gap:+{record.digits}}{record.unit} {what}, over "
            f"{splits} split{'s' if splits > 1 else ''}, {verdict}."
        )
    return said


def explain_numbers(
    outcomes: Sequence[Outcome], setups: Sequence[Setup], tuned: Tuned | None, metric: str
) -> list[str]:
    """What a reader of the numbers must know, a sentence each."""
    notes = []
    networks = [setup for setup in setups if setup.kind == "network"]
    if len(networks) > 1:
        notes.append(
            "The best was chosen because it did well on these very samples, so on new ones expect "
            "a little less."
        )
    if tuned:
        often = [f"{name} on {n}" for name, n in list(tuned.chosen.items())[:3]]
        notes.append(
            f"Chosen anew on each of {tuned.splits} splits by the lowest validation loss, without "
            f"its test samples, networks reach {say_score(tuned.mean, metric)} (95 % CI "
            f"{say_score(tuned.low, metric)} to {say_score(tuned.high, metric)}): what choosing "
            f"among these settings is worth. Chosen: {', '.join(often)}"
            + (f", and {len(tuned.chosen) - 3} more." if len(tuned.chosen) > 3 else ".")
        )
    if max((setup.splits for setup in networks), default=0) < REPEATS:
        notes.append(
            "One or two splits each: intervals hold the luck of the test samples, not that of the "
            "split and the seed. Three seeds or more, or k folds, show that too."
        )
    controls = [setup.name for setup in setups if setup.kind == "control" and setup.runs]
    if controls:
        notes.append(
            f"Controls, never the best network: {'; '.join(controls)}. With permuted labels only "
            "chance is left; a random layout shows what the neighbourhoods on the image are worth."
        )
    if len({(o.spec.cohort.dataset, o.spec.cohort.label) for o in outcomes}) > 1:
        notes.append("These runs answer different questions: their datasets or classes differ.")
    decisive = [f.message for o in outcomes for f in o.result.findings or [] if f.decisive]
    notes += dict.fromkeys(decisive)
    for column in dict.fromkeys(o.second for o in outcomes if o.second):
        notes.append(f"The second head of the network with two heads learned {column}.")
    if any(o.spec.cohort.group is None for o in outcomes):
        notes.append(
            "Without a patient column each sample counts as a patient of its own; if patients have "
            "several, the intervals are too short."
        )
    if any(o.spec.cohort.group is not None and not o.patients_known for o in outcomes):
        notes.append(
            "The dataset was deleted, so each sample counts as a patient of its own; if patients "
            "have several, the intervals are too short."
        )
    return notes


def say_score(value: float, metric: str) -> str:
    """A score in per cent where it is a share."""
    return f"{100 * value:.1f} %" if METRICS[metric].is_share else f"{value:.3f}"
