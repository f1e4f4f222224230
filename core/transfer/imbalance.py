"""Two light networks joined, as one class gets rare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field, field_validator, model_validator

from core.data.cohort import Cohort
from core.errors import InputError
from core.evaluation.differences import corrected_t
from core.transfer.cohorts import Opened, open_one
from core.transfer.enquiry import (
    Answered,
    Enquiry,
    Kind,
    Line,
    Preview,
    Progress,
    Reply,
    Role,
    correct,
)
from core.transfer.methods.light_ensemble import FEWEST, RATIOS, compare_under_imbalance

HELD_OUT = 4
"""One patient in so many is asked about."""
SCORE = "balanced_accuracy"
REFERENCE = "logistic regression, class weights"
SECONDS_A_SAMPLE = 0.035
"""Of all lines of a ratio on one core, for a sample that is learned from or asked about."""


class ImbalanceEnquiry(Enquiry):
    """Whether two light networks joined help where one class is rare."""

    question: Literal["imbalance"] = "imbalance"
    cohort: Cohort = Field(title="Cohort", description="Samples, and the column of two classes.")
    rare: str = Field(title="Rare class", description="The class that is thinned out.")
    ratios: tuple[int, ...] = Field(
        RATIOS, min_length=1, title="Ratios",
        description="Samples of the other class for each of the rare one.",
    )  # fmt: skip
    genes: int = Field(
        500, ge=20, le=5000, title="Genes",
        description="So many genes that vary most in the samples that are learned from.",
    )  # fmt: skip
    draws: int = Field(
        4, ge=3, le=50, title="Draws", description="How often asked patients are drawn."
    )
    seed: int = Field(0, ge=0, title="Seed", description="Of what is drawn.")

    @field_validator("ratios")
    @classmethod
    def _in_order(cls, ratios: tuple[int, ...]) -> tuple[int, ...]:
        if min(ratios) < 1:
            raise ValueError("a ratio is 1 or more")
        return tuple(sorted(set(ratios)))

    @model_validator(mode="after")
    def _complete(self) -> ImbalanceEnquiry:
        if self.cohort.dataset is None or self.cohort.label is None:
            raise ValueError("the cohort needs its dataset and its label")
        return self


@dataclass(frozen=True)
class _Ready:
    opened: Opened
    y: np.ndarray
    """(samples,) 1 of the rare class, 0 of the other, of samples whose class is known"""
    known: np.ndarray
    """(all samples,) whether the class is known"""
    patients: np.ndarray
    ratios: tuple[int, ...]
    notes: tuple[str, ...]


def _open(enquiry: ImbalanceEnquiry) -> _Ready:
    opened = open_one(enquiry.cohort)
    column = opened.data.obs[enquiry.cohort.label]
    texts = np.where(pd.isna(column), "", column.astype(str))
    classes = sorted(set(texts) - {""})
    if len(classes) != 2:
        raise InputError(
            f"Expected two classes in column {enquiry.cohort.label!r} of {opened.name}; got "
            f"{len(classes)} ({', '.join(classes[:5])}). Merge some, or keep only two of them."
        )
    if enquiry.rare not in classes:
        raise InputError(
            f"{opened.name} has no class {enquiry.rare!r} in {enquiry.cohort.label!r}. Its classes "
            f"are {' and '.join(classes)}."
        )
    known = texts != ""
    y = (texts[known] == enquiry.rare).astype(int)
    group = enquiry.cohort.group
    who = opened.data.obs_names if group is None else opened.data.obs[group]
    patients = np.asarray(who).astype(str)[known]
    counts = [len(set(patients[y == number])) for number in (0, 1)]
    if min(counts) < 2 * HELD_OUT:
        raise InputError(
            f"{opened.name} has {counts[1]} patients of class {enquiry.rare!r} and {counts[0]} "
            f"others, at least {2 * HELD_OUT} of each are needed."
        )
    common = min(int((y[_divide(y, patients, enquiry.seed + n) == 0] == 0).sum())
                 for n in range(enquiry.draws))  # fmt: skip
    ratios = tuple(ratio for ratio in enquiry.ratios if common // ratio >= FEWEST)
    if not ratios:
        raise InputError(
            f"{common} samples of the other class are learned from, too few for a ratio of "
            f"1:{min(enquiry.ratios)}: {FEWEST} of the rare one are needed. Take a smaller ratio."
        )
    left_out = [ratio for ratio in enquiry.ratios if ratio not in ratios]
    notes = [f"{len(y):,} samples, {int(y.sum()):,} of class {enquiry.rare}."]
    if left_out:
        said = ", ".join(f"1:{ratio}" for ratio in left_out)
        notes.append(f"Left out, because fewer than {FEWEST} rare samples would be left: {said}.")
    return _Ready(opened, y, known, patients, ratios, tuple(notes))


def _divide(y: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    """(samples,) 1 where a sample is asked about; patients together."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(HELD_OUT, shuffle=True, random_state=seed)
    _, asked = next(folds.split(y, y, patients))
    return np.isin(np.arange(len(y)), asked).astype(int)


