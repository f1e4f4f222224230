"""The kinds of enquiries, each done as a job, and what they leave."""

# ruff: noqa: D102 -- `Job` says what its methods are for

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import pandas as pd
import yaml
from pydantic import Field, TypeAdapter, ValidationError

from core.data.store import find_dataset
from core.errors import InputError
from core.escape import read_csv, write_csv
from core.files import read_json, write_atomic, write_json
from core.home import DATASET_ID, home
from core.identity import raised_versions
from core.images.references import add_reference
from core.jobs.job import Inputs, Reporter, stoppable
from core.records import Registry
from core.transfer.asked import (
    SPEC,
    AskedJob,
    answer_here,
    find_asked,
    say_broken,
    transfer_folder,
)
from core.transfer.enquiry import Kind, Preview, Reply
from core.transfer.imbalance import IMBALANCE, ImbalanceEnquiry
from core.transfer.orthologs import keep_orthologs
from core.transfer.pictures import PICTURES, ImagesEnquiry
from core.transfer.programs import PROGRAMS, ProgramsEnquiry
from core.transfer.spec import say_problems
from core.transfer.two_species import SPECIES, SpeciesEnquiry

REPLY = "reply.json"
ENQUIRIES: Registry[Kind] = Registry("question", [PROGRAMS, SPECIES, PICTURES, IMBALANCE])
AnyEnquiry = Annotated[
    ProgramsEnquiry | SpeciesEnquiry | ImagesEnquiry | ImbalanceEnquiry,
    Field(discriminator="question"),
]
_READER: TypeAdapter[AnyEnquiry] = TypeAdapter(AnyEnquiry)


def parse_enquiry(document: dict[str, Any]) -> AnyEnquiry:
    """Validate a mapping with a `question`; raises InputError with one line a wrong field."""
    _ = ENQUIRIES[str(document.get("question"))]
    try:
        return _READER.validate_python(document)
    except ValidationError as error:
        problems = say_problems(error, "enquiry", outer=1)  # the first part is the question
        raise InputError(f"This can't be asked: {problems}") from None


def bring_enquiry(document: dict[str, Any], folder: Path) -> AnyEnquiry:
    """The enquiry of a document that names datasets by name, and files by their path.

    Files are kept, and what is kept is named.

    Args:
        document: a mapping with a `question`.
        folder: where paths begin.

    Raises:
        InputError: a file or dataset isn't there or is none of its kind, or as `parse_enquiry`.
    """
    kind = ENQUIRIES[str(document.get("question"))]
    named = kind.bring(keep_sets(name_datasets(document), folder), folder)
    if place := _path_of(named, "orthologs", folder):
        named["orthologs"] = keep_orthologs(place.read_bytes())
    return parse_enquiry(named)


