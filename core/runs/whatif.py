"""What if: child runs that differ from their parent in one thing, and what that changed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from core.data.cohort import Cohort
from core.data.store import get_record
from core.errors import InputError
from core.evaluation.differences import LEVEL, mcnemar, say_verdict
from core.evaluation.intervals import gather, weigh
from core.evaluation.metrics import METRICS
from core.images.layouts import LAYOUTS
from core.jobs.record import JobState
from core.runs.result import load_predictions, load_result
from core.runs.spec import RunSpec, say_option, setting_title
from core.runs.store import RunRecord

DROPPED = (10, 50, 100, 500)
"""Genes that a series of what-ifs leaves out."""


def without_genes(spec: RunSpec, genes: Collection[str]) -> RunSpec:
    """The same run on images that never hold these genes; others take their places."""
    left_out = dict.fromkeys([*spec.preparation.without, *_named(genes)])
    return _change(spec, preparation={"without": tuple(left_out)})


def only_genes(spec: RunSpec, genes: Collection[str]) -> RunSpec:
    """The same run on these genes alone, as far as the dataset has them."""
    return _change(spec, preparation={"gene_list": tuple(dict.fromkeys(_named(genes)))})


def by_quantiles(spec: RunSpec) -> RunSpec:
    """The same run with each sample brought to the mean distribution of the training samples."""
    return _change(spec, preparation={"across": "quantile"})


def without_value(spec: RunSpec, column: str, value: str, values: Collection[str]) -> RunSpec:
    """The same run without the samples whose column has a value: a class, a batch, a site.

    Args:
        spec: the parent.
        column: the column of the samples.
        value: what is left out.
        values: all values that the column has.

    Raises:
        InputError: nothing would be left.
    """
    kept = [name for name in spec.cohort.where.get(column, sorted(values)) if name != value]
    if not kept:
        raise InputError(f"Without {value} no sample is left: {column} has no other value.")
    return _change(spec, cohort={"where": {**spec.cohort.where, column: kept}})


def merged_classes(spec: RunSpec, first: str, second: str) -> RunSpec:
    """The same run with two classes taken for one.

    Raises InputError when they are the same.
    """
    if first == second:
        raise InputError(f"Choose two classes to merge; got {first} twice.")
    name = f"{first} + {second}"
    merge = spec.cohort.merge
    known = {cls for cls in (first, second) if cls not in merge.values()}
    known |= {old for old, new in merge.items() if new in (first, second)}
    return _change(spec, cohort={"merge": {**merge, **dict.fromkeys(sorted(known), name)}})


def permuted_labels(spec: RunSpec) -> RunSpec:
    """The control whose accuracy must fall to chance: every sample gets another one's class."""
    return _change(spec, permute_labels=True)


def shuffled_layout(spec: RunSpec) -> RunSpec:
    """The control without neighbourhoods: every gene at a random place."""
    return _change(spec, layout={"name": "random", "reference": None})


def half_the_training(spec: RunSpec) -> RunSpec:
    """The same test samples, and half of the others to train on (a learning curve of two sizes).

    Raises InputError unless the run has one hold-out split.
    """
    if spec.split.kind != "holdout":
        raise InputError(
            "Half of the training samples can be asked of a run with one hold-out split only."
        )
    return _change(spec, split={"kind": "learning_curve", "sizes": 2})


def from_weights(spec: RunSpec, run: str) -> RunSpec:
    """The same run, begun from the weights that the parent, whose id is `run`, ended with."""
    return _change(spec, network={"weights": f"run:{run}", "allow_leak": False})


def other_seed(spec: RunSpec, seed: int) -> RunSpec:
    """The same run on another split, from other random numbers."""
    return _change(spec, seed=seed)


def other_network(spec: RunSpec, backbone: str) -> RunSpec:
    """The same run with another network, all of it trained, at the rate that suits it.

    Below a solved head the other one is frozen as well. Weights of a file or a run fit one network
    only: the other one then starts from scratch.
    """
    weights = spec.network.weights
    if weights.startswith(("file:", "run:")):
        weights = "scratch"
    freeze = "backbone" if spec.network.is_solved else "nothing"
    network = {"backbone": backbone, "weights": weights, "freeze": freeze, "allow_leak": False}
    return _change(
        spec,
        network=network,
        training={"learning_rate": None},
    )


def _change(spec: RunSpec, **changes: Any) -> RunSpec:
    document = spec.model_dump(mode="json")
    for name, value in changes.items():
        document[name] = {**document[name], **value} if isinstance(value, dict) else value
    return RunSpec.parse(document)


