"""Predicting genes from tiles: each patient is left out in turn, and models without an image too.

Everything that is chosen or fitted (genes, scaling, penalty) is of the training patients alone.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.tissue.features import colour_features
from core.tissue.ridge import ridge
from core.tissue.scores import GeneScores, correlate
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.targets import TARGETS, Scaling, Target, choose_genes, choose_others, transform

MODELS = {
    "mean": "Training mean",
    "reads": "Number of reads, no image",
    "shuffled": "Shuffled tiles",
    "colour": "Colour and texture",
    "frozen": "Frozen network",
    "trained": "Trained network",
}
"""Name -> title; from what knows nothing of the tissue to what looks closest."""


Train = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Masks of training and test spots, the former's z scores of the genes and of the others -> what a
trained network says of the test spots; see `core.tissue.network.train_network`."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What was predicted of held-out spots, under one target."""

    target: Target
    measured: np.ndarray
    """(spots, genes) z scores by the training spots of each spot's fold; NaN where a gene is not
    among those that the fold chose."""
    predicted: dict[str, np.ndarray]
    """Name in MODELS -> the same of what the model says."""
    scores: dict[str, GeneScores]
    """Name in MODELS -> correlations in each section."""

    def error(self, model: str) -> float:
        """Median over genes of the squared error, as a share of the training mean's."""
        errors = [
            np.nanmean((self.predicted[name] - self.measured) ** 2, axis=0)
            for name in (model, "mean")
        ]
        return float(np.median(errors[0] / errors[1]))


def split(tissue: Tissue, held_out: str) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Masks of training and test spots of each fold, and the groups of spots that tune.

    Raises InputError where there are not two patients, or sections, to begin with.
    """
    column = tissue.spots[held_out].to_numpy()
    if "" in column:
        raise InputError(
            "Some spots have no patient. Add a column `patient` to the table of spots, or leave "
            "sections out instead."
        )
    names = np.unique(column)
    if len(names) < 2:
        raise InputError(
            f"There is one {held_out} only ({names[0]}): nothing is left to be tested on. "
            + ("Leave sections out, or add patients." if held_out == "patient" else "Add sections.")
        )
    for name in names:
        test = column == name
        groups = column[~test]
        if len(np.unique(groups)) < 2:  # one patient left: its sections choose the penalty
            groups = tissue.spots["section"].to_numpy()[~test]
        yield ~test, test, groups


def learn(
    tissue: Tissue,
    spec: TissueSpec,
    frozen: np.ndarray | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    train_network: Train | None = None,
) -> tuple[np.ndarray, dict[Target, Learned]]:
    """Predict the genes of each held-out patient by all models, under both targets.

    Args:
        tissue: the spots.
        spec: the question.
        frozen: (spots, channels) features of a network, where the question names one.
        progress: told how many fits of how many are done.
        train_network: trains a network, where the question asks for that.

    Returns:
        The genes that any fold chose, and what came of each target.

    Raises:
        InputError: there is only one patient, or patients are unknown.
    """
    inputs = prepare_inputs(tissue, spec, frozen)
    folds = list(split(tissue, spec.held_out))
    chosen = [choose_genes(tissue.counts[train], spec.genes) for train, _, _ in folds]
    union = np.unique(np.concatenate(chosen))
    reads = tissue.spots["reads"].to_numpy(float)
    shape = (len(reads), len(union))
    names = ["mean", *inputs, *(["trained"] if train_network else [])]
    done, total = 0, len(TARGETS) * len(folds) * len(inputs)
    found = {}
    for target in TARGETS:
        measured = np.full(shape, np.nan, np.float32)
        predicted = {name: measured.copy() for name in names}
        for (train, test, groups), genes in zip(folds, chosen, strict=True):
            values = transform(tissue.counts[:, genes], reads, len(tissue.genes), target)
            z = Scaling.fit(values[train]).apply(values)
            place = np.ix_(test, np.searchsorted(union, genes))
            measured[place] = z[test]
            predicted["mean"][place] = 0
            for name, block in inputs.items():
                predicted[name][place] = ridge(block[train], z[train], groups, block[test])
                done += 1
                progress(done, total)
            if train_network:
                others = choose_others(tissue.counts[train], genes)
                aside = transform(tissue.counts[:, others], reads, len(tissue.genes), target)[train]
                predicted["trained"][place] = train_network(
                    train, test, z[train], Scaling.fit(aside).apply(aside)
                )
        scores = {name: score(tissue, measured, said) for name, said in predicted.items()}
        found[target] = Learned(target, measured, predicted, scores)
    return tissue.genes[union], found


def prepare_inputs(
    tissue: Tissue, spec: TissueSpec, frozen: np.ndarray | None
) -> Mapping[str, np.ndarray]:
    """Name in MODELS -> (spots, features) of what is given to the ridge regression.

    Shuffled tiles are those of other spots of the same section, seen as closely as the real ones.
    """
    reads = np.log(tissue.spots["reads"].to_numpy(float))[:, None]
    colour = colour_features(tissue.tiles)
    closest = colour if frozen is None else frozen
    order = np.arange(len(reads))
    draw = np.random.default_rng(spec.seed)
    for section in tissue.sections:
        own = np.flatnonzero(tissue.spots["section"] == section)
        order[own] = draw.permutation(own)
    inputs = {"reads": reads, "shuffled": closest[order], "colour": colour}
    return inputs if frozen is None else {**inputs, "frozen": frozen}


def score(tissue: Tissue, measured: np.ndarray, predicted: np.ndarray) -> GeneScores:
    """Correlations within each section; sections without a patient count as one of their own."""
    rows, patients = [], []
    for section in tissue.sections:
        own = (tissue.spots["section"] == section).to_numpy()
        known = np.isfinite(measured[own][0])
        r = np.full(measured.shape[1], np.nan)
        r[known] = correlate(measured[own][:, known], predicted[own][:, known])
        rows.append(r)
        patients.append(tissue.spots["patient"].to_numpy()[own][0] or section)
    return GeneScores(np.stack(rows), np.array(patients))
