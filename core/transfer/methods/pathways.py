"""Programs of genes that follow known pathways: learned in one cohort, looked up in another.

PLIER factorises expression into latent variables whose genes are few and, where the data agree, of
few gene sets; MultiPLIER learns them from a large cohort and asks what their activities are in
other samples. What comes out is set beside measured cells (`core.transfer.programs`) or goes into
a model (`core.transfer.methods.programs`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter
from scipy.stats import false_discovery_control, mannwhitneyu

from core.errors import InputError
from core.models.gene_models import scale_of

SMALLEST = 10
"""Genes of a set, fewer say too little."""
CANDIDATES = 10
"""Sets at most that a latent variable chooses from."""
RIDGE = 5.0
"""Regularisation of the inverse of the sets' memberships."""
SHARE = 0.7
"""Of latent variables that should have a set; the penalty is chosen to come near."""
PENALTIES = np.exp(np.linspace(-4, -12, 17))
WITHOUT_SETS = 20
"""Rounds before sets are looked at."""
MOST_ROUNDS = 350
CLOSE = 1e-6
HIDDEN = 5
"""One in so many genes of each set is hidden, to see whether its latent variable finds them."""


@dataclass(frozen=True)
class Programs:
    """Latent variables of a cohort, tied to gene sets."""

    genes: tuple[str, ...]
    loadings: np.ndarray
    """(genes, variables), none negative"""
    sets: tuple[str, ...]
    memberships: np.ndarray
    """(sets, variables), how much of each set is in each variable; none negative, most 0"""
    activities: np.ndarray
    """(samples, variables) in the cohort that it was learned from"""
    ridge: float
    """Penalty of activities, which those of other samples get too."""
    rounds: int
    hidden_auc: dict[tuple[str, int], float]
    """Set and variable -> AUROC of the set's hidden genes among genes outside of the set"""
    hidden_fdr: dict[tuple[str, int], float]
    """The same -> its false discovery rate (one-sided Mann-Whitney test, Benjamini-Hochberg)"""

    def named(self, word: str) -> int:
        """The variable in which sets whose name has this word weigh most.

        Chosen by name alone, not by what it correlates with; only letters and digits count, so that
        `Plasma cell` is in `IRIS_PlasmaCell`.

        Raises:
            InputError: no variable has such a set.
        """
        rows = [number for number, name in enumerate(self.sets) if has_word(name, word)]
        weight = self.memberships[rows].sum(axis=0)
        if not rows or weight.max() == 0:
            found = sorted({self.sets[row] for row in self.memberships.sum(axis=1).nonzero()[0]})
            raise InputError(
                f"No latent variable has a gene set named {word!r}. They have: "
                f"{', '.join(found) or 'none'}."
            )
        return int(weight.argmax())

    def activities_of(self, scaled: np.ndarray) -> np.ndarray:
        """(samples, variables) of samples whose genes (all of these) were standardised before."""
        return _activities(self.loadings, scaled.T.astype(float), self.ridge).T

    def project(self, x: np.ndarray, genes: Sequence[str]) -> np.ndarray:
        """(samples, variables) activities in other samples.

        Genes are standardised in these samples; one that wasn't measured counts as its mean.
        """
        mean, spread = scale_of(x)
        place = {gene: number for number, gene in enumerate(genes)}
        known = [number for number, gene in enumerate(self.genes) if gene in place]
        if not known:
            raise InputError(
                f"None of the {len(self.genes):,} genes of the latent variables is among the "
                f"{len(genes):,} of these samples. Both must use the same kind of ids."
            )
        y = np.zeros((len(self.genes), len(x)))
        columns = [place[self.genes[number]] for number in known]
        y[known] = (((x - mean) / spread)[:, columns]).T
        return _activities(self.loadings, y, self.ridge).T


def has_word(name: str, word: str) -> bool:
    """Whether a set's name has a word, of which only letters and digits count."""
    name, word = ("".join(filter(str.isalnum, text.lower())) for text in (name, word))
    return bool(word) and word in name


