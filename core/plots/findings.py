"""What charts show, in a sentence made of their numbers: one function a kind of chart.

The sentences stand in for a chart where it can't be seen, are its first caption in a story, and its
caption in a report. They are plain text.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from core.evaluation.metrics import Metric, say_most_confused

NAMED = 3
"""Genes that a sentence names."""
SURE = 0.05
"""False discovery rate below which a gene or set counts as found."""
MANY_GROUPS = 40
"""Groups of a map beyond which it isn't asked which of them lie near each other."""


def say_class_sizes(counts: Mapping[str, int]) -> str:
    """Samples in each class."""
    most, fewest = max(counts, key=counts.get), min(counts, key=counts.get)
    if len(counts) == 1:
        return f"All {counts[most]:,} samples are {most}."
    return (
        f"Samples of each of {len(counts)} classes: from {counts[fewest]:,} ({fewest}) to "
        f"{counts[most]:,} ({most})."
    )


def say_sample_map(points: np.ndarray, groups: Sequence[str], column: str) -> str:
    """Samples on a map, coloured by a column.

    Args:
        points: (samples, 2) their places.
        groups: (samples,) their values in the column.
        column: its name.
    """
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    begin = f"{len(points):,} samples on a map by {column}"
    if not 2 <= len(names) <= min(MANY_GROUPS, len(points) - 1):
        return f"{begin}, with {len(names):,} value{'s' if len(names) > 1 else ''}."
    sizes = np.bincount(codes)
    centres = np.stack([np.bincount(codes, points[:, axis]) / sizes for axis in (0, 1)], 1)
    spread = ((points - points.mean(axis=0)) ** 2).sum()
    between = (sizes[:, None] * (centres - points.mean(axis=0)) ** 2).sum()
    said = f"{begin}: it explains {between / spread if spread else 0:.0%} of their spread"
    if len(names) == 2:
        return f"{said}; {sizes[0]:,} are {names[0]}, {sizes[1]:,} {names[1]}."
    apart = np.linalg.norm(centres[:, None] - centres, axis=2)
    np.fill_diagonal(apart, np.inf)
    a, b = np.unravel_index(apart.argmin(), apart.shape)
    alone = apart.min(axis=1).argmax()
    return (
        f"{said}. The centres of {names[a]} and {names[b]} are nearest to each other, "
        f"{names[alone]} is farthest from any other."
    )


def say_value_map(points: np.ndarray, values: np.ndarray, title: str) -> str:
    """Samples on a map, coloured by a number.

    Args:
        points: (samples, 2) their places.
        values: (samples,) the numbers; NaN where there is none.
        title: what they are.
    """
    known = np.isfinite(values)
    begin = f"{known.sum():,} samples on a map by {title}"
    if known.sum() < 3 or np.ptp(values[known]) == 0:
        return f"{begin}: it is the same in all."
    own = [np.corrcoef(points[known, axis], values[known])[0, 1] for axis in (0, 1)]
    axis = int(np.nanargmax(np.abs(own))) if np.isfinite(own).any() else 0
    low, high = values[known].min(), values[known].max()
    way = "rises" if own[axis] > 0 else "falls"
    return (
        f"{begin}, from {low:.3g} to {high:.3g}: it {way} along the "
        f"{('horizontal', 'vertical')[axis]} axis (r = {own[axis]:.2f})."
    )


def say_heat_map(values: np.ndarray, genes: Sequence[str], groups: Sequence[str]) -> str:
    """Genes x samples in SD, with the samples' groups.

    Args:
        values: (genes, samples).
        genes: their names.
        groups: (samples,) their groups.
    """
    begin = f"{len(genes):,} genes in {values.shape[1]:,} samples, like ones side by side"
    names, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    if not 2 <= len(names) < len(codes):
        return f"{begin}."
    means = np.stack([values[:, codes == k].mean(axis=1) for k in range(len(names))])
    gene = int(np.ptp(means, axis=0).argmax())
    high, low = means[:, gene].argmax(), means[:, gene].argmin()
    return (
        f"{begin}: {genes[gene]} differs most, from {means[low, gene]:+.1f} SD in {names[low]} to "
        f"{means[high, gene]:+.1f} SD in {names[high]}."
    )


