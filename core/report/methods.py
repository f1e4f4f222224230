"""The methods paragraphs of a run, ready for a paper, with its numbers and sources."""

from collections.abc import Sequence

import numpy as np
from anndata import AnnData

from core.compare.detail import name_model
from core.compare.settings import say_value
from core.explain.methods import BASELINE_PROFILES, METHODS, Recipe
from core.images.layouts import LAYOUTS
from core.report.references import Bibliography
from core.runs.explaining import SAMPLES_PER_CLASS
from core.runs.fitted import FittedModel
from core.runs.result import RunResult
from core.runs.spec import RunSpec
from core.training.augmentations import AUGMENTATIONS
from core.training.tasks import TASKS

SOFTWARE = {
    "torch": "Paszke et al. 2019",
    "scikit-learn": "Pedregosa et al. 2011",
}
"""Libraries of a result's `versions` that ask to be cited."""
CHANNELS = {
    "value": "a gene's value filled all three colour channels",
    "value_z_rank": "the three colour channels held a gene's value, its distance from the training "
    "mean in SD, and its rank within the sample",
}


def describe_samples(spec: RunSpec, data: AnnData | None, labels: np.ndarray, name: str) -> str:
    """Which samples, of whom."""
    cohort = spec.cohort
    if data is None:
        return f"Samples were those of the dataset “{name}” (SHA-256 {cohort.dataset})."
    patients = ""
    if cohort.group is not None:
        patients = f" of {data.obs[cohort.group].nunique():,} patients"
    what = f"Their {cohort.label} was predicted as a number."
    if TASKS[spec.task].has_classes:
        classes, counts = np.unique(labels, return_counts=True)
        listed = ", ".join(f"{each} {n:,}" for each, n in zip(classes, counts, strict=True))
        what = f"Their {cohort.label} was predicted, one of {len(classes)} classes ({listed})."
    chosen = f" ({say_value('cohort.where', cohort.where)})" if cohort.where else ""
    permuted = " Labels were permuted among the samples, as a control." * spec.permute_labels
    return (
        f"Expression of {data.n_vars:,} genes in {data.n_obs:,} samples{patients} was taken from "
        f"the dataset “{name}”{chosen}. {what}{permuted}"
    )


def describe_preparation(spec: RunSpec, fitted: FittedModel, books: Bibliography) -> str:
    """How expression became prepared values."""
    prepared = fitted.preprocessor
    steps = spec.preparation.describe(prepared.scale)
    sources = []
    if prepared.scale == "counts" and spec.preparation.library == "tmm":
        sources.append("Robinson and Oshlack 2010")
    if spec.preparation.across == "quantile":
        sources.append("Bolstad et al. 2003")
    return (
        "Expression was prepared in these steps, in this order, and whatever is learned from "
        "samples was learned from the training and validation samples of each split alone: "
        f"{'; '.join(steps)}{books.cite(*sources)}. {len(prepared.genes):,} of "
        f"{len(prepared.all_genes):,} genes were used."
    )


def describe_image(spec: RunSpec, fitted: FittedModel, books: Bibliography) -> str:
    """How prepared values became an image."""
    method, network = LAYOUTS[spec.layout.name], spec.network
    rows, columns = fitted.layout.shape
    learned = (
        "It was fitted to the training and validation samples"
        if method.learns
        else "It doesn't depend on the expression of any sample"
    )
    return (
        f"Each sample's profile was painted as an image of {network.image_size} x "
        f"{network.image_size} pixels. A gene's place on a canvas of {rows} x {columns} followed "
        f"from the layout “{method.title}”{books.cite(method.reference)}: {_lower(method.help)} "
        f"{learned}; {CHANNELS[network.channels]}."
    )


def describe_network(
    spec: RunSpec, result: RunResult, folds: Sequence[FittedModel], books: Bibliography
) -> list[str]:
    """The network, its head, and how that learned."""
    network = spec.network
    record = network.record
    frozen = {
        "nothing": "All of its layers were trained.",
        "backbone": "Its own layers were kept as they are; only the head learned.",
    }.get(network.freeze, f"Its layers up to the stage {network.freeze} were kept as they are.")
    start = (
        f"Images were given to {record.title}{books.cite(record.reference)}, "
        f"{result.parameters / 1e6:.1f} million parameters. Initial weights: "
        f"{_end(_lower(result.weights))} {frozen}"
    )
    return [start, _describe_solving(spec, books) if network.is_solved
            else _describe_training(spec, result, folds, books)]  # fmt: skip


