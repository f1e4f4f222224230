"""`compare` and `study`: finished runs side by side."""

import argparse
import time
from pathlib import Path
from typing import Any

from core.cli.options import add_choice, add_label_options, given_cohort, put_to_data, take_roles
from core.cli.output import give, say
from core.cli.parser import add_command
from core.compare.comparison import compare_runs
from core.data.store import add_dataset
from core.errors import InputError
from core.evaluation.metrics import METRICS
from core.jobs.here import do_here
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.jobs.which import Which
from core.runs.fitting import baselines_job
from core.runs.preflight import preflight
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.study_file import read_study
from core.training.tasks import TASKS


def add_commands(commands: Any) -> None:
    """Add `compare` and `study`."""
    parser = add_command(commands, "compare", compare, "finished runs side by side")
    parser.add_argument("runs", nargs="+", help="run ids, or their beginnings")
    _add_comparison_options(parser)

    study = add_command(
        commands, "study", train_study, "train all runs of a study, then compare them"
    )
    study.add_argument("study", type=Path, help="YAML: a run's fields, lists of values are crossed")
    study.add_argument("--data", help="a file, or the id or name of a stored dataset")
    add_label_options(study)
    _add_comparison_options(study)


def _add_comparison_options(parser: argparse.ArgumentParser) -> None:
    add_choice(
        parser, "--metric", METRICS.names, None,
        "the score that runs are compared by (accuracy, or r2, unless another is named)",
    )  # fmt: skip
    parser.add_argument(
        "--baselines", action="store_true", help="first fit the baseline models that are missing"
    )
    parser.add_argument(
        "--second", metavar="COLUMN",
        help="the column that the network with two heads learns beside the class (default: the "
        "run's batch; without either it isn't fitted); with --baselines",
    )  # fmt: skip


def compare(options: argparse.Namespace) -> int:
    """Compare finished runs."""
    store = RunStore()
    document, text = _describe_comparison(options, [store.find(run).id for run in options.runs])
    return give(options, document, text)


def _describe_comparison(
    options: argparse.Namespace, runs: list[str]
) -> tuple[dict[str, Any], str]:
    """The comparison of finished runs as a document, and as text for a person."""
    if options.second and not options.baselines:
        raise InputError("--second names what a baseline model learns. Add --baselines to fit it.")
    if options.baselines:
        for run in runs:
            load_result(run)
        job = baselines_job(runs, options.second)
        do_here(job, lambda _, text: say(f"baseline models: {text}"))
    comparison = compare_runs(runs, options.metric)
    metric, task = METRICS[comparison.metric], TASKS[comparison.task]
    lines = [comparison.headline, ""]
    for run in comparison.runs:
        limits = "" if run.interval is None else " ({:.3f} to {:.3f})".format(*run.interval)
        value = run.metrics[metric.name]
        lines.append(f"{run.run}  {value:.3f}{limits}  n = {run.n_test}  {run.title}")
        lines += [
            f"{'':16}  {scores[metric.name]:.3f}  {task.baselines[name].title}"
            for name, scores in run.baselines.items()
        ]
    lines += [
        f"{pair.a} - {pair.b}: "
        + ("" if pair.points is None else f"{pair.points:+.1f}{metric.unit}. ")
        + pair.note
        for pair in comparison.differences
    ]
    lines += [
        f"{pair.a} - {pair.b}: {pair.points:+.1f}{metric.unit} ({pair.low:+.1f} to "
        f"{pair.high:+.1f}), {pair.splits} splits, practically the same: {pair.same:.0%}. "
        + pair.note
        for pair in comparison.setup_differences
    ]
    return comparison.model_dump(mode="json"), "\n".join(
        [*lines, *comparison.effects, *comparison.notes]
    )


def train_study(options: argparse.Namespace) -> int:
    """All runs of a study file, checked before the first is queued; then their comparison."""
    if not options.study.exists():
        raise InputError(f"There is no file {options.study}.")
    study = read_study(options.study.read_bytes())
    take_roles(options)
    given = given_cohort(options)
    specs = [RunSpec.parse({**run, "cohort": {**run["cohort"], **given}}) for run in study.runs]
    if options.data is not None:
        specs, data = put_to_data(specs, options)
        for spec in specs:
            preflight(spec, data)
        add_dataset(data, Path(options.data).stem)
    elif any(spec.cohort.dataset is None for spec in specs):
        raise InputError("Say which data to train on: --data FILE, or a dataset in the study.")
    else:
        for spec in specs:
            preflight(spec)
    store = RunStore()
    store.need_quota_for(specs)
    submitted = [store.submit(spec, study=study.name) for spec in specs]
    runs = list(dict.fromkeys(record.id for record, _ in submitted))
    say(f"{study.name}: {len(runs)} runs, {sum(new for _, new in submitted)} of them new")
    records = _follow_all(store, runs)
    failed = [record for record in records if record.state != JobState.DONE]
    for record in failed:
        say(f"error: run {record.id} {record.state}: {record.reason}")
    done = [record.id for record in records if record.state == JobState.DONE]
    if not done:
        return 1
    document, text = _describe_comparison(options, done)
    document["study"] = study.name
    document["failed"] = [
        {"run": record.id, "state": str(record.state), "reason": record.reason} for record in failed
    ]
    give(options, document, text)
    return 1 if failed else 0


def _follow_all(store: RunStore, runs: list[str]) -> list[RunRecord]:
    """Wait until every run has ended, saying how each ended; returns their last records."""
    left = list(runs)
    while left:
        store.reconcile()
        records = {record.id: record for record in store.list(Which(ids=left))}
        for run in [run for run in left if records[run].state.finished]:
            left.remove(run)
            say(f"run {run} {records[run].state}, {len(left)} left: {records[run].name}")
        if any(records[run].state == JobState.QUEUED for run in left):
            ensure_workers()
        if left:
            time.sleep(0.5)
    return [store.get(run) for run in runs]
