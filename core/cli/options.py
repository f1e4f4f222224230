"""Options that several commands share, with the types, bounds and choices of the specification."""

import argparse
import csv
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from anndata import AnnData
from pydantic import BaseModel, ValidationError

from core.cli.output import say
from core.data.cohort import GENE
from core.data.prepare import PreparationSpec
from core.data.read import Orientation, read_dataset
from core.data.roles import CHOSEN, ROLES, Role, check_role
from core.data.store import content_hash, find_dataset, load_dataset
from core.errors import InputError
from core.images.layouts import LAYOUTS, LayoutSpec
from core.models.backbones import BACKBONES
from core.models.spec import NetworkSpec
from core.records import say_unknown
from core.runs.spec import RunSpec
from core.training.augmentations import AUGMENTATIONS
from core.training.spec import TrainingSpec
from core.training.splits import SPLITS, SplitSpec

PARTS: dict[str, type[BaseModel]] = {
    "preparation": PreparationSpec,
    "layout": LayoutSpec,
    "network": NetworkSpec,
    "split": SplitSpec,
    "training": TrainingSpec,
}
RENAMED = {("layout", "name"): "layout", ("split", "kind"): "split"}
REGISTRIES = {
    ("layout", "name"): LAYOUTS,
    ("network", "backbone"): BACKBONES,
    ("split", "kind"): SPLITS,
    ("training", "augmentation"): AUGMENTATIONS,
}
"""Fields whose choices are a registry's names; the fields themselves check them."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
"""Text in double quotes, in which two of them stand for one, as in a CSV file."""


def add_choice(
    parser: argparse.ArgumentParser, flag: str, known: Collection[str], default: str | None,
    text: str,
) -> None:  # fmt: skip
    """An option that takes one of some names; a typo is told with the names and the nearest."""
    kind = flag.removeprefix("--").replace("-", " ")

    def check(name: str) -> str:
        if name not in known:
            raise argparse.ArgumentTypeError(say_unknown(kind, name, known))
        return name

    said = f"{text}: {', '.join(known)}" + (f" (default: {default})" if default else "")
    parser.add_argument(flag, type=check, default=default, metavar="NAME", help=_escape(said))


def add_data_options(parser: argparse.ArgumentParser) -> None:
    """The dataset as an argument, and how it is read."""
    parser.add_argument("data", help="a file, or the id or name of a stored dataset")
    add_label_options(parser)


def add_label_options(parser: argparse.ArgumentParser) -> None:
    """How a file is read, what its columns are, and which of its samples are taken."""
    parser.add_argument(
        "--labels", type=Path, action="append", default=[],
        help="a table with labels by sample; a second one may be joined with it",
    )  # fmt: skip
    parser.add_argument(
        "--symbols", action="store_true",
        help="name genes by the symbols that the file gives beside their ids",
    )  # fmt: skip
    parser.add_argument("--part", help="the sheet, layer, variable or packed file to read")
    add_choice(
        parser, "--orientation", get_args(Orientation), "auto",
        "where the samples of a file stand; auto finds out",
    )  # fmt: skip
    parser.add_argument(
        "--role", action="append", default=[], metavar="COLUMN=ROLE",
        help=f"what a column (or row) of a file is: {', '.join(ROLES)}; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--label", help="column of the class, or of the number; gene:ID for a gene of the matrix"
    )
    parser.add_argument("--group", help="column of the patient")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COLUMN=VALUE[,VALUE]",
        help="keep only these samples; may be given several times. A column or value with a comma, "
        "an equals sign or quotes stands in double quotes, as in a CSV file",
    )


def add_spec_options(parser: argparse.ArgumentParser, parts: Collection[str] = PARTS) -> None:
    """One option a field of the run's specification, with its type, bounds, choices, default."""
    for part in parts:
        for name, field in PARTS[part].model_fields.items():
            flag = RENAMED.get((part, name), name).replace("_", "-")
            known = ()
            if get_origin(field.annotation) is Literal:
                known = get_args(field.annotation)
            elif (part, name) in REGISTRIES:
                known = REGISTRIES[part, name].names
            elif field.annotation is bool:
                known = ("true", "false")
            words = [field.description or f"{field.title}."]
            if known:
                words.append(f"One of {', '.join(known)}.")
            words.append(f"(default: {_say_default(field.default)})")
            parser.add_argument(
                f"--{flag}",
                dest=f"{part}.{name}",
                type=_take_field(PARTS[part], name, known),
                metavar="NAME" if known else name.upper(),
                help=_escape(" ".join(words)),
            )


