"""Files that a layout may need, kept by their content: gene positions and gene sets."""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from core.data.catalogue import PublicDataset
from core.errors import InputError
from core.files import read_json, write_atomic, write_json
from core.home import home

REFERENCE_ID = re.compile(r"[0-9a-f]{64}")
LARGEST = 256 * 2**20
"""Bytes of a reference file after unpacking."""
ID_COLUMNS = ("symbol", "gene", "gene_symbol", "gene_name", "gene_id", "ensgene", "ensembl")
CHROMOSOME_COLUMNS = ("chr", "chrom", "chromosome", "seqname")
CHROMOSOME = re.compile(r"(?:chr)?(\d{1,2}|X|Y|Z|W|M|MT)", re.IGNORECASE)
"""Whole chromosomes; patches and unplaced contigs are not."""
LAST_CHROMOSOMES = ("X", "Y", "Z", "W", "MT", "")

POSITIONS_WANTED = (
    "a table (tab or comma) with a line of column names, among them one of "
    f"{', '.join(ID_COLUMNS)}; one of {', '.join(CHROMOSOME_COLUMNS)}; and start"
)
SETS_WANTED = "a GMT file: one line per set, with its name, a description and genes between tabs"


Kind = Literal["positions", "sets"]


@dataclass(frozen=True)
class Reference:
    """A file that is kept."""

    id: str
    name: str
    """Of the file that was added."""
    kind: Kind


def add_reference(path: Path, name: str | None = None) -> str:
    """Keep a file of gene positions or gene sets, packed with gzip or not, and give back its id.

    The id is the SHA-256 of the unpacked content, so the same file has one id everywhere.

    Args:
        path: the file.
        name: what it is called in messages and lists, if not by its path.

    Raises:
        InputError: it can't be read, is larger than 256 MB, or is neither of the two.
    """
    name = name or path.name
    content = _unpack(path, name)
    kind = _recognise(content, name)
    reference = hashlib.sha256(content).hexdigest()
    place = home() / "references" / reference
    if not place.exists():
        write_atomic(place, lambda temporary: temporary.write_bytes(content))
    if not place.with_suffix(".json").exists():
        write_json(place.with_suffix(".json"), {"name": name, "kind": kind})
    return reference


def add_public_sets(entry: PublicDataset) -> str:
    """Keep a catalogue entry's gene sets, once they are fetched, and give back their id.

    Raises InputError as `open_sets` and `add_reference` do.
    """
    from core.data.fetched import open_sets  # loads all that reads files

    with open_sets(entry) as path:
        return add_reference(path, entry.title)


def list_references(kind: Kind) -> list[Reference]:
    """The kept files of a kind, by name."""
    found = [
        Reference(note.stem, **read_json(note))
        for note in home().glob("references/*.json")
        if REFERENCE_ID.fullmatch(note.stem) and note.with_suffix("").exists()
    ]
    return sorted(
        (reference for reference in found if reference.kind == kind),
        key=lambda reference: (reference.name, reference.id),
    )


def read_groups(reference: Reference) -> dict[str, list[str]]:
    """The genes of each chromosome or gene set of a kept file, chromosomes in their order.

    Raises:
        InputError: the file is gone or damaged.
    """
    if reference.kind == "sets":
        return read_gene_sets(reference_file(reference.id))
    groups: dict[str, list[str]] = {}
    for gene, (chromosome, _) in read_positions(reference_file(reference.id)).items():
        groups.setdefault(chromosome, []).append(gene)
    return {name: groups[name] for name in sorted(groups, key=rank_chromosome)}


def rank_chromosome(name: str) -> int:
    """Where a chromosome comes in the genome: 1, 2, … X, Y, MT, and "" (unknown) last."""
    if name in LAST_CHROMOSOMES:
        return 100 + LAST_CHROMOSOMES.index(name)
    return int(name)


