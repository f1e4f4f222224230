"""Self-training: what the model is sure of among samples without labels becomes a label."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from core.transfer.methods.linear import answer
from core.transfer.problem import Problem, TransferMethod

SURE = 0.9
"""Probability from which on a class is taken as the label."""
MOST_ROUNDS = 10
FOLDS = 5


@dataclass(frozen=True)
class Round:
    """What one round of self-training did."""

    labelled: int
    """Samples without labels that had been given one before this round's model was fitted."""
    right: float
    """Share of these that is right; NaN where there are none or where nobody knows."""
    probabilities: np.ndarray
    """(test, classes) of this round's model; round 0 is the model of the true labels alone."""


@dataclass(frozen=True)
class SelfTraining:
    """Self-training from the first round to the last."""

    rounds: list[Round]
    chosen: int
    """The round whose model answers."""

    @property
    def probabilities(self) -> np.ndarray:
        """(test, classes) of the chosen round."""
        return self.rounds[self.chosen].probabilities


def self_train(
    problem: Problem,
    hidden: np.ndarray | None = None,
    *,
    judged: bool = True,
    sure: float = SURE,
    most_rounds: int = MOST_ROUNDS,
) -> SelfTraining:
    """Label samples without labels by a model that is fitted anew with them, round after round.

    The model is ridge regression, whose probabilities are calibrated by a temperature of inner
    folds before they are compared with `sure`. In each round the samples of which it is sure get
    their label, and keep it. It ends when no sample is added.

    Args:
        problem: labelled, unlabelled and test samples of the target; the source isn't used.
        hidden: (unlabelled,) their classes where they are known, for the report alone.
        judged: whether the round is chosen that predicts left-out labelled samples best, and none
            unless it beats the labels alone by more than the standard error of the difference.
            Each fifth of the patients is left out of a self-training of its own, so that no chosen
            round has seen what judges it. Otherwise the last round answers.
        sure: probability from which on a class is taken as the label.
        most_rounds: at most.
    """
    rounds = list(_train(problem, problem.test, sure, most_rounds, hidden))
    if not judged:
        return SelfTraining(rounds, len(rounds) - 1)
    losses = _judge(problem, sure, len(rounds) - 1)
    best = int(np.argmin(losses.mean(axis=1)))
    less = losses[0] - losses[best]
    surely = best > 0 and less.mean() > less.std(ddof=1) / len(less) ** 0.5
    return SelfTraining(rounds, best if surely else 0)


def _train(
    problem: Problem,
    asked: np.ndarray,
    sure: float,
    most_rounds: int,
    hidden: np.ndarray | None = None,
) -> list[Round]:
    given = np.full(len(problem.unlabelled), -1)
    ours = np.char.add("labelled ", problem.target_groups.astype(str))
    theirs = np.char.add("given ", np.arange(len(given)).astype(str))
    rounds = []
    for _ in range(most_rounds + 1):
        known = given >= 0
        right = np.nan
        if hidden is not None and known.any():
            right = float((given == hidden)[known].mean())
        said = answer(
            np.concatenate([problem.target, problem.unlabelled[known]]),
            np.concatenate([problem.target_labels, given[known]]),
            np.concatenate([ours, theirs[known]]),
            np.concatenate([asked, problem.unlabelled]),
            problem,
        )
        rounds.append(Round(int(known.sum()), right, said[: len(asked)]))
        found = said[len(asked) :]
        new = ~known & (found.max(axis=1, initial=0) >= sure)
        if not new.any():
            break
        given[new] = found[new].argmax(axis=1)
    return rounds


def _judge(problem: Problem, sure: float, most_rounds: int) -> np.ndarray:
    """(rounds, n) log loss of labelled samples by self-trainings that didn't have them.

    A self-training that ended earlier answers with its last round.
    """
    patients = np.unique(problem.target_groups)
    order = np.random.default_rng(problem.seed).permutation(patients)
    folds = np.array_split(order, min(FOLDS, len(order)))
    said = np.zeros((most_rounds + 1, len(problem.target), problem.n_classes))
    for fold in folds:
        out = np.isin(problem.target_groups, fold)
        if out.all():
            return np.zeros((1, len(problem.target)))
        part = replace(
            problem,
            target=problem.target[~out],
            target_labels=problem.target_labels[~out],
            target_groups=problem.target_groups[~out],
        )
        rounds = _train(part, problem.target[out], sure, most_rounds)
        for number in range(most_rounds + 1):
            said[number, out] = rounds[min(number, len(rounds) - 1)].probabilities
    of_truth = said[:, np.arange(len(problem.target)), problem.target_labels]
    return -np.log(of_truth.clip(1e-12))


def _fit(problem: Problem, judged: bool) -> np.ndarray:
    return self_train(problem, judged=judged).probabilities


def _examine(problem: Problem, hidden: np.ndarray, judged: bool) -> dict[str, float]:
    """Labels that were given are counted as right or wrong where the class is known."""
    known = hidden >= 0
    shown = replace(problem, unlabelled=problem.unlabelled[known])
    found = self_train(shown, hidden[known], judged=judged)
    last = found.rounds[found.chosen]
    return {
        "rounds taken": float(found.chosen),
        "unlabelled samples": float(len(shown.unlabelled)),
        "samples that got a label": float(last.labelled),
        "share of these that is right": last.right,
    }


_BASHIRI = (
    "Bashiri et al. 2022, Identifying infected patients using semi-supervised and transfer "
    "learning, JAMIA 29:1696"
)
SELF_TRAINING = TransferMethod(
    name="self_training",
    title="Self-training, as many rounds as help",
    description="Target samples without labels get the label that the model is sure of (90 %), and "
    "the model is fitted again; left-out labelled samples say how many rounds to take, and none is "
    "an answer too.",
    scenario="transductive",
    reference=_BASHIRI,
    departs="Ridge regression instead of boosted trees; probabilities are calibrated first; "
    "rounds are chosen by self-trainings without the samples that judge them, where the published "
    "script judges by samples that then join the training set; none is taken unless the gain is "
    "above its standard error.",
    seconds=0.6,
    fit=partial(_fit, judged=True),
    examine=partial(_examine, judged=True),
    min_target=4,
    learns_from="target",
    version=2,
)
SELF_TRAINING_TO_THE_END = TransferMethod(
    name="self_training_to_the_end",
    title="Self-training to the end",
    description="Self-training until no sample is left that the model is sure of, whether it helps "
    "or not.",
    scenario="transductive",
    reference=_BASHIRI,
    departs="Ridge regression instead of boosted trees; probabilities are calibrated first; "
    "ten rounds at most, with nothing that stops earlier.",
    seconds=0.1,
    fit=partial(_fit, judged=False),
    examine=partial(_examine, judged=False),
    min_target=2,
    learns_from="target",
)
