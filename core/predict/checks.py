"""The single checks of a match card: what each of them finds in a cohort, in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData

from core.data.checks.looked_at import list_names
from core.data.checks.values import POOR_LIBRARY
from core.data.notes import Finding
from core.data.prepare import Preprocessor
from core.errors import InputError
from core.predict.genes import GeneMatch, match_genes, written_for
from core.predict.known import Known
from core.predict.price import Price
from core.predict.reference import Reference
from core.predict.request import PredictRequest
from core.predict.together import (
    TOGETHER,
    Together,
    check_together,
    library_share,
    same_scale,
)

if TYPE_CHECKING:
    from core.predict.model import Model

TOO_LITTLE = 0.5
"""Share of the weight of all genes below which nothing is called."""
ENOUGH = 0.95
"""Share of the weight from which missing genes are only told."""
SHIFT = 1.25
"""Difference in log2 units beyond which all genes are said to stand higher or lower.

This and the limits below rest on benchmarks/results/matching.md.
"""
STRETCH = 1.5
"""How many times more genes differ from one another than in training, or less, to be told."""
ALIKE = 0.5
"""Correlation of the genes' mean levels below which they don't resemble those of training."""
CUT = 0.2
"""Share of values that the floor may take away beyond what it takes in training."""
OTHER_MIX = 0.25
"""Share of the samples that would need another class for the mix to be that of training."""
FEWEST_PARTED = 10
"""Samples among which a threshold can be sought."""


@dataclass(frozen=True)
class Looked:
    """Everything that the single checks look at."""

    model: Model
    asked: PredictRequest
    match: GeneMatch
    twice: list[str]
    """Genes of the model that stand there more than once"""
    weights: pd.Series
    """Gene of the model -> share of the weight, the most important first"""
    missing: pd.Series
    """The same of genes that are not there"""
    price: Price | None
    values: Values | None
    """None where none of the genes is there"""
    known: Known | None

    @property
    def data(self) -> AnnData:
        """The cohort, with genes under the model's ids."""
        return self.match.data

    @property
    def prepared(self) -> Preprocessor:
        """The first fold's; all folds have their scale, floor and matrix in common."""
        return self.model.folds[0].preprocessor

    @property
    def reference(self) -> Reference:
        """The first fold's."""
        return self.model.references[0]

    @property
    def together(self) -> Together:
        """How cohorts are brought together."""
        return TOGETHER[self.asked.together]

    @property
    def labels(self) -> pd.Series | None:
        """Classes that are known, without samples that have none; None of a regression."""
        label = self.asked.cohort.label
        if label is None or not self.model.task.has_classes:
            return None
        labels = self.data.obs[label].astype(str)
        return labels[labels != ""]

    @property
    def as_measured(self) -> bool:
        """Whether values are prepared as those of training, on the same scale."""
        return self.asked.together == "none" and same_scale(
            self.prepared, str(self.data.uns["scale"])
        )

    @property
    def cut_in_training(self) -> float:
        """Share of training's values that the floor made what they are."""
        floor = self.prepared.spec.floor
        return float((self.reference.quantiles <= floor + 1e-6).mean())

    @property
    def is_cut(self) -> bool:
        """Whether the floor takes away what it didn't take in training."""
        return self.values is not None and self.values.below > self.cut_in_training + CUT


@dataclass(frozen=True)
class Values:
    """log2 expression of a cohort over a model's genes, as measured."""

    quantiles: np.ndarray
    mean: np.ndarray
    """(genes,) after the floor; NaN where a gene is missing"""
    below: float
    """Share of the values that lie below the floor"""


@dataclass(frozen=True)
class Levels:
    """Mean levels of a cohort's genes against those of training."""

    shift: float
    """Median over genes, in log2 units"""
    stretch: float
    """How many times as much genes differ from one another; NaN where training's hardly do"""
    correlation: float
    """Over genes; NaN likewise"""


