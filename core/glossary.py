"""The glossary: what each term of the field means here, for the screen's help and for the docs."""

from core.errors import InputError

GLOSSARY: dict[str, str] = {
    "attribution": "A score for each gene of a sample: how much it spoke for a class, according to "
    "one method and one network. It says what the network used, not what causes a tumour.",
    "augmentation": "Slightly changed copies of training samples, such as with noise or with some "
    "genes set to the mean, so that the network learns what lasts. Test samples are never changed.",
    "balanced accuracy": "The mean over the classes of the share that is right, so that a small "
    "class counts as much as a large one.",
    "baseline model": "A well-known model, such as the tuned linear model, fitted to the same "
    "genes and tested on the same samples. A network that isn't better than it adds nothing to "
    "accuracy.",
    "baseline of an attribution": "What a sample is compared with, where scores are 0: by default "
    "the mean training sample.",
    "batch": "Samples that were handled together: one site, plate or sequencing run. Where batches "
    "and classes coincide, a network may learn the batch instead of the class.",
    "bringing cohorts together": "Changing the values of new samples so that they lie where those "
    "of training lay. It can mend a difference between laboratories, and can as well remove one "
    "between tumours: compare it with none.",
    "calibration": "Whether probabilities are right as often as they say. It is set on validation "
    "samples by one number, the temperature (Guo et al. 2017).",
    "canvas": "The square on which genes have their pixels, before it is enlarged to the image.",
    "class": "What a sample is, and what the network shall tell: such as the tumour type.",
    "cohort": "Which samples of a dataset are used, which column holds the class, the patient and "
    "the batch, which samples are left out, and which classes count as one.",
    "confidence interval": "A range that holds the true value in 95 of 100 studies like this one. "
    "Here patients are drawn anew, not samples, since samples of one patient are alike.",
    "consensus of folds": "One ranking of genes out of those of several folds' networks (robust "
    "rank aggregation, Kolde et al. 2012): high are genes that many of them rank high.",
    "control": "A run that should fail, or be no better: with permuted labels, or with genes at "
    "random places.",
    "corrected t test": "A t test over repeated draws of the same patients that allows for their "
    "having patients in common (Nadeau and Bengio 2003): a plain one sees differences everywhere.",
    "dataset": "An expression matrix with what is known about its samples, stored once under the "
    "SHA-256 of its content.",
    "depth of a spot": "How many reads a spot of tissue has. Where more cells lie there are more "
    "reads of every gene, so that log counts follow the density of cells, whatever a gene does.",
    "domain AUROC": "How well a linear model tells unseen samples of two cohorts apart: "
    ".5 is not at all, 1 is always. Cohorts that can be told apart may still help each other.",
    "energy score": "How small all of a network's class scores are for a sample, taken together "
    "(Liu et al. 2020): high where it knows none of the classes.",
    "epoch": "One pass of the training through all training samples.",
    "false discovery rate (FDR)": "The expected share of false findings among those that are "
    "called findings (Benjamini and Hochberg 1995).",
    "fine-tuning": "Training a network further that has learned something else before: here "
    "photographs (ImageNet), or another run's samples.",
    "fold": "One division of the samples into training, validation and test samples, and the "
    "network that was fitted to it.",
    "gene layout": "Which pixel each gene has; the same for all samples of a fold. A layout that "
    "looks at expression is fitted to the training samples only.",
    "gene-image": "A sample as a picture: each gene has its pixel, and its expression is the "
    "brightness.",
    "held-out sample": "A sample that a network, its gene filter, scaling and layout have never "
    "seen: only these say how good it is.",
    "held-out spot": "A spot of a patient whose spots, genes and scaling the model has never seen.",
    "home": "The folder where datasets, runs and weights are stored; GENECANVAS_HOME names it.",
    "leak": "Knowledge about test samples that reached the training, by a shared patient, a "
    "shared sample or a filter fitted to everything. Scores are then too good.",
    "learning curve": "Scores with more and more training samples, tested on the same held-out "
    "ones: would more samples help?",
    "log2 fold change": "Mean log2 expression in the class minus that outside it: 1 is twice as "
    "much, -1 is half.",
    "match card": "What is found about samples before a model calls them: which of its genes are "
    "there, what those that are missing cost, and whether the values are on its scale.",
    "mean absolute error (MAE)": "The mean distance between a predicted number and the true one, "
    "in the number's own unit: 0 is best.",
    "multiple testing": "Of many comparisons some look significant by chance. p values over the "
    "pairs of a table are Holm's, those over genes or gene sets Benjamini and Hochberg's.",
    "novelty": "How unlike the training samples a new sample is, as the share of the model's own "
    "held-out samples that are less so. Beyond 95 % it is flagged; so are 5 of 100 samples of the "
    "known classes. A probability says nothing about a sample of no known class.",
    "overconfident": "Probabilities are higher than the share that is right: of samples called "
    "with 90 %, fewer than 90 % are right.",
    "overfitting": "Learning the training samples by heart: good on them, worse on others.",
    "parameter-randomisation test": "Does the map change when the weights are random? A map that "
    "stays the same shows the data or the method, not what was learned (Adebayo et al. 2018).",
    "parent run": "The run of which a what-if changes one thing.",
    "patient": "Whom samples come from. All samples of a patient stand on one side of a split, "
    "else the score would be too good.",
    "Pearson correlation": "How well two rows of numbers lie on one line: 1 on a rising one, 0 not "
    "at all. Predictions that all are too high, or too near to the mean, can still have 1.",
    "permuted labels": "Each sample gets another one's class. What is still right is chance, or a "
    "leak.",
    "preset": "A whole recipe under one name, such as recommended.",
    "region method": "An attribution method that scores regions of the image, such as Grad-CAM. "
    "Genes of one region can't be told apart.",
    "ridge regression": "A linear model of a number whose weights are kept small (Hoerl and "
    "Kennard 1970): the baseline model of a regression.",
    "run": "One training with all its settings, and what came of it. The same question has the "
    "same id, and is never trained twice.",
    "R²": "The share of the variance of a number that predictions explain: 1 is perfect, 0 is as "
    "good as always naming the mean, and below 0 is worse than that.",
    "seed": "Where random numbers start: another seed is another split and another training.",
    "setup": "Runs that are equal apart from their seed.",
    "significant at 5 %": "A difference that chance alone would bring in fewer than 5 of 100 such "
    "studies. Not significant means that these samples can't tell, not that there is none.",
    "Spearman correlation": "Pearson's correlation of the ranks: whether higher predictions stand "
    "for higher values. A few extreme values can't make it.",
    "split": "How samples are divided into training, validation and test samples.",
    "spot": "A place on a tissue section, 50 to 100 µm wide, whose RNA was sequenced together "
    "(spatial transcriptomics).",
    "stage": "A part of the network, from the image to the head: early stages see fine detail, "
    "late ones coarse patterns.",
    "study": "Runs that were asked for together and share a name.",
    "target and source": "The cohort in which classes shall be told apart, and the one that is "
    "learned from as well.",
    "task": "What a run predicts: a class (classification) or a number (regression).",
    "test samples": "Held-out samples on which a finished network is scored, once.",
    "tile": "The square of a tissue image around a spot.",
    "training samples": "Samples from which the network learns.",
    "transductive": "Looking at the samples that are tested, though not at their classes: right "
    "only where all of them are there before the first is called.",
    "transfer": "Learning in one cohort with the help of another. It helps where gain over the "
    "target alone is more than luck, and harms where loss is.",
    "trust card": "What speaks for and against a gene list: each measure with its limit and a "
    "light; the card is as good as its worst light.",
    "tuned linear model": "A weighted sum of the genes for each class: logistic or ridge "
    "regression, whichever is better on parts of the training samples, with the penalty that is "
    "best there. What every network of classes is set against.",
    "validation samples": "Samples that tell when to stop and set the calibration. They teach no "
    "weights, and are no test samples.",
    "weight of a gene": "A gene's share in what a network's answers rest on: the mean size of "
    "gradient x (value - mean) over held-out samples. All genes' weights add up to 100 %.",
    "what-if": "A run with one thing changed, such as without some genes, and its effect on the "
    "samples that both runs held out.",
}
"""Term -> one to three sentences, in the order of the alphabet."""


def define(term: str) -> str:
    """What a term means; raises InputError for one that the glossary lacks."""
    if term not in GLOSSARY:
        raise InputError(f"The glossary has no term {term!r}. Known: {', '.join(GLOSSARY)}.")
    return GLOSSARY[term]
