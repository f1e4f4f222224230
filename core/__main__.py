"""The command line: the same jobs as the pages, without a browser."""

import argparse
import csv
import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args, get_origin

from anndata import AnnData

from core.data import quota
from core.data.catalogue import (
    CATALOGUE,
    PublicDataset,
    describe_file,
    fetch,
    find_entry,
    kept,
    own_entries,
)
from core.data.check import check_dataset
from core.data.cohort import Cohort
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.read import Orientation, read_dataset
from core.data.roles import CHOSEN, ROLES, Role, check_role
from core.data.simulate import simulate, write_simulated
from core.data.store import add_dataset, content_hash, find_dataset
from core.errors import DamageError, GeneCanvasError, InputError
from core.escape import write_csv
from core.evaluation.metrics import METRICS
from core.explain.genes import top_rows
from core.explain.methods import BASELINE_PROFILES, METHODS, Recipe
from core.files import UNWRITABLE, describe_os_error, write_atomic
from core.home import home
from core.images.layouts import LAYOUTS, LayoutSpec, fit_layout
from core.images.references import REFERENCE_ID, add_public_sets, add_reference
from core.models.backbones import REGION_CELLS
from core.models.baselines import BASELINES
from core.models.spec import NetworkSpec
from core.runs.compare import compare_runs
from core.runs.doctor import examine, unlisted_runs
from core.runs.explain import (
    class_genes,
    class_regions,
    class_sets,
    collect_evidence,
    describe_regions,
    explain_run,
    fold_layout,
    load_attribution,
)
from core.runs.gap import explain_gap
from core.runs.launch import ensure_workers
from core.runs.outcome import compute_baselines
from core.runs.preflight import preflight
from core.runs.result import headline, load_result
from core.runs.spec import PRESETS, RunSpec
from core.runs.store import RunRecord, RunState, RunStore
from core.runs.study_file import read_study
from core.runs.trust import load_evidence
from core.training.spec import TrainingSpec
from core.training.splits import SplitSpec

