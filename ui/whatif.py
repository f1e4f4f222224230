"""What if: a child run that differs from a finished one in one thing, and what that changed."""

import re
from collections.abc import Callable, Sequence
from functools import partial

import pandas as pd
import streamlit as st

from core.errors import InputError
from core.escape import escape_markdown, escape_message
from core.explain.methods import METHODS, Recipe
from core.glossary import define
from core.home import only_looks
from core.images.references import list_references, read_gene_sets, reference_file
from core.jobs.launch import ensure_workers, foresee
from core.jobs.record import JobState
from core.jobs.which import Which
from core.models.backbones import BACKBONES
from core.plots.whatif import drop_curves, recall_changes
from core.runs.explaining import ExplainJob, explanation_state
from core.runs.preflight import preflight_apart
from core.runs.result import load_result
from core.runs.silenced import load_silenced, request_silence, silence_state
from core.runs.spec import RunSpec
from core.runs.store import RunRecord, RunStore
from core.runs.training import TrainJob
from core.runs.whatif import (
    Effect,
    by_quantiles,
    compare_to_parent,
    compare_values,
    describe_difference,
    drop_series,
    from_weights,
    genes_left_out,
    half_the_training,
    merged_classes,
    name_without,
    only_genes,
    other_network,
    other_seed,
    permuted_labels,
    read_drop_series,
    say_places,
    shuffled_layout,
    without_genes,
    without_value,
)
from core.training.tasks import TASKS
from ui.about import About
from ui.cost import show_duration
from ui.explain import read_genes
from ui.forms import ask_number
from ui.parts import errors, find_runs, go_to_run, needs_own_home, open_dataset, show_figure

Children = list[tuple[str, RunSpec]]
"""What each child is called, and its specification."""
RECIPE = Recipe("integrated_gradients")
"""How genes are ranked by themselves when a training has ended."""
MOST = 4
"""Answers that stand below a question; earlier ones are folded away."""


EXPLAIN = "explain after"
"""Where the session keeps whether genes are ranked as soon as a training has ended."""


def explain_after(record: RunRecord) -> None:
    """Have a run's genes ranked as soon as it is done, whether or not somebody looks."""
    if not record.spec.permute_labels:
        RunStore().let_follow(record.id, ExplainJob(about=record.id, recipe=RECIPE))


def show_whatif(record: RunRecord) -> None:
    """One question to a finished run, as a sentence; the answers stand below it."""
    if needs_own_home("What-ifs can be asked of it"):
        return
    foresee(TrainJob)
    children: Children = []
    with st.container(horizontal=True, vertical_alignment="bottom", key="what_if", gap="small"):
        question = st.selectbox(
            "What if it were trained", _questions(record), key="what if", help=define("what-if"),
            width=330,
        )  # fmt: skip
        with errors():
            children = QUESTIONS[question](record)
            asked = st.button("Ask", type="primary", key="ask", disabled=not children)
            if children:  # beside the button, which so stays where it is
                show_duration(children[0][1], len(children))
            if asked:
                ask(record, children)
    if len(children) > 1:
        st.caption(f"{len(children)} runs as one study, each with other genes left out.")


def _questions(record: RunRecord) -> list[str]:
    """The questions that a run of its task can be asked."""
    has_classes = TASKS[record.spec.task].has_classes
    return [question for question in QUESTIONS if has_classes or question not in OF_CLASSES]


def offer_without(record: RunRecord, genes: Sequence[str], *, key: str) -> None:
    """A button that asks for the run without some genes, and goes to its page."""
    if only_looks():
        return
    what = "it" if len(genes) == 1 else f"these {len(genes):,}"
    if st.button(f"What if without {what}?", key=key, icon=":material/alt_route:"):
        child = without_genes(record.spec, genes)
        ask(record, _one(record, child), go=True)


def offer_shared(record: RunRecord, shared: Callable[[], Sequence[str]], *, key: str) -> None:
    """A button that asks for the run on the genes that another cohort has too."""
    if st.button(
        "What if it learned from the genes that both have?", key=key, icon=":material/alt_route:"
    ):
        with st.spinner("Looking for genes that both have"):
            child = only_genes(record.spec, shared())
        ask(record, _one(record, child), go=True)


def offer_quantiles(record: RunRecord, *, key: str) -> None:
    """A button that asks for the run with each sample brought to training's distribution."""
    if st.button(
        "What if each sample got training's distribution?", key=key, icon=":material/alt_route:"
    ):
        child = by_quantiles(record.spec)
        ask(record, _one(record, child), go=True)


