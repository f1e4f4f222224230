"""Calls: what a model says of each new sample, beside the plain model, and how unusual each is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from sklearn.neighbors import NearestNeighbors

from core.evaluation.intervals import interval
from core.evaluation.prior import move_to_two_groups
from core.predict.genes import match_genes
from core.predict.labelled import COVERED, Summary, conformal_sets, score_known
from core.predict.matching import MatchCard
from core.predict.model import Model
from core.predict.novelty import energy_of, share_below
from core.predict.reference import Reference
from core.predict.request import PredictRequest
from core.predict.together import prepare_parts, prepare_rows
from core.predict.why import compare_genes
from core.runs.fitted import FittedModel
from core.training.device import choose_device
from core.training.tasks import TASKS

EXPECTED = 0.05
"""Share of the model's own held-out samples that would be flagged."""
FEWEST_JUDGED = 20
"""Fewer held-out samples can't say what one in twenty is like."""


@dataclass(frozen=True)
class _Seen:
    """What one fold made of the samples."""

    answers: np.ndarray
    """(samples, outputs) as people read them"""
    linear: np.ndarray
    """(samples, outputs) of the linear model"""
    unlike: np.ndarray
    """(samples,) share of held-out samples that are less unusual"""
    energy: np.ndarray
    """(samples,) share of held-out samples whose energy score is lower"""
    places: np.ndarray
    """(samples, axes) on the principal components of the network's features"""
    gene_places: np.ndarray
    """(samples, 2) on those of the genes"""


def call(
    model: Model,
    data: AnnData,
    asked: PredictRequest,
    card: MatchCard,
    progress: Callable[[int, int], None],
) -> tuple[pd.DataFrame, pd.DataFrame, Summary]:
    """Have a model answer samples.

    Of several folds the mean of their probabilities, or values, is taken, and the median of how
    unusual a sample is to them.

    Args:
        model: its references have been measured.
        data: the samples that were asked for.
        asked: the question.
        card: how well they match.
        progress: told how many samples are done, of how many.

    Returns:
        Calls, a row a sample: sample, learned_from, called, probability, p_<class>…, disagreement
        (standard deviation of the called class's probability over folds), linear_called,
        linear_probability, l_<class>…, novelty and energy (shares of the model's own held-out
        samples that are less unusual), flagged, nearest and nearest_class (the sample most alike
        among those that were learned from), true; set, the classes that a sample of unknown class
        may be, where enough are known. Of a regression: called is the value, and
        disagreement that of the value.
        The map, a row a sample: sample, kind (training or new), class (what it is, or is called),
        x and y (principal components of the network's features), gx and gy (of the genes).
        And what comes of all together.
    """
    matched = match_genes(model, data)
    device, total = choose_device(), len(model.folds) * data.n_obs
    seen: list[_Seen] = []
    for fold, reference in zip(model.folds, model.references, strict=True):
        before = len(seen) * data.n_obs
        seen.append(
            _look(
                fold, reference, prepare_parts(fold, reference, matched.data, asked.together),
                device, lambda done, before=before: progress(before + done, total),
            )
        )  # fmt: skip

    def prepare(positions: np.ndarray) -> list[np.ndarray]:
        return [
            prepare_rows(fold, reference, matched.data, asked.together, positions)
            for fold, reference in zip(model.folds, model.references, strict=True)
        ]

    answers, linear = (
        np.mean([getattr(one, name) for one in seen], axis=0) for name in ("answers", "linear")
    )
    if asked.two_groups:
        answers, linear = move_to_two_groups(answers), move_to_two_groups(linear)
    unlike, energy = (
        np.median([getattr(one, name) for one in seen], axis=0) for name in ("unlike", "energy")
    )
    samples = data.obs_names.to_numpy().astype(str)
    known = np.full(len(samples), "")
    if asked.cohort.label is not None:
        known = data.obs[asked.cohort.label].to_numpy().astype(str)
    learned_from = np.isin(samples, card.learned_from)
    spread = np.std([one.answers for one in seen], axis=0) if len(seen) > 1 else None
    calls = pd.DataFrame({"sample": samples, "learned_from": learned_from})
    for prefix, stem, said in (("", "p_", answers), ("linear_", "l_", linear)):
        top = said.argmax(axis=1)
        best = said[np.arange(len(said)), top]
        if model.task.has_classes:
            calls[f"{prefix}called"] = np.array(model.classes)[top]
            calls[f"{prefix}probability"] = best
            calls[[f"{stem}{name}" for name in model.classes]] = said
        else:
            calls[f"{prefix}called"] = best
        if not prefix:
            calls["disagreement"] = np.nan if spread is None else spread[np.arange(len(top)), top]
    calls["novelty"], calls["energy"] = unlike, energy
    calls["flagged"] = unlike > 1 - EXPECTED
    calls["nearest"], calls["nearest_class"] = _find_nearest(model, seen[0].places)
    calls["true"] = known
    sets = None
    if model.task.has_classes:
        sets = conformal_sets(model.classes, known, answers, ~learned_from)
    if sets is not None:
        calls["set"] = sets
    patients = samples
    if asked.cohort.group is not None:
        patients = data.obs[asked.cohort.group].to_numpy().astype(str)
    flagged = int(calls["flagged"].sum())
    called = {}
    if model.task.has_classes:
        counts = calls["called"].value_counts()
        called = {name: int(counts.get(name, 0)) for name in model.classes}
    summary = Summary(
        n=len(calls),
        expected=EXPECTED,
        flagged=flagged,
        flagged_interval=interval(flagged, len(calls)),
        called=called,
        agreement=float((calls["called"] == calls["linear_called"]).mean()) if called else None,
        held_out=sum(len(reference.unlike) for reference in model.references),
        scores=score_known(model, known, answers, linear, patients, learned_from),
        genes=compare_genes(model, prepare, matched.missing, answers.argmax(axis=1), device),
        notes=_say_conditions(model, asked, known, sets),
    )
    return calls, _draw_map(model, seen[0], calls), summary


