"""What a comparison of finished runs says: frozen records, as the command line prints them."""

from typing import Any

from pydantic import BaseModel, ConfigDict

REPEATS = 3
"""From so many splits on, a setup is judged by its spread over them."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class ComparedRun(_Record):
    """One run's scores, with those of baseline models on the same samples."""

    run: str
    title: str
    control: str | None
    """What makes it a control, such as 'permuted labels'; None for the others."""
    network: str
    backbone: str
    """The network's name in BACKBONES; `network` is its title."""
    split: str
    test_size: float | None
    """Test share of a single hold-out split; None of other splits."""
    augmentation: str
    settings: dict[str, Any]
    """Only those settings in which the compared runs differ, by dotted name."""
    n_test: int
    patients: int
    metrics: dict[str, float]
    interval: tuple[float, float] | None
    """95 % interval of the chosen metric, by bootstrap over patients."""
    baselines: dict[str, dict[str, float]]
    seconds: float
    parameters: int


class Difference(_Record):
    """The difference of two runs, or of a run and a baseline model, on the same samples."""

    a: str
    b: str
    points: float | None
    """Chosen metric of a minus that of b in points, such as per cent (of a mean absolute error: in
    the target's unit); None with other test samples."""
    low: float | None
    """95 % interval of the points, over patients."""
    high: float | None
    p: float | None
    """Exact McNemar p value over patients, for the accuracy only; not corrected."""
    p_holm: float | None
    """The same after Holm's correction for all differences in the list."""
    significant: bool | None
    """At 5 %, all differences in the list considered: by the corrected p; for other metrics by an
    interval that is as much wider (Bonferroni). None where neither can be told."""
    note: str
    """The same in words."""


class Setup(_Record):
    """Runs that differ in nothing but their seed, or a baseline model on the same splits."""

    name: str
    model: str
    """network, or the name of one of the task's baseline models"""
    kind: str
    """network, baseline or control"""
    runs: list[str]
    splits: int
    """How many pairs of training and test samples: seeds times folds."""
    n_test: int
    """Different samples that were held out in any of the splits."""
    mean: float
    """Chosen metric, mean over the splits."""
    low: float | None
    """95 % interval of the mean by Nadeau and Bengio's corrected t; None below 3 splits."""
    high: float | None
    best: float | None
    """Share of the shared splits on which no setup is better; None without shared splits."""
    rank: float | None
    """Mean rank over the shared splits; 1 is best."""
    first: float | None = None
    """Share of draws of patients and splits in which this network is the best; None without other
    networks on the same splits."""
    seconds: float | None = None
    """Mean time of a run; None for baseline models."""
    peak_bytes: float | None = None
    """Most memory of a run; None for baseline models, and where it was not measured."""
    parameters: int | None = None
    """Of the network; None for baseline models."""


class SetupDifference(_Record):
    """The difference of two setups over the splits that both were tested on."""

    a: str
    b: str
    splits: int
    points: float
    low: float
    high: float
    p: float
    """Corrected t test."""
    p_holm: float
    """The same after Holm's correction for all differences in the list."""
    note: str
    """Whether the difference is more than luck, by the corrected p."""
    worse: float
    """Bayesian correlated t test: chance that a is worse by more than half a point."""
    same: float
    """Chance that the two are practically the same."""
    better: float


class Tuned(_Record):
    """What it is worth to choose among the networks: on each split anew, by validation samples.

    The test samples of a split have no part in the choice, as in nested validation (Varma and Simon
    2006, doi:10.1186/1471-2105-7-91).
    """

    splits: int
    mean: float
    """Chosen metric of the chosen networks on the test samples, mean over the splits."""
    low: float
    """95 % interval of the mean by the corrected t."""
    high: float
    chosen: dict[str, int]
    """Setup -> on how many splits it was chosen, the most often chosen first."""


class Comparison(_Record):
    """Several runs and the differences between them."""

    headline: str
    task: str
    """What all of them predict: a name in TASKS."""
    metric: str
    reference: str
    """The baseline model that networks are set against: the strongest that all runs have."""
    runs: list[ComparedRun]
    equal: dict[str, Any]
    """Settings that all runs share, by dotted name."""
    effects: list[str]
    """What each setting does on runs that differ in it alone, a sentence each."""
    differences: list[Difference]
    against_baseline: list[Difference]
    """Each run against the reference model on its own samples."""
    setups: list[Setup]
    setup_differences: list[SetupDifference]
    ranking_p: float | None
    """Whether all setups rank alike over the shared splits; None with fewer than three setups."""
    critical_difference: float | None
    """Mean ranks further apart than this differ."""
    tuned: Tuned | None
    """None with fewer than two networks or three splits that all of them share."""
    notes: list[str]
