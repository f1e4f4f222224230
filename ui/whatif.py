"""What if: a child run that differs from a finished one in one thing, and what that changed."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from core.errors import InputError
from core.escape import escape_markdown
from core.explain.methods import METHODS, Recipe
from core.glossary import define
from core.images.references import list_references, read_gene_sets, reference_file
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.models.backbones import BACKBONES
from core.plots.whatif import drop_curves, recall_changes
from core.runs.explain import class_genes
from core.runs.explaining import explanation_state
from core.runs.preflight import preflight_apart
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.whatif import (
    by_quantiles,
    compare_to_parent,
    compare_values,
    describe_difference,
    drop_series,
    from_weights,
    half_the_training,
    merged_classes,
    only_genes,
    other_network,
    other_seed,
    permuted_labels,
    read_drop_series,
    shuffled_layout,
    without_genes,
    without_value,
)
from core.training.tasks import TASKS
from ui.forms import ask_number
from ui.parts import errors, go_to, open_dataset, show_figure

Children = list[tuple[str, RunSpec]]
"""What each child is called, and its specification."""


def show_whatif(record: RunRecord) -> None:
    """One question to a finished run; the answer is a run of its own beside it."""
    with st.expander("What if …", icon=":material/alt_route:"), errors():
        question = st.selectbox(
            "What if it were trained", _questions(record), key="what if", placeholder="choose",
            help=define("what-if"),
        )  # fmt: skip
        children = QUESTIONS[question](record)
        if not children:
            return
        several = len(children) > 1
        differences = [describe_difference(record.spec, child, record.id) for _, child in children]
        st.caption(
            f"{len(children)} runs as one study, each with other genes left out."
            if several
            else f"One run like this one, but: {escape_markdown(differences[0])}. Everything is "
            "fitted anew."
        )
        if st.button("Ask", type="primary", key="ask"):
            ask(record, children)


def _questions(record: RunRecord) -> list[str]:
    """The questions that a run of its task can be asked."""
    has_classes = TASKS[record.spec.task].has_classes
    return [question for question in QUESTIONS if has_classes or question not in OF_CLASSES]


def offer_without(record: RunRecord, genes: Sequence[str], *, key: str) -> None:
    """A button that asks for the run without some genes, and goes to it on the page Train."""
    what = "it" if len(genes) == 1 else f"these {len(genes):,}"
    if st.button(f"What if without {what}?", key=key, icon=":material/alt_route:"):
        child = without_genes(record.spec, genes)
        ask(record, _one(record, child), then=lambda: go_to("train"))


def offer_shared(record: RunRecord, shared: Callable[[], Sequence[str]], *, key: str) -> None:
    """A button that asks for the run on the genes that another cohort has too."""
    if st.button(
        "What if it learned from the genes that both have?", key=key, icon=":material/alt_route:"
    ):
        with st.spinner("Looking for genes that both have"):
            child = only_genes(record.spec, shared())
        ask(record, _one(record, child), then=lambda: go_to("train"))


def offer_quantiles(record: RunRecord, *, key: str) -> None:
    """A button that asks for the run with each sample brought to training's distribution."""
    if st.button(
        "What if each sample got training's distribution?", key=key, icon=":material/alt_route:"
    ):
        child = by_quantiles(record.spec)
        ask(record, _one(record, child), then=lambda: go_to("train"))


def ask(
    record: RunRecord, children: Children, then: Callable[[], None] = lambda: st.rerun()
) -> None:
    """Queue the children and show the first; one that was asked before isn't trained again."""
    with st.spinner("Checking the settings"):
        for _, child in children:
            preflight_apart(child)
    store = RunStore()
    study = f"Genes left out of {record.name} ({record.id[:6]})" if len(children) > 1 else None
    asked = [store.submit(child, name, parent=record.id, study=study) for name, child in children]
    ensure_workers()
    if not any(new for _, new in asked):
        st.toast("This was asked before: here is its run.")
    first = asked[0][0].id
    st.query_params["run"] = first
    st.session_state["last run"] = first
    then()


def _one(record: RunRecord, child: RunSpec) -> Children:
    words = describe_difference(record.spec, child, record.id)
    if not words:
        st.info("That is this run: nothing would differ.")
        return []
    return [(f"{words[0].upper()}{words[1:]} · {record.spec.title()}", child)]