def ask(record: RunRecord, children: Children, *, go: bool = False) -> None:
    """Queue the children; one that was asked before isn't trained again.

    Args:
        record: the run that is asked.
        children: what is asked of it.
        go: open the page of the first child; else the answers are waited for here.
    """
    if not children:
        return
    with st.spinner("Checking the settings"):
        for _, child in children:
            preflight_apart(child, open_dataset(child.cohort.dataset))
    store = RunStore()
    store.need_quota_for(child for _, child in children)
    study = f"Genes left out of {record.name}" if len(children) > 1 else None
    asked = [store.submit(child, name, parent=record.id, study=study) for name, child in children]
    if st.session_state.get(EXPLAIN, True) and len(children) == 1:
        explain_after(asked[0][0])
        foresee(ExplainJob)
    for one, _ in asked:
        if genes := _silenced(record, one):
            request_silence(record.id, genes)
    ensure_workers()
    if not any(new for _, new in asked):
        st.toast("This was asked before: here is the answer.")
    if go:
        go_to_run(asked[0][0].id)
    st.rerun()


def _one(record: RunRecord, child: RunSpec, name: str | None = None) -> Children:
    """The one child, called as said or by what it does differently."""
    words = describe_difference(record.spec, child, record.id)
    if not words:
        st.info("That is this run: nothing would differ.")
        return []
    return [(name or f"{words[0].upper()}{words[1:]}", child)]


def _ranked_genes(record: RunRecord) -> tuple[str, list[str]] | None:
    """A class and its genes by attribution, the most important first."""
    rankings = _rankings(record)
    if not rankings:
        st.info("That needs the genes to be ranked first. Other questions can be asked at once.")
        return None
    cls = st.selectbox("Top genes of", list(rankings), key="what if class", width=180)
    return cls, rankings[cls]


def _rankings(record: RunRecord) -> dict[str, list[str]]:
    """Each class's genes by attribution, the most important first; empty before there is one."""
    computed = [
        Recipe(method.name)
        for method in METHODS
        if method.unit == "gene"
        and explanation_state(record.id, Recipe(method.name)).state == "done"
    ]
    if not computed:
        return {}
    return {
        cls: read_genes(record.id, computed[0], cls)["gene"].tolist()
        for cls in load_result(record.id).classes
    }


def _top_genes(record: RunRecord) -> Children:
    ranked = _ranked_genes(record)
    if ranked is None:
        return []
    most = len(ranked[1]) - 4
    count = int(ask_number("How many", 1, most, min(50, most), key="what if count", width=130))
    child = without_genes(record.spec, ranked[1][:count])
    return _one(record, child, name_without(count, "top", ranked[0]))


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