def _named(genes: Collection[str]) -> list[str]:
    if not genes:
        raise InputError("Name at least one gene.")
    return [str(gene) for gene in genes]


def drop_series(
    spec: RunSpec, ranked: Collection[str], cls: str, seed: int = 0
) -> list[tuple[str, RunSpec]]:
    """Children without the first 10, 50, 100 and 500 genes of a ranking, and without random ones.

    Args:
        spec: the parent.
        ranked: its genes, the most important first.
        cls: the class whose ranking that is.
        seed: of the random genes.

    Returns:
        What each child is called, and the child, for the numbers that leave at least a tenth of
        the genes.
    """
    return [
        (name_without(len(genes), kind, cls), without_genes(spec, genes))
        for kind, genes in series_of(ranked, seed)
    ]


def series_of(ranked: Collection[str], seed: int) -> list[tuple[str, list[str]]]:
    """What each child of a series leaves out: top or random, and the genes."""
    ranked = list(ranked)
    shuffled = np.random.default_rng(seed).permutation(ranked).tolist()
    return [
        (kind, genes[:n])
        for n in DROPPED
        if n <= 0.9 * len(ranked)
        for kind, genes in (("top", ranked), ("random", shuffled))
    ]


def name_without(n: int, kind: str, cls: str) -> str:
    """What a child without so many genes of a class is called: kind is top or random."""
    return f"Without {n} {kind} genes of {cls}"


