"""The report of a finished run."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from core import __version__
from core.compare.comparison import compare
from core.compare.detail import look_closely, name_model
from core.compare.gap import explain_gap
from core.compare.records import Comparison
from core.compare.settings import say_value
from core.compare.tables import list_models
from core.data.cohort import Cohort
from core.data.store import get_record, load_dataset
from core.errors import InputError
from core.evaluation.metrics import METRICS
from core.explain.enrichment import over_representation
from core.explain.genes import compare_with_plain, top_rows
from core.explain.methods import METHODS, Recipe
from core.explain.rankings import top_count
from core.images.classes import average_classes, to_sd
from core.images.references import read_gene_sets, reference_file
from core.plots.compare import confusion_grid, reliability_diagram, score_dots
from core.plots.data import class_sizes
from core.plots.figures import image_grid
from core.plots.findings import (
    say_class_sizes,
    say_confusion,
    say_images,
    say_observed,
    say_reliability,
    say_scores,
    say_training,
)
from core.plots.images import share_limits
from core.plots.runs import learning_curves, observed_against_predicted
from core.report import methods
from core.report.contents import Block, Chart, Code, Points, Remark, Report, Section, Table, Text
from core.report.references import Bibliography
from core.report.render import write_report
from core.runs.explain import RunAttribution, class_genes, describe_unseen, load_attribution
from core.runs.fitted import FittedModel, load_fitted
from core.runs.outcome import NETWORK, Outcome, load_outcome
from core.runs.result import RunResult, headline, load_scored
from core.runs.spec import RunSpec, setting_title
from core.runs.study import take_targets
from core.runs.trust import load_evidence
from core.training.tasks import TASKS, Task

RECIPE = Recipe("integrated_gradients")
"""How the genes of a report are scored."""
MOST_IMAGES = 12
"""Gene-images side by side."""
MOST_PAINTED = 100_000
"""Genes times images of a figure: half a megabyte of it, and as much of its data."""
TOP_GENES = 10
"""Genes of a class that stand in the report."""
LONGEST_TITLE = 24
"""Letters above a gene-image."""
BEST_SETS = 5
"""Gene sets of a class that stand in the report."""


@dataclass(frozen=True)
class _Run:
    """A finished run, read once."""

    id: str
    spec: RunSpec
    result: RunResult
    task: Task
    outcome: Outcome
    comparison: Comparison
    folds: list[FittedModel]
    data: AnnData | None
    """Its samples; None where its dataset is gone."""
    labels: np.ndarray
    """(samples,) the class of each; of a regression its target's name."""
    dataset: str
    """The dataset's name."""

    @property
    def fold(self) -> FittedModel:
        """The fold whose layout and preparation are shown."""
        return self.folds[0]


def report_run(run: str, sets: str | None = None) -> Report:
    """The report of a finished run.

    What was computed stands in it: genes where integrated gradients were asked for, the trust card
    where it was measured. Nothing is computed that takes longer than some seconds.

    Args:
        run: its id.
        sets: the id of stored gene sets; the classes' top genes are held against them.

    Raises:
        InputError: the run has no result, or is damaged; the sets are gone.
    """
    own, books = _read(run), Bibliography()
    sections = [
        Section("Result", _tell_result(own)),
        Section("Right and wrong", _tell_wrong(own)),
        *([Section("Training", _tell_training(own))] if _was_trained(own) else []),
        Section("Data", _tell_data(own)),
        *([Section("Gene-images", _tell_images(own))] if own.data is not None else []),
        Section("Genes", _tell_genes(own, sets)),
        Section("Limits", _tell_limits(own)),
        Section("Methods", _tell_methods(own, books)),
        Section("Settings", _tell_settings(own)),
        Section("To repeat it", _tell_commands(own)),
    ]
    return Report(
        title=f"{own.spec.network.record.title} predicts {own.spec.cohort.label}",
        subtitle=f"Run {run} on “{own.dataset}” · {own.spec.title()} · "
        f"{datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=headline(run),
        sections=sections,
        references=books.references,
    )


def write_run_report(run: str, path: Path, sets: str | None = None) -> Path:
    """Write the report of a finished run as one HTML file; returns its absolute path.

    Raises InputError as `report_run` does.
    """
    write_report(report_run(run, sets), path)
    return path.absolute()