def preview_imbalance(enquiry: ImbalanceEnquiry) -> Preview:
    """What would be compared; raises InputError where it can't be."""
    ready = _open(enquiry)
    seconds = 10 + SECONDS_A_SAMPLE * len(ready.y) * enquiry.draws * (len(ready.ratios) + 1)
    said = ", ".join(f"1:{ratio}" for ratio in ready.ratios)
    words = f"Ratios {said}; {enquiry.draws} draws, each asks about a quarter of the patients."
    return Preview(seconds, (words, *ready.notes))


def ask_imbalance(enquiry: ImbalanceEnquiry, progress: Progress) -> Answered:
    """Compare the joined networks, each alone and their mean with a weighted linear model.

    The same asked patients for all; of the others one class is thinned out. Balanced accuracy,
    means over draws with the corrected t test's intervals (Nadeau and Bengio 2003). Control: the
    labels of what is learned from permuted, where it has to be a half.
    """
    ready = _open(enquiry)
    x, tables, shuffled = ready.opened.values.to_numpy(np.float32)[ready.known], [], []
    names = list(ready.opened.values.columns)
    asked_share = 0.0
    for number in range(enquiry.draws):
        progress(2 * number, 2 * enquiry.draws)
        asked = _divide(ready.y, ready.patients, enquiry.seed + number) == 1
        asked_share += asked.mean() / enquiry.draws
        most = np.sort(np.argsort(-x[~asked].std(axis=0), kind="stable")[: enquiry.genes])
        genes = [names[place] for place in most]
        own, theirs = x[~asked][:, most], x[asked][:, most]
        y, truth = ready.y[~asked], ready.y[asked]
        seed = enquiry.seed + number
        table = compare_under_imbalance(
            own, y, theirs, truth, genes, ratios=ready.ratios, seed=seed
        )  # fmt: skip
        tables.append(table.assign(draw=number))
        progress(2 * number + 1, 2 * enquiry.draws)
        wrong = np.random.default_rng([seed, 1]).permutation(y)
        mixed = compare_under_imbalance(
            own, wrong, theirs, truth, genes, ratios=ready.ratios[:1], seed=seed
        )  # fmt: skip
        shuffled.append(float(mixed.loc[mixed["line"] == "joined", SCORE].iloc[0]))
    progress(2 * enquiry.draws, 2 * enquiry.draws)
    table = pd.concat(tables, ignore_index=True)
    share = asked_share / (1 - asked_share)
    lines = [
        _line(table[table["ratio"] == ratio], f"1:{ratio}", line, share)
        for ratio in ready.ratios for line in dict.fromkeys(table["line"])
    ]  # fmt: skip
    first = f"1:{ready.ratios[0]}"
    lines.append(_mean(first, "joined, labels permuted", "control", np.array(shuffled), share))
    mean = table.drop(columns="draw").groupby(["ratio", "line"], sort=False).mean().reset_index()
    reply = Reply(
        title=f"{enquiry.rare} made rare in {ready.opened.name}", measure="balanced accuracy",
        chance=0.5, items=f"{len(ready.y):,} samples, {enquiry.draws} draws of a quarter",
        lines=correct(lines),
        tables={
            "imbalance": "Means over draws: samples and rare ones that are learned from, macro F1, "
            "balanced accuracy, parameters that learn, seconds.",
        },
        notes=ready.notes,
    )  # fmt: skip
    return Answered(reply, {"imbalance": mean})


def _line(own: pd.DataFrame, ratio: str, line: str, share: float) -> Line:
    scores = own[own["line"] == line].sort_values("draw")[SCORE].to_numpy()
    if line == REFERENCE:
        return _mean(ratio, line, "reference", scores, share)
    base = own[own["line"] == REFERENCE].sort_values("draw")[SCORE].to_numpy()
    gain = corrected_t(scores - base, share)
    low, high = gain.interval()
    changes = {"gain": gain.mean, "gain_low": low, "gain_high": high, "p": gain.p}
    return _mean(ratio, line, "method", scores, share).model_copy(update=changes)


def _mean(ratio: str, line: str, role: Role, scores: np.ndarray, share: float) -> Line:
    found = corrected_t(scores, share)
    low, high = found.interval()
    return Line(of=ratio, line=line[0].upper() + line[1:], role=role, score=found.mean,
                low=max(low, 0.0), high=min(high, 1.0))  # fmt: skip


IMBALANCE = Kind(
    name="imbalance",
    title="Light networks where a class is rare",
    help="Thins one of two classes out to 1:1, 1:5 and 1:20 and asks whether two light networks "
    "joined (SqueezeNet on gene-images, three convolutions) help over a linear model with class "
    "weights, beside each of them alone and their mean.",
    reference="Garg and Singh 2023, Transfer learning based lightweight ensemble model for "
    "imbalanced breast cancer classification, doi:10.1109/TCBB.2022.3174091",
    departs="SqueezeNet instead of MobileNetV2, with random weights that stay as they are, on "
    "gene-images; a perceptron of what both see.",
    spec=ImbalanceEnquiry,
    datasets=lambda enquiry: (enquiry.cohort.dataset,),
    describe=lambda enquiry: f"{enquiry.rare} made rare",
    preview=preview_imbalance,
    ask=ask_imbalance,
)