PARTS = {
    "preparation": PreparationSpec,
    "layout": LayoutSpec,
    "network": NetworkSpec,
    "split": SplitSpec,
    "training": TrainingSpec,
}
MOST_CLASSES = 20
"""Classes that are listed."""
QUOTED = re.compile(r'"(?:[^"]|"")*"')
"""Text in double quotes, in which two of them stand for one, as in a CSV file."""
RENAMED = {("layout", "name"): "layout", ("split", "kind"): "split"}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns 0 on success, 1 when a run failed, 2 on a user's mistake."""
    parser = _build_parser()
    options = parser.parse_args(arguments)
    try:
        return options.command(options)
    except GeneCanvasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(f"error: {describe_os_error(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m core", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="look at an expression file").add_subparsers(
        required=True, metavar="COMMAND"
    )
    check = _add(data, "check", _check_data, "say what a file holds and what is wrong with it")
    _add_data_options(check, label_required=False)
    check.add_argument("--batch", help="column of the batch or site, compared with the classes")
    _add(data, "catalogue", _list_catalogue, "public datasets, and which of them are kept here")
    fetched = _add(data, "fetch", _fetch_data, "download a public dataset, or go on doing so")
    fetched.add_argument("name", help="a name of the catalogue, or the address of a file")

    simulated = _add(commands, "simulate", _simulate, "write the simulated example dataset")
    simulated.add_argument("--out", type=Path, required=True, help="CSV of the samples")
    simulated.add_argument("--truth", type=Path, required=True, help="CSV of the planted genes")
    simulated.add_argument("--samples", type=int, default=600)
    simulated.add_argument("--genes", type=int, default=1000)
    simulated.add_argument("--seed", type=int, default=0)

    layout = _add(commands, "layout", _fit_layout, "lay genes out on a canvas, on all samples")
    _add_data_options(layout, label_required=False)
    layout.add_argument("--out", type=Path, required=True, help="npz with genes, row, col, shape")
    _add_spec_options(layout, {"preparation", "layout"})
    layout.add_argument("--image-size", type=int, default=NetworkSpec().image_size)
    layout.add_argument("--seed", type=int, default=0)

    run = _add(commands, "run", _run, "train and test a network; waits for the result")
    run.add_argument("spec", nargs="?", type=Path, help="YAML; options below override it")
    run.add_argument("--data", help="a file, or the id or name of a stored dataset")
    run.add_argument(
        "--preset", choices=PRESETS.names, help="a recipe that holds wherever no option does"
    )
    _add_label_options(run)
    _add_spec_options(run, set(PARTS))
    run.add_argument("--seed", type=int)

    runs = commands.add_parser("runs", help="list, show and manage runs").add_subparsers(
        required=True, metavar="COMMAND"
    )
    _add(runs, "list", _list_runs, "all runs, the newest first")
    for name, command, text in (
        ("show", _show_run, "one run's state and result"),
        ("cancel", _cancel_run, "stop a queued or running run"),
        ("finish", _finish_run, "end a training after the epoch at hand, and test it"),
        ("resume", _resume_run, "go on with a failed or cancelled run; waits for the result"),
        ("delete", _delete_run, "delete a run with everything that belongs to it"),
    ):
        _add(runs, name, command, text).add_argument("run", help="a run's id, or its beginning")

    explain = _add(commands, "explain", _explain, "carry a finished run back to genes")
    explain.add_argument("run", help="a run's id, or its beginning")
    explain.add_argument("--method", choices=METHODS.names, default="integrated_gradients")
    explain.add_argument(
        "--baseline",
        choices=BASELINE_PROFILES.names,
        default="mean",
        help="what samples are compared with",
    )
    explain.add_argument(
        "--against", metavar="CLASS", help="why each sample's own class and not this one"
    )
    explain.add_argument(
        "--stage",
        help="whose maps a region method looks at (default: the last stage whose map has at least "
        f"{REGION_CELLS} x {REGION_CELLS} cells)",
    )
    explain.add_argument(
        "--sets",
        help="gene sets, for a method that scores sets: a GMT file, a kept file's id, or the name "
        "of a collection that `data fetch` has fetched",
    )
    explain.add_argument(
        "--samples", nargs="+", default=[], metavar="ID",
        help="explain these held-out samples, towards the class that --towards names",
    )  # fmt: skip
    explain.add_argument("--towards", metavar="CLASS", help="the class to explain --samples by")
    explain.add_argument("--evidence", action="store_true", help="measure the trust card as well")
    explain.add_argument("--class", dest="cls", help="only this class's genes")
    explain.add_argument("--out", type=Path, help="CSV of the genes, regions or sets scored")

    doctor = _add(commands, "doctor", _doctor, "look for damage in all that is kept")
    doctor.add_argument(
        "--repair", action="store_true",
        help="mend what can be made again: the list of runs from their folders, records, results",
    )  # fmt: skip

    compare = _add(commands, "compare", _compare, "finished runs side by side")
    compare.add_argument("runs", nargs="+", help="run ids, or their beginnings")
    _add_comparison_options(compare)

    study = _add(commands, "study", _study, "train all runs of a study, then compare them")
    study.add_argument("study", type=Path, help="YAML: a run's fields, lists of values are crossed")
    study.add_argument("--data", help="a file, or the id or name of a stored dataset")
    _add_label_options(study)
    _add_comparison_options(study)
    return parser


def _add_comparison_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metric", default="accuracy", help=f"{', '.join(METRICS.names)}")
    parser.add_argument(
        "--baselines", action="store_true", help="first fit the plain models that are missing"
    )


def _add(commands: Any, name: str, command: Callable, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="one JSON document to stdout")
    return parser


def _add_data_options(parser: argparse.ArgumentParser, label_required: bool) -> None:
    parser.add_argument("data", help="a file, or the id or name of a stored dataset")
    _add_label_options(parser)


def _add_label_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--labels", type=Path, action="append", default=[],
        help="a table with labels by sample; a second one may be joined with it",
    )  # fmt: skip
    parser.add_argument(
        "--symbols", action="store_true",
        help="name genes by the symbols that the file gives beside their ids",
    )  # fmt: skip
    parser.add_argument("--part", help="the sheet, layer, variable or packed file to read")
    parser.add_argument(
        "--orientation", choices=get_args(Orientation), default="auto",
        help="where the samples of a file stand (default: find out)",
    )  # fmt: skip
    parser.add_argument(
        "--role", action="append", default=[], metavar="COLUMN=ROLE",
        help=f"what a column (or row) of a file is: {', '.join(ROLES)}; may be given several times",
    )  # fmt: skip
    parser.add_argument("--label", help="column of the class")
    parser.add_argument("--group", help="column of the patient")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE[,VALUE]",
        help="keep only these samples; may be given several times. A column or value with a comma, "
        "an equals sign or quotes stands in double quotes, as in a CSV file",
    )