def _read(run: str) -> _Run:
    outcome = load_outcome(run)
    spec, result = outcome.spec, outcome.result
    data, labels, name = None, np.empty(0, str), spec.cohort.dataset[:6]
    with suppress(InputError):  # the dataset is gone, or damaged
        chosen = spec.cohort.select(load_dataset(spec.cohort.dataset))
        data, targets = take_targets(spec, chosen)
        labels, name = targets.labels, get_record(spec.cohort.dataset).name
    return _Run(
        run, spec, result, TASKS[spec.task], outcome, compare([outcome]),
        [load_fitted(run, number) for number in result.scored], data, labels, name,
    )  # fmt: skip


def _tell_result(own: _Run) -> list[Block]:
    metric = METRICS[own.comparison.metric]
    table = _list_scores(own)
    said = list(explain_gap(own.id))
    scores = {NETWORK: own.outcome.scores()}
    scores |= {name: own.outcome.scores(name) for name in own.outcome.proba if name != NETWORK}
    rows = pd.DataFrame(
        [
            {"score": each.title, **{name_model(name, own.task): values[each.name]
                                     for name, values in scores.items()}, "what it is": each.help}
            for each in own.task.metrics
        ]
    )  # fmt: skip
    return [
        *(Remark("error", found.message) for found in own.result.findings or [] if found.decisive),
        Chart(
            f"{say_scores(table, metric)} In brackets 95 % intervals.",
            score_dots(table, metric.title, percent=metric.is_share),
            table,
        ),
        *([Points(said)] if said else []),
        Table("All scores on the held-out samples", rows),
    ]


def _list_scores(own: _Run) -> pd.DataFrame:
    """Models with their score and interval, the best first."""
    if any(setup.low is not None for setup in own.comparison.setups):
        return list_models(own.comparison, [own.outcome])
    metric = METRICS[own.comparison.metric]
    control = own.comparison.runs[0].control
    rows = []
    for name in own.outcome.proba:
        kind = "baseline" if name != NETWORK else "control" if control else "network"
        limits = own.outcome.interval(metric.name, name) or (np.nan, np.nan)
        score = own.outcome.scores(name)[metric.name]
        rows.append((name_model(name, own.task), kind, score, *limits, own.outcome.n_test))
    table = pd.DataFrame(rows, columns=["model", "kind", "score", "low", "high", "n"])
    return table.sort_values("score", ascending=metric.best < metric.worst, kind="stable")


def _tell_wrong(own: _Run) -> list[Block]:
    if not own.task.has_classes:
        scored, target = load_scored(own.id), own.result.classes[0]
        return [
            Chart(
                say_observed(scored["true"], scored["predicted"], target),
                observed_against_predicted(scored, target),
                scored,
            )
        ]
    detail = look_closely(own.outcome, NETWORK)
    counts = detail.confusion.set_index("true")
    error = own.outcome.scores()["calibration_error"]
    bins = pd.concat(detail.bins, names=["model", "bin"]).reset_index()
    classes = detail.classes.rename(columns={"recall_low": "from", "recall_high": "to", "f1": "F1"})
    return [
        Chart(
            f"True against predicted class: {say_confusion(counts.to_numpy(), list(counts))}",
            confusion_grid(counts.to_numpy(), list(counts), percent=False),
            detail.confusion,
        ),
        Table("Each class (recall with its 95 % Wilson interval, from and to)", classes),
        Chart(
            f"{say_reliability(detail.bins)} The network's calibration error is {error:.3f}.",
            reliability_diagram(detail.bins),
            bins,
        ),
    ]


def _was_trained(own: _Run) -> bool:
    return not own.spec.network.is_solved and "train_loss" in own.fold.history[0]


def _tell_training(own: _Run) -> list[Block]:
    rows = pd.concat(
        [pd.DataFrame(fold.history).assign(fold=fold.fold) for fold in own.folds], ignore_index=True
    ).drop(columns="validation_confusion", errors="ignore")
    return [
        Chart(
            say_training(rows, [fold.kept_epoch for fold in own.folds]),
            learning_curves(rows),
            rows,
        )
    ]


