"""What each column and row of a matrix is: gene, sample, about samples, or nothing to learn from.

Names decide first, then likeness to the others. What a user says always holds. What the values
alone speak against is set aside, or kept where its name is a gene's, and either is asked about.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.data.column_names import GENE_ID
from core.data.notes import Notes, Repair
from core.data.profile import LARGEST_LOG2
from core.data.roles import (
    ABOUT_SAMPLES,
    ROW_NUMBER,
    SUMMARY,
    Role,
    describe_genes,
    describes_samples,
    says_mean,
)
from core.data.simulate import read_symbols
from core.data.taken import BESIDE, ENOUGH_ROWS, LISTED, NUMBERS, Taken, are_row_numbers
from core.data.text import write_numbers
from core.errors import InputError

ENOUGH = 8
"""Rows and columns from which values are compared with the others."""
ALMOST_ALL = 0.95
FAMILY = 3
"""Other columns of a name's shape, such as G12 beside G7, from which it is a gene among genes."""
PROBE = "_at"
"""How names of Affymetrix's probe sets end, however else they are made."""
MOST_CODES = 60
"""Different values from which a column is no code of a class."""
ALIKE, UNLIKE = 0.6, 0.2
"""Rank correlation with the typical sample: of most samples at least, and at most of what isn't."""
GENES_COMPARED = 2000
MANY_READS = 20
"""Reads that most genes reach in some sample, where a column of 0 and 1 stands out."""
EXACT = 2**24
"""Whole numbers from which float32 has gaps."""
MOST_REPAIRED = 50
"""Columns that one repair names."""


@dataclass(frozen=True)
class _Judgement:
    """Why one column isn't what the others are."""

    at: int
    role: Role
    why: str
    sure: bool


def is_gene(name: str) -> bool:
    """Whether a name is a gene's, by the list of symbols or the form of an id."""
    return name in _symbols() or bool(GENE_ID.fullmatch(name))


def _symbols() -> frozenset[str]:
    return frozenset(read_symbols())


def sort_out_genes(taken: Taken, roles: Mapping[str, Role], notes: Notes) -> None:
    """Take what describes samples, and the rows' numbers, out of the genes."""
    named = {n: roles[g] for n, g in enumerate(taken.genes) if g in roles}
    out: list[_Judgement] = [
        _Judgement(at, role, "you said so", True) for at, role in named.items() if role != "gene"
    ]
    doubted: list[_Judgement] = []
    for found in _judge_genes(taken):
        if found.at in named:
            continue
        if is_gene(str(taken.genes[found.at])):
            if not found.sure:
                doubted.append(found)
        else:
            out.append(found)
    for at, role in named.items():
        if role == "gene":
            name = str(taken.genes[at])
            taken.tell(name, "gene", "you said so", write_numbers(taken.x[:20, at]), NUMBERS)
    for found in doubted:
        name, values = str(taken.genes[found.at]), write_numbers(taken.x[:20, found.at])
        why = f"a gene's name, but {found.why}"
        taken.tell(name, "gene", why, values, NUMBERS, doubtful=True)
    for found in out:
        name, values = str(taken.genes[found.at]), write_numbers(taken.x[:, found.at])
        taken.tell(name, found.role, found.why, values, NUMBERS, doubtful=not found.sure)
        if found.role in ABOUT_SAMPLES:
            if name in taken.obs:
                raise InputError(f"There are two columns {name!r} about samples. Rename one.")
            taken.obs[name] = values
    _ask_about_genes(taken, [found for found in out if not found.sure], doubted, notes)
    _warn_of_long_numbers(taken, out, notes)
    _say(taken, out, notes)
    if out:
        gone = np.array([found.at for found in out])
        taken.x = np.delete(taken.x, gone, axis=1)
        taken.genes = np.delete(taken.genes, gone)
    if not len(taken.genes):
        raise InputError(
            "No column of expression is left: all of them describe samples or are left out. "
            "Give the role gene to those that are genes."
        )


def _say(taken: Taken, out: list[_Judgement], notes: Notes) -> None:
    about = [str(taken.genes[found.at]) for found in out if found.role in ABOUT_SAMPLES]
    if about:
        notes.say(f"Numbers that describe samples: {', '.join(about)}.")
    gone = [
        str(taken.genes[found.at]) or "one without a name" for found in out
        if found.role == "ignore"
    ]  # fmt: skip
    if gone:
        notes.say(f"Columns that are no genes and were left out: {', '.join(gone)}.")