def reference_file(reference: str) -> Path:
    """The kept file; raises InputError for anything that `add_reference` hasn't given back."""
    if not REFERENCE_ID.fullmatch(reference):
        raise InputError(f"Expected a reference id of 64 hexadecimal digits, got {reference!r}.")
    place = home() / "references" / reference
    if not place.exists():
        raise InputError(
            f"The reference file {reference[:12]}… is not on this computer: add the file of gene "
            "positions or gene sets that the layout was made with."
        )
    return place


@lru_cache(maxsize=4)
def read_positions(path: Path) -> dict[str, tuple[str, int]]:
    """Chromosome (1, 2, … X, MT) and start in bases of each gene, by symbol and by other ids.

    Where an id has several lines, the first on a whole chromosome holds.

    Raises:
        InputError: not a table of gene positions.
    """
    return _parse_positions(path.read_bytes(), f"Reference {path.name[:12]}…")


@lru_cache(maxsize=4)
def read_gene_sets(path: Path) -> dict[str, list[str]]:
    """The genes of each set, in the order of the file; raises InputError if it is not a GMT."""
    return _parse_gene_sets(path.read_bytes(), f"Reference {path.name[:12]}…")


def _unpack(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with (gzip.open if packed else open)(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} can't be read ({error}).") from None
    if len(content) > LARGEST:
        raise InputError(f"{name} is larger than {LARGEST // 2**20} MB, expected at most that.")
    return content


def _recognise(content: bytes, name: str) -> Kind:
    parsers: dict[Kind, Callable] = {"positions": _parse_positions, "sets": _parse_gene_sets}
    problems = []
    for kind, parse in parsers.items():
        try:
            parse(content, name)
            return kind
        except InputError as error:
            problems.append(str(error))
    raise InputError(" ".join(dict.fromkeys(problems)))


def _decode(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or not text.strip():
        raise InputError(f"{name} is not a text file with anything in it.")
    return text


def _parse_positions(content: bytes, name: str) -> dict[str, tuple[str, int]]:
    import pandas as pd

    text = _decode(content, name)
    head = text.split("\n", 1)[0]
    separator = "\t" if "\t" in head else ","
    names = [column.strip().lower() for column in head.split(separator)]
    ids = [column for column in ID_COLUMNS if column in names]
    chromosomes = [column for column in CHROMOSOME_COLUMNS if column in names]
    if not ids or not chromosomes or "start" not in names or len(set(names)) < len(names):
        raise InputError(
            f"{name} holds no gene positions: expected {POSITIONS_WANTED}; its first line is "
            f"{head[:80].strip()!r}."
        )
    try:
        table = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, names=names, header=0)
    except (pd.errors.ParserError, ValueError) as error:
        raise InputError(f"{name} can't be read as a table ({error}).") from None
    start = pd.to_numeric(table["start"], errors="coerce")
    if start.isna().any():
        line = int(np.flatnonzero(start.isna())[0])
        raise InputError(
            f"{name}, line {line + 2}: expected a whole number as start, got "
            f"{table['start'].iloc[line]!r}."
        )
    found: dict[str, tuple[str, int]] = {}
    place = [_name_chromosome(str(value)) for value in table[chromosomes[0]]]
    for column in ids:
        for gene, chromosome, first in zip(table[column], place, start, strict=True):
            if chromosome and isinstance(gene, str):
                found.setdefault(gene, (chromosome, int(first)))
    if not found:
        raise InputError(f"{name} holds no gene on a whole chromosome (1, 2, … X, Y, MT).")
    return found


def _name_chromosome(text: str) -> str:
    match = CHROMOSOME.fullmatch(text.strip())
    if not match:
        return ""
    name = match[1].upper()
    return "MT" if name == "M" else name.lstrip("0")


def _parse_gene_sets(content: bytes, name: str) -> dict[str, list[str]]:
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(_decode(content, name).splitlines(), 1):
        title, *rest = (part.strip() for part in line.split("\t"))
        genes = list(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not any((title, *rest)):
            continue
        if not title or not genes:
            raise InputError(
                f"{name} holds no gene sets: expected {SETS_WANTED}; line {number} is "
                f"{line[:80]!r}."
            )
        if title in sets:
            raise InputError(f"{name}, line {number}: a second set is named {title!r}.")
        sets[title] = genes
    return sets
