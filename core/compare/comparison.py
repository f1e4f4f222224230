"""Finished runs side by side: what differs in their settings, and whether their scores differ."""

from collections.abc import Sequence

from core.compare.pairs import compare_pairs, pair_runs
from core.compare.records import ComparedRun, Comparison
from core.compare.settings import UNUSED, control_of, name_settings, split_settings
from core.compare.setups import (
    choose_by_validation,
    compare_setups,
    gather_setups,
    rank_setups,
    share_of_firsts,
)
from core.compare.words import explain_numbers, say_effects, say_headline
from core.errors import InputError
from core.runs.outcome import NETWORK, Outcome, load_outcome, shared_reference
from core.training.tasks import Task


def compare_runs(runs: Sequence[str], metric: str | None = None) -> Comparison:
    """Put finished runs side by side; raises InputError when one has no result."""
    return compare([load_outcome(run) for run in runs], metric)


def compare(outcomes: Sequence[Outcome], metric: str | None = None) -> Comparison:
    """Put finished runs side by side.

    Args:
        outcomes: the runs, each once, all of one task.
        metric: a score of the task, by default its first; intervals and differences are of it.

    Raises:
        InputError: no run, one run twice, runs of several tasks, or a score of another task.
    """
    ids = [outcome.run for outcome in outcomes]
    if not ids:
        raise InputError("Expected at least one run to compare, got none.")
    if len(set(ids)) < len(ids):
        raise InputError("Each run can be compared only once; a run id was given twice.")
    task = _shared_task(outcomes)
    metric = task.metrics[metric or task.first_metric].name
    differing, equal = split_settings([outcome.settings for outcome in outcomes])
    naming = name_settings(outcomes)
    entries = gather_setups(outcomes, metric, naming)
    setups, ranking_p, critical_difference = rank_setups(entries, metric)
    firsts = share_of_firsts(outcomes, metric)
    tuned = choose_by_validation(entries, metric)
    setups = [
        setup.model_copy(update={"first": firsts.get(setup.runs[0])}) if setup.runs else setup
        for setup in setups
    ]
    reference = shared_reference(outcomes)
    against = compare_pairs([(o, NETWORK, o, reference) for o in outcomes], metric)
    return Comparison(
        headline=say_headline(outcomes, entries, against, metric, naming),
        task=task.name,
        metric=metric,
        reference=reference,
        runs=[
            ComparedRun(
                run=outcome.run,
                title=outcome.spec.title(),
                control=control_of(outcome.spec),
                network=outcome.spec.network.record.title,
                backbone=outcome.spec.network.backbone,
                split=outcome.spec.split.title(),
                test_size=outcome.spec.split.test_size
                if outcome.spec.split.kind == "holdout"
                else None,
                augmentation=outcome.spec.training.augmentation,
                settings={name: outcome.settings.get(name, UNUSED) for name in differing},
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
        effects=say_effects(outcomes, metric),
        differences=compare_pairs(
            [(outcomes[i], NETWORK, outcomes[j], NETWORK) for i, j in pair_runs(outcomes, metric)],
            metric,
        ),
        against_baseline=against,
        setups=setups,
        setup_differences=compare_setups(entries, metric),
        ranking_p=ranking_p,
        critical_difference=critical_difference,
        tuned=tuned,
        notes=explain_numbers(outcomes, setups, tuned, metric),
    )


def _shared_task(outcomes: Sequence[Outcome]) -> Task:
    """The task of all runs; raises InputError where they have several."""
    tasks: dict[str, list[str]] = {}
    for outcome in outcomes:
        tasks.setdefault(outcome.task.name, []).append(outcome.run)
    if len(tasks) > 1:
        found = "; ".join(f"{name}: {', '.join(runs)}" for name, runs in tasks.items())
        raise InputError(
            f"Runs of different tasks have no score in common ({found}). Compare those of one task."
        )
    return outcomes[0].task
