"""GeneCanvas for notebooks and scripts: read, check, train, look, compare, explain, predict.

    import genecanvas as gcv

    adata = gcv.read("matrix.tsv", labels="labels.csv")
    cohort = gcv.Cohort(label="tumour_type", group="patient")
    spec = gcv.RunSpec(cohort=cohort, preset="recommended")
    run = gcv.fit(adata, spec)
    run.metrics["accuracy"], run.explain("integrated_gradients").genes

The examples below share a small simulated dataset and one short training of it:

>>> adata, planted = gcv.simulate(samples=90, genes=200)
>>> spec = gcv.RunSpec(
...     cohort=gcv.Cohort(label="tumour_type", group="patient"),
...     network={"image_size": 32}, training={"epochs": 2}, preparation={"genes": 100})
>>> run = gcv.fit(adata, spec)

What a user can mend is a `gcv.GeneCanvasError`, whose message says what was expected, what came and
what to do. Everything is stored in one folder, the home: see `Store`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from core import extensions
from core.compare.comparison import compare_runs
from core.compare.records import Comparison
from core.data import groups
from core.data.check import DataCard, check_dataset
from core.data.cohort import Cohort
from core.data.read import read_dataset
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.errors import GeneCanvasError, InputError
from core.explain import differential
from core.explain.methods import METHODS, Method, Question, Recipe
from core.home import home
from core.images.layouts import LAYOUTS, LayoutMethod
from core.images.placement import ALONG_CURVE, ASSIGNED, SORTED, Embedding, Placement
from core.images.places import Genes, Places
from core.jobs.here import do_here, wait_for
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.models.backbones import BACKBONES, Backbone, Stage
from core.predict.folder import export_model
from core.predict.predicting import Prediction, predict_here
from core.predict.request import PredictRequest
from core.runs.explain import RunAttribution, class_genes, load_attribution, unseen_genes
from core.runs.explaining import ExplainJob
from core.runs.fitted import FittedModel, load_fitted
from core.runs.fitting import baselines_job
from core.runs.network_genes import network_genes
from core.runs.preflight import put_cohort, store_data
from core.runs.result import RunResult, headline, load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from core.runs.training import TrainJob
from core.transfer.enquiring import ask_here, bring_enquiry
from core.transfer.enquiry import Reply
from core.transfer.spec import TransferSpec
from core.transfer.transferring import Transfer, transfer_here

__all__ = [
    "ALONG_CURVE",
    "ASSIGNED",
    "SORTED",
    "Backbone",
    "Cohort",
    "Embedding",
    "Explanation",
    "GeneCanvasError",
    "Genes",
    "LayoutMethod",
    "Method",
    "Placement",
    "Places",
    "Question",
    "Reply",
    "Run",
    "RunSpec",
    "Stage",
    "Store",
    "Transfer",
    "TransferSpec",
    "ask",
    "check",
    "compare",
    "compare_groups",
    "divide",
    "fit",
    "keep_group",
    "read",
    "register_backbone",
    "register_layout",
    "register_method",
    "simulate",
    "transfer",
]


def read(
    path: str | Path,
    labels: str | Path | Sequence[str | Path] | None = None,
    **understood: Any,
) -> AnnData:
    """Read an expression matrix of any known format, and what is known about its samples.

    Args:
        path: CSV, TSV, GCT, Excel, Parquet, Feather, h5ad, MATLAB, 10x folder, quantifier's table…,
            packed or not, with samples in rows or in columns.
        labels: one table of the samples' labels, or several that are joined.
        understood: `orientation`, `roles`, `part` and `symbols` of `core.data.read.read_dataset`,
            where names and values would be understood otherwise.

    Returns:
        `X` (samples x genes) float32, NaN where a value is missing; text columns in `obs`; in
        `uns["scale"]` the unit of the values: `counts`, `linear` or `log2`; in `uns["notes"]` what
        was understood, a sentence each.

    Raises:
        GeneCanvasError: what is wrong, where, and what to change.

    >>> adata = gcv.read("cohort.csv")
    >>> adata.shape, adata.uns["scale"]
    ((90, 200), 'counts')
    >>> gcv.read("cohort.pdf")
    Traceback (most recent call last):
    core.errors.InputError: There is no file cohort.pdf.
    """
    tables = [labels] if isinstance(labels, str | Path) else labels or []
    if not Path(path).exists():
        raise InputError(f"There is no file {path}.")
    return read_dataset(Path(path), [Path(table) for table in tables], **understood)


def check(
    adata: AnnData, label: str | None = None, group: str | None = None, batch: str | None = None
) -> DataCard:
    """Look through a dataset: classes, patients, batches, outliers, copies, floors.

    Args:
        adata: as `read` gives it.
        label: the column of the class.
        group: the column of the patient.
        batch: the column of the batch or site.

    Returns:
        A card with `samples`, `genes`, `classes` (class -> samples), `scale` and `findings`, the
        gravest first: each has `severity` (error, warning or info) and `message`.

    Raises:
        GeneCanvasError: a column isn't there.

    >>> card = gcv.check(adata, label="tumour_type", group="patient")
    >>> card.samples, card.genes, card.classes["BRCA"]
    (90, 200, 40)
    >>> {finding.severity for finding in card.findings} <= {"error", "warning", "info"}
    True
    """
    return check_dataset(adata, label, group, batch)


def keep_group(adata: AnnData, name: str, where: Mapping[str, Sequence[str]]) -> list[str]:
    """Keep samples under a name, with the dataset in the home, as the page Data does.

    Args:
        adata: as `read` gives it.
        name: of the group.
        where: column -> values; samples that have one of them in each column are in the group.

    Returns:
        The ids of the samples in the group.

    Raises:
        GeneCanvasError: a column or value isn't there, or the name stands for other samples.

    >>> len(gcv.keep_group(adata, "breast", {"tumour_type": ["BRCA"]}))
    40
    """
    dataset = add_dataset(adata, "from Python").id
    chosen = Cohort(where={column: list(values) for column, values in where.items()}).select(adata)
    return list(groups.keep_group(dataset, name, list(chosen.obs_names)).samples)


def compare_groups(
    adata: AnnData,
    one: str,
    other: str | None = None,
    *,
    patient: str | None = None,
    batch: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Compare two groups of samples gene by gene: fold change, Welch's t test, FDR.

    Args:
        adata: as `read` gives it.
        one: a group that was kept, by its name or the beginning of its id.
        other: another; without it all other samples.
        patient: the column of the patient, which tells whether samples are independent.
        batch: the column of the batch or site, which is held against the groups.

    Returns:
        A row a gene, the lowest p first: gene, log2fc (of `one` against `other`), mean_one,
        mean_other, t, p, fdr; and what speaks against it, a sentence each.

    Raises:
        GeneCanvasError: there is no such group, the two share samples, or one has fewer than two.

    >>> samples = gcv.keep_group(adata, "breast", {"tumour_type": ["BRCA"]})
    >>> genes, doubts = gcv.compare_groups(adata, "breast", patient="patient")
    >>> list(genes.columns)
    ['gene', 'log2fc', 'mean_one', 'mean_other', 't', 'p', 'fdr']
    """
    pair = groups.find_pair(add_dataset(adata, "from Python").id, adata, one, other)
    genes = differential.compare_groups(adata, *pair)
    found = differential.judge_groups(adata, *pair, patient, batch)
    return genes, [finding.message for finding in found]