def _ask_about_genes(
    taken: Taken, aside: list[_Judgement], doubted: list[_Judgement], notes: Notes
) -> None:
    if aside:
        names = [str(taken.genes[found.at]) for found in aside]
        notes.warn(
            "not_a_gene",
            f"{_count(names, 'column holds', 'columns hold')} numbers, but no gene's: "
            f"{_explain(names, aside)}. {'It was' if len(names) == 1 else 'They were'} not taken "
            "as expression.",
            _repair("a gene", "genes", names, "gene"),
        )
    if doubted:
        names = [str(taken.genes[found.at]) for found in doubted]
        notes.warn(
            "odd_gene",
            f"{_count(names, 'column has a name', 'columns have names')} of a gene, but other "
            f"values than the genes beside: {_explain(names, doubted)}. Such a column may give the "
            "class away.",
            _repair("a label", "labels", names, "label"),
        )


def _count(names: list[str], one: str, many: str) -> str:
    return f"{len(names)} {one if len(names) == 1 else many}"


def _explain(names: list[str], found: list[_Judgement]) -> str:
    told = [f"{name} ({each.why})" for name, each in zip(names, found, strict=True)]
    more = f" and {len(told) - LISTED} more" if len(told) > LISTED else ""
    return ", ".join(told[:LISTED]) + more


def _repair(one: str, many: str, names: list[str], role: Role) -> Repair | None:
    if len(names) > MOST_REPAIRED:
        return None
    title = f"Take {names[0]} as {one}" if len(names) == 1 else f"Take them as {many}"
    return Repair(title=title, changes={"roles": dict.fromkeys(names, role)})


def _warn_of_long_numbers(taken: Taken, out: list[_Judgement], notes: Notes) -> None:
    long = [
        str(taken.genes[found.at]) for found in out
        if found.role in ABOUT_SAMPLES and found.why != "you said so"
        and np.nanmax(np.abs(taken.x[:, found.at]), initial=0) >= EXACT
    ]  # fmt: skip
    if long:
        notes.warn(
            "long_numbers",
            f"Numbers of more than seven digits in {', '.join(long)} were rounded.",
            Repair(title="Read every digit", changes={"roles": dict.fromkeys(long, "label")}),
        )


def _judge_genes(taken: Taken) -> Iterator[_Judgement]:
    """Columns of numbers that are, or may be, no genes; at most one judgement each."""
    names = [str(name) for name in taken.genes]
    whole, lowest, highest = _measure(taken.x)
    judged: set[int] = set()
    steps = whole & (highest - lowest == len(taken.x) - 1)
    for at, name in enumerate(names):
        programs = bool(ROW_NUMBER.fullmatch(name)) and (bool(name) or len(taken.x) >= ENOUGH_ROWS)
        if (steps[at] or (programs and whole[at])) and are_row_numbers(
            taken.x[:, at], name if programs else None
        ):
            judged.add(at)
            yield _Judgement(at, "ignore", "the numbers of the rows", programs)
        elif SUMMARY.fullmatch(name) and not is_gene(name):
            judged.add(at)
            yield _Judgement(at, "ignore", "its name is that of a sum or mean", True)
        elif describes_samples(name) and not is_gene(name):
            judged.add(at)
            yield _Judgement(at, "label", "its name describes samples", True)
    rest = np.array([at not in judged for at in range(len(names))])
    rest &= np.isnan(taken.x).mean(axis=0) <= 0.5  # too little is left of the others
    if len(taken.x) < ENOUGH or rest.sum() <= ENOUGH:
        return
    families = pd.Series([_shape(name) for name in names])
    alone = (families.map(families.value_counts()) <= FAMILY).to_numpy()
    alone &= [not name.endswith(PROBE) for name in names]
    codes = _find_codes(taken, whole & rest & (highest > lowest))
    odd = _find_odd(whole, lowest, highest, rest)
    flags = _find_flags(whole, lowest, highest, rest)
    for at in sorted({*codes, *odd, *flags}):
        gene = is_gene(names[at])  # one that is hardly expressed has few reads
        if at in codes or (at in odd and (alone[at] or gene)):
            yield _Judgement(at, "label", codes.get(at) or odd[at], False)
        elif at in flags and alone[at] and not gene:
            yield _Judgement(at, "label", flags[at], False)