def learn_programs(
    x: np.ndarray,
    genes: Sequence[str],
    sets: Mapping[str, Collection[str]],
    variables: int | None = None,
    seed: int = 0,
) -> Programs:
    """Factorise a cohort into latent variables that follow gene sets.

    Mao et al. 2019, Pathway-level information extractor (PLIER) for gene expression data, Nature
    Methods 16:607; Taroni et al. 2019, MultiPLIER, Cell Systems 8:380. Written from the formulas:
    the least |Y - ZB|^2 + L1 |Z - CU|^2 + L2 |B|^2 with Z and U not negative, U sparse. Other than
    in the R package, genes in no set are kept, and the penalty of U is chosen from 17 values.

    Args:
        x: (samples, genes) of log scale.
        genes: their names.
        sets: name -> genes, such as of a GMT file.
        variables: how many latent variables; by the bend of the singular values where not given.
        seed: of the draw of hidden genes.

    Raises:
        InputError: no set has at least ten of the genes.
    """
    mean, spread = scale_of(np.asarray(x, dtype=float))
    y = ((x - mean) / spread).T
    known = {gene: number for number, gene in enumerate(genes)}
    members = {name: [known[gene] for gene in own if gene in known] for name, own in sets.items()}
    members = {name: rows for name, rows in members.items() if len(rows) >= SMALLEST}
    if not members:
        raise InputError(
            f"None of the {len(sets)} gene sets has at least {SMALLEST} of the {len(genes):,} "
            "genes. Take larger sets, or sets that use the same kind of ids."
        )
    full, shown = (np.zeros((len(genes), len(members))) for _ in range(2))
    rng = np.random.default_rng(seed)
    for column, rows in enumerate(members.values()):
        full[rows, column] = 1
        shown[rng.permutation(rows)[len(rows) // HIDDEN :], column] = 1
    _, sizes, turned = np.linalg.svd(y, full_matrices=False)
    k = variables or min(2 * _count_components(sizes), int(0.9 * len(x)))
    ridge = sizes[k - 1]
    pull = ridge / 2
    b = sizes[:k, None] * turned[:k]
    u, z, rounds = _alternate(y, shown, b, pull, ridge)
    b = _activities(z, y, ridge)
    aucs, fdrs = _judge_hidden(z, u, full, shown, list(members))
    return Programs(tuple(genes), z, tuple(members), u, b.T, float(ridge), rounds, aucs, fdrs)


def _alternate(
    y: np.ndarray, c: np.ndarray, b: np.ndarray, pull: float, ridge: float
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sets' weights (sets, variables), loadings (genes, variables) and rounds taken."""
    inverse = np.linalg.solve(c.T @ c + RIDGE * np.eye(c.shape[1]), c.T)
    u = np.zeros((c.shape[1], len(b)))
    penalty, last, grew = None, np.inf, 0
    for done in range(1, MOST_ROUNDS + 1):
        aim = y @ b.T + pull * (c @ u)
        z = np.maximum(0, np.linalg.solve(b @ b.T + pull * np.eye(len(b)), aim.T).T)
        if done > WITHOUT_SETS:
            if penalty is None or done % WITHOUT_SETS == 0:
                penalty = _choose_penalty(z, c, inverse)
            u = _weigh_sets(z, c, inverse, [penalty])[0]
        before, b = b, _activities(z, y, ridge)
        change = np.square(b - before).sum() / np.square(before).sum()
        grew = grew + 1 if change > last else 0
        last = change
        if done > 2 * WITHOUT_SETS and (change < CLOSE or grew > 5):
            break
    return u, z, done


def _activities(z: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """(variables, samples)"""
    return np.linalg.solve(z.T @ z + ridge * np.eye(z.shape[1]), z.T @ y)


def _count_components(sizes: np.ndarray) -> int:
    """Where singular values stop bending: their second differences are no larger than usual."""
    bends = median_filter(np.abs(np.diff(sizes, 2)), 3, mode="nearest")
    return int(np.flatnonzero(bends <= np.median(bends))[0]) + 2


def _weigh_sets(
    z: np.ndarray, c: np.ndarray, inverse: np.ndarray, penalties: Sequence[float]
) -> list[np.ndarray]:
    """(sets, variables) of an elastic net that explains each variable's loadings, per penalty."""
    from sklearn.linear_model import enet_path

    found = np.zeros((len(penalties), c.shape[1], z.shape[1]))
    for number, best in enumerate(np.argsort(-(inverse @ z), axis=0)[:CANDIDATES].T):
        own = c[:, best] - c[:, best].mean(axis=0)
        aim = z[:, number] - z[:, number].mean()
        if not aim.any():
            continue
        weights = enet_path(
            own, aim, l1_ratio=0.9, alphas=penalties, positive=True, precompute=own.T @ own,
            Xy=own.T @ aim,
        )[1]  # fmt: skip
        found[:, best, number] = weights.T
    return list(found)


def _choose_penalty(z: np.ndarray, c: np.ndarray, inverse: np.ndarray) -> float:
    shares = [(u > 0).any(axis=0).mean() for u in _weigh_sets(z, c, inverse, PENALTIES)]
    return float(PENALTIES[np.abs(np.array(shares) - SHARE).argmin()])


def _judge_hidden(
    z: np.ndarray, u: np.ndarray, full: np.ndarray, shown: np.ndarray, names: list[str]
) -> tuple[dict, dict]:
    """AUROC and FDR of each set's hidden genes in each variable that has the set."""
    aucs, ps = {}, []
    for row, column in zip(*u.nonzero(), strict=True):
        hidden = full[:, row] > shown[:, row]
        inside, outside = z[hidden, column], z[full[:, row] == 0, column]
        test = mannwhitneyu(inside, outside, alternative="greater")
        aucs[names[row], int(column)] = float(test.statistic / (len(inside) * len(outside)))
        ps.append(test.pvalue)
    fdrs = false_discovery_control(ps) if ps else []
    return aucs, dict(zip(aucs, map(float, fdrs), strict=True))
