"""Single samples over several runs: doubtful labels, and one sample looked at closely."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData

from core.compare.settings import name_settings, name_setup
from core.errors import InputError
from core.evaluation.differences import paired_interval
from core.evaluation.labels import confident_classes
from core.images.layout import GeneLayout
from core.runs.fitted import load_fitted
from core.runs.outcome import NETWORK, Outcome, shared_reference


def find_doubtful_labels(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Samples whose held-out probabilities confidently speak for another class: a list to check.

    The judges are the networks and the runs' reference model. Each one's probabilities are averaged
    over the runs that tested the sample; the rule is that of `confident_classes`. Runs with
    permuted labels don't count, nor do those whose network is clearly worse than the reference
    model, unless all are. Runs whose classes differ are judged apart.

    Returns:
        Columns sample, patient, label, network and the reference model's name, such as tuned_linear
        (the class that each would rather have; empty where it agrees), judges (how many disagree),
        p_label and p_other (mean probability over the judges of the label, and of the class that
        they would rather have), tested (by how many runs). Those that both judges doubt come first.
    """
    reference = shared_reference(outcomes)
    judges = (NETWORK, reference)
    columns = ["sample", "patient", "label", *judges, "judges", "p_label", "p_other", "tested"]
    alike: dict[tuple[str, ...], list[Outcome]] = {}
    for outcome in outcomes:
        if not outcome.spec.permute_labels:
            alike.setdefault(tuple(outcome.result.classes), []).append(outcome)
    rows = []
    for names, members in alike.items():
        group = [o for o in members if not _is_clearly_worse(o, reference)] or members
        samples = np.concatenate([outcome.samples for outcome in group])
        ids, first, number, tested = np.unique(
            samples, return_index=True, return_inverse=True, return_counts=True
        )
        y = np.concatenate([outcome.y for outcome in group])[first]
        patients = np.concatenate([outcome.patients for outcome in group])[first]
        means = {}
        for judge in judges:
            proba = np.concatenate([outcome.proba[judge] for outcome in group])
            sums = np.zeros((len(ids), len(names)))
            np.add.at(sums, number, proba)
            means[judge] = sums / tested[:, None]
        others = {judge: confident_classes(y, proba) for judge, proba in means.items()}
        for k in np.flatnonzero(np.any([other != y for other in others.values()], axis=0)):
            doubting = [judge for judge in judges if others[judge][k] != y[k]]
            rows.append(
                (
                    ids[k],
                    patients[k],
                    names[y[k]],
                    *(names[others[j][k]] if j in doubting else "" for j in judges),
                    len(doubting),
                    np.mean([means[judge][k, y[k]] for judge in judges]),
                    np.mean([means[judge][k, others[judge][k]] for judge in doubting]),
                    tested[k],
                )
            )
    return (
        pd.DataFrame(rows, columns=columns)
        .sort_values(["judges", "p_label"], ascending=[False, True], kind="stable")
        .reset_index(drop=True)
    )


def _is_clearly_worse(outcome: Outcome, reference: str) -> bool:
    """Whether the interval of the network's accuracy minus the reference model's is below 0."""
    rights = outcome.right(), outcome.right(reference)
    return paired_interval(*rights, outcome.patients)[1] < 0


def list_answers(sample: str, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """What each run that tested a sample said of it.

    Returns:
        Columns run, fold, name (of its setup, and its seed), label, named (the most probable
        class), right, p_label, p_named, the reference model's name, such as tuned_linear (the class
        that it named), then p_<class> of the network's. A row for each test of the sample.
    """
    rows, settings, reference = [], name_settings(outcomes), shared_reference(outcomes)
    for outcome in outcomes:
        names = outcome.result.classes
        for k in np.flatnonzero(outcome.samples == sample):
            proba = outcome.proba[NETWORK][k]
            named = int(proba.argmax())
            rows.append(
                {
                    "run": outcome.run,
                    "fold": int(outcome.folds[k]),
                    "name": f"{name_setup(outcome.spec, settings)} · seed {outcome.spec.seed}",
                    "label": names[outcome.y[k]],
                    "named": names[named],
                    "right": named == outcome.y[k],
                    "p_label": proba[outcome.y[k]],
                    "p_named": proba[named],
                    reference: names[outcome.proba[reference][k].argmax()],
                    **{f"p_{name}": value for name, value in zip(names, proba, strict=True)},
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class SampleView:
    """A held-out sample as a fold's network saw it, and the training samples most like it."""

    layout: GeneLayout
    values: np.ndarray
    """(genes,) prepared expression in [0, 1], in the order of the layout."""
    neighbours: pd.DataFrame
    """sample, label, correlation; the most alike first."""


def view_sample(outcome: Outcome, sample: str, data: AnnData, most: int = 10) -> SampleView:
    """A sample's gene-image and its nearest training samples, by the fold that held it out.

    Neighbours are training samples; likeness is Pearson's correlation over the genes of the image,
    each gene scaled by its mean and SD in the training samples.

    Args:
        outcome: a run that tested the sample.
        sample: its id.
        data: the run's dataset.
        most: how many neighbours.

    Raises:
        InputError: the run did not test the sample, or the fold's files are gone.
    """
    tests = np.flatnonzero(outcome.samples == sample)
    if not len(tests):
        raise InputError(f"Run {outcome.run} did not test the sample {sample!r}.")
    fold = int(outcome.folds[tests[0]])
    fitted = load_fitted(outcome.run, fold)
    prepared, layout, train = fitted.preprocessor, fitted.layout, fitted.train
    data = outcome.spec.cohort.select(data)
    place = pd.Series(np.arange(data.n_obs), index=data.obs_names.astype(str))
    at = place[[sample, *train]].to_numpy()
    values = fitted.prepare(data[at])
    scaled = (values - prepared.mean) / np.maximum(prepared.unit_sd, 1e-6)
    scaled -= scaled.mean(axis=1, keepdims=True)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-12)
    likeness = scaled[1:] @ scaled[0]
    nearest = np.argsort(-likeness, kind="stable")[:most]
    labels = data.obs[outcome.spec.cohort.label].astype(str)
    chosen = train[nearest]
    return SampleView(
        layout=layout,
        values=values[0][pd.Index(prepared.genes).get_indexer(layout.genes)],
        neighbours=pd.DataFrame(
            {
                "sample": chosen,
                "label": labels.loc[chosen].to_numpy(),
                "correlation": likeness[nearest],
            }
        ),
    )
