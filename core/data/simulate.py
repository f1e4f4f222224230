"""A simulated cohort with known answers: five tumour types, and the genes that make them."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core.errors import InputError
from core.files import write_atomic

TYPES = {"BRCA": 878, "KIRC": 537, "LUAD": 162, "LUSC": 240, "UCEC": 269}
"""Tumour types and their sizes in the data of the paper (DOI 10.17632/sf5n64hydt.1)."""
MARKERS = 10
"""Well-known markers of each type at the head of the list of symbols."""
BATCHES = 4
GENES_A_MODULE = 20
SECOND_SAMPLES = 0.1
"""Share of the samples that are a second one of a patient."""
MIXED = 0.1
"""Share of the samples with much tissue of another tumour type in them: what keeps it hard."""
PLANTED = 0.04
"""Share of all genes that mark one type."""
PROGRAMS = 3
"""Groups in which a type's planted genes are switched on together."""


def simulate(samples: int = 600, genes: int = 1000, seed: int = 0) -> tuple[AnnData, pd.DataFrame]:
    """Draw counts of five tumour types, deterministic in all three arguments.

    Genes belong to modules that rise and fall together. Each type has planted genes in three
    programs, as a tissue has its markers: two thirds of them higher and one third lower in it, by
    1 to 3 in log2 on average, a program more strongly in one sample than in another. Counts are
    negative binomial with dispersion falling with the mean, on top of library size (a factor of
    about 2), a batch effect on every gene, and a few samples that are mixtures of two types.

    Args:
        samples: how many samples, at least 50.
        genes: how many genes, 200 to 5000.
        seed: where random numbers start.

    Returns:
        The dataset with the columns tumour_type, patient and batch, and a table of the planted
        genes: gene, class, direction (up or down), effect (log2 fold change).

    Raises:
        InputError: a number out of its bounds.
    """
    symbols = read_symbols()
    if not 50 <= samples <= 20_000:
        raise InputError(f"samples must be between 50 and 20000, got {samples}.")
    if not 200 <= genes <= len(symbols):
        raise InputError(f"genes must be between 200 and {len(symbols)}, got {genes}.")
    rng = np.random.default_rng([seed, samples, genes])
    names = _choose_symbols(symbols, genes, rng)

    y = _draw_types(samples, rng)
    patient = _draw_patients(y, rng)
    batch = rng.integers(BATCHES, size=samples)
    effects, programs = _plant(names, rng)

    module = rng.integers(max(2, genes // GENES_A_MODULE), size=genes)
    activity = rng.normal(size=(samples, module.max() + 1))
    loading = rng.uniform(0.3, 0.9, genes)
    log2 = rng.uniform(3, 9, genes) + activity[:, module] * loading
    log2 += rng.normal(scale=0.6, size=(samples, genes))
    log2 += rng.normal(scale=0.3, size=(BATCHES, genes))[batch]
    share = _draw_shares(y, rng)
    strength = rng.gamma(8, 1 / 8, (samples, PROGRAMS))
    for program in range(PROGRAMS):
        log2 += strength[:, [program]] * (share @ (effects * (programs == program)))

    expected = 2.0**log2
    library = rng.lognormal(np.log(1e6 * genes / 5000), 0.35, samples)
    expected *= (library / expected.sum(axis=1))[:, None]
    dispersion = 0.05 + 1 / np.maximum(expected, 1)
    counts = rng.poisson(rng.gamma(1 / dispersion, expected * dispersion)).astype(np.float32)

    classes = np.array(list(TYPES))
    data = AnnData(
        counts,
        obs=pd.DataFrame(
            {
                "tumour_type": classes[y],
                "patient": patient,
                "batch": [f"batch {number + 1}" for number in batch],
            },
            index=pd.Index([f"S{number + 1:04d}" for number in range(samples)]),
        ),
        var=pd.DataFrame(index=pd.Index(names)),
    )
    data.uns = {
        "scale": "counts",
        "source": "simulated",
        "notes": [
            f"Simulated counts with {np.count_nonzero(effects)} planted marker genes (seed {seed})."
        ],
    }
    return data, _describe_effects(effects, names)


def write_simulated(data: AnnData, path: Path) -> None:
    """Write a simulated dataset as CSV: sample, tumour_type, patient, batch, then counts."""
    counts = pd.DataFrame(data.X.astype(int), index=data.obs_names, columns=data.var_names)
    table = pd.concat([data.obs, counts], axis=1).rename_axis("sample")
    write_atomic(path, lambda temporary: table.to_csv(temporary))


@cache
def read_symbols() -> list[str]:
    """Gene symbols that simulated genes are named after; markers of the five types first."""
    lines = (Path(__file__).parent / "symbols.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def _choose_symbols(symbols: list[str], genes: int, rng: np.random.Generator) -> np.ndarray:
    """All markers and a random choice of the others, in random order."""
    head = MARKERS * len(TYPES)
    others = rng.choice(symbols[head:], genes - head, replace=False)
    return rng.permutation(np.concatenate([symbols[:head], others]))


def _draw_types(samples: int, rng: np.random.Generator) -> np.ndarray:
    """Types in the paper's proportions, at least 6 samples each, in random order."""
    sizes = np.array(list(TYPES.values()))
    counts = np.maximum(np.floor(samples * sizes / sizes.sum()).astype(int), 6)
    counts[0] += samples - counts.sum()
    return rng.permutation(np.repeat(np.arange(len(TYPES)), counts))


def _draw_patients(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A patient for each sample; some have a second sample, of the same type."""
    patient = rng.permutation(len(y)) + 1
    for k in range(len(TYPES)):
        members = np.flatnonzero(y == k)
        pairs = int(SECOND_SAMPLES * len(members))
        patient[members[:pairs]] = patient[members[pairs : 2 * pairs]]
    return np.array([f"P{number:04d}" for number in patient])


def _draw_shares(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(samples, types) shares of the tissues in each sample; the mixed ones are spread evenly.

    Every type has its share of mixed samples, and parts of other tissue run evenly from little to
    more than half, so that all seeds are about equally hard.
    """
    share = np.eye(len(TYPES))[y]
    by_type = np.lexsort((rng.random(len(y)), y))
    mixed = by_type[np.linspace(0, len(y) - 1, round(MIXED * len(y))).round().astype(int)]
    other = (y[mixed] + rng.integers(1, len(TYPES), len(mixed))) % len(TYPES)
    part = rng.permutation(np.linspace(0.3, 0.7, len(mixed)))[:, None]
    share[mixed] = (1 - part) * share[mixed] + part * np.eye(len(TYPES))[other]
    return share


def _plant(names: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Mean effects (types, genes) in log2, 0 for genes that don't mark a type; and programs.

    A type's planted genes are its known markers and as many others as are wanted. The programs
    (genes,) say which of the groups of a type a gene belongs to.
    """
    markers = np.array(read_symbols()[: MARKERS * len(TYPES)]).reshape(len(TYPES), MARKERS)
    free = rng.permutation(np.flatnonzero(~np.isin(names, markers)))
    wanted = max(2, round(PLANTED * len(names)))
    effects = np.zeros((len(TYPES), len(names)))
    for k in range(len(TYPES)):
        own = rng.permutation(np.flatnonzero(np.isin(names, markers[k])))[:wanted]
        others, free = free[: wanted - len(own)], free[wanted - len(own) :]
        chosen = np.concatenate([own, others])
        size = rng.uniform(1, 3, len(chosen))
        down = np.arange(len(chosen)) % 3 == 2
        effects[k, chosen] = np.where(down, -size, size)
    return effects, rng.integers(PROGRAMS, size=len(names))


def _describe_effects(effects: np.ndarray, names: np.ndarray) -> pd.DataFrame:
    kind, gene = np.nonzero(effects)
    values = effects[kind, gene]
    return pd.DataFrame(
        {
            "gene": names[gene],
            "class": np.array(list(TYPES))[kind],
            "direction": np.where(values > 0, "up", "down"),
            "effect": np.round(values, 4),
        }
    )
