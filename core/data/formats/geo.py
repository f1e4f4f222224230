"""GEO's series matrices: values between two marks, and above them what is known about samples."""

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from core.data.formats.unpack import Progress, iterate_blocks, open_content
from core.data.matrix import Matrix
from core.data.notes import Notes
from core.data.text import Table, read_text
from core.errors import InputError

BEGIN, END = b"!series_matrix_table_begin", b"!series_matrix_table_end"
KEPT = ("title", "source_name_ch1", "description", "platform_id", "supplementary_file")
"""Lines about samples that are kept besides their characteristics."""


def read_series(path: Path, progress: Progress | None = None) -> Matrix:
    """Read the values of a series matrix, and its samples' characteristics as columns.

    Raises:
        InputError: it holds no values, as those of sequencing do, or isn't complete.
    """
    about: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "values.tsv"
        with open_content(path) as stream, place.open("wb") as values:
            lines = 0
            for line in _part(iterate_blocks(stream, path.name), about):
                lines += values.write(line) > 2
                if progress and lines % 1000 == 0:
                    progress(stream.share())
        about_table = _describe(about, path.name)
        if lines < 2:
            raise InputError(
                f"{path.name} holds no expression values, as is usual for sequencing. Take the "
                "supplementary file of the series (counts or RAW.tar) as the matrix, and this file "
                "as the table of labels."
            )
        table = read_text(place, name=path.name)
    samples = np.array(table.names[1:])
    wrong = next((name for name in samples if name not in about_table.index), None)
    if wrong is not None:
        raise InputError(
            f"{path.name}: the column {wrong} is none of the samples in !Sample_geo_accession."
        )
    x = table.values(list(range(1, len(table.names))), turned=True)
    obs = about_table.loc[list(samples)]
    note = f"This is a series matrix of GEO; its lines describe samples by {', '.join(obs)}."
    return Matrix(x, samples, table.texts(0), obs, Notes([note]))


def describe_series(path: Path) -> Table:
    """The samples of a series matrix as a table about samples, one row a sample."""
    about: list[list[str]] = []
    with open_content(path) as stream:
        for _ in _part(iterate_blocks(stream, path.name), about):
            break
    table = _describe(about, path.name).reset_index(names="geo_accession")
    return Table(
        names=list(table.columns),
        source=path.name,
        rows=len(table),
        numbers=[np.empty((len(table), 0), np.float32)],
        number_at={},
        text_at={
            place: table[name].to_numpy(dtype=object) for place, name in enumerate(table.columns)
        },
    )


def _part(blocks: Iterator[bytes], about: list[list[str]]) -> Iterator[bytes]:
    """The lines of values; those about samples go to `about` before."""
    within = False
    for block in blocks:
        for line in block.splitlines(keepends=True):
            if line.startswith(BEGIN):
                within = True
            elif line.startswith(END):
                return
            elif within:
                yield line
            elif line.lstrip(b'"').startswith(b"!Sample_"):
                text = line.decode("utf-8", errors="replace").rstrip("\r\n")
                about.append(next(csv.reader([text], delimiter="\t")))


def _describe(lines: list[list[str]], source: str) -> pd.DataFrame:
    """What is known about samples, one row a sample, with its GSM number as index."""
    named = [(line[0].removeprefix("!Sample_"), [cell.strip() for cell in line[1:]])
             for line in lines]  # fmt: skip
    ids = next((cells for name, cells in named if name == "geo_accession"), None)
    if ids is None:
        raise InputError(f"{source} has no line !Sample_geo_accession, so its samples are unknown.")
    columns: dict[str, dict[str, str]] = {}
    for name, cells in named:
        if name not in KEPT and not name.startswith("characteristics_"):
            continue
        if len(cells) != len(ids):
            raise InputError(
                f"{source}: !Sample_{name} has {len(cells)} values for {len(ids)} samples. Is the "
                "file complete?"
            )
        for sample, cell in zip(ids, cells, strict=True):
            key, mark, value = cell.partition(": ")
            if not name.startswith("characteristics_") or not mark:
                key, value = name, cell
            if value:
                known = columns.setdefault(key.strip(), {})
                known[sample] = f"{known[sample]}; {value}" if sample in known else value.strip()
    table = pd.DataFrame(columns, index=pd.Index(ids), dtype=object).fillna("")
    return table[[name for name in table.columns if len(ids) == 1 or _tells(name, table[name])]]


def _tells(name: str, values: pd.Series) -> bool:
    """Whether a column tells samples apart, or is a characteristic of all."""
    return name not in KEPT or values.nunique() > 1