def compare_levels(values: Values, reference: Reference) -> Levels | None:
    """How a cohort's genes stand against training's; None where too few are there."""
    new, old = values.mean, reference.log_mean
    there = np.isfinite(new)
    if there.sum() < 3:
        return None
    new, old = new[there], old[there]
    shift = float(np.median(new - old))
    if old.std() <= np.median(reference.log_sd):  # genes were brought to one level
        return Levels(shift, np.nan, np.nan)
    return Levels(shift, float(new.std() / old.std()), _correlation(new, old))


def check_match(at: Looked) -> Iterator[Finding]:
    """What stands in the way, first what explains all else: then nothing else is said."""
    for check in (_check_transposed, _check_species, _check_twice):
        found = list(check(at))
        yield from found
        if found:
            return
    for check in (
        _check_genes,
        _check_together,
        _check_two_groups,
        _check_floor,
        _check_values,
        _check_library,
        _check_samples,
        _check_known,
    ):
        yield from check(at)


def _error(code: str, message: str) -> Finding:
    return Finding(severity="error", code=code, message=message)


def _warning(code: str, message: str) -> Finding:
    return Finding(severity="warning", code=code, message=message)


def _info(code: str, message: str) -> Finding:
    return Finding(severity="info", code=code, message=message)


def _check_transposed(at: Looked) -> Iterator[Finding]:
    """Names of genes where samples should be."""
    if at.values is not None and len(at.missing) < len(at.weights) / 2:
        return
    side = AnnData(np.zeros((1, at.data.n_obs)), var=pd.DataFrame(index=at.data.obs_names))
    known = set(at.prepared.all_genes)
    rows = sum(name in known for name in match_genes(at.model, side).data.var_names)
    if 2 * rows > at.data.n_obs and rows > sum(gene in known for gene in at.data.var_names):
        yield _error(
            "transposed",
            f"{rows:,} of {at.data.n_obs:,} samples are named as genes of the model (such as "
            f"{at.data.obs_names[0]}): the table lies on its side. Read the file again with genes "
            "in rows and samples in columns, or the other way round.",
        )


def _check_species(at: Looked) -> Iterator[Finding]:
    """Genes of mouse for a model of human ones, as far as their names tell."""
    theirs, own = written_for(at.data.var_names), written_for(at.weights.index)
    if theirs and own and theirs != own:
        yield _error(
            "species",
            f"Genes are written as those of {theirs} (such as {at.data.var_names[0]}), the model's "
            f"as those of {own} (such as {at.weights.index[0]}). Nothing is translated from one "
            "species to another. Bring a table that names each gene by its one ortholog.",
        )


def _check_twice(at: Looked) -> Iterator[Finding]:
    """Genes of the model that stand in several columns."""
    if at.twice:
        yield _error(
            "repeated_genes",
            f"{len(at.twice):,} genes of the model stand there more than once (such as "
            f"{list_names(at.twice)}), so which column is meant can't be told. Keep one of each.",
        )


def _check_genes(at: Looked) -> Iterator[Finding]:
    """How many genes are there, by number and by weight, and what the missing ones cost."""
    if not len(at.missing):
        return
    weight, of = 1 - at.missing.sum(), len(at.weights)
    found = of - len(at.missing)
    above_all = list_names(at.missing.index)
    if weight < TOO_LITTLE or not found:
        yield _error(
            "genes",
            f"{found:,} of the model's {of:,} genes are there, with {max(weight, 0):.0%} of the "
            f"weight of its answers; at least {TOO_LITTLE:.0%} are needed. Missing are above all "
            f"{above_all}. Bring a table with these genes, or train a model on the genes that both "
            "cohorts have.",
        )
        return
    text = (
        f"{len(at.missing):,} of the model's {of:,} genes are missing, with {1 - weight:.1%} of "
        f"the weight of its answers (above all {above_all}). They are painted as in the average "
        "training sample."
    )
    text += f" {at.price.describe()}" if at.price else " " + _no_price(at.model)
    yield (_info if weight >= ENOUGH else _warning)("genes", text)