def _tell_data(own: _Run) -> list[Block]:
    cohort, findings = own.spec.cohort, own.result.findings
    blocks: list[Block] = [
        *(Remark(found.severity, found.message) for found in findings or [] if not found.decisive)
    ]
    if findings is None:
        blocks.append(Text("What speaks against these data was not looked for by this version."))
    if own.data is None:
        return [
            Text(
                f"The dataset ({cohort.dataset}) is no longer in this home, so that only its "
                "test samples are known here."
            ),
            *blocks,
        ]
    record = get_record(cohort.dataset)
    where = say_value("cohort.where", cohort.where)
    patients = "" if cohort.group is None else (
        f" of {own.data.obs[cohort.group].nunique():,} patients"
    )  # fmt: skip
    blocks.insert(
        0,
        Text(
            f"{own.data.n_obs:,} samples{patients} of “{record.name}” ({record.source}; samples: "
            f"{where}), {own.data.n_vars:,} genes, values as {own.data.uns['scale']}. SHA-256 of "
            f"its content: {cohort.dataset}."
        ),
    )
    if own.task.has_classes:
        table = _count_classes(own, cohort)
        sizes = dict(zip(table["class"], table["samples"], strict=True))
        chart = Chart(say_class_sizes(sizes), class_sizes(sizes), table)
        blocks += [chart, Table("Classes and how they were divided (first fold)", table)]
    if record.notes:
        blocks += [Text("How the file was understood:"), Points(record.notes)]
    return blocks


def _count_classes(own: _Run, cohort: Cohort) -> pd.DataFrame:
    """A row a class: samples, patients and batches where they are known, and the parts."""
    obs, rows = own.data.obs, []
    part_of = {
        sample: part
        for part in ("train", "validation", "test")
        for sample in getattr(own.fold, part)
    }
    parts = pd.Series(obs.index.astype(str)).map(part_of).to_numpy()
    for name in own.result.classes:
        belongs = own.labels == name
        row = {"class": name, "samples": int(belongs.sum())}
        for title, column in (("patients", cohort.group), ("batches", cohort.batch)):
            if column is not None:
                row[title] = int(obs[column][belongs].nunique())
        for part, title in (("train", "training"), ("validation",) * 2, ("test",) * 2):
            row[title] = int((parts[belongs] == part).sum())
        rows.append(row)
    return pd.DataFrame(rows)


def _tell_images(own: _Run) -> list[Block]:
    layout = own.fold.layout
    unit = own.fold.prepare(own.data)
    in_sd = own.spec.preparation.scaling in ("zscore", "robust")
    name = "SD from the mean" if in_sd else "value"
    most = _most_images(len(layout.genes))
    blocks: list[Block] = [Text(f"{layout.describe()}; the layout of the first fold.")]
    tested = np.flatnonzero(np.isin(own.data.obs_names.astype(str), own.fold.test))
    if own.task.has_classes:
        classes = average_classes(unit, own.labels, in_sd=in_sd)
        shown = sorted(np.argsort([-size for size in classes.sizes], kind="stable")[:most])
        names = [classes.names[k] for k in shown]
        means, titles = classes.means[shown], [_cut(each) for each in names]
        some = "" if len(shown) == len(classes.names) else f" of the {len(shown)} largest classes"
        blocks.append(
            Chart(
                f"Means{some or ' of all classes'}: "
                f"{say_images(means, names, layout.genes, 'SD' if in_sd else '')}",
                image_grid(layout, means, titles, name=name, diverging=in_sd,
                           limits=share_limits(means, diverging=in_sd)),
                layout.table(**_columns(names, means)),
            )
        )  # fmt: skip
        first = [tested[own.labels[tested] == each][:1] for each in names]
        chosen = np.concatenate(first)
        titles = [f"{own.labels[row]} · {own.data.obs_names[row]}" for row in chosen]
        what = "One held-out sample of each class"
    else:
        value = own.data.obs[own.spec.cohort.label].to_numpy(float)[tested]
        order = tested[np.argsort(value, kind="stable")]
        chosen = order[np.linspace(0, len(order) - 1, min(6, len(order), most)).astype(int)]
        titles = [str(own.data.obs_names[row]) for row in chosen]
        what = f"Held-out samples from the lowest to the highest {own.spec.cohort.label}"
    if len(chosen):
        images = to_sd(unit[chosen]) if in_sd else unit[chosen]
        blocks.append(
            Chart(
                f"{what}, as the network sees it: "
                f"{say_images(images, titles, layout.genes, 'SD' if in_sd else '')}",
                image_grid(layout, images, [_cut(title) for title in titles], name=name,
                           diverging=in_sd, limits=share_limits(images, diverging=in_sd)),
                layout.table(**_columns(titles, images)),
            )
        )  # fmt: skip
    return blocks


