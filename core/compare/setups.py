"""Setups: runs that differ in their seed only, and baseline models, over the same splits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.compare.pairs import choose_pairs, say_p
from core.compare.records import REPEATS, Setup, SetupDifference, Tuned
from core.compare.settings import control_of, name_setup, say_settings
from core.evaluation.differences import (
    LEVEL,
    SAME,
    MeanDifference,
    corrected_t,
    holm,
    rank_models,
    say_verdict,
)
from core.evaluation.metrics import METRICS
from core.runs.outcome import DRAWS_BY_NAME, NETWORK, Outcome
from core.runs.spec import RunSpec
from core.training.tasks import TASKS

NETWORK_PARTS = ("layout", "network", "training")
"""Parts of a spec that baseline models don't see."""


@dataclass(frozen=True)
class Entry:
    """A setup with its score on each split: (what decides the split, seed, fold)."""

    setup: Setup
    scores: dict[tuple, float]
    losses: dict[tuple, float]
    """Of the network on each split's validation samples; empty for baseline models."""
    test_to_train: float


def gather_setups(
    outcomes: Sequence[Outcome], metric: str, differing: Sequence[str]
) -> list[Entry]:
    """Runs that differ in their seed only, and baseline models that share splits with them."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        key = outcome.spec.key_without("seed")
        groups.setdefault((NETWORK, key), []).append(outcome)
    for baseline in outcomes[0].task.baselines:
        for outcome in outcomes:
            if baseline.name in outcome.proba and baseline.name != outcome.task.floor:
                key = outcome.spec.key_without("seed", *NETWORK_PARTS)
                if baseline.learns_second:
                    key += f" {outcome.second}"
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
            model=model,
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
        entries.append(Entry(setup, scores, losses, ratio))
    return entries


def _largest_peak(members: Sequence[Outcome]) -> float | None:
    peaks = [outcome.result.peak_bytes for outcome in members]
    known = [peak for peak in peaks if peak is not None]
    return float(max(known)) if known else None


def _kind_of(model: str, spec: RunSpec) -> str:
    """A baseline model sees no layout, but its labels may be permuted."""
    if spec.permute_labels or (model == NETWORK and control_of(spec)):
        return "control"
    return "network" if model == NETWORK else "baseline"


def _split_key(spec: RunSpec) -> str:
    """What decides which samples are held out, apart from the seed."""
    return spec.key_without("preparation", *NETWORK_PARTS, "seed")


def _name_model(model: str, spec: RunSpec, differing: Sequence[str]) -> str:
    """A baseline model sees genes and splits, but no picture and no network."""
    if model == NETWORK:
        return name_setup(spec, differing)
    own = [name for name in differing if name.partition(".")[0] not in NETWORK_PARTS]
    control = ["permuted labels"] if spec.permute_labels else []
    return " · ".join([TASKS[spec.task].baselines[model].title, *control, *say_settings(spec, own)])


def shared_splits(entries: Sequence[Entry]) -> list[tuple]:
    """The splits that all of some setups were tested on."""
    return sorted(set.intersection(*(set(entry.scores) for entry in entries)))


def choose_by_validation(entries: Sequence[Entry], metric: str) -> Tuned | None:
    """Take the network of lowest validation loss on each split that all networks share."""
    networks = [entry for entry in entries if entry.setup.kind == "network"]
    splits = shared_splits(networks) if len(networks) > 1 else []
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


def rank_setups(
    entries: Sequence[Entry], metric: str
) -> tuple[list[Setup], float | None, float | None]:
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
        repeated = [e for e in repeated if len(shared_splits([best, e])) >= REPEATS]
    shared = shared_splits(repeated) if repeated else []
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


def share_of_firsts(outcomes: Sequence[Outcome], metric: str) -> dict[str, float]:
    """First run of each network's setup -> share of draws in which the network is the best.

    A draw takes patients anew, the same ones for all networks, and seeds anew, and a network's
    score is its mean over the seeds. Networks of the commonest split take part, with the seeds that
    all of them have; equally good ones share a draw.
    """
    setups: dict[str, dict[str, dict[int, Outcome]]] = {}
    for outcome in outcomes:
        if control_of(outcome.spec) is None:
            setup = outcome.spec.key_without("seed")
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


def compare_setups(entries: Sequence[Entry], metric: str) -> list[SetupDifference]:
    """Pairs that share at least three splits, with the corrected t test of each."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        if len(entry.scores) >= REPEATS:
            groups.setdefault(next(iter(entry.scores))[0], []).append(entry)
    pairs = [
        (group[i], group[j])
        for group in groups.values()
        for i, j in choose_pairs(
            [entry.setup.mean for entry in group],
            metric,
            [entry.setup.kind == "control" for entry in group],
        )
    ]
    rows, scale = [], METRICS[metric].points
    for a, b in pairs:
        found = differ_over_splits(a, b)
        kinds = (a.setup.kind, b.setup.kind)
        if found is None or kinds in (("baseline", "baseline"), ("control", "control")):
            continue
        low, high = found.interval()
        worse, same, better = found.chances(SAME)
        rows.append(
            {"a": a.setup.name, "b": b.setup.name, "splits": found.splits,
             "points": scale * found.mean, "low": scale * low, "high": scale * high, "p": found.p,
             "worse": worse, "same": same, "better": better}
        )  # fmt: skip
    adjusted = holm(np.array([row["p"] for row in rows]))
    return [
        SetupDifference(
            **row, p_holm=float(p), note=f"This {say_verdict(p < LEVEL, say_p(p, len(rows)))}."
        )
        for row, p in zip(rows, adjusted, strict=True)
    ]


def differ_over_splits(a: Entry, b: Entry) -> MeanDifference | None:
    """The difference over the splits that both were tested on; None where these are too few."""
    shared = shared_splits([a, b])
    if len(shared) < REPEATS:
        return None
    gaps = np.array([a.scores[split] - b.scores[split] for split in shared])
    return corrected_t(gaps, a.test_to_train)