def _look(
    fold: FittedModel,
    reference: Reference,
    parts: Iterable[tuple[slice, np.ndarray]],
    device: torch.device,
    progress: Callable[[int], None],
) -> _Seen:
    """What a fold makes of samples, prepared some at a time: all of them may not fit in memory."""
    task = TASKS[fold.spec.task]
    found: list[np.ndarray] = []
    scores: list[np.ndarray] = []
    linear: list[np.ndarray] = []
    gene_places: list[np.ndarray] = []
    for _, rows in parts:
        for maps, said in fold.look(rows, device):
            found.append(reference.novelty.place(np.hstack(maps)))
            scores.append(said)
            progress(sum(map(len, scores)))
        linear.append(reference.answer(task, rows))
        gene_places.append(reference.place_genes(rows))
    places, said = np.concatenate(found), np.concatenate(scores)
    return _Seen(
        answers=fold.read_scores(said),
        linear=np.concatenate(linear),
        unlike=share_below(reference.unlike, reference.novelty.score(places)),
        energy=share_below(reference.energies, energy_of(said)),
        places=places,
        gene_places=np.concatenate(gene_places),
    )


def _find_nearest(model: Model, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids and classes of the samples that were learned from and lie nearest; empty if unknown."""
    if model.learned is None:
        nobody = np.full(len(places), "")
        return nobody, nobody
    near = NearestNeighbors(n_neighbors=1).fit(model.learned.places)
    at = near.kneighbors(places, return_distance=False)[:, 0]
    return model.learned.samples[at], model.learned.labels[at]


def _draw_map(model: Model, seen: _Seen, calls: pd.DataFrame) -> pd.DataFrame:
    """Where samples lie, on the principal components of the first fold."""
    parts = [("new", calls["sample"], calls["called"], seen.places, seen.gene_places)]
    if (learned := model.learned) is not None:
        parts.append(
            ("training", learned.samples, learned.labels, learned.places, learned.gene_places)
        )
    return pd.concat(
        pd.DataFrame(
            {
                "sample": np.asarray(samples),
                "kind": kind,
                "class": np.asarray(classes).astype(str),
                "x": places[:, 0],
                "y": places[:, 1] if places.shape[1] > 1 else 0.0,
                "gx": genes[:, 0],
                "gy": genes[:, 1],
            }
        )
        for kind, samples, classes, places, genes in parts
    )


def _say_conditions(
    model: Model, asked: PredictRequest, known: np.ndarray, sets: np.ndarray | None
) -> list[str]:
    """What a reader of the calls must know, a sentence each."""
    notes = []
    if sets is not None:
        notes.append(
            "For samples whose class isn't known stands a set of classes. It holds the true one in "
            f"at least {COVERED:.0%} of them, if the samples whose class is known are a random "
            "part of all; a class that none of these is of isn't covered."
        )
    if asked.two_groups:
        notes.append(
            "The threshold between the two classes was sought in these samples' own scores, of "
            "which it makes two groups: probabilities count from there. That is right where both "
            "classes are there in good number; samples of one class are parted as well."
        )
    fewest = min(len(reference.unlike) for reference in model.references)
    if fewest < FEWEST_JUDGED:
        notes.append(
            f"Only {fewest} held-out samples say what is usual, too few to know what one in twenty "
            "is like: of samples like them more than 5 % may be flagged."
        )
    if len(model.folds) > 1:
        notes.append(f"Answers are the mean of {len(model.folds)} networks, one of each fold.")
    classes = set(known) - {""}
    if len(known) > 1 and len(classes) == 1:
        notes.append(
            f"All samples are said to be {classes.pop()}: what they are called can be counted, but "
            "not how well classes are told apart."
        )
    return notes