def say_ranges(medians: np.ndarray, groups: Sequence[str]) -> str:
    """The range of each sample's values: how far the samples' medians differ between groups.

    Args:
        medians: (samples,) the median of each sample's values.
        groups: (samples,) their groups.
    """
    own = pd.Series(medians).groupby(np.asarray(groups, dtype=str)).median().sort_values()
    begin = f"Medians of {len(medians):,} samples lie between {np.min(medians):.3g} and "
    begin += f"{np.max(medians):.3g}"
    if len(own) < 2:
        return f"{begin}."
    return f"{begin}; {own.index[0]} lies lowest ({own.iloc[0]:.3g}), {own.index[-1]} highest " + (
        f"({own.iloc[-1]:.3g})."
    )


def say_missing(missing: np.ndarray, genes: int, groups: Sequence[str]) -> str:
    """Missing values by group.

    Args:
        missing: (samples,) how many values are missing.
        genes: how many genes a sample has.
        groups: (samples,) their groups.
    """
    share = pd.Series(missing).groupby(np.asarray(groups, dtype=str)).mean() / genes
    whole = float(np.sum(missing)) / (genes * len(missing))
    said = f"{whole:.2%} of the values are missing"
    if len(share) < 2:
        return f"{said}."
    return f"{said}, most in {share.idxmax()} ({share.max():.2%})."


def say_expression(values: np.ndarray, labels: Sequence[str], gene: str) -> str:
    """A gene's log2 expression by class.

    Args:
        values: (samples,) log2 expression; NaN where it is missing.
        labels: (samples,) classes.
        gene: its name.
    """
    middle = pd.Series(values).groupby(np.asarray(labels, dtype=str)).median().dropna()
    if middle.empty:
        return f"{gene}: no value is known."
    high, low = middle.idxmax(), middle.idxmin()
    if high == low:
        return f"{gene} in {high}: the median is {middle[high]:.2f} log2 expression."
    return (
        f"{gene} is highest in {high} (median {middle[high]:.2f} log2 expression) and lowest in "
        f"{low} ({middle[low]:.2f})."
    )


def say_gene_image(values: np.ndarray, genes: Sequence[str], what: str, *, signed: bool) -> str:
    """One gene-image.

    Args:
        values: (genes,) what is painted.
        genes: their names.
        what: what it is an image of.
        signed: whether 0 is the middle, so that the lowest are worth naming.
    """
    order = np.argsort(-np.nan_to_num(values), kind="stable")
    names = np.asarray(genes, dtype=str)
    said = f"{what}, {len(names):,} genes: highest at {_list(names[order[:NAMED]])}"
    if signed and len(names) > NAMED:
        said += f", lowest at {_list(names[order[::-1][:NAMED]])}"
    return f"{said}."


def say_images(
    images: np.ndarray, titles: Sequence[str], genes: Sequence[str], unit: str = ""
) -> str:
    """Several gene-images on one colour scale.

    Args:
        images: (images, genes) what is painted.
        titles: what each image is of.
        genes: their names.
        unit: of the values.
    """
    values = np.nan_to_num(np.asarray(images, dtype=float))
    begin = f"{len(titles)} gene-image{'s' if len(titles) > 1 else ''} on one colour scale"
    if len(titles) < 2:
        return say_gene_image(values[0], genes, titles[0], signed=bool((values < 0).any()))
    rest = (values.sum(axis=0) - values) / (len(values) - 1)
    distance = np.abs(values - rest).mean(axis=1)
    far, gene = int(distance.argmax()), int(np.ptp(values, axis=0).argmax())
    high, low = values[:, gene].argmax(), values[:, gene].argmin()
    unit = f" {unit}" if unit else ""
    return (
        f"{begin}: {titles[far]} is farthest from the others, {distance[far]:.2g}{unit} a gene on "
        f"average; {genes[gene]} differs most, from {values[low, gene]:.2g}{unit} in {titles[low]} "
        f"to {values[high, gene]:.2g}{unit} in {titles[high]}."
    )


