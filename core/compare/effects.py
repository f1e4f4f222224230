"""What each setting does, on runs that differ in that setting alone."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from core.compare.records import REPEATS
from core.compare.settings import UNUSED, name_levels, split_settings, without_controls
from core.evaluation.differences import corrected_t, holm
from core.evaluation.metrics import METRICS
from core.runs.outcome import Outcome


def grid_of(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The runs whose settings are compared with each other.

    Runs with permuted labels are not, nor are learning curves beside other splits. Random layouts
    are where they are crossed with the rest, else they are controls as well.
    """
    kept = [outcome for outcome in outcomes if not outcome.spec.permute_labels]
    kept = [o for o in kept if o.spec.split.kind != "learning_curve"] or kept
    return kept if kept and _is_crossed(kept) else without_controls(kept)


def _is_crossed(outcomes: Sequence[Outcome]) -> bool:
    """Whether each level of each setting was run with each level of the others."""
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    factors = [name for name in differing if name != "seed"]
    flat = [outcome.settings for outcome in outcomes]
    cells = {tuple(str(row.get(name, UNUSED)) for name in factors) for row in flat}
    levels = [len(set(level)) for level in zip(*cells, strict=True)]
    return len(cells) == np.prod(levels)


def measure_effects(outcomes: Sequence[Outcome], metric: str) -> pd.DataFrame:
    """What each setting does, on runs that differ in that setting alone.

    Compared are runs that are equal in everything else, the seed too: one of each level of the
    setting. The effect of a level is its score minus the mean over the levels, split by split.
    Other runs don't count, so that a level isn't credited with what its runs differ in beside.

    Returns:
        Columns setting, level (in words), mean, effect (points), low, high (95 % interval of the
        effect by the corrected t over splits; NaN below 3 splits), p_holm (Holm's correction for
        all settings and levels; NaN without an interval), splits, runs. Settings without such runs
        are missing.
    """
    columns = ["setting", "level", "mean", "effect", "low", "high", "p_holm", "splits", "runs"]
    differing, _ = split_settings([outcome.settings for outcome in outcomes])
    ratio = float(np.mean([outcome.test_to_train for outcome in outcomes]))
    rows: list[tuple] = []
    scale = METRICS[metric].points
    tested: list[tuple[list[int], float]] = []
    for setting in differing:
        levels, blocks = _match(outcomes, [setting])
        blocks = [block for block in blocks if len(block) == len(levels)]
        blocks = [b for b in blocks if len({len(o.result.scored) for o in b.values()}) == 1]
        if setting == "seed" or not blocks:
            continue
        scores: dict[tuple, list[np.ndarray]] = {}
        for block in blocks:
            by_level = np.array([block[level].by_fold(metric) for level in levels])
            for fold, own in enumerate(by_level.T):
                scores.setdefault((block[levels[0]].spec.seed, fold), []).append(own)
        means = np.array([np.mean(own, axis=0) for own in scores.values()])  # (splits, levels)
        gains = means - means.mean(axis=1, keepdims=True)
        first, words = len(rows), name_levels(outcomes, setting)
        for k, (level,) in enumerate(levels):
            low = high = np.nan
            if len(gains) >= REPEATS:
                found = corrected_t(gains[:, k], ratio)
                low, high = found.interval()
                if len(levels) > 2:
                    tested.append(([first + k], found.p))
                elif k:  # of two levels one mirrors the other
                    tested.append(([first, first + 1], found.p))
            rows.append((setting, words[level], means[:, k].mean(), scale * gains[:, k].mean(),
                         scale * low, scale * high, np.nan, len(gains), len(blocks)))  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    adjusted = holm(np.array([p for _, p in tested]))
    for (alike, _), p in zip(tested, adjusted, strict=True):
        table.loc[alike, "p_holm"] = p
    return table


def cross_settings(
    outcomes: Sequence[Outcome], row: str, column: str, metric: str
) -> tuple[pd.DataFrame, int]:
    """Mean scores by two settings, each cell over runs with the same rest and the same seeds.

    Of all combinations of the other settings and seeds those count that have the most cells; runs
    of others are left out, and cells that these combinations lack stay empty.

    Returns:
        The scores (levels of `row`, levels of `column`, in words), and how many runs each cell's
        mean is of.
    """
    levels, blocks = _match(outcomes, [row, column])
    found = Counter(frozenset(block) for block in blocks)
    cells = max(found, key=lambda cells: (len(cells), found[cells]))
    usable = [block for block in blocks if cells <= set(block)]
    table = pd.DataFrame(
        index=list(dict.fromkeys(level[0] for level in levels)),
        columns=list(dict.fromkeys(level[1] for level in levels)),
        dtype=float,
    )
    for cell in cells:
        table.loc[cell] = np.mean([block[cell].scores()[metric] for block in usable])
    table = table.rename(index=name_levels(outcomes, row), columns=name_levels(outcomes, column))
    return table.rename_axis(index=row, columns=column), len(usable)


def _match(
    outcomes: Sequence[Outcome], settings: Sequence[str]
) -> tuple[list[tuple[str, ...]], list[dict[tuple[str, ...], Outcome]]]:
    """All levels of some settings, and runs by level that are equal in everything else."""
    blocks: dict[tuple, dict[tuple[str, ...], Outcome]] = {}
    levels = {}
    for outcome in outcomes:
        flat = {name: str(value) for name, value in outcome.settings.items()}
        level = tuple(flat.pop(name, UNUSED) for name in settings)
        levels[level] = None
        blocks.setdefault(tuple(flat.items()), {})[level] = outcome
    return list(levels), list(blocks.values())
