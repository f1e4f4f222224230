"""`runs`: list, show and manage runs; what trains is loaded only by what needs it."""

import argparse
from typing import Any

from core.cli.output import give
from core.cli.parser import add_command, add_group
from core.jobs.record import DamagedJob, JobState
from core.runs.store import RunStore, unlisted_runs


def add_commands(commands: Any) -> None:
    """Add `runs list`, `show`, `cancel`, `finish`, `resume` and `delete`."""
    runs = add_group(commands, "runs", "list, show and manage runs")
    add_command(runs, "list", list_runs, "all runs, the newest first")
    for name, command, text in (
        ("show", show_run, "one run's state and result"),
        ("cancel", cancel_run, "stop a queued or running run"),
        ("finish", finish_run, "end a training after the epoch at hand, and test it"),
        ("resume", resume_run, "go on with a failed or cancelled run; waits for the result"),
        ("delete", delete_run, "delete a run with everything that belongs to it"),
    ):
        add_command(runs, name, command, text).add_argument(
            "run", help="a run's id, or its beginning"
        )


def list_runs(options: argparse.Namespace) -> int:
    """All runs, damaged ones and those that aren't listed."""
    store = RunStore()
    store.reconcile()
    found, lost = store.read(), unlisted_runs()
    records = [run for run in found if not isinstance(run, DamagedJob)]
    damaged = [run for run in found if isinstance(run, DamagedJob)]
    lines = [f"{record.id}  {record.state:9}  {record.name}" for record in records]
    lines += [f"{run.id}  damaged    {run.name}: {run.why}" for run in damaged]
    if lost:
        lines.append(
            f"{len(lost)} more runs have folders but aren't listed: `genecanvas doctor "
            "--repair` lists them again"
        )
    document = {}
    if options.json:
        from core.cli.run import describe_run

        document = {
            "runs": [describe_run(record) for record in records],
            "damaged": [run._asdict() for run in damaged],
            "unlisted": lost,
        }
    return give(options, document, "\n".join(lines) or "no runs yet")


def show_run(options: argparse.Namespace) -> int:
    """A run's state, and its result once it has one."""
    from core.cli.run import describe_run, say_result

    store = RunStore()
    store.reconcile()
    record = store.find(options.run)
    text = f"run {record.id} {record.state}: {record.reason or record.message}"
    if record.state == JobState.DONE:
        text = f"run {record.id}: {say_result(record.id)}\n\n{record.spec.to_yaml()}"
    return give(options, describe_run(record), text)


def cancel_run(options: argparse.Namespace) -> int:
    """Stop a run."""
    store = RunStore()
    run = store.find(options.run).id
    store.cancel(run)
    return give(options, {"run": run, "state": str(store.get(run).state)}, f"run {run} cancelled")


def finish_run(options: argparse.Namespace) -> int:
    """End a training early, and follow it."""
    from core.cli.run import follow

    store = RunStore()
    run = store.find(options.run).id
    store.stop_early(run)
    return follow(options, store, run)


def resume_run(options: argparse.Namespace) -> int:
    """Queue a run again, and follow it."""
    from core.cli.run import follow

    store = RunStore()
    store.reconcile()
    run = store.find(options.run).id
    store.resume(run)
    return follow(options, store, run)


def delete_run(options: argparse.Namespace) -> int:
    """Delete a run."""
    store = RunStore()
    run = store.find_id(options.run)
    store.delete(run)
    return give(options, {"run": run, "deleted": True}, f"run {run} deleted")
