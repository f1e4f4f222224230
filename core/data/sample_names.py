"""How the names of samples are compared: what programs change in them, and TCGA barcodes."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from core.data.roles import TCGA

SAMPLES_TRIED = 3
"""Names in which another name is looked for; the rest must be framed in the same way."""
ENDINGS = re.compile(
    r"(?i)(?<=.)(?:"
    r"\.(?:gz|bz2|xz|zst|zip|bam|sam|cram|fastq|fq|tsv|csv|txt|tab|sf|results|h5|h5ad|counts?)"
    r"|[._-]?Aligned(?:[._-]?(?:sortedByCoord|toTranscriptome))?(?:[._-]out)?"
    r"|[._-]?ReadsPerGene(?:[._-]out)?"
    r"|[._-](?:(?:coord_?)?sort(?:ed)?|dedup(?:ped|licated)?|mark_?dup(?:licates)?|rmdup)"
    r"|[._-](?:rna_seq|(?:augmented_)?star_gene_counts|htseq|star|featurecounts|(?:gene_)?counts?)"
    r"|[._-](?:genes|isoforms|gene_abund(?:ances?)?|abundance|quant|gene_quantification)"
    r"|_S\d+(?:_L\d{3})?(?:_R[12])?(?:_001)?|_L\d{3}(?:_R[12])?(?:_001)?|_R[12](?:_001)?"
    r")$"
)
"""What sequencers, aligners and counting programs write behind a sample's name."""
ACCESSION = re.compile(r"(?<![A-Za-z0-9])(?:GSM|[SED]RR)\d{3,}(?!\d)", re.IGNORECASE)


@lru_cache(maxsize=2**18)
def loosen(name: str) -> str:
    """A sample name without what programs change: case, spaces, dots, dashes, R's leading X.

    Letters with accents are the same whether they are one character or two.
    """
    name = unicodedata.normalize("NFKC", name)
    loose = re.sub(r"[\s._\-]+", "-", name.strip()).strip("-").casefold()
    return re.sub(r"^x(?=\d)", "", loose)


def take_file_name(name: str) -> str:
    """A sample's name out of a path or file name: S01 for `/data/S01.sorted.bam`."""
    name = re.split(r"[/\\]", name.strip().rstrip("/\\"))[-1]
    while (shorter := ENDINGS.sub("", name)) != name:
        name = shorter
    return name


@lru_cache(maxsize=2**18)
def _loosen_file(name: str) -> str:
    return loosen(take_file_name(name))


def find_accession(name: str) -> str:
    """The number of a GEO sample (GSM…) or a run of SRA in a name; empty when there is none."""
    found = ACCESSION.search(name)
    return found[0].upper() if found else ""


def cut_barcode(length: int) -> Callable[[str], str]:
    """A function that shortens TCGA barcodes to `length` characters; other names are loosened."""

    def cut(name: str) -> str:
        loose = _loosen_file(name)
        return loose[:length] if TCGA.match(loose) else loose

    return cut


@dataclass(frozen=True)
class Way:
    """One way to compare the names of samples with those of a table's rows."""

    words: str
    sample: Callable[[str], str]
    row: Callable[[str], str]
    shares: bool = False
    """Whether several samples may well belong to one row."""
    least: float = 0.0
    """Share of the samples that must find a row, for this way not to be a coincidence."""


_PATIENT = "by the first 12 characters of their TCGA barcodes (the patient)"
WAYS: list[Way] = [
    Way("exactly", str, str),
    Way("without regard to spaces", str.strip, str.strip),
    Way("without regard to case, dots, dashes and underscores", loosen, loosen),
    Way("by the names of their files", _loosen_file, _loosen_file),
    Way("by the accessions (GSM…) in their names", find_accession, find_accession),
    *(
        Way(
            f"by the first {length} characters of their TCGA barcodes",
            cut_barcode(length),
            cut_barcode(length),
        )
        for length in (16, 15)
    ),
    Way(_PATIENT, cut_barcode(12), _loosen_file, shares=True),
    Way(_PATIENT, _loosen_file, cut_barcode(12), shares=True),
]
"""How sample names are compared, the strictest way first.

A patient's row belongs to all of its samples; the row of a patient's tumour says nothing about its
normal tissue.
"""


def find_frames(samples: Collection[str], rows: Collection[str]) -> Iterator[Way]:
    """Ways in which every sample's name is a row's name between two texts, or the other way round.

    So `X.data.run1.S01.bam` belongs to S01 if all names begin with `X.data.run1.` and end with
    `.bam`. Names of one or two characters, and short numbers, are not looked for.
    """
    for turned, (longer, shorter) in enumerate([(samples, rows), (rows, samples)]):
        known = {name.strip() for name in shorter if _is_telling(name.strip())}
        frames = {
            frame
            for name in list(longer)[:SAMPLES_TRIED]
            for part in known
            if part in name and part != name and (frame := _frame(name, part)) is not None
        }
        for before, behind in sorted(frames):
            take = _take_between(before, behind)
            said = " and ".join(
                f"{text!r} {where} them"
                for text, where in ((before, "before"), (behind, "behind"))
                if text
            )
            words = f"without the {said}"
            pair = (str.strip, take) if turned else (take, str.strip)
            yield Way(words, *pair, least=0.5)


def _is_telling(name: str) -> bool:
    return len(name) > 2 and (not name.isdigit() or len(name) > 4)


def _frame(name: str, part: str) -> tuple[str, str] | None:
    """What stands before and behind a part of a name, if the part is a word there."""
    before, _, behind = name.partition(part)
    starts = not before or not before[-1].isalnum()
    ends = not behind or not behind[0].isalnum() or (part[-1].isdigit() and behind[0].isalpha())
    return (before, behind) if starts and ends else None


def _take_between(before: str, behind: str) -> Callable[[str], str]:
    def take(name: str) -> str:
        framed = name.startswith(before) and name.endswith(behind)
        return name[len(before) : len(name) - len(behind)].strip() if framed else ""

    return take