def read_drop_series(
    parent: RunRecord, children: Sequence[RunRecord], rankings: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """Accuracies of a finished run and of its finished children of `drop_series`.

    Args:
        parent: the run.
        children: those that were asked of it, whatever they are called now.
        rankings: class -> its genes, the most important first.

    Returns:
        Columns class, kind (top or random), genes (how many are left out), accuracy, low and high
        (95 % interval) and samples, in the order of the number of genes; the parent stands in each
        curve as 0 genes.
    """
    places = {
        frozenset(genes): (cls, kind, len(genes))
        for cls, ranked in rankings.items()
        for kind, genes in series_of(ranked, parent.spec.seed)
    }
    done = [child for child in children if child.state == JobState.DONE]
    left_out = {child.id: frozenset(genes_left_out(parent.spec, child.spec)) for child in done}
    rows = [(*places[genes], run) for run, genes in left_out.items() if genes in places]
    curves = dict.fromkeys((cls, kind) for cls, kind, _, _ in rows)
    rows += [(cls, kind, 0, parent.id) for cls, kind in curves]
    table = []
    for cls, kind, genes, run in rows:
        result = load_result(run)
        low, high = result.accuracy_interval
        accuracy, samples = result.metrics["accuracy"], result.n_test
        table.append((cls, kind, genes, accuracy, low, high, samples))
    columns = ["class", "kind", "genes", "accuracy", "low", "high", "samples"]
    return pd.DataFrame(table, columns=columns).sort_values(
        ["class", "kind", "genes"], ascending=[True, False, True], ignore_index=True
    )


def genes_left_out(parent: RunSpec, child: RunSpec) -> tuple[str, ...]:
    """The genes that the child leaves out and its parent doesn't; of another change none."""
    left = tuple(g for g in child.preparation.without if g not in set(parent.preparation.without))
    return left if left and child == without_genes(parent, left) else ()


def say_places(child: RunSpec) -> str:
    """What stands on the image where genes were left out; empty where the genes were listed, or
    the dataset is no longer here."""
    if child.preparation.gene_list:
        return ""
    try:
        left = get_record(child.cohort.dataset).genes - len(child.preparation.without)
    except InputError:
        return ""
    if left >= child.preparation.genes:
        return "Other genes took the places."
    return f"There were not enough others to take the places: the image has {left:,} genes."


def describe_difference(parent: RunSpec, child: RunSpec, run: str) -> str:
    """What the child does differently, in a few words; empty when nothing differs.

    `run` is the parent's id.
    """
    words = [*_describe_samples(parent.cohort, child.cohort), *_describe_genes(parent, child)]
    if child.permute_labels and not parent.permute_labels:
        words.append("labels permuted")
    if child.layout != parent.layout:
        words.append(f"layout {LAYOUTS[child.layout.name].title}")
    if child.network != parent.network:
        differ = _differing(parent.network, child.network)
        if "backbone" in differ:
            words.append(f"{child.network.record.title} instead of {parent.network.record.title}")
        if differ.get("weights") == f"run:{run}":
            words.append("from this run's weights")
        words += [
            "all of it trained" if (name, value) == ("freeze", "nothing")
            else _say_field("network", name, value)
            for name, value in differ.items()
            if name != "backbone" and value != f"run:{run}"
        ]  # fmt: skip
    if child.split != parent.split:
        halved = parent.split.model_copy(update={"kind": "learning_curve", "sizes": 2})
        words.append(
            "half of the training samples"
            if child.split == halved
            else f"split {child.split.title()}"
        )
    same_network = child.network.backbone == parent.network.backbone
    words += [
        _say_field("training", name, value)
        for name, value in _differing(parent.training, child.training).items()
        if same_network or (name, value) != ("learning_rate", None)  # each has one that suits it
    ]
    if child.seed != parent.seed:
        words.append(f"seed {child.seed}")
    return ", ".join(words)


def _describe_samples(parent: Cohort, child: Cohort) -> list[str]:
    words = []
    for column in sorted(child.where.keys() | parent.where.keys()):
        old, new = parent.where.get(column), child.where.get(column)
        if new is None:
            words.append(f"all values of {column}")
        elif old is None:
            words.append(f"{column} only {', '.join(new)}")
        elif set(new) < set(old):
            words.append(f"without {', '.join(sorted(set(old) - set(new)))}")
        elif new != old:
            words.append(f"{column} is {', '.join(new)}")
    left = set(child.leave_out) - set(parent.leave_out)
    if left:
        words.append(f"without {len(left)} samples")
    merged = sorted({new for old, new in child.merge.items() if parent.merge.get(old) != new})
    return words + [f"{name} as one class" for name in merged]


def _describe_genes(parent: RunSpec, child: RunSpec) -> list[str]:
    words = []
    old, new = parent.preparation, child.preparation
    left = [gene for gene in new.without if gene not in set(old.without)]
    if left:
        words.append(f"without {_few(left)}")
    if new.gene_list != old.gene_list:
        words.append(f"only {_few(list(new.gene_list))}" if new.gene_list else "all genes")
    rest = {k: v for k, v in _differing(old, new).items() if k not in ("without", "gene_list")}
    return words + [_say_field("preparation", name, value) for name, value in rest.items()]


def _say_field(part: str, name: str, value: Any) -> str:
    """A field as people read it: 'epochs: 4', 'learning rate: automatic'."""
    title = setting_title(f"{part}.{name}")
    return f"{title[0].lower()}{title[1:]}: {say_option(f'{part}.{name}', value)}"


def _few(genes: list[str]) -> str:
    return ", ".join(genes) if len(genes) <= 3 else f"{len(genes)} genes ({genes[0]}, …)"


def _differing(old: BaseModel, new: BaseModel) -> dict[str, Any]:
    after = new.model_dump()
    return {name: after[name] for name, value in old.model_dump().items() if after[name] != value}


class Effect(BaseModel):
    """What a change did, on the samples that both runs held out."""

    model_config = ConfigDict(frozen=True)

    shared: int
    """Held-out samples that both runs predicted."""
    parent_accuracy: float
    child_accuracy: float
    """On these samples; merged classes count as one for both."""
    lost: list[str]
    """Samples that only the parent had right."""
    gained: list[str]
    """Samples that only the child has right."""
    p: float
    """Exact McNemar test of lost against gained."""
    recall: dict[str, tuple[float, float, int]]
    """Class -> share that parent and child have right, and samples."""

    def say_class(self, cls: str) -> str:
        """What became of one class and of all: 'BRCA stays 34 of 34; overall 97.3 → 96.2 %, …'."""
        before, after, n = self.recall[cls]
        before, after = round(before * n), round(after * n)
        own = f"stays {after}" if before == after else f"goes from {before} to {after}"
        verdict = "significant" if self.p < LEVEL else "not significant"
        return (
            f"{cls} {own} of {n}; overall {100 * self.parent_accuracy:.1f} → "
            f"{100 * self.child_accuracy:.1f} %, {verdict} (exact McNemar p = {self.p:.2g})."
        )

    def sentence(self) -> str:
        """The effect in words."""
        points = 100 * (self.child_accuracy - self.parent_accuracy)
        if not self.lost and not self.gained:
            return f"The same {self.shared} answers: every held-out sample is judged alike."
        return (
            f"{self.child_accuracy:.1%} of {self.shared} shared held-out samples are right, "
            f"{points:+.1f} points against the parent's {self.parent_accuracy:.1%}: "
            f"{len(self.lost)} lost, {len(self.gained)} gained, which "
            f"{say_verdict(self.p < LEVEL, f'exact McNemar p = {self.p:.2g}')}."
            f"{self._most_changed()}"
        )

    def _most_changed(self) -> str:
        """The class whose number of right samples changed most, as another sentence."""
        right = {
            name: (round(before * n), round(after * n), n)
            for name, (before, after, n) in self.recall.items()
        }
        name = max(right, key=lambda name: abs(right[name][1] - right[name][0]))
        before, after, n = right[name]
        if before == after:
            return ""
        return f" Most changed: {name}, {before} right before and {after} now, of {n}."


class ValueEffect(BaseModel):
    """What a change did to a regression, on the samples that both runs held out."""

    model_config = ConfigDict(frozen=True)

    shared: int
    parent_r2: float
    child_r2: float
    limits: tuple[float, float] | None
    """95 % interval of the child's R² minus the parent's, samples drawn anew."""

    def sentence(self) -> str:
        """The effect in words."""
        said = (
            f"R² is {self.child_r2:z.2f} on {self.shared} shared held-out samples, the parent's "
            f"{self.parent_r2:z.2f}: {self.child_r2 - self.parent_r2:+z.2f}"
        )
        if self.limits is None:
            return said + "."
        low, high = self.limits
        how = f"95 % interval {low:z.2f} to {high:z.2f}"
        return f"{said}, which {say_verdict(low > 0 or high < 0, how)}."


def compare_values(parent: RunRecord, child: RunRecord) -> ValueEffect:
    """What a child run of a regression changed; raises InputError as `compare_to_parent` does."""
    both = _join_answers(parent, child)
    true, ones = both["true_parent"].to_numpy(float), np.ones((1, len(both)))
    weights, compute = weigh(both.index.to_numpy().astype(str)), METRICS["r2"].compute
    old, new = (both[[f"predicted_{name}"]].to_numpy(float) for name in ("parent", "child"))
    spreads = [gather(compute(true, values, weights), len(both)) for values in (new, old)]
    return ValueEffect(
        shared=len(both),
        parent_r2=float(compute(true, old, ones)[0]),
        child_r2=float(compute(true, new, ones)[0]),
        limits=(spreads[0] - spreads[1]).interval(),
    )


def _join_answers(parent: RunRecord, child: RunRecord) -> pd.DataFrame:
    """The samples that both held out: true and predicted of either; merged classes as one."""
    if child.spec.permute_labels:
        raise InputError(
            "With permuted labels no sample keeps its label, so the two can't be compared sample "
            "by sample: compare the score with chance."
        )
    earlier = parent.spec.cohort.merge
    merged = {earlier.get(old, old): new for old, new in child.spec.cohort.merge.items()}
    return _join(load_predictions(parent.id), load_predictions(child.id), merged)


def _join(parent: pd.DataFrame, child: pd.DataFrame, merged: dict[str, str]) -> pd.DataFrame:
    frames = [
        frame.drop_duplicates("sample").set_index("sample")[["true", "predicted"]].replace(merged)
        for frame in (parent, child)
    ]
    both = frames[0].join(frames[1], lsuffix="_parent", rsuffix="_child", how="inner")
    both = both[both["true_parent"] == both["true_child"]]
    if both.empty:
        raise InputError("The two runs held out no sample in common, so they can't be compared.")
    return both


def compare_answers(parent: pd.DataFrame, child: pd.DataFrame) -> Effect:
    """What changed between two tables of predictions (columns sample, true, predicted)."""
    return _measure(_join(parent, child, {}))


def compare_to_parent(parent: RunRecord, child: RunRecord) -> Effect:
    """What a child run on classes changed.

    Where a run tested a sample several times its first answer counts: with half of the training
    samples, that of the smaller part.

    Args:
        parent: a finished run.
        child: a finished run; classes that it merged count as one for both.

    Raises:
        InputError: the two held out no sample in common, or the child's labels are permuted.
    """
    return _measure(_join_answers(parent, child))


def _measure(both: pd.DataFrame) -> Effect:
    """The effect on samples that were tested twice, as `_join` gives them."""
    before = both["predicted_parent"] == both["true_parent"]
    after = both["predicted_child"] == both["true_child"]
    lost, gained = both.index[before & ~after], both.index[~before & after]
    true = both["true_parent"]
    return Effect(
        shared=len(both),
        parent_accuracy=float(before.mean()),
        child_accuracy=float(after.mean()),
        lost=lost.tolist(),
        gained=gained.tolist(),
        p=mcnemar(before.to_numpy(), after.to_numpy()),
        recall={
            str(cls): (
                float(before[true == cls].mean()), float(after[true == cls].mean()),
                int((true == cls).sum()),
            )
            for cls in sorted(true.unique())
        },
    )  # fmt: skip
