"""What the Explain page asks and computes: the question, its computation, what came of it."""

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.escape import escape_markdown, escape_message
from core.explain.methods import BASELINE_PROFILES, METHODS, THROUGH, BaselineProfile, Recipe
from core.images.layout import GeneLayout
from core.jobs.launch import ensure_workers, foresee
from core.models.backbones import REGION_CELLS
from core.models.spec import NetworkSpec
from core.records import Registry
from core.runs.explain import (
    RunAttribution,
    class_genes,
    class_regions,
    describe_regions,
    load_attribution,
    unseen_genes,
)
from core.runs.explaining import (
    ExplainJob,
    cancel_explanation,
    explanation_state,
    request_explanation,
)
from core.runs.fitted import load_fitted
from core.runs.result import load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord
from ui.forms import HOLDS, ask_record
from ui.gene_sets import pick_sets
from ui.kept import cache_data, cache_resource
from ui.parts import needs_own_home

GENE, DRAWN = "explained gene", "explained genes drawn"
"""Where the session keeps the gene that is looked at, and the genes that were drawn around."""
WITHOUT_CLASSES: Registry[BaselineProfile] = Registry(
    "baseline", [profile for profile in BASELINE_PROFILES if profile.name != "others"]
)
"""What samples can be compared with where a number is predicted."""


@cache_resource(max_entries=4, show_spinner="Reading the attribution")
def read_attribution(run: str, recipe: Recipe) -> RunAttribution:
    """A computed attribution, kept while it is among the last four looked at."""
    return load_attribution(run, recipe)


@cache_data(max_entries=20, show_spinner=False)
def read_genes(run: str, recipe: Recipe, cls: str) -> pd.DataFrame:
    """A class's gene table with each gene's direction and pixel."""
    table = class_genes(run, recipe, cls)
    layout = load_fitted(run, load_result(run).scored[0]).layout
    place = {
        gene: f"{row + 1}, {col + 1}"
        for gene, row, col in zip(layout.genes, layout.row, layout.col, strict=True)
    }
    return table.assign(
        direction=np.where(table["mean_in"] > table["mean_out"], "higher", "lower"),
        pixel=table["gene"].map(place).fillna("in other folds"),
    )


@cache_data(max_entries=20, show_spinner=False)
def read_regions(run: str, recipe: Recipe, cls: str) -> pd.DataFrame:
    """A class's regions on the map of the first fold that explains it."""
    table = class_regions(run, recipe, cls)
    return table[table["fold"] == table["fold"].min()]


def chosen_gene(run: str, table: pd.DataFrame) -> str | None:
    """The gene that is looked at: chosen last, or of the link; else the first of the ranking.

    None where nothing is chosen and the genes have no ranking: none of them comes first.

    Args:
        run: the run's id.
        table: its gene table of a class.
    """
    if GENE not in st.session_state and "gene" in st.query_params:
        st.session_state[GENE] = st.query_params["gene"]
    gene = st.session_state.get(GENE)
    if gene not in set(table["gene"]):
        if gene is not None:
            unseen = "stands where this network could not see it"
            why = unseen if gene in unseen_genes(run) else "is not on these images"
            st.caption(f"{escape_markdown(gene)} {why}.")
        return str(table["gene"][0]) if "rank" in table else None
    st.query_params["gene"] = gene
    return gene


def ask_question(record: RunRecord, drawer: DeltaGenerator) -> tuple[Recipe | None, str]:
    """Class and recipe; both stand in the link. No recipe while the gene sets it needs are missing.

    Only what the method has can be chosen: a baseline, a class that the question is against, a
    stage of the network, gene sets.

    Args:
        record: the run.
        drawer: where all but the class is asked.
    """
    classes = load_result(record.id).classes
    wanted = st.query_params.get("class")
    cls, against = classes[0], None
    if len(classes) > 1:
        cls = st.selectbox(
            "Class", classes, index=classes.index(wanted) if wanted in classes else 0,
            key=f"class {record.id}", persist_state="session", label_visibility="collapsed",
            width=170,
        )  # fmt: skip
        st.query_params["class"] = cls
    with drawer:
        wanted = st.query_params.get("method")
        name = ask_record(
            METHODS,
            "Method",
            key="method",
            linked=False,
            default=wanted if wanted in METHODS else None,
        )
        st.query_params["method"] = name
        method = METHODS[name]
        if len(classes) > 1:
            against = st.selectbox(
                "Against", [name for name in classes if name != cls], index=None,
                placeholder="all others", key=f"against {record.id} {cls}", **HOLDS,
                help="With a class here the question is: why the one and not the other? Scores "
                "then say what spoke for the first rather than for the second.",
            )  # fmt: skip
        baseline, stage = "mean", None
        if method.uses_baseline:
            baseline = ask_record(
                BASELINE_PROFILES if len(classes) > 1 else WITHOUT_CLASSES, "Compared with",
                key="baseline" if len(classes) > 1 else "baseline of a value",
            )  # fmt: skip
        if method.uses_stage:
            stage = _ask_stage(record.spec.network)
        through = "all"
        if record.spec.network.is_solved and not method.uses_stage:
            through = st.selectbox(
                "Explained", list(THROUGH), format_func=THROUGH.get, key="through",
                **HOLDS, help="The answer of a linear head is a sum of what the "
                "genes say by themselves and what the network's maps of the picture add.",
            )  # fmt: skip
        sets = pick_sets("method ") if method.uses_sets else None
    if method.uses_sets and sets is None:
        return None, cls
    return Recipe(name, baseline, against, stage, sets, through=through), cls


