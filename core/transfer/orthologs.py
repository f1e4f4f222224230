"""Which gene of one species is which of another: tables that users bring, kept by content."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from core.errors import InputError
from core.files import write_atomic
from core.home import DATASET_ID, home

MOST_BYTES = 20_000_000


def keep_orthologs(content: bytes) -> str:
    """Keep a table under the hash of its content, which is given back.

    Args:
        content: CSV or TSV in UTF-8 with a line of titles; the first column names genes of the
            sources, the second those of the target.

    Raises:
        InputError: it isn't such a table.
    """
    read_pairs(content)
    table = hashlib.sha256(content).hexdigest()
    path = _path(table)
    if not path.exists():
        write_atomic(path, lambda temporary: temporary.write_bytes(content))
    return table


def load_orthologs(table: str) -> list[tuple[str, str]]:
    """The pairs of a kept table; raises InputError where it isn't here."""
    try:
        return read_pairs(_path(table).read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"The ortholog table {table[:12]} isn't kept here. Name its file again."
        ) from None


def _path(table: str) -> Path:
    if not DATASET_ID.fullmatch(table):
        raise InputError(f"Expected the hash of an ortholog table, got {table[:80]!r}.")
    return home() / "orthologs" / f"{table}.csv"


def read_pairs(content: bytes) -> list[tuple[str, str]]:
    """The pairs (source gene, target gene) of a table; raises InputError where it is none."""
    if len(content) > MOST_BYTES:
        raise InputError(
            f"An ortholog table has at most {MOST_BYTES:,} bytes. Bring a shorter one."
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            "The ortholog table is no text in UTF-8. Unpack it, or save it as CSV."
        ) from None
    first = text.partition("\n")[0]
    rows = list(csv.reader(io.StringIO(text), delimiter="\t" if "\t" in first else ","))
    pairs = [(row[0].strip(), row[1].strip()) for row in rows[1:] if len(row) > 1]
    pairs = [pair for pair in dict.fromkeys(pairs) if all(pair)]
    if not pairs:
        raise InputError(
            "Expected an ortholog table of two columns with titles: the sources' gene, then the "
            "target's; got none."
        )
    return pairs


def map_genes(
    pairs: Collection[tuple[str, str]], source: Collection[str], target: Collection[str]
) -> dict[str, str]:
    """Source gene -> target gene, of pairs in which neither gene has another partner.

    Args:
        pairs: (source gene, target gene).
        source: genes of the source.
        target: genes of the target.

    Raises:
        InputError: the table is the wrong way round, or knows none of the genes.
    """
    there, wanted = set(source), set(target)
    forward = sum(a in there and b in wanted for a, b in pairs)
    backward = sum(b in there and a in wanted for a, b in pairs)
    if backward > forward:
        raise InputError(
            f"The ortholog table is the wrong way round: its first column must name genes of the "
            f"sources and its second those of the target. So it fits {forward:,} pairs, turned "
            f"round {backward:,}."
        )
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    return {a: b for a, b in pairs if left[a] == right[b] == 1 and a in there and b in wanted}