def divide(adata: AnnData, one: str, other: str) -> tuple[AnnData, str]:
    """The samples of two groups as a dataset of their own, to train on.

    Args:
        adata: as `read` gives it.
        one: a group that was kept, by its name or the beginning of its id.
        other: another that shares no sample with it.

    Returns:
        The samples, and the column that holds each one's group: the label of a `Cohort`.

    Raises:
        GeneCanvasError: there is no such group, or the two share samples.

    >>> samples = gcv.keep_group(adata, "breast", {"tumour_type": ["BRCA"]})
    >>> samples = gcv.keep_group(adata, "lung", {"tumour_type": ["LUAD", "LUSC"]})
    >>> both, label = gcv.divide(adata, "breast", "lung")
    >>> label, sorted(both.obs[label].unique())
    ('group', ['breast', 'lung'])
    """
    dataset = add_dataset(adata, "from Python").id
    return groups.divide(adata, *groups.find_pair(dataset, adata, one, other))


def fit(
    adata: AnnData,
    spec: RunSpec,
    *,
    name: str = "from Python",
    progress: Callable[[float, str], None] | None = None,
) -> Run:
    """Train and test a network in this process, and wait for it.

    The dataset and the run are stored in the home, so that the app shows them, and the same
    question is never trained twice. An interrupted training goes on from its last epoch when it is
    asked for again.

    Args:
        adata: as `read` gives it.
        spec: what is trained. A cohort without a dataset is of `adata`.
        name: what the app calls the dataset.
        progress: told the share that is done, 0 to 1, and what happens.

    Returns:
        The finished run.

    Raises:
        GeneCanvasError: the specification doesn't fit the dataset, weights are missing or have
            learned from samples that would be tested, or the loss diverged.

    >>> run = gcv.fit(adata, spec)
    >>> run == gcv.fit(adata, spec)
    True
    >>> gcv.fit(adata, gcv.RunSpec(cohort={"label": "stage"}))
    Traceback (most recent call last):
    core.errors.InputError: The dataset has no label column 'stage'. Columns: ...
    """
    spec = store_data(spec, adata, name)
    return Run(do_here(TrainJob(spec=spec), progress or _ignore))