def _describe_solving(spec: RunSpec, books: Bibliography) -> str:
    products = ", of the products of each two genes" if spec.network.products else ""
    family = "ridge and multinomial logistic regression"
    if not TASKS[spec.task].has_classes:
        family = "ridge regression"
    return (
        f"The head is a linear model of the genes{products} and of the maps of all stages of the "
        f"network, solved exactly{books.cite('Alain and Bengio 2016')}. Inner products of samples "
        "were summed over the genes and the maps, each with a share"
        f"{books.cite('Gönen and Alpaydın 2011')}; shares, penalty and the family, "
        f"{family}{books.cite('Hoerl and Kennard 1970')}, were chosen on five inner folds of the "
        "training and validation samples that keep patients together, where a map was given a "
        "share only if the loss fell by more than its standard error. The head was then fitted on "
        "all training and validation samples."
    )


def _describe_training(
    spec: RunSpec, result: RunResult, folds: Sequence[FittedModel], books: Bibliography
) -> str:
    training, network = spec.training, spec.network
    augmentation = AUGMENTATIONS[training.augmentation]
    head = {
        "scales": f"The head looks at the maps of all stages, averaged to at most {network.pool} x "
        f"{network.pool} places, so that it knows where on the image something was seen.",
        "position": f"The head looks at the last map, averaged to at most {network.pool} x "
        f"{network.pool} places, so that it knows where on the image something was seen.",
    }.get(network.head, "The head is the network's own classifier.")
    epochs = [len(fold.history) for fold in folds]
    took = f"{min(epochs)}" if min(epochs) == max(epochs) else f"{min(epochs)} to {max(epochs)}"
    took += " epochs" if max(epochs) > 1 else " epoch"
    said = [
        f"{head} The network was trained for {took} of batches of {training.batch_size} "
        f"with AdamW{books.cite('Loshchilov and Hutter 2019')}: weight decay "
        f"{training.weight_decay:g}, a learning rate that rose linearly to {spec.learning_rate:g} "
        "in the first tenth of the steps and fell to zero along half a cosine, gradients clipped "
        f"at a norm of 1, dropout of {network.dropout:g} before the head."
    ]
    if TASKS[spec.task].has_classes:
        loss = "cross-entropy"
        if training.loss == "focal":
            loss = f"the focal loss{books.cite('Lin et al. 2017')}"
        weighed = ""
        if training.balanced_sampling:
            weighed = "; samples of rare classes were drawn as often as those of frequent ones"
        elif training.class_weights:
            weighed = "; rare classes counted as much as frequent ones"
        said.append(
            f"The loss was {loss} with label smoothing of {training.label_smoothing:g}{weighed}."
        )
    if augmentation.name == "none":
        said.append("Training samples were not augmented.")
    else:
        said.append(
            f"Training samples were augmented (“{augmentation.title}”"
            f"{books.cite(augmentation.reference)}): {_lower(augmentation.help)}"
        )
    said.append(
        "The weights of the epoch of lowest validation loss were kept."
        if training.keep == "best"
        else "The weights at the end of training were kept."
    )
    if training.patience:
        said.append(
            f"Training stopped when the validation loss had not fallen for {training.patience} "
            "epochs."
        )
    if "temperature" in result.calibration:
        said.append(
            "Probabilities were calibrated by one temperature, fitted to the validation samples "
            f"(T = {result.calibration['temperature']:.2f}){books.cite('Guo et al. 2017')}."
        )
    return " ".join(said)


def describe_split(spec: RunSpec, result: RunResult, books: Bibliography) -> str:
    """Which samples trained and which tested."""
    split, task = spec.split, TASKS[spec.task]
    record = split.record
    how = {
        "holdout": f"{split.test_size:.0%} of the samples were held out for testing and scored "
        "once",
        "kfold": f"In {split.folds} folds each sample was held out once, and a network was trained "
        "for each fold",
        "repeated_holdout": f"{split.test_size:.0%} of the samples were held out, {split.repeats} "
        "times, drawn anew each time",
        "repeated_kfold": f"In {split.folds} folds each sample was held out once, {split.repeats} "
        "times, drawn anew each time",
        "leave_one_batch_out": f"Each value of the column {split.batch} was held out once, and a "
        "network was trained on the others",
        "learning_curve": f"{split.test_size:.0%} of the samples were held out for testing, and "
        f"{split.sizes} networks were trained on all, half, a quarter… of the others",
    }.get(split.kind, record.title)
    together = (
        f"All samples of a patient (column {spec.cohort.group}) were on the same side."
        if spec.cohort.group
        else "Patients were not known, so each sample counted as one of its own."
    )
    return (
        f"{how}{books.cite(record.reference)}, stratified by {task.stratum} (seed {spec.seed}). "
        f"{together} {split.validation:.0%} of the samples that were not tested were validation "
        f"samples: {result.n_train:,} training, {result.n_validation:,} validation and "
        f"{result.n_test:,} test samples{' in the first fold' if len(result.folds) > 1 else ''}."
    )