def name_datasets(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the id of each dataset in place of its name or the id's beginning."""

    def put(cohort: Any) -> Any:
        if not isinstance(cohort, dict) or not isinstance(cohort.get("dataset"), str):
            return cohort
        return {**cohort, "dataset": find_dataset(cohort["dataset"]).id}

    named = dict(document)
    for field in ("source", "target", "unrelated", "cohort"):
        if field in named:
            named[field] = put(named[field])
    if isinstance(named.get("sources"), list):
        named["sources"] = [put(cohort) for cohort in named["sources"]]
    return named


def keep_sets(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The document with the id of the kept gene sets in place of their file."""
    place = _path_of(document, "gene_sets", folder)
    return document if place is None else {**document, "gene_sets": add_reference(place)}


def _path_of(document: dict[str, Any], field: str, folder: Path) -> Path | None:
    """The file that a field names; None where it names what is kept, or nothing."""
    named = document.get(field)
    if not isinstance(named, str | Path) or DATASET_ID.fullmatch(str(named)):
        return None
    if not (folder / named).is_file():
        raise InputError(f"There is no file {folder / named}.")
    return folder / named


def enquiry_yaml(enquiry: AnyEnquiry) -> str:
    """The enquiry as `genecanvas transfer` reads it, without what is as by default."""
    document = enquiry.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(
        {"question": enquiry.question, **document}, sort_keys=False, allow_unicode=True
    )


class EnquiryJob(AskedJob):
    """An enquiry's reply and its tables, in a folder of transfers."""

    kind: ClassVar[str] = "enquiry"
    leaves: ClassVar[str] = REPLY

    enquiry: AnyEnquiry

    def content(self) -> dict[str, Any]:
        kind = ENQUIRIES[self.enquiry.question]
        return super().content() | raised_versions(**{kind.name: kind})

    @classmethod
    def restore(cls, content: dict[str, Any]) -> EnquiryJob:
        return super().restore({name: own for name, own in content.items() if name == "enquiry"})

    def title(self) -> str:
        return ENQUIRIES[self.enquiry.question].title

    def inputs(self) -> Inputs:
        named = ENQUIRIES[self.enquiry.question].datasets(self.enquiry)
        return Inputs(tuple(dict.fromkeys(named)))

    def check(self) -> None:
        preview(self.enquiry)

    def run(self, folder: Path, reporter: Reporter, device: str) -> None:
        if self.stands():
            return
        write_json(self.place / SPEC, self.enquiry.model_dump(mode="json"))
        found = ENQUIRIES[self.enquiry.question].ask(self.enquiry, stoppable(reporter, "parts"))
        for name, table in found.tables.items():
            write_atomic(
                self.place / f"{name}.csv", lambda path, table=table: write_csv(table, path)
            )
        write_json(self.place / REPLY, found.reply.model_dump(mode="json"))


def preview(enquiry: AnyEnquiry) -> Preview:
    """What would be done; raises InputError where it can't be, so that nothing is stored."""
    return ENQUIRIES[enquiry.question].preview(enquiry)


def ask_here(enquiry: AnyEnquiry, progress: Callable[[float, str], None]) -> Reply:
    """Have it answered in this process, unless the reply stands, and wait for it.

    Raises InputError where it can't be asked; nothing is stored then.
    """
    job = EnquiryJob(enquiry=enquiry)
    answer_here(job, progress)
    return load_reply(job.key)


def load_enquiry(key: str) -> AnyEnquiry | None:
    """What is asked under an id, whether it is answered, runs or waits; None where nothing is."""
    with suppress(OSError, ValueError):
        return _READER.validate_python(read_json(transfer_folder(key) / SPEC))
    job = find_asked(key)
    return job.enquiry if isinstance(job, EnquiryJob) else None


def has_reply(key: str) -> bool:
    """Whether the reply of that id stands."""
    return (transfer_folder(key) / REPLY).exists()


def load_reply(key: str) -> Reply:
    """What came of an enquiry; raises InputError until it stands, or where it is damaged."""
    path = transfer_folder(key) / REPLY
    try:
        return Reply.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"The enquiry {key[:6]} isn't answered yet.") from None
    except (OSError, ValidationError):
        raise say_broken(key, path.name) from None


def load_reply_table(key: str, name: str) -> pd.DataFrame:
    """One of a reply's tables; raises InputError where it isn't there, or is damaged."""
    path = transfer_folder(key) / f"{name}.csv"
    if name not in load_reply(key).tables:
        raise InputError(f"The reply {key[:6]} has no table {name!r}.")
    try:
        table = read_csv(path)
        for column in table:
            with suppress(ValueError, TypeError):
                table[column] = pd.to_numeric(table[column].replace("", None))
        return table
    except (OSError, ValueError):
        raise say_broken(key, path.name) from None


class EarlierEnquiry(NamedTuple):
    """An enquiry that was answered before."""

    key: str
    when: datetime
    enquiry: AnyEnquiry


def list_enquiries() -> list[EarlierEnquiry]:
    """Enquiries whose reply stands, the latest first; damaged ones are passed over."""
    found = []
    for path in home().glob(f"transfers/*/{REPLY}"):
        with suppress(OSError, ValueError):
            enquiry = _READER.validate_python(read_json(path.with_name(SPEC)))
            when = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            found.append(EarlierEnquiry(path.parent.name, when, enquiry))
    return sorted(found, key=lambda one: one.when, reverse=True)