def _add_spec_options(parser: argparse.ArgumentParser, parts: set[str]) -> None:
    """One option a field of the run's specification; names, bounds and defaults are the spec's."""
    for part in PARTS:
        if part not in parts:
            continue
        for name, field in PARTS[part].model_fields.items():
            flag = RENAMED.get((part, name), name).replace("_", "-")
            words = field.description or field.title or ""
            parser.add_argument(
                f"--{flag}",
                dest=f"{part}.{name}",
                help=f"{words} (default: {field.default})".replace("%", "%%").strip(),
            )


def _spec_options(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    given: dict[str, dict[str, Any]] = {}
    for name, value in vars(options).items():
        part, _, field = name.partition(".")
        if field and value is not None:
            listed = get_origin(PARTS[part].model_fields[field].annotation) is tuple
            given.setdefault(part, {})[field] = value.split(",") if listed else value
    return given


def _cohort(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a cohort that were given."""
    given: dict[str, Any] = {name: getattr(options, name) for name in ("label", "group")}
    given["where"] = _where(options)
    return {name: value for name, value in given.items() if value}


def _put_to(specs: list[RunSpec], options: argparse.Namespace) -> tuple[list[RunSpec], AnnData]:
    """The runs on the data that was named, and that data, read with the runs' columns in mind."""
    cohort = specs[0].cohort
    options.label, options.group = cohort.label, cohort.group
    data = _read(options)
    dataset = content_hash(data)
    put = [
        spec.model_copy(update={"cohort": spec.cohort.model_copy(update={"dataset": dataset})})
        for spec in specs
    ]
    return put, data


def _where(options: argparse.Namespace) -> dict[str, list[str]]:
    where = {}
    for condition in options.where:
        if whole := QUOTED.fullmatch(condition):
            column, equals, value = _unquote(whole[0]).partition("=")
            values = [value]
        else:
            column, equals, rest = _split_column(condition)
            values = next(csv.reader([rest]), [""])
        if not equals:
            raise InputError(f"--where expects COLUMN=VALUE, got {condition!r}.")
        where[column] = values
    return where


def _split_column(text: str) -> tuple[str, str, str]:
    """COLUMN, the equals sign and the rest; a column in quotes may hold equals signs."""
    if quoted := re.match(rf"({QUOTED.pattern})=", text):
        return _unquote(quoted[1]), "=", text[quoted.end() :]
    return text.partition("=")


def _unquote(text: str) -> str:
    return text[1:-1].replace('""', '"')


def _roles(options: argparse.Namespace) -> dict[str, Role]:
    """What columns are said to be: by --role, and as the class, patient or batch that is used."""
    roles: dict[str, Role] = {}
    for text in options.role:
        column, equals, role = text.rpartition("=")
        if not equals:
            raise InputError(f"--role expects COLUMN=ROLE, got {text!r}.")
        column = _unquote(column) if QUOTED.fullmatch(column) else column
        roles[column] = check_role(column, role.strip())
    for role, option in CHOSEN.items():
        column = getattr(options, option, None)
        if column is not None and roles.get(column) in ("gene", "sample", "id", "ignore"):
            raise InputError(f"--{option} {column} can't be {roles[column]!r} at once.")
        if column is not None:
            roles[column] = role
    return roles


def _take_roles(options: argparse.Namespace) -> None:
    """A column that is said to be the class is the class; so with patient and batch."""
    for column, role in _roles(options).items():
        if role in CHOSEN and getattr(options, CHOSEN[role], "") is None:
            setattr(options, CHOSEN[role], column)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _give(options: argparse.Namespace, document: dict[str, Any] | list, text: str) -> int:
    """The command's answer: one JSON document, or text for a person."""
    print(json.dumps(document, indent=1, ensure_ascii=False) if options.json else text)
    return 0


def _read(options: argparse.Namespace):
    """A file's content or a stored dataset."""
    from core.data.store import load_dataset

    if Path(options.data).exists():
        _say(f"reading {options.data}")
        return read_dataset(
            Path(options.data), options.labels, orientation=options.orientation,
            roles=_roles(options), part=options.part, symbols=options.symbols,
        )  # fmt: skip
    if options.role or options.orientation != "auto":
        raise InputError("--role and --orientation are for files; the dataset is stored already.")
    if "/" in options.data or "." in options.data:
        raise InputError(f"There is no file {options.data}.")
    return load_dataset(find_dataset(options.data).id)


def _check_data(options: argparse.Namespace) -> int:
    _take_roles(options)
    cohort = Cohort(**_cohort(options), batch=options.batch)
    data = cohort.select(_read(options))
    card = check_dataset(data, cohort.label, cohort.group, cohort.batch)
    columns = data.uns.get("columns", [])
    lines = [f"{card.samples} samples x {card.genes} genes, {card.scale}", *data.uns["notes"]]
    lines += [
        f"  column {column['name']!r}: {column['role']} ({column['why']})" for column in columns
    ]
    classes = list(card.classes.items())
    lines += [f"  {name}: {n}" for name, n in classes[:MOST_CLASSES]]
    if len(classes) > MOST_CLASSES:
        lines.append(f"  and {len(classes) - MOST_CLASSES} more")
    for finding in card.findings:
        lines.append(f"{finding.severity}: {finding.message}")
        said = finding.repair.changes.get("roles", {}) if finding.repair else {}
        if said:
            ways = " ".join(shlex.join(["--role", f"{c}={role}"]) for c, role in said.items())
            lines.append(f"  {finding.repair.title}: {ways}")
    document = {**card.model_dump(mode="json"), "notes": data.uns["notes"], "columns": columns}
    return _give(options, document, "\n".join(lines))


def _list_catalogue(options: argparse.Namespace) -> int:
    entries = [*CATALOGUE, *own_entries()]
    taken, limit = quota.usage(), quota.limit()
    lines = [
        f"{entry.name:16}  {_megabytes(entry.bytes):>13}  {'kept' if kept(entry) else '-':4}  "
        f"{entry.title} ({entry.licence})"
        for entry in entries
    ]
    lines.append(f"kept: {_megabytes(sum(taken.values()))} of {_megabytes(limit)}")
    document = {
        "datasets": [_describe_entry(entry) for entry in entries],
        "usage": taken,
        "limit": limit,
    }
    return _give(options, document, "\n".join(lines))


def _describe_entry(entry: PublicDataset) -> dict[str, Any]:
    return {**asdict(entry), "classes": dict(entry.classes), "bytes": entry.bytes,
            "kept": kept(entry)}  # fmt: skip


def _megabytes(size: int | None) -> str:
    return "size unknown" if size is None else f"{size / 1e6:,.1f} MB"


def _fetch_data(options: argparse.Namespace) -> int:
    entry = find_entry(options.name)
    shown = 0.0

    def progress(name: str, done: int, total: int | None) -> None:
        nonlocal shown
        if time.monotonic() - shown > 1 or done == total:
            shown = time.monotonic()
            _say(f"{name}: {_megabytes(done)}" + (f" of {_megabytes(total)}" if total else ""))

    paths = fetch(entry, progress)
    document = {
        "name": entry.name,
        "matrix": entry.matrix,
        "labels": entry.labels,
        "files": [{"path": str(path), **describe_file(path)} for path in paths],
    }
    lines = [*map(str, paths), f"licence: {entry.licence}", f"cite: {entry.citation}", *entry.traps]
    return _give(options, document, "\n".join(lines))


def _simulate(options: argparse.Namespace) -> int:
    data, truth = simulate(options.samples, options.genes, options.seed)
    write_simulated(data, options.out)
    write_atomic(options.truth, lambda path: write_csv(truth, path))
    document = {
        "out": str(options.out),
        "truth": str(options.truth),
        "samples": data.n_obs,
        "genes": data.n_vars,
        "planted": len(truth),
    }
    text = (
        f"{data.n_obs} samples x {data.n_vars} genes in {options.out}, "
        f"{len(truth)} planted genes in {options.truth}"
    )
    return _give(options, document, text)


def _fit_layout(options: argparse.Namespace) -> int:
    spec = _spec_options(options)
    preparation = _parse(PreparationSpec, spec.get("preparation", {}))
    chosen = _parse(LayoutSpec, spec.get("layout", {}))
    _take_roles(options)
    data = Cohort(**_cohort(options)).select(_read(options))
    prepared = Preprocessor.fit(data.X, data.var_names.to_numpy(), data.uns["scale"], preparation)
    layout = fit_layout(
        prepared.transform(data.X), prepared.genes, chosen, options.image_size, options.seed
    )
    layout.save(options.out)
    document = {
        "out": str(options.out),
        "layout": chosen.name,
        "genes": len(layout.genes),
        "shape": list(layout.shape),
        "samples": data.n_obs,
        "learns": LAYOUTS[chosen.name].learns,
    }
    text = f"{len(layout.genes)} genes on {layout.shape[0]} x {layout.shape[1]} in {options.out}"
    return _give(options, document, text)


def _parse(model: type, fields: dict[str, str]):
    from pydantic import ValidationError

    try:
        return model.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{name}: {message} (got {first['input']!r})") from None


def _run(options: argparse.Namespace) -> int:
    document: dict[str, Any] = {}
    if options.spec:
        if not options.spec.exists():
            raise InputError(f"There is no file {options.spec}.")
        document = RunSpec.from_yaml(options.spec.read_bytes()).model_dump(mode="json")
    for part, fields in _spec_options(options).items():
        document[part] = {**document.get(part, {}), **fields}
    if options.preset:
        document = PRESETS[options.preset].fill(document)
    _take_roles(options)
    document["cohort"] = {**document.get("cohort", {}), **_cohort(options)}
    if options.seed is not None:
        document["seed"] = options.seed
    if document["cohort"].get("label") is None:
        raise InputError("Say which column holds the class: --label COLUMN.")
    spec = RunSpec.parse(document)
    if options.data is not None:
        [spec], data = _put_to([spec], options)
        preflight(spec, data)
        add_dataset(data, Path(options.data).stem)
    elif spec.cohort.dataset is None:
        raise InputError("Say which data to train on: --data FILE, or a SPEC.yaml with a dataset.")
    else:
        preflight(spec)
    store = RunStore()
    record, created = store.submit(spec)
    if not created:
        _say(f"run {record.id} exists already ({record.state}): the same question, the same run")
    return _follow(options, store, record.id)


def _follow(options: argparse.Namespace, store: RunStore, run: str) -> int:
    """Show a run's progress until it ends, then its result."""
    shown = ""
    while not (record := store.get(run)).state.finished:
        line = f"{record.state}: {record.message}" if record.message else str(record.state)
        if line != shown:
            _say(f"run {run} {line}")
            shown = line
        if record.state == RunState.QUEUED:
            ensure_workers()
        time.sleep(0.5)
        store.reconcile()
    if record.state != RunState.DONE:
        _say(f"error: run {run} {record.state}: {record.reason}")
        if options.json:
            print(json.dumps(_describe(record), indent=1))
        return 1
    return _give(options, _describe(record), f"run {run}: {_say_result(run)}")


def _say_result(run: str) -> str:
    """A finished run in a sentence, what its data make of it, and why it may be below the plain
    baseline.
    """
    found = [f"{found.severity}: {found.message}" for found in load_result(run).findings or []]
    return "\n- ".join([headline(run), *found, *explain_gap(run)])


def _describe(record: RunRecord) -> dict[str, Any]:
    """A run as JSON: its record, and its result once there is one."""
    document = {
        "run": record.id,
        "state": str(record.state),
        "reason": record.reason,
        "parent": record.parent,
        "study": record.study,
        "spec": record.spec.model_dump(mode="json"),
    }
    if record.state == RunState.DONE:
        try:
            result = load_result(record.id).model_dump(mode="json", exclude={"files"})
            said = {"headline": headline(record.id), "why_below": explain_gap(record.id)}
            document |= {**result, **said}
        except DamageError as error:
            document["damage"] = str(error)
    return document


def _list_runs(options: argparse.Namespace) -> int:
    store = RunStore()
    store.reconcile()
    records, damaged, lost = store.list(), store.damaged(), unlisted_runs()
    lines = [f"{record.id}  {record.state:9}  {record.name}" for record in records]
    lines += [f"{run.id}  damaged    {run.name}: {run.why}" for run in damaged]
    if lost:
        lines.append(
            f"{len(lost)} more runs have folders but aren't listed: `python -m core doctor "
            "--repair` lists them again"
        )
    document = {
        "runs": [_describe(record) for record in records],
        "damaged": [run._asdict() for run in damaged],
        "unlisted": lost,
    }
    return _give(options, document, "\n".join(lines) or "no runs yet")


def _show_run(options: argparse.Namespace) -> int:
    store = RunStore()
    store.reconcile()
    record = store.find(options.run)
    text = f"run {record.id} {record.state}: {record.reason or record.message}"
    if record.state == RunState.DONE:
        text = f"run {record.id}: {_say_result(record.id)}\n\n{record.spec.to_yaml()}"
    return _give(options, _describe(record), text)


def _cancel_run(options: argparse.Namespace) -> int:
    store = RunStore()
    run = store.find(options.run).id
    store.cancel(run)
    return _give(options, {"run": run, "state": str(store.get(run).state)}, f"run {run} cancelled")


def _finish_run(options: argparse.Namespace) -> int:
    store = RunStore()
    run = store.find(options.run).id
    store.stop_early(run)
    return _follow(options, store, run)


def _resume_run(options: argparse.Namespace) -> int:
    store = RunStore()
    store.reconcile()
    run = store.find(options.run).id
    store.resume(run)
    return _follow(options, store, run)


def _delete_run(options: argparse.Namespace) -> int:
    store = RunStore()
    run = store.find_id(options.run)
    store.delete(run)
    return _give(options, {"run": run, "deleted": True}, f"run {run} deleted")


def _explain(options: argparse.Namespace) -> int:
    import torch

    from core.runs.worker import choose_threads

    torch.set_num_threads(choose_threads())
    record = RunStore().find(options.run)
    run = record.id
    recipe = Recipe(
        options.method, options.baseline, options.against, options.stage,
        _keep_sets(options.sets), tuple(options.samples), options.towards,
    )  # fmt: skip
    shown = 0.0

    def progress(done: int, total: int, what: str) -> None:
        nonlocal shown
        if time.monotonic() - shown > 1 or done == total:
            shown = time.monotonic()
            _say(f"{options.method}: {done} of {total} {what}")

    explain_run(run, recipe, lambda *row: progress(*row, "samples (half of them are the control)"))
    unit = METHODS[recipe.method].unit
    read = {"gene": class_genes, "region": class_regions, "set": class_sets}[unit]
    table = read(run, recipe, options.cls)
    if unit != "gene":
        table["genes"] = table["genes"].str.join(" ")
    first = top_rows(table, 10)
    if unit == "region":
        first = first[first["fold"] == first["fold"].min()]  # each fold has its own layout
    if options.out:
        write_atomic(options.out, lambda path: write_csv(table, path))
    attribution = load_attribution(run, recipe)
    regions = None
    if attribution.maps is not None:
        layout = fold_layout(run, int(attribution.folds[0]))
        regions = describe_regions(record.spec, recipe, attribution.maps, layout)
    document = {
        "run": run,
        **asdict(recipe),
        "warning": METHODS[recipe.method].warning,
        "regions": regions,
        "out": str(options.out) if options.out else None,
        "samples": len(attribution.samples),
        "completeness_error": (
            None
            if attribution.completeness is None
            else float(abs(attribution.completeness).mean())
        ),
        "untrained_overlap": attribution.untrained_overlap,
        f"top_{unit}s": {name: rows[unit].tolist() for name, rows in first.groupby("class")},
    }
    if unit == "gene":
        lines = [f"{name}: {', '.join(genes)}" for name, genes in document["top_genes"].items()]
    else:
        lines = [
            f"{row['class']}: {row[unit]} ({row['size']} genes) {row['score']:+.3g}"
            for _, row in first.iterrows()
        ]
    if missing := sorted(set(table["class"]) - set(first["class"])):
        lines.append(f"{', '.join(missing)}: too many {unit}s are tied for the first places")
    if regions:
        lines.append(regions)
    if document["warning"]:
        lines.append(f"warning: {document['warning']}")
    if options.evidence:
        collect_evidence(run, recipe, lambda *row: progress(*row, "parts of the trust card"))
        card = load_evidence(run, recipe)
        document["light"] = card.light
        document["evidence"] = [asdict(row) for row in card.evidence]
        lines += ["", f"trust card: {card.light}"]
        lines += [f"{row.light:6} {row.title} {row.sentence}" for row in card.evidence]
    return _give(options, document, "\n".join(lines))


def _keep_sets(text: str | None) -> str | None:
    """The id of gene sets: given as such, as a file, or as the name of a fetched collection."""
    if text is None or REFERENCE_ID.fullmatch(text):
        return text
    if text in CATALOGUE:
        return add_public_sets(CATALOGUE[text])
    return add_reference(Path(text))


def _doctor(options: argparse.Namespace) -> int:
    found = examine(options.repair, _say)
    lines = [f"{row.thing}: {row.problem} -> {row.remedy}" for row in found]
    document = {"home": str(home()), "found": [row._asdict() for row in found]}
    _give(options, document, "\n".join(lines) or f"nothing in {home()} is damaged")
    return 0 if all(row.mended for row in found) else 1


def _compare(options: argparse.Namespace) -> int:
    store = RunStore()
    document, text = _describe_comparison(options, [store.find(run).id for run in options.runs])
    return _give(options, document, text)


def _describe_comparison(
    options: argparse.Namespace, runs: list[str]
) -> tuple[dict[str, Any], str]:
    """The comparison of finished runs as a document, and as text for a person."""
    METRICS[options.metric]
    if options.baselines:
        compute_baselines(runs, lambda done, total: _say(f"plain models: {done} of {total}"))
    comparison = compare_runs(runs, options.metric)
    lines = [comparison.headline, ""]
    for run in comparison.runs:
        limits = "" if run.interval is None else " ({:.3f} to {:.3f})".format(*run.interval)
        value = run.metrics[options.metric]
        lines.append(f"{run.run}  {value:.3f}{limits}  n = {run.n_test}  {run.title}")
        lines += [
            f"{'':16}  {scores[options.metric]:.3f}  {BASELINES[name].title}"
            for name, scores in run.baselines.items()
        ]
    lines += [
        f"{pair.a} - {pair.b}: "
        + ("" if pair.points is None else f"{pair.points:+.1f} points. ")
        + pair.note
        for pair in comparison.differences
    ]
    lines += [
        f"{pair.a} - {pair.b}: {pair.points:+.1f} points ({pair.low:+.1f} to {pair.high:+.1f}), "
        f"{pair.splits} splits, practically the same: {pair.same:.0%}. {pair.note}"
        for pair in comparison.setup_differences
    ]
    return comparison.model_dump(mode="json"), "\n".join([*lines, *comparison.notes])


def _study(options: argparse.Namespace) -> int:
    """All runs of a study file, checked before the first is queued; then their comparison."""
    if not options.study.exists():
        raise InputError(f"There is no file {options.study}.")
    METRICS[options.metric]
    study = read_study(options.study.read_bytes())
    _take_roles(options)
    given = _cohort(options)
    specs = [RunSpec.parse({**run, "cohort": {**run["cohort"], **given}}) for run in study.runs]
    if options.data is not None:
        specs, data = _put_to(specs, options)
        for spec in specs:
            preflight(spec, data)
        add_dataset(data, Path(options.data).stem)
    elif any(spec.cohort.dataset is None for spec in specs):
        raise InputError("Say which data to train on: --data FILE, or a dataset in the study.")
    else:
        for spec in specs:
            preflight(spec)
    store = RunStore()
    submitted = {spec.id: store.submit(spec, study=study.name)[1] for spec in specs}
    _say(f"{study.name}: {len(submitted)} runs, {sum(submitted.values())} of them new")
    records = _follow_all(store, list(submitted))
    failed = [record for record in records if record.state != RunState.DONE]
    for record in failed:
        _say(f"error: run {record.id} {record.state}: {record.reason}")
    done = [record.id for record in records if record.state == RunState.DONE]
    if not done:
        return 1
    document, text = _describe_comparison(options, done)
    document["study"] = study.name
    document["failed"] = [
        {"run": record.id, "state": str(record.state), "reason": record.reason} for record in failed
    ]
    _give(options, document, text)
    return 1 if failed else 0


def _follow_all(store: RunStore, runs: list[str]) -> list[RunRecord]:
    """Wait until every run has ended, saying how each ended; returns their last records."""
    left = list(runs)
    while left:
        store.reconcile()
        records = {record.id: record for record in store.list()}
        for run in [run for run in left if records[run].state.finished]:
            left.remove(run)
            _say(f"run {run} {records[run].state}, {len(left)} left: {records[run].name}")
        if any(records[run].state == RunState.QUEUED for run in left):
            ensure_workers()
        if left:
            time.sleep(0.5)
    return [store.get(run) for run in runs]


if __name__ == "__main__":
    sys.exit(main())