def describe_statistics(
    spec: RunSpec, result: RunResult, repeated: bool, books: Bibliography
) -> str:
    """What the network was compared with, and how."""
    task = TASKS[spec.task]
    names = [name for name in result.baselines if name != task.floor]
    plain = task.reference(result.baselines)
    listed = "; ".join(
        f"{_lower(name_model(name, task))}, "
        f"{_lower(task.baselines[name].help.split('. ')[0].rstrip('.'))}"
        for name in names
    )
    said = [
        f"Baseline models were fitted on the same genes, prepared in the same way, of the same "
        f"training and validation samples, and tested on the same test samples: {listed}; and "
        f"{_lower(name_model(task.floor, task))}."
    ]
    boot = (
        "bias-corrected and accelerated bootstrap intervals over patients, 2,000 draws"
        f"{books.cite('Efron 1987')}"
    )
    if task.has_classes:
        said.append(
            f"The accuracy's 95 % interval is Wilson's{books.cite('Wilson 1927')}; those of other "
            f"scores are {boot}."
        )
    else:
        said.append(f"95 % intervals are {boot}.")
    beside = task.baselines[plain].phrase
    if repeated:
        said.append(
            f"The network was compared with {beside} over the splits by the corrected resampled t "
            f"test{books.cite('Nadeau and Bengio 2003')}."
        )
    elif task.has_classes:
        said.append(
            f"Whether the network is right more often than {beside} was tested by the exact "
            f"McNemar test{books.cite('McNemar 1947')}; the interval of a difference in accuracy "
            f"is Bonett and Price's over patients{books.cite('Bonett and Price 2012')}."
        )
    return " ".join(said)


def describe_attribution(
    recipe: Recipe, samples: int, folds: int, has_classes: bool, books: Bibliography
) -> str:
    """How genes were scored."""
    method = METHODS[recipe.method]
    profile = BASELINE_PROFILES[recipe.baseline].title
    compared = f" with the {_lower(profile)} as the baseline" if method.uses_baseline else ""
    said = [
        f"Genes were scored by {_lower(method.title)}{books.cite(method.reference)}{compared}, "
        f"carried back through the image to each gene, for {samples:,} held-out samples (at most "
        f"{SAMPLES_PER_CLASS} of a class), each for its own class and by the network that had not "
        "seen it."
        if has_classes
        else f"Genes were scored by {_lower(method.title)}{books.cite(method.reference)}"
        f"{compared}, carried back through the image to each gene, for {samples:,} held-out "
        "samples, each by the network that had not seen it."
    ]
    said.append(
        "A gene's rank follows from robust rank aggregation over the folds"
        f"{books.cite('Kolde et al. 2012')}."
        if folds > 1
        else f"A gene's rank is that of its mean score over the {'class' if has_classes else ''}"
        f"{'’s ' if has_classes else ''}samples."
    )
    if has_classes:
        said.append(
            "Beside it stand the log2 fold change of the class against all others, Welch's t test"
            f"{books.cite('Welch 1947')} with the false discovery rate of Benjamini and Hochberg"
            f"{books.cite('Benjamini and Hochberg 1995')}, and the rank by the weights of logistic "
            "regression on the same genes."
        )
    return " ".join(said)


def describe_software(result: RunResult, own: str, books: Bibliography) -> str:
    """Versions and the machine."""
    listed = ", ".join(
        f"{name} {number}{books.cite(SOFTWARE.get(name, ''))}"
        for name, number in result.versions.items()
    )
    return (
        f"The run took {result.seconds:,.0f} s on {result.device} in "
        f"{result.precision} with {listed}; this report was written by GeneCanvas {own}."
    )


def _lower(text: str) -> str:
    """A sentence within a sentence: its first letter small, unless the word is a name."""
    first = text.split(" ")[0]
    return text if first[1:].lower() != first[1:] else text[:1].lower() + text[1:]


def _end(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
