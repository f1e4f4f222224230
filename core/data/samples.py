"""Samples and what is known about them: barcodes, and tables matched by sample id."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.column_names import MISSING
from core.data.notes import Notes
from core.data.roles import TCGA, suggest_group
from core.data.text import Table
from core.errors import InputError

BARCODE = re.compile(r"(TCGA-([A-Z0-9]{2})-[A-Z0-9]{4})(?:-(\d{2}))?.*", re.IGNORECASE)
"""Patient, tissue source site and sample type of a TCGA barcode (GDC, TCGA barcode)."""
LISTED = 20
"""Most names that a note lists."""


def loosen(name: str) -> str:
    """A sample name without what programs change: case, spaces, dots, dashes, R's leading X."""
    loose = re.sub(r"[\s._\-]+", "-", name.strip()).strip("-").casefold()
    return re.sub(r"^x(?=\d)", "", loose)


def cut_barcode(length: int) -> Callable[[str], str]:
    """A function that shortens TCGA barcodes to `length` characters."""

    def cut(name: str) -> str:
        loose = loosen(name)
        return loose[:length] if TCGA.match(loose) else loose

    return cut


WAYS: list[tuple[str, Callable[[str], str]]] = [
    ("exactly", str),
    ("without regard to spaces", str.strip),
    ("without regard to case, dots, dashes and underscores", loosen),
    ("by the first 16 characters of their TCGA barcodes", cut_barcode(16)),
    ("by the first 15 characters of their TCGA barcodes", cut_barcode(15)),
    ("by the first 12 characters of their TCGA barcodes (the patient)", cut_barcode(12)),
]
"""How sample names are compared, the strictest way first."""


def join_table(data: AnnData, description: Table, notes: Notes) -> AnnData:
    """Add the columns of a second table to the samples; those without a row there are left out.

    Names are compared in the strictest of `WAYS` by which most samples find a row.

    Raises:
        InputError: no sample has a row, or two rows that differ belong to the same sample.
    """
    texts = [description.texts(index) for index in range(len(description.names))]
    samples = data.obs_names.to_numpy().astype(str)
    hits, number, ids = _find_ids(samples, texts)
    if not hits:
        raise InputError(
            f"No sample of the matrix stands in {description.source}. The matrix has "
            f"{samples[0]!r}, the table has {texts[0][0]!r} in its first column."
        )
    words, way = WAYS[number]
    table = pd.DataFrame(
        {name: texts[i] for i, name in enumerate(description.names) if i != ids},
        index=pd.Index([way(str(name)) for name in texts[ids]]),
    )
    table = table.where(~table.isin(MISSING), "")
    keys = pd.Index([way(name) for name in samples])
    table = _make_unique(table, set(keys), texts[ids], description.source)
    kept = keys.isin(table.index)
    if words != "exactly":
        notes.say(f"Samples were matched with {description.source} {words}.")
    if not kept.all():
        notes.say(
            f"{(~kept).sum()} samples have no row in {description.source} and were left out: "
            f"{_list(samples[~kept])}."
        )
    absent = [str(name) for name in texts[ids] if way(str(name)) not in set(keys)]
    if absent:
        notes.say(
            f"{len(absent)} rows of {description.source} belong to no sample of the matrix: "
            f"{_list(np.array(absent))}."
        )
    data = data if kept.all() else data[kept].copy()
    for column in table.columns:
        values = table[column].reindex(keys[kept]).to_numpy(dtype=object)
        data.obs[column] = values
    return data


def _find_ids(samples: np.ndarray, texts: list[np.ndarray]) -> tuple[int, int, int]:
    """How many samples find a row, in which of `WAYS`, and by which column."""
    best = (0, 0, 0)
    for number, (_, way) in enumerate(WAYS):
        keys = [way(name) for name in samples]
        for column, values in enumerate(texts):
            rows = {way(str(value)) for value in values}
            hits = sum(key in rows for key in keys)
            if hits > best[0]:
                best = (hits, number, column)
        if best[0] == len(samples):
            break
    return best


def _make_unique(
    table: pd.DataFrame, wanted: set[str], names: np.ndarray, source: str
) -> pd.DataFrame:
    """One row a key; raises InputError when rows of one sample say different things."""
    table = table[table.index.isin(wanted)]
    repeated = table.index.duplicated(keep=False)
    if not repeated.any():
        return table
    rows = table[repeated].groupby(level=0).nunique()
    unlike = rows.index[(rows > 1).any(axis=1)] if len(table.columns) else []
    if len(unlike):
        way_back = {loosen(str(name)): str(name) for name in names}
        shown = [way_back.get(key, key) for key in unlike[:5]]
        raise InputError(
            f"{source} has {len(unlike)} sample ids more than once: {', '.join(shown)}, with "
            "different values. Keep one row for each sample."
        )
    return table[~table.index.duplicated()]


def _list(names: np.ndarray) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(map(str, names[:LISTED])) + more


def add_barcode_columns(data: AnnData, notes: Notes) -> None:
    """Patient, site and sample type out of TCGA barcodes, where no column says them already."""
    matches = [BARCODE.fullmatch(name) for name in data.obs_names]
    if not all(matches):
        return
    present = {column.lower() for column in data.obs.columns}
    added = []
    if suggest_group(data) is None:
        data.obs["patient"] = [match[1] for match in matches]
        added.append("patient (the first 12 characters)")
    if not {"site", "tissue_source_site"} & present:
        data.obs["site"] = [match[2].upper() for match in matches]
        added.append("site (the second field)")
    if "sample_type" not in present and all(match[3] for match in matches):
        data.obs["sample_type"] = [_name_sample_type(match[3]) for match in matches]
        added.append("sample_type (the fourth field)")
    if added:
        notes.say(f"Taken from the TCGA barcodes: {', '.join(added)}.")


def _name_sample_type(code: str) -> str:
    """01 to 09 are tumours, 10 to 19 normal tissue, 20 and more control samples."""
    return ["tumour", "normal", "control"][min(int(code) // 10, 2)]