def say_canvas(kind: str, share: float, chance: float) -> str:
    """The canvas coloured by what genes belong to.

    Args:
        kind: modules, chromosomes or gene sets.
        share: of neighbouring genes with a colour, how many have the same one.
        chance: what that would be with genes placed at random.
    """
    said = f"Gene-image coloured by {kind}"
    if not np.isfinite(share):
        return f"{said}: no two neighbours have a colour."
    return (
        f"{said}: of neighbouring genes with a colour {share:.0%} have the same one; placed at "
        f"random it would be {chance:.0%}."
    )


def say_differences(table: pd.DataFrame, one: str, other: str) -> str:
    """Two groups compared gene by gene.

    Args:
        table: what `core.explain.differential.compare_groups` gives.
        one: the first group's name.
        other: the second's.
    """
    sure = table[table["fdr"] < SURE]
    begin = f"{one} against {other}: {len(sure):,} of {len(table):,} genes differ (FDR below 5 %)"
    if sure.empty:
        return f"{begin}; {table['gene'].iloc[0]} comes nearest (FDR {table['fdr'].iloc[0]:.2g})."
    parts = []
    for words, part in (("higher", sure[sure["log2fc"] > 0]), ("lower", sure[sure["log2fc"] < 0])):
        if len(part):
            parts.append(f"{len(part):,} {words} in {one}, first {_list(part['gene'][:NAMED])}")
    return f"{begin}: {'; '.join(parts)}."


def say_confusion(counts: np.ndarray, classes: Sequence[str]) -> str:
    """True against predicted class.

    Args:
        counts: (classes, classes), true classes in rows.
        classes: their names.
    """
    counts = np.asarray(counts)
    right, n = int(np.trace(counts)), int(counts.sum())
    return f"{right:,} of {n:,} samples are right. {say_most_confused(counts, classes)}"


def say_observed(true: np.ndarray, predicted: np.ndarray, target: str) -> str:
    """Predicted against observed values of a number.

    Args:
        true: (samples,) observed values.
        predicted: (samples,) predicted ones.
        target: what the number is.
    """
    true, predicted = np.asarray(true, float), np.asarray(predicted, float)
    total = ((true - true.mean()) ** 2).sum()
    r2 = 1 - ((true - predicted) ** 2).sum() / total if total else np.nan
    error = np.abs(true - predicted).mean()
    return (
        f"Predicted against observed {target} of {len(true):,} samples: R² is {r2:.2f}, the mean "
        f"error {error:.3g}."
    )


def say_reliability(bins: Mapping[str, pd.DataFrame]) -> str:
    """How often answers are right, by how sure they are.

    Args:
        bins: model -> n, confidence, accuracy (of `core.evaluation.metrics.reliability`).
    """
    parts = []
    for model, rows in bins.items():
        n = rows["n"].sum()
        sure, right = ((rows[name] * rows["n"]).sum() / n for name in ("confidence", "accuracy"))
        verdict = "surer than right" if sure > right else "no surer than right"
        parts.append(f"{model} is {sure:.1%} sure and {right:.1%} right on average, {verdict}")
    return f"How often answers are right, by how sure they are: {'; '.join(parts)}."