def _cut(name: str) -> str:
    """A name as long as an image is wide."""
    return name if len(name) <= LONGEST_TITLE else f"{name[: LONGEST_TITLE - 1]}…"


def _most_images(genes: int) -> int:
    return int(np.clip(MOST_PAINTED // genes, 1, MOST_IMAGES))


def _columns(names: Sequence[str], values: np.ndarray) -> dict[str, np.ndarray]:
    """A column of values a name; a name that the layout's own columns have gets a mark."""
    taken = {"gene", "row", "column", "group"}
    return {
        f"{name} (image)" if name in taken else name: row
        for name, row in zip(names, values, strict=True)
    }


def _tell_genes(own: _Run, sets: str | None) -> list[Block]:
    try:
        genes, found = class_genes(own.id, RECIPE), load_attribution(own.id, RECIPE)
    except InputError:
        return [
            Text(
                "Genes have not been scored yet. Have it done on the page Explain, or with the "
                f"command “genecanvas explain {own.id} --evidence”, and write the report again."
            )
        ]
    k = top_count(genes.groupby("class").size().max())
    summary = _summarise(genes, k, own.task)
    blocks: list[Block] = [
        Text(
            f"{METHODS[RECIPE.method].title} of {len(found.samples):,} held-out samples. A score "
            "above 0 spoke for the class. What a network uses is no proof that a gene causes "
            "anything: other genes that go with it could take its place."
        ),
        _draw_maps(own, found, genes),
        Table(f"The first {TOP_GENES} genes, and how many of the first {k} other ways name as well",
              summary),
        Table(f"The first {TOP_GENES} genes of each {'class' if own.task.has_classes else 'target'}"
              " with the evidence for each", _list_genes(genes)),
        *_tell_trust(own.id),
    ]  # fmt: skip
    if unseen := describe_unseen(own.id):
        blocks.append(Text(unseen))
    if sets is not None:
        blocks.append(_enrich(genes, k, sets))
    return blocks


def _draw_maps(own: _Run, found: RunAttribution, genes: pd.DataFrame) -> Chart:
    layout = own.fold.layout
    names, counts = np.unique(found.labels, return_counts=True)
    shown = sorted(np.argsort(-counts, kind="stable")[: _most_images(len(layout.genes))])
    columns = pd.Index(found.genes).get_indexer(layout.genes)
    means = []
    for k in shown:
        scores = found.scores[found.labels == names[k]][:, columns].astype(np.float64)
        counted = np.isfinite(scores).sum(axis=0)
        means.append(np.nansum(scores, axis=0) / np.maximum(counted, 1))
    images, titles = np.stack(means), [str(names[k]) for k in shown]
    highest = genes.iloc[genes["score"].argmax()]
    some = "" if len(shown) == len(names) else f"; the {len(shown)} classes of most samples"
    return Chart(
        f"Mean attribution of each gene on the first fold's layout{some}: the highest of all is "
        f"{highest['gene']} for {highest['class']} ({highest['score']:.3g}).",
        image_grid(
            layout, images, [_cut(each) for each in titles], name="attribution", diverging=True
        ),
        layout.table(**_columns(titles, images)),
    )


def _summarise(genes: pd.DataFrame, k: int, task: Task) -> pd.DataFrame:
    rows = []
    for name, own in genes.groupby("class", sort=False):
        plain = compare_with_plain(own, k)
        rows.append(
            {
                "class": name,
                "first genes": ", ".join(top_rows(own, TOP_GENES)["gene"]),
                f"{task.gene_test} too": len(plain.welch),
                f"{task.baselines[task.linear].title} too": len(plain.logistic),
                "only the network": len(plain.only_network),
            }
        )
    return pd.DataFrame(rows)


def _list_genes(genes: pd.DataFrame) -> pd.DataFrame:
    titles = {
        "class": "class", "rank": "rank", "gene": "gene", "score": "score", "log2fc": "log2 FC",
        "fdr": "FDR", "auroc": "AUROC", "correlation": "correlation", "welch": "rank by test",
        "logistic": "rank by linear model", "selected": "in folds",
    }  # fmt: skip
    first = pd.concat([top_rows(own, TOP_GENES) for _, own in genes.groupby("class", sort=False)])
    kept = [name for name in titles if name in first and first[name].notna().any()]
    ranks = {name: "Int64" for name in ("welch", "logistic") if name in kept}
    return first[kept].astype(ranks).rename(columns=titles)


def _tell_trust(run: str) -> list[Block]:
    try:
        card = load_evidence(run, RECIPE)
    except InputError:
        return [
            Text(
                "How far these genes can be trusted has not been measured: the trust card is on "
                f"the page Explain, and “genecanvas explain {run} --evidence” measures it."
            )
        ]
    order = {"red": 0, "amber": 1, "green": 2, "none": 3}
    rows = sorted(card.evidence, key=lambda row: order[row.light])
    words = {"red": "●\xa0red", "amber": "▲\xa0amber", "green": "✓\xa0green", "none": "no\xa0light"}
    table = pd.DataFrame(
        [{"light": words[row.light], "question": row.title, "found": row.sentence} for row in rows]
    )
    return [Table(f"Trust card: {card.light}, the worst of its lights", table)]


def _enrich(genes: pd.DataFrame, k: int, sets: str) -> Table:
    members, rows = read_gene_sets(reference_file(sets)), []
    for name, own in genes.groupby("class", sort=False):
        found = over_representation(top_rows(own, k)["gene"], own["gene"], members)
        found = found.head(BEST_SETS).assign(genes=found["genes"].str.join(", "))
        found.insert(0, "class", name)
        rows.append(found.drop(columns="p"))
    return Table(
        f"Gene sets over-represented among the first {k} genes (hypergeometric test against the "
        "genes on the image; FDR of each class by Benjamini and Hochberg)",
        pd.concat(rows),
    )


def _tell_limits(own: _Run) -> list[Block]:
    found = own.result.findings or []
    decisive = [each.message for each in found if each.decisive]
    notes = dict.fromkeys([*own.result.notes, *own.comparison.notes])
    return [
        *(Remark("error", words) for words in decisive),
        Points([words for words in notes if words not in decisive]),
        *([Text("What else was found about the data stands under Data.")] if found else []),
    ]


def _tell_methods(own: _Run, books: Bibliography) -> list[Block]:
    spec, result = own.spec, own.result
    repeated = not load_scored(own.id)["sample"].is_unique
    said = [
        methods.describe_samples(spec, own.data, own.labels, own.dataset),
        methods.describe_preparation(spec, own.fold, books),
        methods.describe_image(spec, own.fold, books),
        *methods.describe_network(spec, result, own.folds, books),
        methods.describe_split(spec, result, books),
        methods.describe_statistics(spec, result, repeated, books),
    ]
    with suppress(InputError):  # it isn't computed
        samples = len(load_attribution(own.id, RECIPE).samples)
        said.append(
            methods.describe_attribution(
                RECIPE, samples, len(own.folds), own.task.has_classes, books
            )
        )
    said.append(methods.describe_software(result, __version__, books))
    for words in (*said, *(metric.help for metric in own.task.metrics)):
        books.notice(words)
    return [Text(words) for words in said]


def _tell_settings(own: _Run) -> list[Block]:
    rows = [
        (setting_title(name), name, say_value(name, value))
        for name, value in own.spec.settings.items()
    ]
    versions = pd.DataFrame(own.result.versions.items(), columns=["software", "version"])
    return [
        Table("All settings that decide the result",
              pd.DataFrame(rows, columns=["setting", "field", "value"])),
        Table("Versions", versions),
    ]  # fmt: skip


def _tell_commands(own: _Run) -> list[Block]:
    return [
        Text(
            "The specification below, saved as run.yaml, names the dataset by the SHA-256 of its "
            "content. Where that dataset is stored, the same question finds the same run; "
            "elsewhere give the file with --data."
        ),
        Code("run.yaml", own.spec.to_yaml()),
        Code(
            "Commands",
            "genecanvas run run.yaml\n"
            f"genecanvas explain {own.id} --evidence\n"
            f"genecanvas report {own.id} report.html",
        ),
        Code(
            "In Python",
            "import genecanvas as gcv\n\n"
            f'run = gcv.Run("{own.id}")\n'
            'run.headline, run.metrics["' + own.task.first_metric + '"]\n'
            'run.explain("integrated_gradients").genes\n',
        ),
    ]
