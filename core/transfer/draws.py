"""Which target patients are held out, and which are labelled: the same for every method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.errors import InputError
from core.transfer.spec import ALL, BUDGETS, Budget

UNKNOWN = -1
"""The class number of a sample whose class isn't known."""


@dataclass(frozen=True)
class Draw:
    """One draw: held-out patients, and the others in the order in which they are labelled."""

    test: np.ndarray
    """Positions of the held-out samples."""
    patients: tuple[np.ndarray, ...]
    """Positions of the samples of each other patient whose class is known."""
    others: np.ndarray
    """Positions of samples of unknown class, none of them of a held-out patient."""

    def labelled(self, n: int) -> np.ndarray:
        """Positions of the samples of the first n patients."""
        return _join(self.patients[:n])

    def unlabelled(self, n: int) -> np.ndarray:
        """Positions of the samples that may be learned from without their class."""
        return np.concatenate([_join(self.patients[n:]), self.others])


def draw(labels: np.ndarray, groups: np.ndarray, held_out: float, seed: int, number: int) -> Draw:
    """Draw patients, class by class.

    A patient is of the class of most of its samples. Of each class the share `held_out` of its
    patients is held out, at least one and not all. The others are put in an order of which each
    beginning holds the classes in their proportions, and of at least as many patients as there are
    classes, each class; so a larger budget has the patients of a smaller one.

    Args:
        labels: (samples,) class numbers, UNKNOWN where the class isn't known.
        groups: (samples,) the patients.
        held_out: share of the patients.
        seed: of all draws.
        number: of this draw.
    """
    rng = np.random.default_rng([seed, number])
    known = labels != UNKNOWN
    of = pd.Series(labels[known]).groupby(groups[known]).agg(lambda own: own.mode().iloc[0])
    held, queue = [], []
    for name in np.unique(of):
        own = rng.permutation(of.index[of == name].to_numpy())
        count = min(max(round(held_out * len(own)), 1), len(own) - 1)
        held += own[:count].tolist()
        left = own[count:]
        queue += [(place > 0, (place + 0.5) / len(left), who) for place, who in enumerate(left)]
    order = [who for *_, who in sorted(queue, key=lambda item: item[:2])]
    tested = np.isin(groups, held)
    return Draw(
        test=np.flatnonzero(known & tested),
        patients=tuple(np.flatnonzero(known & (groups == who)) for who in order),
        others=np.flatnonzero(~known & ~tested),
    )


def choose_budgets(
    asked: tuple[Budget, ...] | None, patients: int, classes: int
) -> dict[Budget, int]:
    """Budget -> number of labelled patients.

    Args:
        asked: the budgets; None for those of BUDGETS that are there.
        patients: how many there are that aren't held out.
        classes: how many there are to tell apart.

    Raises:
        InputError: more patients are asked for than there are, or fewer than there are classes.
    """
    if asked is None:
        asked = tuple(n for n in BUDGETS if n in (0, ALL) or classes <= n < patients)
    for n in asked:
        if n != ALL and n > patients:
            raise InputError(
                f"A budget of {n} target patients is above the {patients} that are there beside "
                "those held out. Name smaller budgets, or hold out fewer."
            )
        if n not in (0, ALL) and n < classes:
            raise InputError(
                f"A budget of {n} target patients can't hold all {classes} classes. Name 0, or "
                f"{classes} and more."
            )
    return {n: patients if n == ALL else int(n) for n in asked}


def _join(parts: tuple[np.ndarray, ...]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=int), *parts])