def compare(runs: Sequence[Run], metric: str | None = None) -> Comparison:
    """Finished runs side by side, with intervals and tests over patients or splits.

    Args:
        runs: two or more finished runs of one task, or one.
        metric: a score of `Run.metrics`; by default the accuracy, or R².

    Returns:
        `headline` (one sentence), `runs`, `differences` (pairs of runs on the same samples, in
        percentage points with 95 % intervals and p values after Holm's correction),
        `against_baseline`, `setups` (runs that differ in their seed only) and `notes`.

    Raises:
        GeneCanvasError: a run isn't finished or is damaged, or there is no such score.

    >>> gcv.compare([run], metric="balanced_accuracy").runs[0].n_test == run.result.n_test
    True
    >>> gcv.compare([run], metric="beauty")
    Traceback (most recent call last):
    core.errors.InputError: Unknown metric 'beauty'. Known: accuracy, balanced_accuracy, ...
    """
    return compare_runs([run.id for run in runs], metric)


def transfer(
    sources: AnnData | Sequence[AnnData],
    target: AnnData,
    source_cohorts: Cohort | Sequence[Cohort],
    target_cohort: Cohort,
    *,
    name: str = "from Python",
    progress: Callable[[float, str], None] | None = None,
    **choices: Any,
) -> Transfer:
    """Ask whether samples of other cohorts help to tell classes apart in this one.

    Models that learn from the target alone, from the sources alone and from both are held against
    each other, and against `methods`, on the same held-out patients of the target, for growing
    numbers of labelled ones. The cohorts and the answer are stored in the home, so that the page
    Transfer shows them.

    Args:
        sources: one cohort that is learned from, or several, as `read` gives them.
        target: the cohort whose classes shall be told apart.
        source_cohorts: of each source its label and patients; `merge` says which class of its own
            is which of the target's, where they have other names. One holds for all.
        target_cohort: label and patients of the target.
        name: what the app calls the datasets, with a number behind it.
        progress: told the share that is done, and what happens.
        choices: `budgets`, `draws`, `preparations`, `methods`, `controls`, `seed` and the other
            fields of a TransferSpec.

    Returns:
        `headline` (one sentence), `verdicts` (a sentence a method), `gain_table()` (the gain in
        AUROC at each number of labelled patients, with its interval and verdict),
        `score_table()`, `fits` (how far each source is from the target), `notes`.

    Raises:
        GeneCanvasError: the cohorts share too few genes, a class is missing, or a budget is above
            the patients that are there.

    >>> other = gcv.simulate(samples=60, genes=200, seed=5)[0]
    >>> other.obs_names = [f"other_{sample}" for sample in other.obs_names]
    >>> other.obs["patient"] = [f"other_{patient}" for patient in other.obs["patient"]]
    >>> found = gcv.transfer(
    ...     other, adata, spec.cohort, spec.cohort, budgets=(10,), draws=3, preparations=("rank",),
    ...     controls=False)
    >>> found.gain_table()["verdict"].isin(["helps", "no difference", "harms"]).all().item()
    True
    """
    parts = [sources] if isinstance(sources, AnnData) else list(sources)
    cohorts = [source_cohorts] if isinstance(source_cohorts, Cohort) else list(source_cohorts)
    if len(cohorts) == 1:
        cohorts = cohorts * len(parts)
    if len(cohorts) != len(parts):
        raise InputError(f"Expected a cohort for each of {len(parts)} sources, got {len(cohorts)}.")
    put = [put_cohort(cohort, data) for cohort, data in zip(cohorts, parts, strict=True)]
    spec = TransferSpec.parse(
        {"sources": put, "target": put_cohort(target_cohort, target), **choices}
    )
    for number, data in enumerate([*parts, target], start=1):
        add_dataset(data, f"{name} {number}")
    return transfer_here(spec, progress or _ignore)