def _measure(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each column whether all values are whole, the lowest and the highest; NaN is ignored."""
    whole = np.ones(x.shape[1], dtype=bool)
    lowest, highest = np.full(x.shape[1], np.inf), np.full(x.shape[1], -np.inf)
    for start in range(0, len(x), 200):
        part = x[start : start + 200]
        whole &= ((part == np.round(part)) | np.isnan(part)).all(axis=0)
        lowest = np.fmin(lowest, np.fmin.reduce(part, axis=0))
        highest = np.fmax(highest, np.fmax.reduce(part, axis=0))
    return whole, lowest, highest


def _shape(name: str) -> str:
    """A name's form: A9 of ESR1, Aa9 of Esr1, A9_a of G12_x."""
    form = ""
    for letter in name:
        kind = "9" if letter.isdigit() else "A" if letter.isupper() else "a"
        kind = letter if not letter.isalnum() else kind
        form += "" if form.endswith(kind) else kind
    return form


def _find_codes(taken: Taken, wanted: np.ndarray) -> dict[int, str]:
    """Columns of whole numbers of which each stands for one value of a text column."""
    found: dict[int, str] = {}
    places = np.flatnonzero(wanted)
    if not len(places):
        return found
    for name, texts in taken.obs.items():
        groups = pd.Series(texts).astype(str)
        values = groups.unique()
        if not 2 <= len(values) <= min(MOST_CODES, len(groups) // 2):
            continue
        codes = np.empty((len(values), len(places)))
        same = np.ones(len(places), dtype=bool)
        for number, value in enumerate(values):
            part = taken.x[np.ix_(groups.to_numpy() == value, places)]
            codes[number] = part[0]
            same &= (part == part[0]).all(axis=0)
        for place in np.flatnonzero(same):
            if len(np.unique(codes[:, place])) == len(values):
                found.setdefault(int(places[place]), f"one number for each {name}")
    return found


def _find_odd(
    whole: np.ndarray, lowest: np.ndarray, highest: np.ndarray, rest: np.ndarray
) -> dict[int, str]:
    """Columns whose kind of numbers or range is none that the others have."""
    varies = rest & (highest > lowest)
    found: dict[int, str] = {}
    if not varies.any():
        return found
    share = whole[varies].mean()
    if share <= 1 - ALMOST_ALL:
        for at in np.flatnonzero(varies & whole):
            found[int(at)] = "whole numbers where the others have fractions"
    elif share >= ALMOST_ALL:
        for at in np.flatnonzero(varies & ~whole):
            found[int(at)] = "fractions where the others are whole numbers"
    if share < ALMOST_ALL:
        high = np.sort(highest[varies])
        typical = high[int(ALMOST_ALL * (len(high) - 1))]
        if typical <= LARGEST_LOG2:
            for at in np.flatnonzero(varies & (highest > max(LARGEST_LOG2, 3 * typical))):
                found.setdefault(int(at), f"reaches {highest[at]:g}, the others {typical:.3g}")
    if len(found) > (1 - ALMOST_ALL) * varies.sum() + 1:
        return {}  # so many are a kind of their own
    return found


def _find_flags(
    whole: np.ndarray, lowest: np.ndarray, highest: np.ndarray, rest: np.ndarray
) -> dict[int, str]:
    """Columns of 0 and 1 among counts of which most reach far higher."""
    varies = rest & (highest > lowest)
    if not varies.any() or whole[varies].mean() < ALMOST_ALL:
        return {}
    if np.median(highest[varies]) < MANY_READS:
        return {}
    flags = np.flatnonzero(varies & whole & (lowest == 0) & (highest == 1))
    return dict.fromkeys(map(int, flags), "only 0 and 1 where the others count reads")


def sort_out_samples(
    taken: Taken, roles: Mapping[str, Role], known: Collection[str], notes: Notes
) -> None:
    """Take what tells about genes (ids, positions, results of tests) out of the samples.

    Args:
        taken: the matrix.
        roles: what a user said.
        known: names that a table of labels has: samples for sure.
        notes: what was done is added here.
    """
    named = {n: roles[s] for n, s in enumerate(taken.samples) if s in roles}
    out = [_Judgement(n, "ignore", "you said so", True) for n, r in named.items() if r == "ignore"]
    for found in _judge_samples(taken):
        if found.at not in named and str(taken.samples[found.at]) not in known:
            out.append(found)
    for at, role in named.items():
        if role == "sample":
            name = str(taken.samples[at])
            taken.tell(name, "sample", "you said so", write_numbers(taken.x[at, :20]), BESIDE)
    for found in out:
        name, values = str(taken.samples[found.at]), write_numbers(taken.x[found.at, :20])
        taken.tell(name, "ignore", found.why, values, BESIDE, doubtful=not found.sure)
    asked = [found for found in out if not found.sure]
    if asked:
        names = [str(taken.samples[found.at]) for found in asked]
        notes.warn(
            "not_a_sample",
            f"{_count(names, 'column holds', 'columns hold')} numbers, but no sample's: "
            f"{_explain(names, asked)}. {'It was' if len(names) == 1 else 'They were'} left out.",
            _repair("a sample", "samples", names, "sample"),
        )
    sure = [str(taken.samples[found.at]) for found in out if found.sure]
    if sure:
        notes.say(f"Columns that describe genes and were left out: {', '.join(sure)}.")
    if out:
        gone = np.array([found.at for found in out])
        taken.x = np.delete(taken.x, gone, axis=0)
        taken.samples = np.delete(taken.samples, gone)
        taken.obs = {name: np.delete(texts, gone) for name, texts in taken.obs.items()}
    if not len(taken.samples):
        raise InputError(
            "No sample is left: every column of numbers tells about genes or is left out. Give the "
            "role sample to those that are samples."
        )


def _judge_samples(taken: Taken) -> Iterator[_Judgement]:
    names = [str(name) for name in taken.samples]
    about = describe_genes(names)
    judged = {at for at, name in enumerate(names) if name in about}
    for at in sorted(judged):
        yield _Judgement(at, "ignore", "its name tells about genes", True)
    for at, name in enumerate(names):
        if at not in judged and are_row_numbers(taken.x[at], name or None):
            judged.add(at)
            yield _Judgement(at, "ignore", "the numbers of the rows", False)
        elif at not in judged and says_mean(name):
            judged.add(at)
            yield _Judgement(at, "ignore", "its name says that it is a mean or a spread", False)
    few = np.isnan(taken.x).mean(axis=1) > 0.5
    rest = [at for at in range(len(names)) if at not in judged and not few[at]]
    if len(rest) <= ENOUGH or taken.x.shape[1] < 2 * ENOUGH:
        return
    places = np.linspace(0, taken.x.shape[1] - 1, min(GENES_COMPARED, taken.x.shape[1]))
    part = taken.x[np.ix_(rest, places.astype(int))]
    whole = np.array([bool(((row == np.round(row)) | np.isnan(row)).all()) for row in part])
    likeness = _compare_with_typical(part)
    alike = np.nanmedian(likeness) >= ALIKE
    for at, is_whole, r in zip(rest, whole, likeness, strict=True):
        if is_whole and whole.mean() <= 1 - ALMOST_ALL:
            yield _Judgement(at, "ignore", "whole numbers where samples have fractions", False)
        elif not is_whole and whole.mean() >= ALMOST_ALL:
            yield _Judgement(at, "ignore", "fractions where samples have whole numbers", False)
        elif alike and r <= UNLIKE:
            why = f"its genes are ordered like in no sample, correlation {r:.2f}"
            yield _Judgement(at, "ignore", why, False)


def _compare_with_typical(x: np.ndarray) -> np.ndarray:
    """(samples,) rank correlation with the median sample; NaN for one without variation."""
    filled = np.where(np.isnan(x), np.nan_to_num(_row_median(x))[:, None], x)
    ranks = pd.DataFrame(filled).rank(axis=1).to_numpy()
    typical = pd.Series(np.median(ranks, axis=0)).rank().to_numpy()
    ranks -= ranks.mean(axis=1, keepdims=True)
    typical -= typical.mean()
    spread = np.sqrt((ranks**2).sum(axis=1) * (typical**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        return ranks @ typical / spread


def _row_median(x: np.ndarray) -> np.ndarray:
    return pd.DataFrame(x).median(axis=1).to_numpy()


def warn_of_missing(taken: Taken, notes: Notes) -> None:
    """Name the samples and genes of which more than half of the values are missing."""
    missing = np.isnan(taken.x)
    for names, axis, one, many, code in (
        (taken.samples, 1, "sample has", "samples have", "mostly_missing_samples"),
        (taken.genes, 0, "gene has", "genes have", "mostly_missing_genes"),
    ):
        share = missing.mean(axis=axis)
        empty = [str(names[at]) for at in np.flatnonzero(share > 0.5)]
        if not empty:
            continue
        listed = ", ".join(empty[:LISTED])
        more = f" and {len(empty) - LISTED} more" if len(empty) > LISTED else ""
        repair = None
        if len(empty) <= MOST_REPAIRED and len(empty) < len(names):
            title = f"Leave {empty[0]} out" if len(empty) == 1 else "Leave them out"
            repair = Repair(title=title, changes={"roles": dict.fromkeys(empty, "ignore")})
        notes.warn(
            code,
            f"{len(empty)} {one if len(empty) == 1 else many} no value for more than half of the "
            f"{'genes' if axis else 'samples'}: {listed}{more}.",
            repair,
        )


def check_names(
    roles: Mapping[str, Role], names: Collection[str], about: Collection[str], source: str
) -> None:
    """Refuse roles of columns that aren't there.

    Args:
        roles: what a user said.
        names: every column and row.
        about: the columns about samples.
        source: the file.

    Raises:
        InputError: with names that are like it, or the columns about samples.
    """
    for name, role in roles.items():
        if name in names:
            continue
        kind = {"class": "label ", "patient": "patient ", "batch": "batch "}.get(role, "")
        near = difflib.get_close_matches(name, list(names), 3, 0.6)
        words = f"Did you mean {' or '.join(map(repr, near))}?" if near else ""
        listed = ", ".join(list(about)[:20]) or "none"
        raise InputError(
            f"{source} has no {kind}column {name!r}. {words or f'Columns about samples: {listed}.'}"
        )
