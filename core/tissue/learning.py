"""Predicting genes from tiles: each patient is left out in turn, and models without an image too.

Everything that is chosen or fitted (genes, scaling, penalty) is of the training patients alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.errors import InputError
from core.tissue.features import colour_features
from core.tissue.fitted import FoldModel
from core.tissue.ridge import fit_ridge
from core.tissue.scores import GeneScores, correlate
from core.tissue.spatial import moran_over_sections
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.stain import Stains, repaint_sections
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


See = Callable[[np.ndarray], np.ndarray]
"""Tiles (spots, side, side, 3) uint8 -> (spots, channels) features of a frozen network."""


class Train(Protocol):
    """What trains a network; see `core.tissue.network.trainer`."""

    def __call__(
        self, tiles: np.ndarray, train: np.ndarray, test: np.ndarray, groups: np.ndarray,
        z: np.ndarray, others: np.ndarray, *, target: Target, fold: int,
    ) -> np.ndarray:  # fmt: skip
        """What the network says of the test spots: (spots, genes) z scores.

        Args:
            tiles: (spots, side, side, 3) uint8.
            train: a mask of the training spots.
            test: of the others.
            groups: of the training spots.
            z: (training spots, genes) z scores.
            others: the same of the auxiliary genes.
            target: what the z scores are of.
            fold: from 0.
        """


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
    models: list[FoldModel]
    """Of each fold the model that looks closest; of the normalised target alone."""

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
    if not len(tissue.genes):
        raise InputError("These spots have no counts: genes can be predicted, but not learned.")
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
    see: See | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    train_network: Train | None = None,
    targets: Sequence[Target] = tuple(TARGETS),
) -> tuple[np.ndarray, dict[Target, Learned]]:
    """Predict the genes of each held-out patient by all models, under all targets.

    Args:
        tissue: the spots.
        spec: the question.
        see: what a frozen network sees of tiles, where the question names one.
        progress: told how many fits of how many are done.
        train_network: trains a network, where the question asks for that.
        targets: names in TARGETS.

    Returns:
        The genes that any fold chose, and what came of each target.

    Raises:
        InputError: there is only one patient, or patients are unknown.
    """
    folds = list(split(tissue, spec.held_out))
    chosen = [choose(tissue, train, spec) for train, _, _ in folds]
    union = np.unique(np.concatenate(chosen))
    reads, sections = tissue.spots["reads"].to_numpy(float), tissue.spots["section"].to_numpy()
    found: dict[Target, Learned] = {}
    for target in targets:
        blank = np.full((len(reads), len(union)), np.nan, np.float32)
        found[target] = Learned(target, blank, {}, {}, [])
    tiles, inputs, reference = tissue.tiles, None, None
    done, number = 0, len(targets) * len(folds)
    for fold, ((train, test, groups), genes) in enumerate(zip(folds, chosen, strict=True)):
        if spec.stain == "macenko":
            reference = Stains.fit(tissue.tiles[train])
            tiles, inputs = repaint_sections(tissue.tiles, sections, reference), None
        inputs = inputs or prepare_inputs(tissue, tiles, spec, see)
        place = np.ix_(test, np.searchsorted(union, genes))
        for target, learned in found.items():
            values = transform(tissue.counts[:, genes], reads, len(tissue.genes), target)
            scaling = Scaling.fit(values[train])
            z = scaling.apply(values)
            said, line = {"mean": np.zeros_like(z[test])}, None
            for name, block in inputs.items():
                line = fit_ridge(block[train], z[train], groups)
                said[name] = line.apply(block[test])
                done += 1
                progress(done, number * len(inputs))
            if train_network:
                others = choose_others(tissue.counts[train], genes)
                aside = transform(tissue.counts[:, others], reads, len(tissue.genes), target)[train]
                aside = Scaling.fit(aside).apply(aside)
                said["trained"], line = train_network(
                    tiles, train, test, groups, z[train], aside, target=target, fold=fold
                ), None  # fmt: skip
            learned.measured[place] = z[test]
            for name, answer in said.items():
                blank = np.full_like(learned.measured, np.nan)
                learned.predicted.setdefault(name, blank)[place] = answer
            if target == "normalised":
                left_out = np.unique(tissue.spots[spec.held_out].to_numpy()[test])
                learned.models.append(
                    FoldModel(left_out, tissue.genes[genes], scaling, line, reference)
                )
    for learned in found.values():
        for name, answer in learned.predicted.items():
            learned.scores[name] = score(tissue, learned.measured, answer)
    return tissue.genes[union], found


def choose(tissue: Tissue, train: np.ndarray, spec: TissueSpec) -> np.ndarray:
    """Positions of the genes that the training spots choose, ascending.

    Those of the highest mean count; or, among those that are found in a tenth of the spots, those
    of the highest Moran's I of the normalised expression within sections. Or those of the
    question's list that vary; raises InputError where none does.
    """
    counts = tissue.counts[train]
    if spec.gene_list:
        listed = np.flatnonzero(np.isin(tissue.genes, spec.gene_list))
        if not len(listed):
            raise InputError(
                f"None of the {len(spec.gene_list):,} listed genes is in this tissue, whose genes "
                f"are called {', '.join(tissue.genes[:3])}."
            )
        return listed[np.ptp(counts[:, listed], axis=0) > 0]
    if spec.choose == "mean":
        return choose_genes(counts, spec.genes)
    spots = tissue.spots[train]
    seen = choose_others(counts, np.array([], int))
    shares = transform(counts[:, seen], spots["reads"].to_numpy(float), 0, "normalised")
    found = moran_over_sections(
        shares, spots[["x", "y"]].to_numpy(float), spots["section"].to_numpy()
    )
    return np.sort(seen[np.argsort(-found, kind="stable")[: spec.genes]])


def prepare_inputs(
    tissue: Tissue, tiles: np.ndarray, spec: TissueSpec, see: See | None
) -> Mapping[str, np.ndarray]:
    """Name in MODELS -> (spots, features) of what is given to the ridge regression.

    Shuffled tiles are those of other spots of the same section, seen as closely as the real ones.
    """
    reads = np.log(tissue.spots["reads"].to_numpy(float))[:, None]
    colour = colour_features(tiles)
    frozen = None if see is None else see(tiles)
    closest = colour if frozen is None else frozen
    order = np.arange(len(reads))
    draw = np.random.default_rng(spec.seed)
    for section in tissue.sections:
        own = np.flatnonzero(tissue.spots["section"] == section)
        order[own] = draw.permutation(own)
    inputs = {"reads": reads, "shuffled": closest[order], "colour": colour}
    return inputs if frozen is None else {**inputs, "frozen": frozen}  # the closest one last


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