def say_training(rows: pd.DataFrame, kept: Sequence[int]) -> str:
    """Loss and validation scores by epoch.

    Args:
        rows: epoch by epoch: fold, train_loss, validation_loss.
        kept: the epoch whose weights each fold kept.
    """
    last = rows.groupby("fold").last()
    return (
        f"Loss and validation scores by epoch; the weights of epoch {_list(kept)} were kept. At "
        f"the end the training loss was {last['train_loss'].mean():.3g}, that of the validation "
        f"samples {last['validation_loss'].mean():.3g}."
    )


def say_scores(table: pd.DataFrame, metric: Metric) -> str:
    """Models with a score and its 95 % interval.

    Args:
        table: model, score, low, high; low and high may be NaN.
        metric: the score.
    """
    ordered = table.sort_values("score", ascending=metric.best < metric.worst, kind="stable")

    def say(row: pd.Series) -> str:
        form = ".1%" if metric.is_share else ".3f"
        said = f"{row['model']} {row['score']:{form}}"
        known = np.isfinite(row["low"])
        return f"{said} ({row['low']:{form}} to {row['high']:{form}})" if known else said

    first = [say(row) for _, row in ordered.head(NAMED).iterrows()]
    more = len(ordered) - len(first)
    return f"{metric.title}, the best first: {', '.join(first)}" + (
        f", and {more} more." if more else "."
    )


def say_attributions(values: np.ndarray, genes: Sequence[str], cls: str) -> str:
    """Where the genes stand that spoke for a class and against it.

    Args:
        values: (genes,) mean attributions.
        genes: their names.
        cls: the class.
    """
    names, order = np.asarray(genes, dtype=str), np.argsort(-np.nan_to_num(values), kind="stable")
    up, down = order[:NAMED], order[::-1][:NAMED]
    up, down = up[values[up] > 0], down[values[down] < 0]
    parts = [f"most for it spoke {_list(names[up])}"] if len(up) else []
    parts += [f"most against it {_list(names[down])}"] if len(down) else []
    return f"Genes of {cls} on the gene-image: {', '.join(parts) or 'no gene spoke for it'}."


def say_sets(table: pd.DataFrame) -> str:
    """Gene sets that a list of genes is rich in.

    Args:
        table: set, fdr; the most interesting first.
    """
    sure = table[table["fdr"] < SURE]
    if table.empty:
        return "No gene set was tested."
    if sure.empty:
        return (
            f"None of {len(table):,} gene sets has an FDR below 5 %; first {table['set'].iloc[0]}."
        )
    return f"{len(sure):,} of {len(table):,} gene sets have an FDR below 5 %, first " + (
        f"{_list(sure['set'][:NAMED])}."
    )


def say_gains(table: pd.DataFrame) -> str:
    """Gains of methods over learning from the target alone, by the number of labelled patients.

    Args:
        table: line (the method in words), n (labelled patients), gain, low, high (in AUROC),
            verdict (helps, harms, no difference).
    """
    sure = int((table["verdict"] != "no difference").sum())
    most = table.loc[table["gain"].abs().idxmax()]
    return (
        f"{sure} of {len(table)} gains in AUROC over the target alone are significant (p below 5 % "
        f"by Holm, 95 % intervals); the largest difference is {most['line']} with {most['n']:.0f} "
        f"labelled patients: {most['gain']:+.3f} ({most['low']:+.3f} to {most['high']:+.3f})."
    )


def say_budgets(table: pd.DataFrame, score: str) -> str:
    """Mean scores of methods by the number of labelled patients: where each begins and ends.

    Args:
        table: line (the method in words), n (labelled patients), and the score's column.
        score: the column.
    """
    said = []
    for line, own in table.sort_values("n").groupby("line", sort=False):
        first, last = own.iloc[0], own.iloc[-1]
        said.append(
            f"{line}: {first[score]:.2f} with {first['n']} labelled patients, {last[score]:.2f} "
            f"with {last['n']}."
        )
    return f"Mean AUROC. {' '.join(said)}"


def _list(names: Sequence[object]) -> str:
    return ", ".join(map(str, names))
