"""Finished runs side by side: what differs in their settings, and whether their scores differ."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.errors import InputError
from core.evaluation.differences import (
    LEVEL,
    SAME,
    MeanDifference,
    corrected_t,
    holm,
    mcnemar,
    paired_interval,
    rank_models,
    say_verdict,
)
from core.evaluation.metrics import METRICS
from core.models.baselines import BASELINES
from core.runs.outcome import DRAWS_BY_NAME, NETWORK, Outcome, load_outcome
from core.runs.spec import RunSpec

REPEATS = 3
"""From so many splits on, a setup is judged by its spread over them."""
ALL_PAIRS = 8
"""With more runs or setups than this, each is compared with the best only."""
NETWORK_PARTS = ("layout", "network", "training")
"""Parts of a spec that plain models don't see."""
HEADLINE_BASELINE = "logistic_regression"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ComparedRun(_Record):
    """One run's scores, with those of plain models on the same samples."""

    run: str
    title: str
    control: str | None
    """What makes it a control, such as 'permuted labels'; None for the others."""
    network: str
    split: str
    augmentation: str
    settings: dict[str, Any]
    """Only those settings in which the compared runs differ, by dotted name."""
    n_test: int
    patients: int
    metrics: dict[str, float]
    interval: tuple[float, float] | None
    """95 % interval of the chosen metric, by bootstrap over patients."""
    baselines: dict[str, dict[str, float]]
    seconds: float
    parameters: int


class Difference(_Record):
    """The difference of two runs, or of a run and a plain model, on the same held-out samples."""

    a: str
    b: str
    points: float | None
    """Chosen metric of a minus that of b, times 100; None with other test samples."""
    low: float | None
    """95 % interval of the points, over patients."""
    high: float | None
    p: float | None
    """Exact McNemar p value over patients, for the accuracy only; not corrected."""
    p_holm: float | None
    """The same after Holm's correction for all differences in the list."""
    significant: bool | None
    """At 5 %, all differences in the list considered: by the corrected p; for other metrics by an
    interval that is as much wider (Bonferroni). None where neither can be told."""
    note: str
    """The same in words."""


class Setup(_Record):
    """Runs that differ in nothing but their seed, or a plain model on the same splits."""

    name: str
    kind: str
    """network, baseline or control"""
    runs: list[str]
    splits: int
    """How many pairs of training and test samples: seeds times folds."""
    n_test: int
    """Different samples that were held out in any of the splits."""
    mean: float
    """Chosen metric, mean over the splits."""
    low: float | None
    """95 % interval of the mean by Nadeau and Bengio's corrected t; None below 3 splits."""
    high: float | None
    best: float | None
    """Share of the shared splits on which no setup is better; None without shared splits."""
    rank: float | None
    """Mean rank over the shared splits; 1 is best."""
    first: float | None = None
    """Share of draws of patients and splits in which this network is the best; None without other
    networks on the same splits."""
    seconds: float | None = None
    """Mean time of a run; None for plain models."""
    peak_bytes: float | None = None
    """Most memory of a run; None for plain models, and where it was not measured."""
    parameters: int | None = None
    """Of the network; None for plain models."""


class SetupDifference(_Record):
    """The difference of two setups over the splits that both were tested on."""

    a: str
    b: str
    splits: int
    points: float
    low: float
    high: float
    p: float
    """Corrected t test."""
    p_holm: float
    """The same after Holm's correction for all differences in the list."""
    note: str
    """Whether the difference is more than luck, by the corrected p."""
    worse: float
    """Bayesian correlated t test: chance that a is worse by more than half a point."""
    same: float
    """Chance that the two are practically the same."""
    better: float


class Tuned(_Record):
    """What it is worth to choose among the networks: on each split anew, by validation samples.

    The test samples of a split have no part in the choice, as in nested validation (Varma and Simon
    2006, doi:10.1186/1471-2105-7-91).
    """

    splits: int
    mean: float
    """Chosen metric of the chosen networks on the test samples, mean over the splits."""
    low: float
    """95 % interval of the mean by the corrected t."""
    high: float
    chosen: dict[str, int]
    """Setup -> on how many splits it was chosen, the most often chosen first."""


