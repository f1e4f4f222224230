"""Files that are no tables, told from how their content begins, each with its way out."""

import re
from pathlib import Path

from core.data.formats.unpack import open_content

SERIES = re.compile(rb'(?:\xef\xbb\xbf)?"?!(?:Series|Sample)_\w+"?\t')
"""A series matrix of GEO."""
R_DATA = "R data. In R, write its table as text: write.csv(as.matrix(x), 'expression.csv')."
OTHERS = (
    (re.compile(rb"(?:RD[AX]\d\n)?[XAB]\n(?:\0\0\0[\x02\x03]|[23]\n)"), R_DATA),
    (re.compile(rb"\^(?:DATABASE|SERIES|SAMPLE|PLATFORM)\b"),
     "a SOFT file of GEO. Download the series matrix file of the same series instead."),
    (re.compile(rb"(?:<\?xml[^>]*>\s*)?<MINiML\b"),
     "a MINiML file of GEO. Download the series matrix file of the same series instead."),
    (re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE),
     "a web page, not the file that it links to. Download the file itself."),
    (re.compile(rb"%%MatrixMarket"),
     "a Matrix Market file without names. Put it into one zip file together with its features.tsv "
     "(or genes.tsv) and barcodes.tsv."),
    (re.compile(rb"\x80[\x02-\x05][\x95c}\]]"),
     "a pickle of Python, which can run any program when it is opened, and is not read. Save it as "
     "h5ad or CSV."),
)  # fmt: skip
"""How content begins -> what the file is, and the way out."""


def find_other_kind(path: Path) -> str | None:
    """ "series" for a series matrix of GEO, what else a file is in words, or None for a table.

    Raises InputError when packed content is damaged.
    """
    with open_content(path) as stream:
        start = stream.read(600)
    if SERIES.match(start):
        return "series"
    return next((words for begins, words in OTHERS if begins.match(start)), None)