def _ask_stage(network: NetworkSpec) -> str | None:
    """Whose maps are looked at; None: those that are looked at unless another is chosen."""
    sides = {name: side for name, side in network.map_sides.items() if side > 1}
    chosen = st.selectbox(
        "Stage of the network", list(sides), index=list(sides).index(network.region_stage),
        key=f"stage {network.backbone} {network.image_size + network.padding}",
        **HOLDS,
        format_func=lambda name: f"{name} ({sides[name]} x {sides[name]} cells)",
        help="Early stages give fine maps of simple patterns, late ones coarse maps of what "
        f"decides. Taken by itself: the last with at least {REGION_CELLS} x {REGION_CELLS} cells. "
        "A map of one cell says nothing about where on the image, so it is not offered.",
    )  # fmt: skip
    return None if chosen == network.region_stage else chosen


def describe(recipe: Recipe) -> str:
    """A recipe in a few words."""
    words = [METHODS[recipe.method].title]
    if recipe.baseline != "mean":
        words.append(f"from {BASELINE_PROFILES[recipe.baseline].title.lower()}")
    if recipe.stage is not None:
        words.append(f"at {recipe.stage}")
    if recipe.through != "all":
        words.append(f"of the {THROUGH[recipe.through].lower()}")
    if recipe.against is not None:
        words.append(f"against {recipe.against}")
    if recipe.towards is not None:
        words.append(f"of {len(recipe.samples)} chosen samples towards {recipe.towards}")
    return " ".join(words)


def show_request(
    run: str, recipe: Recipe, *, what: str, button: str, duration: str, evidence: bool = False
) -> None:
    """The button that computes an attribution or its trust card, where one may, and the progress.

    Args:
        run: a run's id.
        recipe: how it is explained.
        what: what is computed, in words.
        button: the button's label.
        duration: how long it takes, as a sentence.
        evidence: compute the trust card.
    """
    state = explanation_state(run, recipe, evidence=evidence)
    if state.state == "failed":
        st.error(f"{escape_markdown(what)} could not be computed. {escape_message(state.message)}")
    if state.state == "working":
        st.fragment(_wait_for, run_every=1)(run, recipe, what, evidence)
        return
    st.markdown(f"**{escape_markdown(what)}** has not been computed for this run yet.")
    if needs_own_home("It can be computed"):
        return
    foresee(ExplainJob)
    st.caption(duration)
    if st.button(button, type="primary", key=f"compute {run} {evidence}"):
        request_explanation(run, recipe, evidence=evidence)
        st.rerun()


def _wait_for(run: str, recipe: Recipe, what: str, evidence: bool) -> None:
    """Progress of a computation; reruns the page once when it ends."""
    state = explanation_state(run, recipe, evidence=evidence)
    if state.state != "working":
        st.rerun()
    ensure_workers()
    far = f": {state.message}" if state.message else ""
    st.progress(
        state.fraction, escape_markdown(f"Computing {what}{far}. It is safe to close this tab.")
    )
    st.button(
        "Cancel", key=f"cancel {run} {evidence}",
        on_click=lambda: cancel_explanation(run, recipe, evidence=evidence),
        help="Stops after the samples at hand; of a trust card, after the part at hand, and what "
        "was measured so far is saved.",
    )  # fmt: skip


def warn_of_regions(
    spec: RunSpec, found: RunAttribution, recipe: Recipe, layout: GeneLayout, cls: str
) -> None:
    """What a region method can't say, and whether its map is empty; a method's own warning."""
    method = METHODS[recipe.method]
    if method.warning:
        st.warning(method.warning)
    if method.uses_sets:
        st.warning(
            "Scored are gene sets, not genes: a gene's score is an equal share of its sets' "
            "scores. See the view Gene sets."
        )
    if found.maps is None:
        return
    st.warning(describe_regions(spec, recipe, found.maps, layout))
    if not np.abs(found.maps[found.labels == cls]).max() > 0:
        st.warning("The map of this class is empty: the method found nothing to show.")