def _no_price(model: Model) -> str:
    why = "was sent without its samples" if model.sent else "no longer has its samples"
    return f"The model {why}, so what that costs can't be measured."


def _check_together(at: Looked) -> Iterator[Finding]:
    """Scale, number of samples and preparation: whether this way of bringing together can be."""
    try:
        check_together(at.prepared, at.data, at.asked.together)
    except InputError as error:
        yield _error("together", str(error))
        return
    labels = at.labels
    if not at.together.needs_like_classes:
        return
    if labels is not None and len(labels) and labels.nunique() == 1:
        yield _error(
            "together",
            f"All samples are {labels.iloc[0]}, and {at.together.title!r} would move them to the "
            "average of all classes. Choose a way that takes each sample by itself.",
        )
        return
    text = (
        f"{at.together.title} is learned from the new cohort, and right only if its classes are "
        "mixed as those of training were."
    )
    other = _compare_mix(at, labels)
    if other is not None and other > OTHER_MIX:
        text += f" They aren't: {other:.0%} of the samples would need another class."
    yield _warning("mix", text)


def _check_two_groups(at: Looked) -> Iterator[Finding]:
    """Whether these samples' own scores can say where the threshold between two classes lies."""
    if not at.asked.two_groups:
        return
    labels, classes = at.labels, len(at.model.classes)
    if not at.model.task.has_classes or classes != 2:
        got = f"{classes} classes" if at.model.task.has_classes else "a number"
        why = f"the model's answer is {got}, and only samples of two classes can be parted in two"
    elif at.data.n_obs < FEWEST_PARTED:
        why = f"{at.data.n_obs} samples are too few; at least {FEWEST_PARTED} are needed"
    elif labels is not None and labels.nunique() == 1:
        why = f"all samples are {labels.iloc[0]}, and would be parted as well"
    else:
        return
    yield _error("two_groups", f"No threshold can be sought in these samples: {why}. Leave it out.")


def _compare_mix(at: Looked, labels: pd.Series | None) -> float | None:
    """Share of samples that would need another class to be mixed as in training; None: unknown."""
    record = at.model.record
    if labels is None or not len(labels) or not len(record):
        return None
    own = record.set_index("class")["n"] / record["n"].sum()
    theirs = labels.value_counts(normalize=True)
    return float(own.sub(theirs, fill_value=0).abs().sum() / 2)


def _check_floor(at: Looked) -> Iterator[Finding]:
    """Values around 0 (log ratios, z scores), whose lower half the floor takes away."""
    if at.values is None or not at.as_measured:
        return
    floor, below = at.prepared.spec.floor, at.values.below
    if below <= CUT:
        return
    text = (
        f"{below:.0%} of the values are below {floor:g}, and the model's preparation makes each of "
        f"them {floor:g}"
    )
    if not at.is_cut:
        yield _info("floor", f"{text}; in training it was {at.cut_in_training:.0%}.")
        return
    others = " or ".join(repr(way.title) for way in TOGETHER if way.any_scale)
    yield _error(
        "floor",
        f"{text} (in training {at.cut_in_training:.0%}): these look like log ratios, centred genes "
        "or z scores, which the model has never seen. Bring log2 expression"
        + (f", or choose {others}, which keep all values." if _can_bring(at) else "."),
    )


def _can_bring(at: Looked) -> bool:
    return at.prepared.spec.across == "none"