def _ranked_genes(record: RunRecord) -> tuple[str, list[str]] | None:
    """A class and its genes by attribution, the most important first."""
    computed = [
        Recipe(method.name)
        for method in METHODS
        if method.unit == "gene"
        and explanation_state(record.id, Recipe(method.name)).state == "done"
    ]
    if not computed:
        st.info(
            "That needs a ranking of the genes: compute one on the page Explain, or paste a list."
        )
        return None
    cls = st.selectbox("Top genes of", load_result(record.id).classes, key="what if class")
    return cls, class_genes(record.id, computed[0], cls)["gene"].tolist()


def _top_genes(record: RunRecord) -> Children:
    ranked = _ranked_genes(record)
    if ranked is None:
        return []
    most = len(ranked[1]) - 4
    count = ask_number("How many", 1, most, min(50, most), key="what if count")
    return _one(record, without_genes(record.spec, ranked[1][: int(count)]))


def _listed(record: RunRecord, change: Callable[[RunSpec, list[str]], RunSpec]) -> Children:
    """Genes that were pasted or are of a kept gene set."""
    sets = {
        f"{name} ({reference.name})": genes
        for reference in list_references("sets")
        for name, genes in read_gene_sets(reference_file(reference.id)).items()
    }
    chosen = None
    if sets:
        chosen = st.selectbox(
            "A gene set", list(sets), index=None, key="what if set", placeholder="or paste below"
        )
    text = st.text_area(
        "Genes", key="what if genes", placeholder="TP63, SOX2, KRT5", disabled=chosen is not None,
        help="Symbols as in the dataset, separated by commas, spaces or lines.",
    )  # fmt: skip
    genes = sets[chosen] if chosen else [gene for gene in re.split(r"[\s,;]+", text) if gene]
    if not genes:
        return []
    known = set(open_dataset(record.spec.cohort.dataset).var_names)
    found = [gene for gene in genes if gene in known]
    if not found:
        raise InputError(f"None of these {len(genes)} genes is in the dataset, first {genes[0]}.")
    if len(found) < len(genes):
        missing = [gene for gene in genes if gene not in known]
        st.caption(
            f"{len(missing)} of {len(genes)} are not in the dataset: "
            f"{escape_markdown(', '.join(missing[:10]))}{' …' if len(missing) > 10 else ''}"
        )
    if change is only_genes:
        st.warning(
            "If these genes were chosen because of held-out samples of these data, such as from "
            "the page Explain, the accuracy will be too good."
        )
    return _one(record, change(record.spec, found))


def _without_class(record: RunRecord) -> Children:
    classes = load_result(record.id).classes
    cls = st.selectbox("Class", classes, key="what if without")
    if record.spec.cohort.merge or len(classes) < 3:
        st.info("That needs three classes at least, none of them merged.")
        return []
    return _without(record, record.spec.cohort.label, cls)


def _without_batch(record: RunRecord) -> Children:
    obs = open_dataset(record.spec.cohort.dataset).obs
    columns = [
        name for name in obs if name != record.spec.cohort.label and 1 < obs[name].nunique() <= 60
    ]
    if not columns:
        st.info("The dataset has no other column with 2 to 60 values.")
        return []
    column = st.selectbox("Column", columns, key="what if column")
    value = st.selectbox("Without", sorted(obs[column].astype(str).unique()), key="what if value")
    return _without(record, column, value)


def _without(record: RunRecord, column: str, value: str) -> Children:
    values = open_dataset(record.spec.cohort.dataset).obs[column].astype(str).unique()
    return _one(record, without_value(record.spec, column, value, values))


def _merged(record: RunRecord) -> Children:
    classes = load_result(record.id).classes
    if len(classes) < 3:
        st.info("That needs three classes at least.")
        return []
    chosen = st.multiselect("Two classes", classes, max_selections=2, key="what if merge")
    return _one(record, merged_classes(record.spec, *chosen)) if len(chosen) == 2 else []


def _seed(record: RunRecord) -> Children:
    seed = ask_number("Seed", 0, 2**31 - 1, record.spec.seed + 1, key="what if seed")
    return _one(record, other_seed(record.spec, int(seed)))


def _network(record: RunRecord) -> Children:
    others = [name for name in BACKBONES.names if name != record.spec.network.backbone]
    name = st.selectbox(
        "Network", others, format_func=lambda name: BACKBONES[name].title, key="what if network"
    )
    return _one(record, other_network(record.spec, name))


def _series(record: RunRecord) -> Children:
    ranked = _ranked_genes(record)
    if ranked is None:
        return []
    cls, genes = ranked
    return drop_series(record.spec, genes, cls, record.spec.seed)


def _simple(change: Callable[[RunSpec], RunSpec], record: RunRecord) -> Children:
    return _one(record, change(record.spec))


