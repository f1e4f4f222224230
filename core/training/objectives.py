"""What a network learns: targets, loss and measurements of a task, as tensors."""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, mse_loss, one_hot

from core.training.spec import TrainingSpec

FOCUS = 2.0
"""The focal loss's exponent, as in the paper."""

Measurements = dict[str, Any]
"""What was measured in an epoch: numbers, and of a classification `validation_confusion`, true x
predicted counts."""


class Objective(Protocol):
    """What a task asks of the loop; a network's scores are (samples, outputs)."""

    def targets(self, y: Tensor, outputs: int) -> Tensor:
        """(samples, outputs) what the scores shall become, of y (samples,); may be mixed."""

    def weigh(self, y: Tensor, outputs: int, spec: TrainingSpec) -> Tensor | None:
        """(outputs,) weights of the outputs in the loss; None: all alike."""

    def loss(
        self, scores: Tensor, targets: Tensor, spec: TrainingSpec, weights: Tensor | None
    ) -> Tensor:
        """The mean loss of a batch."""

    def measure(self, scores: Tensor, y: Tensor) -> Measurements:
        """Measurements on validation samples; `validation_loss` decides which epoch is best."""

    def answers(self, scores: Tensor) -> Tensor:
        """(samples, outputs) float64 what the scores say: probabilities, or values."""


class Classes:
    """One score a class; y are class numbers."""

    def targets(self, y: Tensor, outputs: int) -> Tensor:
        """Class probabilities: 1 for the own class."""
        return one_hot(y, outputs).float()

    def weigh(self, y: Tensor, outputs: int, spec: TrainingSpec) -> Tensor | None:
        """Weights that let every class count the same in the mean loss, where that is asked for."""
        if not spec.class_weights or spec.balanced_sampling:
            return None
        counts = torch.bincount(y, minlength=outputs).clamp(min=1)
        return len(y) / (outputs * counts.float())

    def loss(
        self, scores: Tensor, targets: Tensor, spec: TrainingSpec, weights: Tensor | None
    ) -> Tensor:
        """The mean cross-entropy or focal loss of class probabilities.

        The focal loss is -sum of t (1 - p)^2 log p, with class weights (Lin et al. 2017,
        arXiv:1708.02002); the paper's sigmoids are a softmax here, and targets may be mixed.
        """
        if spec.loss == "cross_entropy":
            return cross_entropy(scores, targets, weights, label_smoothing=spec.label_smoothing)
        smooth = targets * (1 - spec.label_smoothing) + spec.label_smoothing / targets.shape[1]
        log_p = log_softmax(scores, dim=1)
        terms = smooth * (1 - log_p.exp()) ** FOCUS * log_p
        if weights is not None:
            terms = terms * weights
        return -terms.sum(dim=1).mean()

    def measure(self, scores: Tensor, y: Tensor) -> Measurements:
        """Cross-entropy, accuracy, macro F1 and the confusion matrix."""
        classes, predicted = scores.shape[1], scores.argmax(dim=1)
        confusion = torch.bincount(y * classes + predicted, minlength=classes**2)
        confusion = confusion.view(classes, classes)
        both = confusion.sum(dim=0) + confusion.sum(dim=1)
        f1 = 2 * confusion.diagonal() / both.clamp(min=1)
        return {
            "validation_loss": float(cross_entropy(scores, y)),
            "validation_accuracy": float((predicted == y).float().mean()),
            "validation_macro_f1": float(f1[both > 0].mean()),
            "validation_confusion": confusion.tolist(),
        }

    def answers(self, scores: Tensor) -> Tensor:
        """Class probabilities."""
        return torch.softmax(scores.double(), dim=1)


class Values:
    """One score, the standardised value; y are standardised values."""

    def targets(self, y: Tensor, outputs: int) -> Tensor:
        """The values, as a column."""
        return y[:, None].float()

    def weigh(self, y: Tensor, outputs: int, spec: TrainingSpec) -> None:
        """All alike."""

    def loss(
        self, scores: Tensor, targets: Tensor, spec: TrainingSpec, weights: Tensor | None
    ) -> Tensor:
        """The mean squared error, in squared SD of the training samples."""
        return mse_loss(scores, targets)

    def measure(self, scores: Tensor, y: Tensor) -> Measurements:
        """The mean squared error, and R²."""
        values, errors = y.double(), (scores[:, 0].double() - y.double()) ** 2
        spread = ((values - values.mean()) ** 2).mean().clamp(min=1e-12)
        return {
            "validation_loss": float(errors.mean()),
            "validation_r2": float(1 - errors.mean() / spread),
        }

    def answers(self, scores: Tensor) -> Tensor:
        """Standardised values."""
        return scores.double()