def _check_values(at: Looked) -> Iterator[Finding]:
    """Levels of the genes against those of training: shifted, stretched, or others altogether."""
    if at.values is None or at.is_cut or not at.as_measured or not _can_bring(at):
        return
    found, said = compare_levels(at.values, at.reference), []
    if found is None:
        return
    if abs(found.shift) > SHIFT:
        side = "higher" if found.shift > 0 else "lower"
        said.append(f"stand {abs(found.shift):.1f} log2 units {side} than in training")
    if found.correlation < ALIKE:
        said.append(f"have levels unlike those of training (correlation {found.correlation:.2f})")
    if found.stretch > STRETCH or found.stretch < 1 / STRETCH:
        said.append(f"differ {found.stretch:.2g} times as much from one another as in training")
    if said:
        yield _warning(
            "values",
            f"The model's genes {' and '.join(said)}: probably another platform, unit or "
            "processing. A model's limits between classes may not hold there: compare with "
            f"{TOGETHER['quantile'].title!r}.",
        )


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _check_library(at: Looked) -> Iterator[Finding]:
    """Libraries of counts: genes that they lack, and samples that were hardly sequenced."""
    if str(at.data.uns["scale"]) != "counts":
        return
    genes = at.data.var_names.to_numpy().astype(str)
    share = library_share(at.prepared, at.reference, genes)
    if at.as_measured and at.prepared.spec.library == "cpm" and share < 1 - 1e-6:
        lacking = int((~np.isin(at.prepared.all_genes, genes)).sum())
        yield (_warning if share < 1 - CUT else _info)(
            "library",
            f"{lacking:,} genes that had {1 - share:.1%} of the reads in training are missing from "
            "the counts. A library without them is smaller, which would raise all others per "
            f"million, so it is taken for {share:.1%} of a library.",
        )
    total = np.array([np.nansum(row, dtype=np.float64) for row in np.asarray(at.data.X)])
    poor = total < POOR_LIBRARY * np.median(total)
    if poor.any():
        yield _warning(
            "poor_library",
            f"{poor.sum()} samples have less than a tenth of the median reads "
            f"({list_names(at.data.obs_names[poor])}): their low values are mostly noise.",
        )


def _check_samples(at: Looked) -> Iterator[Finding]:
    """Cohorts that are too small, or too much alike, to say much about."""
    if at.data.n_obs == 1:
        yield _info(
            "one_sample",
            "A single sample: what share of a cohort is unlike training can't be told by it.",
        )
        return
    labels = at.labels
    if labels is not None and len(labels) and labels.nunique() == 1:
        yield _info(
            "one_class",
            f"All samples are {labels.iloc[0]}: how many are called so can be told, but not how "
            "well it is told apart from other classes.",
        )


def _check_known(at: Looked) -> Iterator[Finding]:
    """Samples that the model learned from."""
    known = at.known
    if known is None:
        return
    if not known.checked:
        yield _info(
            "learned_from",
            "The model was sent without the ids of its samples, so whether it learned from any of "
            "these can't be checked.",
        )
        return
    if count := int(known.samples.sum()):
        names = at.data.obs_names[known.samples]
        text = (
            f"The model learned from {count:,} of the {at.data.n_obs:,} samples "
            f"({list_names(names)}). They are marked and left out of scores."
        )
        if at.model.sent and count == at.data.n_obs:
            text = (
                "These are samples of the very dataset that the model learned from, and it was "
                "sent without their ids. All are marked as learned from, and left out of scores."
            )
        if known.twins:
            pairs = [f"{new} is {old}" for new, old in known.twins.items()]
            bear = "bears" if len(pairs) == 1 else "bear"
            text += f" {len(pairs)} of them {bear} another id ({list_names(pairs)})."
        yield _warning("learned_from", text)
    if known.namesakes:
        yield _warning(
            "namesakes",
            f"{len(known.namesakes):,} samples bear the id of a training sample, but have another "
            f"profile ({list_names(known.namesakes)}): they are taken for other samples.",
        )
    if known.patients:
        yield _warning(
            "patients",
            "By the patients' ids the model learned from another sample of the patients of "
            f"{len(known.patients):,} samples ({list_names(known.patients)}): scores on these may "
            "be too good.",
        )
    if not known.by_profile:
        yield _info(
            "by_id",
            "Whether the model learned from any of these samples was looked for by their ids "
            "alone, as the samples of its training aren't here or too few genes are.",
        )