QUESTIONS: dict[str, Callable[[RunRecord], Children]] = {
    "without the top genes of a class": _top_genes,
    "without some genes": lambda record: _listed(record, without_genes),
    "on some genes only": lambda record: _listed(record, only_genes),
    "without more and more top genes (a series)": _series,
    "without a class": _without_class,
    "with two classes as one": _merged,
    "without a batch, a site, or another group": _without_batch,
    "on half of the training samples": partial(_simple, half_the_training),
    "on permuted labels (control)": partial(_simple, permuted_labels),
    "on a shuffled layout (control)": partial(_simple, shuffled_layout),
    "from this run's weights": lambda record: _one(record, from_weights(record.spec, record.id)),
    "with another seed": _seed,
    "with another network": _network,
}


OF_CLASSES = ("without more and more top genes (a series)", "without a class",
              "with two classes as one")  # fmt: skip
"""Questions that only runs on classes can be asked."""


def show_family(record: RunRecord) -> None:
    """The run's parent with what this one changed, and its children."""
    store = RunStore()
    records = {other.id: other for other in store.list()}
    parent = records.get(record.parent or "")
    children = [other for other in records.values() if other.parent == record.id]
    if parent is not None:
        with st.container(border=True):
            words = describe_difference(parent.spec, record.spec, parent.id)
            st.markdown(f"##### What if: {escape_markdown(words)}")
            _open(parent, f"← Parent run: {escape_markdown(parent.spec.title())}")
            if record.state == parent.state == JobState.DONE:
                show_effect(parent, record)
    if children:
        with st.expander(f"{len(children)} what-ifs of this run", expanded=True):
            for child in reversed(children):
                words = describe_difference(record.spec, child.spec, record.id)
                found = str(child.state)
                if child.state == JobState.DONE:
                    found = say_score(child)
                _open(child, f"{escape_markdown(words[:1].upper() + words[1:])} · {found} →")
            if record.state == JobState.DONE:
                show_series(record, children)


def say_score(record: RunRecord) -> str:
    """A finished run's first score in a few words."""
    task, scores = TASKS[record.spec.task], load_result(record.id).metrics
    if task.has_classes:
        return f"{scores['accuracy']:.1%} right"
    metric = task.metrics[task.first_metric]
    return f"{metric.title} {scores[metric.name]:z.2f}"


def _open(record: RunRecord, label: str) -> None:
    if st.button(label, key=f"open {record.id}", type="tertiary"):
        st.query_params["run"] = record.id
        st.session_state["last run"] = record.id
        st.rerun()


def show_effect(parent: RunRecord, child: RunRecord) -> None:
    """What the change did on the samples that both held out."""
    if child.spec.permute_labels:
        result = load_result(child.id)
        if not TASKS[child.spec.task].has_classes:
            st.markdown(
                f"With permuted labels R² is {result.metrics['r2']:z.2f}. Clearly more than 0 "
                "would mean that the split leaks."
            )
            return
        st.markdown(
            f"With permuted labels {result.metrics['accuracy']:.1%} are right; always naming the "
            f"largest class gives {result.chance:.1%}. Clearly more than that would mean that the "
            "split leaks."
        )
        return
    if not TASKS[child.spec.task].has_classes:
        st.markdown(escape_markdown(compare_values(parent, child).sentence()))
        return
    effect = compare_to_parent(parent, child)
    st.markdown(escape_markdown(effect.sentence()))
    table = pd.DataFrame(
        [
            {"class": name, "samples": n, "before": before, "after": after}
            for name, (before, after, n) in effect.recall.items()
        ]
    )
    show_figure(
        recall_changes(table), table, "what_if_recall", alt="Recall of each class before and after",
        key="recall changes",
    )  # fmt: skip
    flipped = pd.DataFrame(
        [*((name, "lost") for name in effect.lost), *((name, "gained") for name in effect.gained)],
        columns=["sample", "change"],
    )
    if len(flipped):
        with st.expander(f"{len(flipped)} samples flipped"):
            st.dataframe(flipped, hide_index=True)


def show_series(record: RunRecord, children: list[RunRecord]) -> None:
    """Accuracy over the number of genes left out, beside as many random ones."""
    table = read_drop_series(record, children)
    if table["genes"].nunique() < 3:
        return
    show_figure(
        drop_curves(table), table, "genes_left_out", key="drop curves",
        alt="Accuracy without more and more genes",
    )  # fmt: skip
    st.caption(
        "If accuracy holds without the top genes, others carry the same signal: the top genes are "
        "not the only ones that tell the classes. Random genes show what fewer genes alone do."
    )
