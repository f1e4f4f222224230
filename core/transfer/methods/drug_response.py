"""From a number in cell lines, such as an IC50, to a class in patients: AITL."""

import numpy as np

from core.errors import InputError
from core.transfer.problem import Problem, TransferMethod

FEATURES, SHARED = 128, 64
"""Units of the feature extractor and of the layer that both tasks share."""
GLOBAL, BY_CLASS = 0.2, 0.4
"""Weights of the global discriminator and of the class-wise ones."""
DROPOUT = 0.4
EPOCHS = 40
BATCH = 32


def fit_numbers_to_classes(
    problem: Problem, overall: float = GLOBAL, by_class: float = BY_CLASS
) -> np.ndarray:
    """(test, classes) probabilities of a network that learns numbers there and classes here.

    One feature extractor serves both cohorts. Discriminators behind a gradient reversal tell source
    from target over all samples, and within each class, where a source sample counts as the class
    whose predicted probability is furthest above its batch's mean.

    Args:
        problem: a source that is labelled by numbers, and a target of classes.
        overall: weight of the discriminator of all samples.
        by_class: weight of those within classes.

    Raises:
        InputError: the source is labelled by classes.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    from core.models import gene_networks

    values = problem.source_labels
    if not np.issubdtype(values.dtype, np.floating):
        raise InputError(
            "This method learns a number from the source, such as an IC50, and the source is "
            "labelled by classes. Take a column of numbers as the source's label."
        )
    mean, spread = gene_networks.one_scale(problem.source, problem.target)
    rng = np.random.default_rng(problem.seed)
    shares = 1 / np.bincount(problem.target_labels, minlength=problem.n_classes).clip(1)
    chances = shares[problem.target_labels]
    chances /= chances.sum()
    with gene_networks.repeatable(problem.seed):
        there = gene_networks.as_tensor((problem.source - mean) / spread)
        amounts = gene_networks.as_tensor((values - values.mean()) / (values.std() or 1))
        here, classes = gene_networks.tensors(
            (problem.target - mean) / spread, problem.target_labels
        )
        features = nn.Sequential(
            nn.Linear(there.shape[1], FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU(),
            nn.Dropout(DROPOUT),
        )  # fmt: skip
        shared = nn.Sequential(
            nn.Linear(FEATURES, SHARED), nn.BatchNorm1d(SHARED), nn.Dropout(DROPOUT), nn.ReLU()
        )
        of_numbers, of_classes = nn.Linear(SHARED, 1), nn.Linear(SHARED, problem.n_classes)
        judges = nn.ModuleList(nn.Linear(FEATURES, 1) for _ in range(problem.n_classes + 1))

        def tell(judge: nn.Module, x: torch.Tensor, from_target: torch.Tensor) -> torch.Tensor:
            said = judge(gene_networks.reverse_gradient(x))[:, 0]
            return functional.binary_cross_entropy_with_logits(said, from_target)

        def loss(rows: torch.Tensor) -> torch.Tensor:
            drawn = torch.from_numpy(rng.choice(len(here), len(rows), p=chances))
            x = features(torch.cat([there[rows], here[drawn]]))
            z = shared(x)
            theirs, own = z[: len(rows)], z[len(rows) :]
            total = functional.mse_loss(of_numbers(theirs)[:, 0], amounts[rows])
            total = total + functional.cross_entropy(of_classes(own), classes[drawn])
            from_target = (torch.arange(len(x)) >= len(rows)).float()
            total = total + overall * tell(judges[-1], x, from_target)
            guessed = torch.softmax(of_classes(theirs), dim=1).detach()
            of = torch.cat([(guessed - guessed.mean(dim=0)).argmax(dim=1), classes[drawn]])
            for number in range(problem.n_classes):
                if (of == number).any():
                    chosen = of == number
                    total = total + by_class * tell(judges[number], x[chosen], from_target[chosen])
            return total

        everything = nn.ModuleList([features, shared, of_numbers, of_classes, judges])
        gene_networks.train(everything, loss, len(there), problem.seed, EPOCHS, batch=BATCH)
        return gene_networks.probabilities(
            lambda x: of_classes(shared(features(x))), (problem.test - mean) / spread
        )


NUMBERS_TO_CLASSES = TransferMethod(
    name="numbers_to_classes",
    title="From numbers to classes (AITL)",
    description="A network learns a number from the source, such as the dose that halves growth in "
    "cell lines, and a class from the target, such as response, with features that don't tell the "
    "two apart.",
    scenario="inductive",
    reference="Sharifi-Noghabi et al. 2020, AITL: adversarial inductive transfer learning with "
    "input and output space adaptation for pharmacogenomics, Bioinformatics 36:i380",
    departs="128 and 64 units instead of up to 1,024; AdamW at 1e-3 for 40 passes instead of "
    "Adagrad with rates per drug; any number of classes.",
    seconds=1.1,
    fit=fit_numbers_to_classes,
    min_target=4,
    learns_from="numbers",
)
