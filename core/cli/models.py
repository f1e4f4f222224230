"""`export` and `models`: model folders, written for others and taken from them."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.output import give, say
from core.cli.parser import add_command, add_group
from core.predict.folder import export_model
from core.predict.sent import delete_sent, find_sent, import_model, list_sent
from core.runs.result import kept_sent
from core.runs.store import RunStore


def add_commands(commands: Any) -> None:
    """Add `export`, and `models list`, `import` and `delete`."""
    export = add_command(
        commands, "export", export_run, "write a finished run as a folder that others can use"
    )
    export.add_argument("run", help="a run's id, or its beginning")
    export.add_argument("folder", type=Path, help="where to; it must be empty or not there yet")
    models = add_group(commands, "models", "models that others sent: import, list and delete them")
    add_command(models, "list", list_models, "all of them")
    add_command(
        models, "import", take_model, "check a model folder, or a zip file of one, and keep it"
    ).add_argument("folder", type=Path, help="the folder or zip file")
    add_command(
        models, "delete", delete_model, "delete one, with the predictions that it made"
    ).add_argument("model", help="its id, or the beginning of it")


def export_run(options: argparse.Namespace) -> int:
    """Write a run as a model folder."""
    run = RunStore().find(options.run).id

    def tell(done: int, total: int) -> None:
        say(f"run {run} fold {done + 1} of {total}")

    folder = export_model(run, options.folder, tell)
    text = (
        f"{folder}: run {run} as a model, without ids or expression of any sample. Read its "
        "README.md, and write its licence there before you pass it on."
    )
    return give(options, {"run": run, "folder": str(folder)}, text)


def list_models(options: argparse.Namespace) -> int:
    """All models that others sent."""
    models = [{**model._asdict(), "damage": kept_sent(model.id).problem} for model in list_sent()]
    lines = [
        f"{model['id']}  {model['name']}"
        + (f"  damaged: {model['damage']}" if model["damage"] else "")
        for model in models
    ]
    return give(options, {"models": models}, "\n".join(lines) or "no models yet that others sent")


def take_model(options: argparse.Namespace) -> int:
    """Import a model folder."""
    model = import_model(options.folder)
    return give(options, {"model": model}, f"model {model}: checked and kept")


def delete_model(options: argparse.Namespace) -> int:
    """Delete a model that somebody sent."""
    model = find_sent(options.model)
    delete_sent(model)
    return give(options, {"model": model, "deleted": True}, f"model {model} deleted")