class Comparison(_Record):
    """Several runs and the differences between them."""

    headline: str
    metric: str
    runs: list[ComparedRun]
    equal: dict[str, Any]
    """Settings that all runs share, by dotted name."""
    differences: list[Difference]
    against_baseline: list[Difference]
    """Each run against logistic regression on its own samples."""
    setups: list[Setup]
    setup_differences: list[SetupDifference]
    ranking_p: float | None
    """Whether all setups rank alike over the shared splits; None with fewer than three setups."""
    critical_difference: float | None
    """Mean ranks further apart than this differ."""
    tuned: Tuned | None
    """None with fewer than two networks or three splits that all of them share."""
    notes: list[str]


def control_of(spec: RunSpec) -> str | None:
    """What makes a run a control, which is never the best network; None for the others."""
    if spec.permute_labels:
        return "permuted labels"
    return "random layout" if spec.layout.name == "random" else None


def without_controls(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs that aren't controls; all of them where there is nothing else."""
    kept = [outcome for outcome in outcomes if control_of(outcome.spec) is None]
    return kept or list(outcomes)


def compare_runs(runs: Sequence[str], metric: str = "accuracy") -> Comparison:
    """Put finished runs side by side; raises InputError when one has no result."""
    return compare([load_outcome(run) for run in runs], metric)


def compare(outcomes: Sequence[Outcome], metric: str = "accuracy") -> Comparison:
    """Put finished runs side by side.

    Args:
        outcomes: the runs, each once.
        metric: a name in METRICS; intervals and differences are of this one.
    """
    ids = [outcome.run for outcome in outcomes]
    if not ids:
        raise InputError("Expected at least one run to compare, got none.")
    if len(set(ids)) < len(ids):
        raise InputError("Each run can be compared only once; a run id was given twice.")
    differing, equal = split_settings([outcome.settings for outcome in outcomes])
    naming = name_settings(outcomes)
    entries = _gather_setups(outcomes, metric, naming)
    setups, ranking_p, critical_difference = _rank(entries, metric)
    firsts = _share_of_firsts(outcomes, metric)
    tuned = _choose_by_validation(entries, metric)
    setups = [
        setup.model_copy(update={"first": firsts.get(setup.runs[0])}) if setup.runs else setup
        for setup in setups
    ]
    against = _compare_pairs([(o, NETWORK, o, HEADLINE_BASELINE) for o in outcomes], metric)
    return Comparison(
        headline=_say_headline(outcomes, entries, against, metric, naming),
        metric=metric,
        runs=[
            ComparedRun(
                run=outcome.run,
                title=outcome.spec.title(),
                control=control_of(outcome.spec),
                network=outcome.spec.network.record.title,
                split=outcome.spec.split.title(),
                augmentation=outcome.spec.training.augmentation,
                settings={
                    name: value for name, value in outcome.settings.items() if name in differing
                },
                n_test=outcome.n_test,
                patients=outcome.n_patients,
                metrics=outcome.scores(),
                interval=outcome.interval(metric),
                baselines={name: outcome.scores(name) for name in outcome.proba if name != NETWORK},
                seconds=outcome.result.seconds,
                parameters=outcome.result.parameters,
            )
            for outcome in outcomes
        ],
        equal=equal,
        differences=_compare_pairs(
            [(outcomes[i], NETWORK, outcomes[j], NETWORK) for i, j in _pair_runs(outcomes, metric)],
            metric,
        ),
        against_baseline=against,
        setups=setups,
        setup_differences=_compare_setups(entries, metric),
        ranking_p=ranking_p,
        critical_difference=critical_difference,
        tuned=tuned,
        notes=_explain(outcomes, setups, tuned, metric),
    )


def split_settings(settings: Sequence[dict[str, Any]]) -> tuple[list[str], dict[str, Any]]:
    """Names of the settings in which runs differ, and those that all share."""
    first = settings[0]
    equal = {
        name: value
        for name, value in first.items()
        if all(other[name] == value for other in settings)
    }
    return [name for name in first if name not in equal], equal


def name_setup(spec: RunSpec, differing: Sequence[str]) -> str:
    """A setup in few words: its network, and what else sets it apart from the others."""
    control = control_of(spec)
    said = ["network.backbone", *(["layout.name"] if control == "random layout" else [])]
    own = [name for name in differing if name not in said]
    words = [*([control] if control else []), *_say_settings(spec, own)]
    return " · ".join([spec.network.record.title, *words])


def name_settings(outcomes: Sequence[Outcome]) -> list[str]:
    """The settings that tell setups apart; a layout that only makes a control is its word."""
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    real, _ = split_settings([outcome.settings for outcome in without_controls(outcomes)])
    return [name for name in differing if name != "layout.name" or name in real]


def find_wrong_samples(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Samples that at least one network got wrong, the most often wrong first.

    Returns:
        Columns sample, patient, true, tested (by how many of the runs), wrong (in how many),
        mistaken_for (the class named most often instead), p_true (mean probability that the
        networks gave to the true class), logistic_regression_wrong (in how many). A sample that is
        always wrong, with a low p_true, may be mislabelled: look at it, don't remove it.
    """
    parts = []
    for outcome in outcomes:
        named, classes = outcome.proba[NETWORK].argmax(axis=1), np.array(outcome.result.classes)
        parts.append(
            pd.DataFrame(
                {
                    "sample": outcome.samples,
                    "patient": outcome.patients,
                    "true": classes[outcome.y],
                    "named": classes[named],
                    "wrong": named != outcome.y,
                    "p_true": outcome.proba[NETWORK][np.arange(len(outcome.y)), outcome.y],
                    "plain_wrong": ~outcome.right(HEADLINE_BASELINE),
                }
            )
        )
    table = pd.concat(parts)
    by_sample = table.groupby(["sample", "true"])
    found = by_sample.agg(
        patient=("patient", "first"),
        tested=("wrong", "size"),
        wrong=("wrong", "sum"),
        p_true=("p_true", "mean"),
        logistic_regression_wrong=("plain_wrong", "sum"),
    )
    named = table[table["wrong"]].groupby(["sample", "true"])["named"].value_counts()
    mistaken = named.reset_index().groupby(["sample", "true"])["named"].first()
    found = found[found["wrong"] > 0].assign(mistaken_for=mistaken).reset_index()
    columns = ["sample", "patient", "true", "tested", "wrong", "mistaken_for", "p_true",
               "logistic_regression_wrong"]  # fmt: skip
    return (
        found.assign(share=found["wrong"] / found["tested"])
        .sort_values(["share", "wrong", "p_true"], ascending=[False, False, True])[columns]
        .reset_index(drop=True)
    )


def grid_of(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs whose settings are compared with each other.

    Runs with permuted labels are not, nor are learning curves beside other splits. Random layouts
    are where they are crossed with the rest, else they are controls as well.
    """
    kept = [outcome for outcome in outcomes if not outcome.spec.permute_labels]
    kept = [o for o in kept if o.spec.split.kind != "learning_curve"] or kept
    return kept if kept and _is_crossed(kept) else without_controls(kept)


def _is_crossed(outcomes: Sequence[Outcome]) -> bool:
    """Whether each level of each setting was run with each level of the others."""
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    factors = [name for name in differing if name != "seed"]
    flat = [outcome.settings for outcome in outcomes]
    cells = {tuple(_key(row[name]) for name in factors) for row in flat}
    return len(cells) == np.prod([len({_key(row[name]) for row in flat}) for name in factors])


def measure_effects(outcomes: Sequence[Outcome], metric: str) -> pd.DataFrame:
    """What each setting does, on runs that differ in that setting alone.

    Compared are runs that are equal in everything else, the seed too: one of each level of the
    setting. The effect of a level is its score minus the mean over the levels, split by split.
    Other runs don't count, so that a level isn't credited with what its runs differ in beside.

    Returns:
        Columns setting, level, mean, effect (points), low, high (95 % interval of the effect by
        the corrected t over splits; NaN below 3 splits), p_holm (Holm's correction for all settings
        and levels; NaN without an interval), splits, runs. Settings without such runs are missing.
    """
    columns = ["setting", "level", "mean", "effect", "low", "high", "p_holm", "splits", "runs"]
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    ratio = float(np.mean([outcome.test_to_train for outcome in outcomes]))
    rows: list[tuple] = []
    tested: list[tuple[list[int], float]] = []
    for setting in differing:
        levels, blocks = _match(outcomes, [setting])
        blocks = [block for block in blocks if len(block) == len(levels)]
        blocks = [b for b in blocks if len({len(o.result.scored) for o in b.values()}) == 1]
        if setting == "seed" or not blocks:
            continue
        scores: dict[tuple, list[np.ndarray]] = {}
        for block in blocks:
            by_level = np.array([block[level].by_fold(metric) for level in levels])
            for fold, own in enumerate(by_level.T):
                scores.setdefault((block[levels[0]].spec.seed, fold), []).append(own)
        means = np.array([np.mean(own, axis=0) for own in scores.values()])  # (splits, levels)
        gains = means - means.mean(axis=1, keepdims=True)
        first = len(rows)
        for k, (level,) in enumerate(levels):
            low = high = np.nan
            if len(gains) >= REPEATS:
                found = corrected_t(gains[:, k], ratio)
                low, high = found.interval()
                if len(levels) > 2:
                    tested.append(([first + k], found.p))
                elif k:  # of two levels one mirrors the other
                    tested.append(([first, first + 1], found.p))
            rows.append((setting, level, means[:, k].mean(), 100 * gains[:, k].mean(), 100 * low,
                         100 * high, np.nan, len(gains), len(blocks)))  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    adjusted = holm(np.array([p for _, p in tested]))
    for (alike, _), p in zip(tested, adjusted, strict=True):
        table.loc[alike, "p_holm"] = p
    return table


def cross_settings(
    outcomes: Sequence[Outcome], row: str, column: str, metric: str
) -> tuple[pd.DataFrame, int]:
    """Mean scores by two settings, each cell over runs with the same rest and the same seeds.

    Of all combinations of the other settings and seeds those count that have the most cells; runs
    of others are left out, and cells that these combinations lack stay empty.

    Returns:
        The scores (levels of `row`, levels of `column`), and how many runs each cell's mean is of.
    """
    levels, blocks = _match(outcomes, [row, column])
    found = Counter(frozenset(block) for block in blocks)
    cells = max(found, key=lambda cells: (len(cells), found[cells]))
    usable = [block for block in blocks if cells <= set(block)]
    table = pd.DataFrame(
        index=list(dict.fromkeys(level[0] for level in levels)),
        columns=list(dict.fromkeys(level[1] for level in levels)),
        dtype=float,
    )
    for cell in cells:
        table.loc[cell] = np.mean([block[cell].scores()[metric] for block in usable])
    return table.rename_axis(index=row, columns=column), len(usable)


def _match(
    outcomes: Sequence[Outcome], settings: Sequence[str]
) -> tuple[list[tuple[str, ...]], list[dict[tuple[str, ...], Outcome]]]:
    """All levels of some settings, and runs by level that are equal in everything else."""
    blocks: dict[tuple, dict[tuple[str, ...], Outcome]] = {}
    levels = {}
    for outcome in outcomes:
        flat = {name: _key(value) for name, value in outcome.settings.items()}
        level = tuple(flat.pop(name) for name in settings)
        levels[level] = None
        blocks.setdefault(tuple(flat.values()), {})[level] = outcome
    return list(levels), list(blocks.values())


def latex_table(table: pd.DataFrame) -> str:
    """A table as LaTeX for booktabs; numbers with three digits behind the point."""
    lines = [r"\begin{tabular}{" + "l" * table.shape[1] + "}", r"\toprule"]
    for number, row in enumerate([table.columns, *table.itertuples(index=False)]):
        lines.append(" & ".join(_escape_latex(value) for value in row) + r" \\")
        if number == 0:
            lines.append(r"\midrule")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _escape_latex(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.3f}"
    text = str(value).replace("\\", r"\textbackslash ")
    return re.sub(r"([&%$#_{}])", r"\\\1", text).replace("~", r"\textasciitilde ")


def _key(value: Any) -> str:
    return str(value)


def _say_settings(spec: RunSpec, names: Sequence[str]) -> list[str]:
    """A few words for each setting but seed and permuted labels; those of a split are one."""
    flat, words = spec.settings, []
    for name in names:
        if name == "layout.name":
            words.append(f"layout {spec.layout.name}")
        elif name.startswith("split."):
            words.append(spec.split.title())
        elif name not in ("seed", "permute_labels"):
            words.append(say_setting(name, flat[name]))
    return list(dict.fromkeys(words))


def say_value(name: str, value: Any) -> str:
    """A setting's value in words that people read.

    Of lists only their length and, because two may be equally long, a digest is said.
    """
    if name == "cohort.where":
        chosen = [f"{column} is {' or '.join(values)}" for column, values in value.items()]
        return ", ".join(chosen) or "all samples"
    if name == "cohort.merge":
        return ", ".join(f"{one} as {other}" for one, other in value.items()) or "classes as given"
    if isinstance(value, list):
        digest = blake2b("\n".join(value).encode(), digest_size=2).hexdigest()
        return f"{len(value)} ({digest})" if value else "none"
    return str(value)


def say_setting(name: str, value: Any) -> str:
    """A setting in a few words: 'epochs 4', 'leave out 3 (1f0a)', 'tumour_type is KIRC'.

    Of a path only its end is said: 'weights file net.pth' for 'file:/a/net.pth'.
    """
    said = say_value(name, value)
    if name in ("cohort.where", "cohort.merge"):
        return said
    kind, _, place = said.partition(":")
    short = kind[:6] if name == "cohort.dataset" else f"{kind} {Path(place).name}".strip()
    return f"{name.rpartition('.')[2].replace('_', ' ')} {short}"


@dataclass(frozen=True)
class _Entry:
    """A setup with its score on each split: (what decides the split, seed, fold)."""

    setup: Setup
    scores: dict[tuple, float]
    losses: dict[tuple, float]
    """Of the network on each split's validation samples; empty for plain models."""
    test_to_train: float


def _gather_setups(
    outcomes: Sequence[Outcome], metric: str, differing: Sequence[str]
) -> list[_Entry]:
    """Runs that differ in their seed only, and plain models that share splits with them."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        key = outcome.spec.model_dump_json(exclude={"seed"})
        groups.setdefault((NETWORK, key), []).append(outcome)
    for baseline in BASELINES:
        for outcome in outcomes:
            if baseline.name in outcome.proba and baseline.name != "majority":
                key = outcome.spec.model_dump_json(exclude={"seed", *NETWORK_PARTS})
                groups.setdefault((baseline.name, key), []).append(outcome)
    entries = []
    for (model, _), members in groups.items():
        scores, losses = {}, {}
        for outcome in members:
            for fold, value in enumerate(outcome.by_fold(metric, model)):
                split = (_split_key(outcome.spec), outcome.spec.seed, fold)
                scores[split] = float(value)
                if model == NETWORK:
                    losses[split] = float(outcome.validation_loss[fold])
        values, ratio = np.array(list(scores.values())), members[0].test_to_train
        low = high = None
        if len(values) >= REPEATS:
            low, high = METRICS[metric].clip(corrected_t(values, ratio).interval())
        setup = Setup(
            name=_name_model(model, members[0].spec, differing),
            kind=_kind_of(model, members[0].spec),
            runs=[outcome.run for outcome in members] if model == NETWORK else [],
            splits=len(values),
            n_test=len(np.unique(np.concatenate([outcome.samples for outcome in members]))),
            mean=float(values.mean()),
            low=low,
            high=high,
            best=None,
            rank=None,
            seconds=None
            if model != NETWORK
            else float(np.mean([outcome.result.seconds for outcome in members])),
            peak_bytes=_largest_peak(members) if model == NETWORK else None,
            parameters=members[0].result.parameters if model == NETWORK else None,
        )
        entries.append(_Entry(setup, scores, losses, ratio))
    return entries


def _choose_by_validation(entries: Sequence[_Entry], metric: str) -> Tuned | None:
    """Take the network of lowest validation loss on each split that all networks share."""
    networks = [entry for entry in entries if entry.setup.kind == "network"]
    splits = _shared_splits(networks) if len(networks) > 1 else []
    if len(splits) < REPEATS:
        return None
    best = [min(networks, key=lambda entry, at=split: entry.losses[at]) for split in splits]
    scores = np.array([entry.scores[split] for entry, split in zip(best, splits, strict=True)])
    low, high = METRICS[metric].clip(corrected_t(scores, networks[0].test_to_train).interval())
    chosen = Counter(entry.setup.name for entry in best)
    return Tuned(
        splits=len(splits), mean=float(scores.mean()), low=low, high=high,
        chosen=dict(chosen.most_common()),
    )  # fmt: skip


def _say_score(value: float, metric: str) -> str:
    return f"{100 * value:.1f} %" if METRICS[metric].is_share else f"{value:.3f}"


def _largest_peak(members: Sequence[Outcome]) -> float | None:
    peaks = [outcome.result.peak_bytes for outcome in members]
    known = [peak for peak in peaks if peak is not None]
    return float(max(known)) if known else None


def _kind_of(model: str, spec: RunSpec) -> str:
    """A plain model sees no layout, but its labels may be permuted."""
    if spec.permute_labels or (model == NETWORK and control_of(spec)):
        return "control"
    return "network" if model == NETWORK else "baseline"


def _split_key(spec: RunSpec) -> str:
    """What decides which samples are held out, apart from the seed."""
    return spec.model_dump_json(exclude={"preparation", *NETWORK_PARTS, "seed"})


def _name_model(model: str, spec: RunSpec, differing: Sequence[str]) -> str:
    """A plain model sees genes and splits, but no picture and no network."""
    if model == NETWORK:
        return name_setup(spec, differing)
    own = [name for name in differing if name.partition(".")[0] not in NETWORK_PARTS]
    control = ["permuted labels"] if spec.permute_labels else []
    return " · ".join([BASELINES[model].title, *control, *_say_settings(spec, own)])


def _shared_splits(entries: Sequence[_Entry]) -> list[tuple]:
    return sorted(set.intersection(*(set(entry.scores) for entry in entries)))


def _rank(entries: Sequence[_Entry], metric: str) -> tuple[list[Setup], float | None, float | None]:
    """The setups with their ranks, and the test of the ranks.

    Ranked are the best setup and those that share splits with it, over the splits that all of them
    share; controls are not.
    """
    sign = 1 if METRICS[metric].best > METRICS[metric].worst else -1
    repeated = [
        entry for entry in entries if len(entry.scores) >= REPEATS and entry.setup.kind != "control"
    ]
    if repeated:
        best = max(repeated, key=lambda entry: sign * entry.setup.mean)
        repeated = [e for e in repeated if len(_shared_splits([best, e])) >= REPEATS]
    shared = _shared_splits(repeated) if repeated else []
    if len(repeated) < 3 or len(shared) < REPEATS:
        return [entry.setup for entry in entries], None, None
    table = sign * np.array([[entry.scores[split] for entry in repeated] for split in shared])
    wins = (table == table.max(axis=1, keepdims=True)).mean(axis=0)
    found = rank_models(table, max(entry.test_to_train for entry in repeated))
    ranked = {
        id(entry): {"best": float(share), "rank": float(rank)}
        for entry, share, rank in zip(repeated, wins, found.ranks, strict=True)
    }
    setups = [entry.setup.model_copy(update=ranked.get(id(entry), {})) for entry in entries]
    return setups, found.p, found.critical_difference


def _share_of_firsts(outcomes: Sequence[Outcome], metric: str) -> dict[str, float]:
    """First run of each network's setup -> share of draws in which the network is the best.

    A draw takes patients anew, the same ones for all networks, and seeds anew, and a network's
    score is its mean over the seeds. Networks of the commonest split take part, with the seeds that
    all of them have; equally good ones share a draw.
    """
    setups: dict[str, dict[str, dict[int, Outcome]]] = {}
    for outcome in outcomes:
        if control_of(outcome.spec) is None:
            setup = outcome.spec.model_dump_json(exclude={"seed"})
            split = setups.setdefault(_split_key(outcome.spec), {})
            split.setdefault(setup, {})[outcome.spec.seed] = outcome
    networks = list(max(setups.values(), key=len, default={}).values())
    seeds = sorted(set.intersection(*map(set, networks))) if networks else []
    if len(networks) < 2 or not seeds:
        return {}
    drawn = np.random.default_rng(0).integers(len(seeds), size=(DRAWS_BY_NAME, len(seeds)))
    means = []
    for network in networks:
        scores = [network[seed].draws_by_name(metric) for seed in seeds]
        means.append(np.take_along_axis(np.array(scores).T, drawn, axis=1).mean(axis=1))
    sign = 1 if METRICS[metric].best > METRICS[metric].worst else -1
    table = sign * np.array(means).T
    table = table[np.isfinite(table).all(axis=1)]  # an AUROC needs two classes
    if not len(table):
        return {}
    best = np.isclose(table, table.max(axis=1, keepdims=True), rtol=0, atol=1e-12)
    shares = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    return {
        next(iter(network.values())).run: float(share)
        for network, share in zip(networks, shares, strict=True)
    }


def _compare_setups(entries: Sequence[_Entry], metric: str) -> list[SetupDifference]:
    """Pairs that share at least three splits, with the corrected t test of each."""
    groups: dict[str, list[_Entry]] = {}
    for entry in entries:
        if len(entry.scores) >= REPEATS:
            groups.setdefault(next(iter(entry.scores))[0], []).append(entry)
    pairs = [
        (group[i], group[j])
        for group in groups.values()
        for i, j in _choose_pairs(
            [entry.setup.mean for entry in group],
            metric,
            [entry.setup.kind == "control" for entry in group],
        )
    ]
    rows = []
    for a, b in pairs:
        found = _differ_over_splits(a, b)
        kinds = (a.setup.kind, b.setup.kind)
        if found is None or kinds in (("baseline", "baseline"), ("control", "control")):
            continue
        low, high = found.interval()
        worse, same, better = found.chances(SAME)
        rows.append(
            {"a": a.setup.name, "b": b.setup.name, "splits": found.splits,
             "points": 100 * found.mean, "low": 100 * low, "high": 100 * high, "p": found.p,
             "worse": worse, "same": same, "better": better}
        )  # fmt: skip
    adjusted = holm(np.array([row["p"] for row in rows]))
    return [
        SetupDifference(
            **row, p_holm=float(p), note=f"This {say_verdict(p < LEVEL, _say_p(p, len(rows)))}."
        )
        for row, p in zip(rows, adjusted, strict=True)
    ]


def _differ_over_splits(a: _Entry, b: _Entry) -> MeanDifference | None:
    shared = _shared_splits([a, b])
    if len(shared) < REPEATS:
        return None
    gaps = np.array([a.scores[split] - b.scores[split] for split in shared])
    return corrected_t(gaps, a.test_to_train)


def _choose_pairs(
    scores: Sequence[float], metric: str, controls: Sequence[bool]
) -> list[tuple[int, int]]:
    """All pairs of a few, or each of many with the best; the better one first, controls last."""
    sign = -1 if METRICS[metric].best > METRICS[metric].worst else 1
    order = sorted(range(len(scores)), key=lambda k: (controls[k], sign * scores[k]))
    if len(order) > ALL_PAIRS:
        return [(order[0], other) for other in order[1:]]
    return list(combinations(order, 2))


def _pair_runs(outcomes: Sequence[Outcome], metric: str) -> list[tuple[int, int]]:
    """All pairs of a few runs; of many, each with the best on the same samples."""
    scores = [outcome.scores()[metric] for outcome in outcomes]
    controls = [control_of(outcome.spec) is not None for outcome in outcomes]
    if len(outcomes) <= ALL_PAIRS:
        return _choose_pairs(scores, metric, controls)
    groups: list[list[int]] = []
    for k, outcome in enumerate(outcomes):
        home = next((g for g in groups if outcomes[g[0]].same_samples(outcome)), None)
        groups.append([k]) if home is None else home.append(k)
    pairs = []
    for group in groups:
        chosen = _choose_pairs([scores[k] for k in group], metric, [controls[k] for k in group])
        pairs += [(group[i], group[j]) for i, j in chosen]
    return pairs


_Pair = tuple[Outcome, str, Outcome, str]
"""Two runs, each with one of its models."""


def _compare_pairs(pairs: Sequence[_Pair], metric: str) -> list[Difference]:
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
            points = 100 * (one.scores(model)[metric] - other.scores(other_model)[metric])
            note = "No interval: this score is biased with few samples."
        if limits is not None:
            low, high = 100 * limits[0], 100 * limits[1]
            wider = _bound(pairs[k], metric, LEVEL / len(paired))
            significant = wider is not None and not wider[0] <= 0 <= wider[1]
            how = f"interval corrected for {len(paired)} comparisons" if len(paired) > 1 else ""
        if k in tests:
            significant, how = adjusted[k] < LEVEL, _say_p(adjusted[k], len(tests))
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


def _say_p(p: float, comparisons: int) -> str:
    if comparisons == 1:
        return f"p = {p:.2g}"
    return f"Holm p = {p:.2g} for {comparisons} comparisons"


def _say_headline(
    outcomes: Sequence[Outcome],
    entries: Sequence[_Entry],
    against: Sequence[Difference],
    metric: str,
    differing: Sequence[str],
) -> str:
    """The sentence of the page: the best setup, or the best run, against the plain baseline.

    Learning curves beside other splits ask another question and are no candidates.
    """
    better = max if METRICS[metric].best > METRICS[metric].worst else min
    plain = BASELINES[HEADLINE_BASELINE].title
    networks = [entry for entry in entries if entry.setup.kind == "network"]
    only_controls = not networks
    if only_controls:
        networks = [entry for entry in entries if entry.setup.runs]
    curves = {o.run for o in outcomes if o.spec.split.kind == "learning_curve"}
    networks = [entry for entry in networks if entry.setup.runs[0] not in curves] or networks
    plain_entries = [e for e in entries if e.setup.name.partition(" · ")[0] == plain]
    over_splits = {}
    for entry in networks:
        pairs = [_differ_over_splits(entry, other) for other in plain_entries]
        if pair := next((pair for pair in pairs if pair is not None), None):
            over_splits[id(entry)] = pair
    repeated = [entry for entry in networks if id(entry) in over_splits]
    if repeated:
        best = better(repeated, key=_mean_on_shared(repeated))
        found, name = over_splits[id(best)], best.setup.name
        adjusted = holm(np.array([pair.p for pair in over_splits.values()]))
        p = float(adjusted[list(over_splits).index(id(best))])
        low, high = (100 * limit for limit in found.interval())
        points, significant = 100 * found.mean, p < LEVEL
        how = _say_p(p, len(over_splits))
        sample = f"{found.splits} splits, n = {best.setup.n_test}"
        alike = len(repeated) == len(networks) and bool(_shared_splits(networks))
    else:
        real = {run for entry in networks for run in entry.setup.runs}
        at = better(
            [k for k, outcome in enumerate(outcomes) if outcome.run in real],
            key=lambda k: outcomes[k].scores()[metric],
        )
        difference = against[at]
        low, high, points = difference.low, difference.high, difference.points
        significant, p = difference.significant, difference.p_holm
        how = "" if p is None else _say_p(p, len(against))
        name = name_setup(outcomes[at].spec, differing)
        sample = f"n = {outcomes[at].n_test}"
        alike = all(o.same_samples(outcomes[at]) for o in outcomes if o.run in real)
    verdict = None if significant is None else say_verdict(significant, how)
    chosen = "A control only: " if only_controls else ""
    if len(networks) > 1:
        chosen = f"Best of {len(networks)}{' controls' if only_controls else ''}"
        chosen += ": " if alike else ", not all on the same splits: "
    unit = "" if metric == "accuracy" else f" in {METRICS[metric].title}"
    return f"{chosen}{name} is {_say_gap(points, low, high, plain + unit, sample, verdict)}."


def _mean_on_shared(entries: Sequence[_Entry]) -> Callable[[_Entry], float]:
    """What setups are ordered by: their mean over the splits that all of them share, if any."""
    shared = _shared_splits(entries)
    return lambda entry: float(
        np.mean([entry.scores[split] for split in shared]) if shared else entry.setup.mean
    )


def _say_gap(
    points: float, low: float | None, high: float | None, other: str, sample: str,
    verdict: str | None,
) -> str:  # fmt: skip
    """'1.8 points below X (95 % CI 0.6 to 3.1, n = 180), which is more than luck (…)'."""
    other = other[0].lower() + other[1:]
    side = "above" if points > 0 else "below"
    gap = f"{abs(points):.1f} points {side} {other}"
    if low is None or high is None or verdict is None:
        return f"{gap} ({sample})"
    if low > 0 or high < 0:
        near, far = sorted((abs(low), abs(high)))
        return f"{gap} (95 % CI {near:.1f} to {far:.1f}, {sample}), which {verdict}"
    limits = f"(95 % CI {-low:.1f} below to {high:.1f} above, {sample})"
    if abs(points) < 0.05:
        return f"as good as {other} {limits}"
    return f"{gap} {limits}, which {verdict}"


def _explain(
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
            f"its test samples, networks reach {_say_score(tuned.mean, metric)} (95 % CI "
            f"{_say_score(tuned.low, metric)} to {_say_score(tuned.high, metric)}): what choosing "
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
