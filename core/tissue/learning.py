"""Predicting genes from tiles: each patient is left out in turn, and models without an image too.

Everything that is chosen or fitted (genes, scaling, penalty) is of the training patients alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InputError
from core.tissue.features import colour_features
from core.tissue.ridge import ridge
from core.tissue.scores import GeneScores, correlate
from core.tissue.spatial import moran_over_sections
from core.tissue.spec import TissueSpec
from core.tissue.spots import Tissue
from core.tissue.stain import normalise_stain
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
Train = Callable[
    [np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray
]
"""Tiles; masks of training and test spots; of the former their groups and the z scores of the genes
and of the others -> what a trained network says of the test spots; see
`core.tissue.network.trainer`."""


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
    reads = tissue.spots["reads"].to_numpy(float)
    found: dict[Target, Learned] = {}
    measured = {target: np.full((len(reads), len(union)), np.nan, np.float32) for target in targets}
    predicted: dict[Target, dict[str, np.ndarray]] = {target: {} for target in targets}
    tiles, inputs = tissue.tiles, None
    done, number = 0, len(targets) * len(folds)
    for (train, test, groups), genes in zip(folds, chosen, strict=True):
        if spec.stain == "macenko":
            sections = tissue.spots["section"].to_numpy()
            tiles, inputs = normalise_stain(tissue.tiles, sections, train), None
        inputs = inputs or prepare_inputs(tissue, tiles, spec, see)
        place = np.ix_(test, np.searchsorted(union, genes))
        for target in targets:
            values = transform(tissue.counts[:, genes], reads, len(tissue.genes), target)
            z = Scaling.fit(values[train]).apply(values)
            measured[target][place] = z[test]
            said = {"mean": 0.0}
            for name, block in inputs.items():
                said[name] = ridge(block[train], z[train], groups, block[test])
                done += 1
                progress(done, number * len(inputs))
            if train_network:
                others = choose_others(tissue.counts[train], genes)
                aside = transform(tissue.counts[:, others], reads, len(tissue.genes), target)[train]
                said["trained"] = train_network(
                    tiles, train, test, groups, z[train], Scaling.fit(aside).apply(aside)
                )
            for name, values in said.items():
                blank = np.full_like(measured[target], np.nan)
                predicted[target].setdefault(name, blank)[place] = values
    for target in targets:
        scores = {name: score(tissue, measured[target], v) for name, v in predicted[target].items()}
        found[target] = Learned(target, measured[target], predicted[target], scores)
    return tissue.genes[union], found


def choose(tissue: Tissue, train: np.ndarray, spec: TissueSpec) -> np.ndarray:
    """Positions of the genes that the training spots choose, ascending.

    Those of the highest mean count; or, among those that are found in a tenth of the spots, those
    of the highest Moran's I of the normalised expression within sections.
    """
    counts = tissue.counts[train]
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
