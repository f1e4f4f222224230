"""Problems of transfer whose answer is known, because it was put in."""

from typing import Literal

import numpy as np

from core.transfer.problem import Problem

Plant = Literal["shared", "disjoint", "permuted", "opposite", "unrelated"]
"""shared: the same programs tell the classes apart in source and target; disjoint: other ones do;
permuted: the same ones, with the source's labels shuffled; opposite: the same ones, with the
source's classes swapped; unrelated: the source's programs are of other genes."""
PROGRAMS = 12
"""Sets of genes that go up and down together."""
TELLING = 3
"""Programs that tell the classes apart."""


def plant(
    seed: int,
    n: int,
    kind: Plant = "shared",
    *,
    source: int = 200,
    unlabelled: int = 60,
    test: int = 300,
    genes: int = 120,
    effect: float = 1.0,
    noise: float = 1.0,
    shift: float = 0.0,
    source_share: float = 0.5,
    target_share: float = 0.5,
    numbers: bool = False,
) -> tuple[Problem, np.ndarray, np.ndarray]:
    """A planted problem of two classes.

    Args:
        seed: of everything that is drawn.
        n: labelled target samples, both classes among them where there are two or more.
        kind: what source and target have in common.
        source: samples of the source, in two cohorts.
        unlabelled: target samples without labels.
        test: target samples that are asked about.
        genes: how many; each is of one program.
        effect: by how much each telling program differs between the classes, in SD.
        noise: SD of each gene beside its program.
        shift: SD over genes of an offset that all target samples have.
        source_share: of source samples in class 1.
        target_share: of target samples in class 1.
        numbers: label the source by the sum of the telling programs instead of classes.

    Returns:
        The problem, the classes of its test samples, and those of its unlabelled samples.
    """
    rng = np.random.default_rng(seed)
    loadings = np.zeros((PROGRAMS, genes))
    loadings[np.arange(genes) % PROGRAMS, np.arange(genes)] = rng.uniform(0.5, 1.5, genes)
    first = TELLING if kind == "disjoint" else 0
    ours, theirs = np.arange(TELLING), np.arange(first, first + TELLING)

    def draw(y: np.ndarray, telling: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        activity = rng.normal(size=(len(y), PROGRAMS))
        activity[:, telling] += effect * (y[:, None] - 0.5)
        values = activity @ of + noise * rng.normal(size=(len(y), genes))
        return values.astype(np.float32), activity[:, telling].sum(axis=1)

    def classes(number: int, share: float) -> np.ndarray:
        return rng.permutation((np.arange(number) < round(share * number)).astype(int))

    theirs_y = classes(source, source_share)
    ours_y = np.concatenate([classes(size, target_share) for size in (n, unlabelled, test)])
    other = rng.permutation(loadings.T).T if kind == "unrelated" else loadings
    theirs_x, amounts = draw(theirs_y, theirs, other)
    ours_x = draw(ours_y, ours, loadings)[0] + (shift * rng.normal(size=genes)).astype(np.float32)
    if kind == "permuted":
        order = rng.permutation(source)
        theirs_y, amounts = theirs_y[order], amounts[order]
    if kind == "opposite":
        theirs_y, amounts = 1 - theirs_y, -amounts
    ends = np.cumsum([n, unlabelled])
    problem = Problem(
        source=theirs_x,
        source_labels=amounts if numbers else theirs_y,
        source_cohorts=np.arange(source) % 2,
        target=ours_x[: ends[0]],
        target_labels=ours_y[: ends[0]],
        target_groups=np.arange(n).astype(str),
        source_groups=np.arange(source).astype(str),
        unlabelled=ours_x[ends[0] : ends[1]],
        test=ours_x[ends[1] :],
        n_classes=2,
        genes=tuple(f"gene{number}" for number in range(genes)),
        seed=seed,
    )
    return problem, ours_y[ends[1] :], ours_y[ends[0] : ends[1]]
