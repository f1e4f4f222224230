"""Labels that held-out probabilities disagree with, confidently."""

import numpy as np


def confident_classes(y: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """The class that each sample's held-out probabilities confidently put in place of its own.

    Confident learning (Northcutt et al. 2021, J. Artif. Intell. Res. 70:1373): a class's threshold
    is the mean probability of it among the samples labelled so; a sample counts as the most
    probable of the classes whose threshold it reaches. That makes up for classes that a model is
    always unsure of. As in the authors' cleanlab, a sample whose own class is the most probable
    is not doubted.

    Args:
        y: (samples,) class numbers as labelled.
        proba: (samples, classes) probabilities from models that had not seen the sample.

    Returns:
        (samples,) class numbers: another class where the label is doubtful, else the own one.
    """
    classes = np.arange(proba.shape[1])
    counts = np.bincount(y, minlength=len(classes))
    sums = np.bincount(y, weights=proba[np.arange(len(y)), y], minlength=len(classes))
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    reached = np.where(proba >= thresholds - 1e-9, proba, -1.0)
    confident = reached.argmax(axis=1)
    doubtful = (reached.max(axis=1) >= 0) & (proba.argmax(axis=1) != y)
    return np.where(doubtful, confident, y)
