"""`run`: train and test a network, and wait for the result."""

import argparse
import json
from pathlib import Path
from typing import Any

from core.cli.options import (
    add_choice,
    add_label_options,
    add_spec_options,
    given_cohort,
    given_fields,
    put_to_data,
    take_roles,
)
from core.cli.output import give, say
from core.cli.parser import add_command
from core.compare.gap import explain_gap
from core.data.store import add_dataset
from core.errors import DamageError, InputError
from core.jobs.here import wait_for
from core.jobs.record import JobState
from core.runs.preflight import preflight
from core.runs.result import headline, load_result
from core.runs.spec import PRESETS, RunSpec
from core.runs.store import RunRecord, RunStore
from core.training.tasks import TASKS


def add_commands(commands: Any) -> None:
    """Add `run`."""
    parser = add_command(commands, "run", run, "train and test a network; waits for the result")
    parser.add_argument("spec", nargs="?", type=Path, help="YAML; options below override it")
    parser.add_argument("--data", help="a file, or the id or name of a stored dataset")
    add_choice(
        parser, "--preset", PRESETS.names, None, "a recipe that holds wherever no option does"
    )
    add_choice(
        parser, "--task", TASKS.names, None,
        "classification (default) predicts a class, regression a number",
    )  # fmt: skip
    add_label_options(parser)
    add_spec_options(parser)
    parser.add_argument("--seed", type=int, help="default: 0")


def run(options: argparse.Namespace) -> int:
    """Submit the run that the options describe, and follow it."""
    document: dict[str, Any] = {}
    if options.spec:
        if not options.spec.exists():
            raise InputError(f"There is no file {options.spec}.")
        document = RunSpec.from_yaml(options.spec.read_bytes()).model_dump(mode="json")
    for part, fields in given_fields(options).items():
        document[part] = {**document.get(part, {}), **fields}
    if options.preset:
        document = PRESETS[options.preset].fill(document)
    take_roles(options)
    document["cohort"] = {**document.get("cohort", {}), **given_cohort(options)}
    if options.task is not None:
        document["task"] = options.task
    if options.seed is not None:
        document["seed"] = options.seed
    if document["cohort"].get("label") is None:
        raise InputError("Say which column holds the class, or the number: --label COLUMN.")
    spec = RunSpec.parse(document)
    if options.data is not None:
        [spec], data = put_to_data([spec], options)
        preflight(spec, data)
        add_dataset(data, Path(options.data).stem)
    elif spec.cohort.dataset is None:
        raise InputError("Say which data to train on: --data FILE, or a SPEC.yaml with a dataset.")
    else:
        preflight(spec)
    store = RunStore()
    record, created = store.submit(spec)
    if not created:
        say(f"run {record.id} exists already ({record.state}): the same question, the same run")
    return follow(options, store, record.id)


def follow(options: argparse.Namespace, store: RunStore, run: str) -> int:
    """Show a run's progress until it ends, then its result."""
    shown = ""

    def tell(share: float, text: str) -> None:
        nonlocal shown
        if text != shown:
            say(f"run {run} {text}")
            shown = text

    wait_for(run, tell)
    record = store.get(run)
    if record.state != JobState.DONE:
        say(f"error: run {run} {record.state}: {record.reason}")
        if options.json:
            print(json.dumps(describe_run(record), indent=1))
        return 1
    return give(options, describe_run(record), f"run {run}: {say_result(run)}")


def say_result(run: str) -> str:
    """A finished run in a sentence, what its data make of it, and why it may be below the plain
    baseline.
    """
    found = [f"{found.severity}: {found.message}" for found in load_result(run).findings or []]
    return "\n- ".join([headline(run), *found, *explain_gap(run)])


def describe_run(record: RunRecord) -> dict[str, Any]:
    """A run as JSON: its record, and its result once there is one."""
    document = {
        "run": record.id,
        "state": str(record.state),
        "reason": record.reason,
        "parent": record.parent,
        "study": record.study,
        "spec": record.spec.model_dump(mode="json"),
    }
    if record.state == JobState.DONE:
        try:
            result = load_result(record.id).model_dump(mode="json", exclude={"files"})
            said = {"headline": headline(record.id), "why_below": explain_gap(record.id)}
            document |= {**result, **said}
        except DamageError as error:
            document["damage"] = str(error)
    return document
