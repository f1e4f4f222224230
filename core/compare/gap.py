"""Why a network may be below the plain model: where it loses, and what is known to cost."""

import numpy as np

from core.runs.fitted import load_fitted
from core.runs.result import load_result, load_scored, load_spec
from core.training.augmentations import AUGMENTATIONS
from core.training.tasks import TASKS

FEW = 30
"""With half as many training samples per class, a network was ten points behind
(benchmarks/results/recipes.md)."""
FALLING = 0.02
"""Share by which the validation loss still fell in the last tenth of the epochs."""


def explain_gap(run: str) -> list[str]:
    """Sentences on why a finished run may be below the reference model, the facts first.

    Empty where it isn't below, by however little. What is said of settings was measured
    (benchmarks/results/recipes.md).

    Raises:
        InputError: the run has no result.
    """
    result, spec = load_result(run), load_spec(run)
    said = TASKS[spec.task].explain_gap(result, load_scored(run))
    if said is None:
        return []
    if spec.network.is_solved:
        said.append(
            "A linear head contains the linear model of the genes, and is below it by what "
            "choosing shares for the maps costs, or by luck."
        )
        return said
    each = result.n_train / len(result.classes)
    if len(result.classes) > 1 and each < FEW:
        said.append(
            f"There are about {each:.0f} training samples per class, and a network has more to "
            "learn from them than a linear model."
        )
    histories = [load_fitted(run, k).history for k in result.scored]
    losses = [[row["validation_loss"] for row in history] for history in histories]
    if all(_falls(fold) for fold in losses):
        said.append("The validation loss was still falling at the end: more epochs may help.")
    known = {
        "geometric augmentation moves genes to other genes' places": AUGMENTATIONS[
            spec.training.augmentation
        ].warning,
        "torchvision's own head forgets where on the image something was": spec.network.head
        == "torchvision",
        "a network from random weights needs more samples": spec.network.weights == "scratch",
    }
    if costs := [words for words, holds in known.items() if holds]:
        said.append(f"Known to cost accuracy: {'; '.join(costs)}.")
    return said


def _falls(losses: list[float]) -> bool:
    """Whether the losses of the last tenth of the epochs are clearly below those before."""
    tenth = max(1, len(losses) // 10)
    if len(losses) < 2 * tenth:
        return False
    last, before = np.mean(losses[-tenth:]), np.mean(losses[-2 * tenth : -tenth])
    return bool(last < (1 - FALLING) * before)