def _say_default(value: Any) -> str:
    return "none" if value in (None, ()) else str(value)


def _escape(text: str) -> str:
    """Help in which argparse finds nothing to fill in."""
    return text.replace("%", "%%")


def _take_field(model: type[BaseModel], name: str, known: Collection[str]) -> Callable[[str], Any]:
    """What checks an option as its field does; what other fields have a say in is checked later."""
    listed = get_origin(model.model_fields[name].annotation) is tuple

    def take(text: str) -> str | list[str]:
        value = text.split(",") if listed else text
        try:
            model.model_validate({name: value})
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                if problem["loc"][:1] == (name,):
                    said = problem["msg"].removeprefix("Value error, ")
                    if problem["type"] == "literal_error":
                        said = say_unknown(name.replace("_", " "), text, known)
                    raise argparse.ArgumentTypeError(f"{said} (got {text!r})") from None
        return value

    return take


def given_fields(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Part of a RunSpec -> field -> value, of those options that were given."""
    given: dict[str, dict[str, Any]] = {}
    for name, value in vars(options).items():
        part, _, field = name.partition(".")
        if field and value is not None:
            given.setdefault(part, {})[field] = value
    return given


def given_cohort(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a cohort that were given."""
    given: dict[str, Any] = {name: getattr(options, name) for name in ("label", "group")}
    given["where"] = read_where(options)
    return {name: value for name, value in given.items() if value}


def put_to_data(
    specs: Sequence[RunSpec], options: argparse.Namespace
) -> tuple[list[RunSpec], AnnData]:
    """The runs on the data that was named, and that data, read with the runs' columns in mind."""
    cohort = specs[0].cohort
    options.label, options.group = cohort.label, cohort.group
    data = read_data(options)
    dataset = content_hash(data)
    put = [
        spec.model_copy(update={"cohort": spec.cohort.model_copy(update={"dataset": dataset})})
        for spec in specs
    ]
    return put, data


def read_where(options: argparse.Namespace) -> dict[str, list[str]]:
    """Column -> values of the samples to keep; raises InputError unless it is COLUMN=VALUE."""
    where = {}
    for condition in options.where:
        if whole := _QUOTED.fullmatch(condition):
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
    if quoted := re.match(rf"({_QUOTED.pattern})=", text):
        return _unquote(quoted[1]), "=", text[quoted.end() :]
    return text.partition("=")


def _unquote(text: str) -> str:
    return text[1:-1].replace('""', '"')


def _read_roles(options: argparse.Namespace) -> dict[str, Role]:
    """What columns are said to be: by --role, and as the class, patient or batch that is used."""
    roles: dict[str, Role] = {}
    for text in options.role:
        column, equals, role = text.rpartition("=")
        if not equals:
            raise InputError(f"--role expects COLUMN=ROLE, got {text!r}.")
        column = _unquote(column) if _QUOTED.fullmatch(column) else column
        roles[column] = check_role(column, role.strip())
    for role, option in CHOSEN.items():
        column = getattr(options, option, None)
        if (column or "").startswith(f"{GENE}:"):
            continue  # it is a gene of the matrix
        if column is not None and roles.get(column) in ("gene", "sample", "id", "ignore"):
            raise InputError(f"--{option} {column} can't be {roles[column]!r} at once.")
        if column is not None:
            roles[column] = role
    return roles


def take_roles(options: argparse.Namespace) -> None:
    """A column that is said to be the class is the class; so with patient and batch."""
    for column, role in _read_roles(options).items():
        if role in CHOSEN and getattr(options, CHOSEN[role], "") is None:
            setattr(options, CHOSEN[role], column)


def read_data(options: argparse.Namespace) -> AnnData:
    """A file's content or a stored dataset; raises InputError where there is neither."""
    if Path(options.data).exists():
        say(f"reading {options.data}")
        return read_dataset(
            Path(options.data), options.labels, orientation=options.orientation,
            roles=_read_roles(options), part=options.part, symbols=options.symbols,
        )  # fmt: skip
    if options.role or options.orientation != "auto":
        raise InputError("--role and --orientation are for files; the dataset is stored already.")
    if "/" in options.data or "." in options.data:
        raise InputError(f"There is no file {options.data}.")
    return load_dataset(find_dataset(options.data).id)