def show_parent(record: RunRecord) -> None:
    """What a what-if changed against the run that it was asked of, with the way there."""
    if record.parent is None or not (found := find_runs([record.parent])):
        return
    [parent] = found
    words = describe_difference(parent.spec, record.spec, parent.id)
    with st.container(border=True, gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**What if: {escape_markdown(words)}?**", width="content")
            if st.button(f"← {escape_markdown(parent.name)}", key="parent", type="tertiary"):
                go_to_run(parent.id)
        if record.state == parent.state == JobState.DONE:
            show_effect(parent, record)


def show_answers(record: RunRecord) -> None:
    """The what-ifs of a run, the newest first: how far they are, and what they answer."""
    children = RunStore().list(Which(parent=record.id))
    if not children:
        return
    left = [child.id for child in children if _is_awaited(child)]
    with st.container():
        st.fragment(_watch_answers, run_every=1 if left else None)(record.id, left)
    show_series(record, children)


def _watch_answers(run: str, left: list[str]) -> None:
    """The answers, and the progress of those in `left`; reruns the page when one of them ends."""
    with errors():
        store = RunStore()
        store.reconcile()
        record, children = store.get(run), store.list(Which(parent=run))
        awaited = [child.id for child in children if _is_awaited(child)]
        if set(left) - set(awaited):
            st.rerun()
        if awaited:
            ensure_workers()
        for child in children[:MOST]:
            with st.container(border=True, key=f"answer_{child.id}"):
                _show_answer(record, child)
        if len(children) > MOST:
            with st.expander(f"{len(children) - MOST} earlier ones"):
                for child in children[MOST:]:
                    _open(child)


def _silenced(record: RunRecord, child: RunRecord) -> tuple[str, ...]:
    """The genes that the run itself can be asked without, before the child is trained."""
    has_classes = TASKS[record.spec.task].has_classes
    return genes_left_out(record.spec, child.spec) if has_classes else ()


def _is_awaited(child: RunRecord) -> bool:
    """Whether a what-if, or the ranking of its genes, is still to come."""
    return not child.state.finished or explanation_state(child.id, RECIPE).state == "working"


def _show_answer(record: RunRecord, child: RunRecord) -> None:
    """One what-if: its name and its answer, or how far it is."""
    _open(child)
    genes = _silenced(record, child)
    if genes and silence_state(record.id, genes).state == "done":
        effect = load_silenced(record.id, genes)
        st.markdown(
            f":gray-badge[not retrained] {escape_markdown(_say_effect(record, effect))} This is "
            f"the same network with {'it' if len(genes) == 1 else 'them'} at the training mean."
        )
    if child.state == JobState.RUNNING:
        st.progress(
            min(child.done / max(child.total, 1), 1.0), escape_markdown(child.message.capitalize())
        )
    elif child.state == JobState.DONE:
        if genes:
            effect = compare_to_parent(record, child)
            st.markdown(
                f":green-badge[retrained] {escape_markdown(_say_effect(record, effect))}"
                f" {say_places(child.spec)}"
            )
        show_effect(record, child)
        _say_first(child)
    else:
        reason = f": {child.why}" if child.why else "."
        st.caption(escape_message(f"{str(child.state).capitalize()}{reason}"))


def _say_effect(record: RunRecord, effect: Effect) -> str:
    """What became of the class that is looked at, and of all."""
    cls = st.session_state.get(f"class {record.id}")
    return effect.say_class(cls if cls in effect.recall else next(iter(effect.recall)))


def _say_first(child: RunRecord) -> None:
    """Which genes come first in a what-if, for the class that is looked at."""
    cls = st.session_state.get(f"class {child.parent}")
    ranked = explanation_state(child.id, RECIPE).state == "done"
    if ranked and cls in load_result(child.id).classes:
        genes = read_genes(child.id, RECIPE, cls)["gene"].tolist()
        st.caption(escape_markdown(f"First for {cls} now: {', '.join(genes[:5])}."))


def _open(child: RunRecord) -> None:
    label = f"{escape_markdown(child.name)} →"
    if st.button(label, key=f"open {child.id}", type="tertiary", help="Its own page"):
        go_to_run(child.id)


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
    key = f"changes_{child.id}"
    with st.expander(
        "Class by class, and the samples that flipped", key=key, on_change="rerun"
    ) as opened:
        if opened.open:
            _show_changes(effect, child.id)


def _show_changes(effect: Effect, child: str) -> None:
    """Recall of each class before and after, and the samples that are judged otherwise now."""
    table = pd.DataFrame(
        [
            {"class": name, "samples": n, "before": before, "after": after}
            for name, (before, after, n) in effect.recall.items()
        ]
    )
    show_figure(
        recall_changes(table), table, "what_if_recall", alt="Recall of each class before and after",
        key=f"recall changes {child}",
        about=About(
            "The share of each class that is called so, by the run (start of a line) and by the "
            "what-if (its end).",
            f"{int(table['samples'].sum()):,} samples that both held out; the number of each class "
            "stands beside it.",
            "Both networks are asked about the same samples, which neither had learned from. The "
            "sentence above tests the difference over all of them (exact McNemar test).",
            "Lines that are long where a class has few samples can be luck: one sample of ten is "
            "ten points.",
        ),
    )  # fmt: skip
    flipped = pd.DataFrame(
        [*((name, "lost") for name in effect.lost), *((name, "gained") for name in effect.gained)],
        columns=["sample", "change"],
    )
    if len(flipped):
        st.dataframe(flipped, hide_index=True)


def show_series(record: RunRecord, children: list[RunRecord]) -> None:
    """Accuracy over the number of genes left out, beside as many random ones."""
    rankings = _rankings(record) if any(_silenced(record, child) for child in children) else {}
    table = read_drop_series(record, children, rankings)
    if table["genes"].nunique() < 3:
        return
    show_figure(
        drop_curves(table), table, "genes_left_out", key="drop curves",
        alt="Accuracy without more and more genes",
        about=About(
            "The accuracy of what-ifs without the top genes of a class, and without as many random "
            "ones.",
            f"{len(table)} what-ifs, each on the samples that it and its parent held out.",
            "Each was trained anew; other genes took the places of those left out, as far as there "
            "are any. Bars are 95 % Wilson intervals of a share.",
            "The top genes matter by as much as their curve lies below the random one. Where it "
            "doesn't, other genes carry the same signal.",
        ),
    )  # fmt: skip
    st.caption(
        "If accuracy holds without the top genes, others carry the same signal: the top genes are "
        "not the only ones that tell the classes. Random genes show what fewer genes alone do."
    )
