"""What one draw gives to every method of transfer, and what a method is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from core.models.gene_networks import Trained


@dataclass(frozen=True)
class Problem:
    """One draw: everything that a method may learn from, and the samples that it is asked about.

    Genes are the same columns everywhere; values are prepared.
    """

    source: np.ndarray
    """(samples, genes) float32, of one or several source cohorts"""
    source_labels: np.ndarray
    """(samples,) numbers of the classes, or values where the source is labelled by a number"""
    source_cohorts: np.ndarray
    """(samples,) number of the source cohort that each is of"""
    target: np.ndarray
    """(n, genes) float32, the labelled target samples; none where n is 0"""
    target_labels: np.ndarray
    """(n,) numbers of their classes"""
    target_groups: np.ndarray
    """(n,) their patients, as text"""
    source_groups: np.ndarray
    """(samples,) the source samples' patients, as text"""
    unlabelled: np.ndarray
    """(samples, genes) float32, target samples that may be learned from but whose class is not
    told; never one that is tested"""
    test: np.ndarray
    """(samples, genes) float32, held-out target samples"""
    n_classes: int
    genes: tuple[str, ...]
    seed: int
    sets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Gene sets by name, of these genes alone; none where none were named"""


@dataclass(frozen=True)
class TransferMethod:
    """A way to learn from one cohort for another."""

    name: str
    title: str
    description: str
    scenario: Literal["transductive", "inductive", "unsupervised"]
    """transductive: only the source is labelled, or target samples without labels are learned from;
    inductive: some target samples are labelled; unsupervised: what is learned from the source needs
    no labels of it"""
    reference: str
    """Source of the method."""
    departs: str
    """What differs from the published one."""
    seconds: float
    """Roughly what one fit takes on one core, to say it before the start."""
    fit: Callable[[Problem], np.ndarray]
    """(test, classes) probabilities, each row adding up to 1"""
    min_target: int = 0
    """The fewest labelled target samples that it needs; 0 where it works without."""
    learns_from: Literal["classes", "numbers", "samples", "target"] = "classes"
    """What it needs of the source: classes, a number per sample, its samples alone, or nothing."""
    needs_sets: bool = False
    """Whether gene sets must be named."""
    examine: Callable[[Problem, np.ndarray], dict[str, float]] | None = None
    """What it says of itself, in words and numbers: of a problem and the classes (UNKNOWN where not
    known) of its unlabelled target samples, which it must not learn from."""
    train: Callable[[Problem], Trained] | None = None
    """The network that answers, of a method that is one: its genes are ranked by attribution."""
    version: int = 1
    """Raised when it gives other probabilities."""

    @property
    def help(self) -> str:
        """Its description, by the name that every registry's records have."""
        return self.description