def ask(
    question: str,
    *,
    folder: str | Path = ".",
    progress: Callable[[float, str], None] | None = None,
    **about: Any,
) -> Reply:
    """Ask one of the other questions of the page Transfer, and wait for the reply.

    Each sets a method beside a plain reference and controls whose answer is known. The reply is
    stored in the home, so that the page shows it.

    Args:
        question: `programs` (programs of genes that follow gene sets, looked up in another cohort:
            MultiPLIER), `species` (gene sets across species: XGSEA), `images` (networks compared
            on a folder of labelled images) or `imbalance` (light networks where a class is rare).
        folder: what paths of files begin from.
        progress: told the share that is done, and what happens.
        about: the fields of that question, such as `source`, `target`, `gene_sets`, `measured`,
            `orthologs`, `images`, `networks`. A cohort is a mapping whose `dataset` is an id of a
            stored dataset or its name; gene sets, orthologs and images may be paths.

    Returns:
        `headline`, `verdicts` (a sentence a method), `describe_controls()`, `line_table()` and
        `notes`.

    Raises:
        GeneCanvasError: something that it needs is missing or useless; nothing is stored then.

    >>> gcv.ask("beauty")
    Traceback (most recent call last):
    core.errors.InputError: Unknown question 'beauty'. Known: programs, species, images, imbalance.
    """
    return ask_here(bring_enquiry({"question": question, **about}, Path(folder)),
                    progress or _ignore)  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run of the home: what was asked, and once it is finished what came of it.

    >>> run.state, run.spec.cohort.label
    ('done', 'tumour_type')
    >>> sorted(run.metrics)[:2]
    ['accuracy', 'average_precision']
    >>> list(run.predictions)[:5]
    ['sample', 'fold', 'true', 'predicted', 'tuned_linear']
    >>> len(run.folds[0].layout.genes)
    100
    """

    id: str
    """16 hexadecimal digits, as the app and the command line show them."""

    @property
    def state(self) -> str:
        """`queued`, `paused`, `running`, `done`, `failed`, `out of memory` or `cancelled`."""
        return str(RunStore().get(self.id).state)

    @property
    def spec(self) -> RunSpec:
        """What was asked; `run.spec.to_yaml()` is what the command line reads."""
        return RunStore().get(self.id).spec

    @property
    def result(self) -> RunResult:
        """Everything that the run measured; raises GeneCanvasError until it is done."""
        return load_result(self.id)

    @property
    def headline(self) -> str:
        """The result in one honest sentence, beside the tuned linear model on the same genes."""
        return headline(self.id)

    @property
    def metrics(self) -> dict[str, float]:
        """Score -> value on the held-out samples, such as accuracy from 0 to 1."""
        return self.result.metrics

    @property
    def baselines(self) -> dict[str, dict[str, float]]:
        """Baseline model -> the same scores on the same samples."""
        return self.result.baselines

    @property
    def predictions(self) -> pd.DataFrame:
        """A row for each held-out sample: sample, fold, true, predicted, p_<class>, …"""
        return load_predictions(self.id)

    @property
    def folds(self) -> list[FittedModel]:
        """What each fold left: preprocessor, layout, network, temperature, sample ids.

        Each predicts other samples too, whose genes are found by their ids.

        >>> run.folds[0].predict(adata[:3]).shape
        (3, 5)
        """
        return [load_fitted(self.id, number) for number in range(len(self.result.folds))]

    def export(self, folder: Path | str) -> Path:
        """Write the run as a model folder, which others can use without its samples.

        It holds no id and no expression of any sample; docs/model_folder.md describes it.

        Args:
            folder: must be empty, or not there yet.

        Returns:
            The folder's absolute path.

        Raises:
            InputError: the folder isn't empty, or the run is damaged.
        """
        return export_model(self.id, Path(folder), lambda *_: None)

    def report(self, path: Path | str) -> Path:
        """Write what the run is and what came of it as one HTML file; docs/report.md says what.

        Genes stand in it where `explain("integrated_gradients")` was asked for.

        Args:
            path: of the file, which is written anew.

        Returns:
            The file's absolute path.

        Raises:
            InputError: the run isn't done, or is damaged.

        >>> run.report("report.html").name
        'report.html'
        """
        from core.report.run import write_run_report  # loads plotly, which most scripts don't need

        return write_run_report(self.id, Path(path))

    def wait(self, progress: Callable[[float, str], None] | None = None) -> Run:
        """Wait until a run of the queue is done; raises GeneCanvasError when it failed.

        >>> run.wait() == run
        True
        """
        record = wait_for(self.id, progress or _ignore)
        if record.state != JobState.DONE:
            raise InputError(f"Run {self.id} {record.state}: {record.reason}")
        return self

    def explain(
        self,
        method: str = "integrated_gradients",
        *,
        progress: Callable[[float, str], None] | None = None,
        **choices: Any,
    ) -> Explanation:
        """Carry the network's answers on held-out samples back to genes, in this process.

        Args:
            method: a name of METHODS.
            progress: told the share that is done, and what happens.
            choices: `baseline`, `against`, `stage`, `sets`, `samples`, `towards` and `through` of
                a Recipe.

        Raises:
            GeneCanvasError: the run isn't done, or the method or a choice doesn't fit it.

        >>> genes = run.explain("integrated_gradients").genes
        >>> list(genes)[:3], genes["class"].nunique()
        (['gene', 'class', 'score'], 5)
        """
        load_result(self.id)
        recipe = Recipe(method, **choices)
        do_here(ExplainJob(about=self.id, recipe=recipe), progress or _ignore)
        return Explanation(self.id, recipe)

    def explain_baseline(
        self,
        name: str,
        method: str = "integrated_gradients",
        *,
        second: str | None = None,
        progress: Callable[[float, str], None] | None = None,
    ) -> pd.DataFrame:
        """Which genes decide in a network on genes beside this run, on the same held-out samples.

        The baseline models that no run fits by itself are fitted in this process where they don't
        stand, as the page Compare does.

        Args:
            name: `perceptron`, `convolution`, `transformer`, `autoencoder` or `two_heads`.
            method: `integrated_gradients` or `saliency`.
            second: the column that the second head of `two_heads` learns; by default the batch.
            progress: told the share that is done, and what happens.

        Returns:
            gene, class, score (mean over the class's held-out samples), rank, …, the highest score
            of each class first.

        Raises:
            GeneCanvasError: the run isn't done, there is no such network or method, or no second
                label.
        """
        load_result(self.id)
        do_here(baselines_job([self.id], second), progress or _ignore)
        return network_genes(self.id, name, method)

    def predict(
        self,
        adata: AnnData,
        cohort: Cohort | None = None,
        *,
        together: str = "none",
        name: str = "from Python",
        progress: Callable[[float, str], None] | None = None,
    ) -> Prediction:
        """Call samples of another cohort, in this process, and say how far that can be trusted.

        The samples and the answer are stored in the home, so that the page Predict shows them.

        Args:
            adata: as `read` gives it; genes are found by their ids.
            cohort: which of its samples are called, by default all. Its label, where it has one,
                is what they are known to be, and `merge` says which class of theirs is which of the
                model's; scores are over its `group`, the patient.
            together: how the values are brought to those of training; a name in TOGETHER of
                `core.predict.together`.
            name: what the app calls the dataset.
            progress: told the share that is done, and what happens.

        Returns:
            `calls` (a row a sample: called, probability, linear_called, novelty, flagged, …),
            `summary` (how many look unlike training, and scores where the classes are known),
            `match` (genes that are missing, and what they cost) and `map`.

        Raises:
            GeneCanvasError: the model doesn't fit these samples, and what to do.

        >>> found = run.predict(adata[:40].copy(), gcv.Cohort(label="tumour_type"))
        >>> len(found.calls), found.match.share_found, found.summary.expected
        (40, 1.0, 0.05)
        >>> 0 < len(found.match.learned_from) == sum(found.calls["learned_from"])
        True
        """
        cohort = put_cohort(cohort or Cohort(), adata)
        cohort.select(adata)  # complains before anything is stored
        add_dataset(adata, name)
        asked = PredictRequest(model=self.id, cohort=cohort, together=together)
        return predict_here(asked, progress or _ignore)


@dataclass(frozen=True)
class Explanation:
    """What one method says of one run.

    >>> explanation = run.explain("integrated_gradients")
    >>> explanation.attribution.scores.shape[1]
    100
    >>> bool((explanation.genes.query("`class` == 'BRCA'")["rank"] >= 1).all())
    True
    """

    run: str
    recipe: Recipe

    @property
    def genes(self) -> pd.DataFrame:
        """A row for each gene and class, the best rank first.

        gene, class, score (mean attribution over the class's held-out samples), rank, log2fc (mean
        log2 expression in the class minus outside it), fdr (Welch t test, Benjamini-Hochberg), …
        """
        return class_genes(self.run, self.recipe)

    @property
    def unseen(self) -> list[str]:
        """Genes that the network could not see, which `genes` leaves out: see `NetworkSpec.edge`.

        >>> run.explain("integrated_gradients").unseen
        []
        """
        return unseen_genes(self.run)

    @property
    def attribution(self) -> RunAttribution:
        """(samples, genes) scores of single samples, with their ids, classes and folds."""
        return load_attribution(self.run, self.recipe)


class Store:
    """The home: the folder of datasets, runs and weights, and its queue of runs.

    One process has one home: naming a folder holds for everything that is asked from then on.
    Without a folder it is `GENECANVAS_HOME`, or the platform's folder for user data.

    >>> store = gcv.Store()
    >>> run in store.runs()
    True
    >>> store.find(run.id[:6]) == run
    True
    """

    def __init__(self, path: str | Path | None = None) -> None:
        if path is not None:
            os.environ["GENECANVAS_HOME"] = str(Path(path).expanduser().resolve())
        self.path = home()

    def submit(self, adata: AnnData, spec: RunSpec, *, name: str = "from Python") -> Run:
        """Queue a run for the worker of a device, which trains on when this process ends.

        Arguments and errors are those of `fit`; a layout or network that only this process knows
        is refused. An equal run that is known already is given back.

        >>> gcv.Store().submit(adata, spec) == run
        True
        """
        extensions.require_shared([spec.layout.name, spec.network.backbone])
        record, _ = RunStore().submit(store_data(spec, adata, name))
        if not record.state.finished:
            ensure_workers()
        return Run(record.id)

    def runs(self) -> list[Run]:
        """All runs of the home, the newest first."""
        return [Run(record.id) for record in RunStore().list()]

    def find(self, prefix: str) -> Run:
        """The one run whose id begins so; raises GeneCanvasError for none or several."""
        return Run(RunStore().find(prefix).id)


def register_layout(record: LayoutMethod) -> None:
    """Offer a layout of one's own: see docs/extend.md.

    From a file that `GENECANVAS_EXTENSIONS` names it can be chosen everywhere: on the pages, on the
    command line, in specifications. Raises GeneCanvasError when the name is taken.

    >>> def embed_by_spread(genes, seed):
    ...     return genes.x.std(axis=0)[:, None]
    >>> gcv.register_layout(gcv.LayoutMethod(
    ...     name="by_spread", title="By spread", help="Along a curve, by standard deviation.",
    ...     reference="", complexity="n log n time, n memory", quick_genes=20_000,
    ...     embedding=gcv.Embedding(embed_by_spread), placement=gcv.ALONG_CURVE))
    >>> spec.model_validate({**spec.model_dump(), "layout": {"name": "by_spread"}}).layout.name
    'by_spread'
    """
    extensions.register(LAYOUTS, record)


def register_method(record: Method) -> None:
    """Offer an attribution method of one's own, as `register_layout` does a layout.

    >>> gcv.register_method(gcv.Method(
    ...     name="expression", title="Expression itself", help="A control: looks at no network.",
    ...     reference="", unit="gene", signed=True, complete=False,
    ...     compute=lambda question: question.x - question.baseline))
    >>> len(run.explain("expression").genes) == 5 * 100
    True
    """
    extensions.register(METHODS, record)


def register_backbone(record: Backbone) -> None:
    """Offer a network of one's own, as `register_layout` does a layout.

    >>> gcv.register_backbone(run.spec.network.record)
    Traceback (most recent call last):
    core.errors.InputError: There is a backbone 'squeezenet1_1' already. Take another name.
    """
    extensions.register(BACKBONES, record)


def _ignore(share: float, text: str) -> None:
    """Say nothing."""


extensions.load_extensions()
