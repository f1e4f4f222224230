"""What the Explain page is made of: the question, its computation, the map, the table, a gene."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.catalogue import CATALOGUE, kept_files
from core.explain.links import GeneIds, find_ids, gene_links, read_gene_ids
from core.explain.methods import BASELINE_PROFILES, METHODS, Recipe
from core.images.layout import GeneLayout
from core.models.backbones import REGION_CELLS
from core.models.spec import NetworkSpec
from core.plots.figures import expression_by_class, gene_image, let_draw, region_map
from core.runs.explain import (
    RunAttribution,
    cancel_explanation,
    class_genes,
    class_regions,
    describe_regions,
    explanation_state,
    fold_layout,
    gene_expression,
    load_attribution,
    request_explanation,
)
from core.runs.result import load_predictions, load_result
from core.runs.spec import RunSpec
from core.runs.store import RunRecord
from ui.forms import ask_record
from ui.gene_sets import pick_sets
from ui.parts import escape_markdown, open_dataset, show_figure

MEAN, WRONG = "mean", "wrong"
"""What is shown besides single samples."""
POINTERS = {"click": "Click a gene", "draw": "Draw around genes"}
GENE, DRAWN = "explained gene", "explained genes drawn"
"""Where the session keeps the gene that is looked at, and the genes that were drawn around."""


@st.cache_resource(max_entries=4, show_spinner="Reading the attribution")
def read_attribution(run: str, recipe: Recipe) -> RunAttribution:
    """A computed attribution, kept while it is among the last four looked at."""
    return load_attribution(run, recipe)


@st.cache_data(max_entries=20, show_spinner=False)
def read_genes(run: str, recipe: Recipe, cls: str) -> pd.DataFrame:
    """A class's gene table with each gene's direction and pixel."""
    table = class_genes(run, recipe, cls)
    layout = fold_layout(run, load_result(run).scored[0])
    place = {
        gene: f"{row + 1}, {col + 1}"
        for gene, row, col in zip(layout.genes, layout.row, layout.col, strict=True)
    }
    return table.assign(
        direction=np.where(table["mean_in"] > table["mean_out"], "higher", "lower"),
        pixel=table["gene"].map(place).fillna("in other folds"),
    )


@st.cache_data(max_entries=20, show_spinner=False)
def read_regions(run: str, recipe: Recipe, cls: str) -> pd.DataFrame:
    """A class's regions on the map of the first fold that explains it."""
    table = class_regions(run, recipe, cls)
    return table[table["fold"] == table["fold"].min()]


@st.cache_data(max_entries=20, show_spinner=False)
def read_expression(run: str, gene: str, _spec: RunSpec) -> pd.DataFrame:
    """A gene's log2 expression in the run's samples."""
    return gene_expression(run, open_dataset(_spec.cohort.dataset), gene)


@st.cache_resource(max_entries=1, show_spinner="Reading HGNC's names")
def _read_ids(path: str) -> dict[str, GeneIds]:
    return read_gene_ids(Path(path))


def known_ids() -> dict[str, GeneIds] | None:
    """Names and ids of all human genes; None while HGNC's complete set is not kept here."""
    files = kept_files(CATALOGUE["hgnc"])
    return _read_ids(str(files[0])) if files else None


def add_ids(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each gene's name and ids, as far as they are known."""
    known = known_ids()
    if known is None:
        return table
    found = [find_ids(gene, known) for gene in table["gene"]]
    kinds = ("symbol", "name", "ensembl", "entrez", "uniprot")
    return table.assign(**{kind: [getattr(ids, kind, "") for ids in found] for kind in kinds})


def chosen_gene(table: pd.DataFrame) -> str | None:
    """The gene that is looked at: chosen last, or of the link; else the first of the ranking.

    None where nothing is chosen and the genes have no ranking: none of them comes first.
    """
    if GENE not in st.session_state and "gene" in st.query_params:
        st.session_state[GENE] = st.query_params["gene"]
    gene = st.session_state.get(GENE)
    if gene not in set(table["gene"]):
        if gene is not None:
            st.caption(f"{escape_markdown(gene)} is not on these images.")
        return str(table["gene"][0]) if "rank" in table else None
    st.query_params["gene"] = gene
    return gene


def ask_question(record: RunRecord) -> tuple[Recipe | None, str]:
    """Class and recipe; both stand in the link. No recipe while the gene sets it needs are missing.

    Only what the method has can be chosen: a baseline, a class that the question is against, a
    stage of the network, gene sets.
    """
    classes = load_result(record.id).classes
    first, second, third, fourth = st.columns([3, 2, 2, 3])
    with first:
        wanted = st.query_params.get("method")
        name = ask_record(
            METHODS, "Method", key="method", default=wanted if wanted in METHODS else None
        )
    st.query_params["method"] = name
    method = METHODS[name]
    wanted = st.query_params.get("class")
    cls = second.selectbox(
        "Class", classes, index=classes.index(wanted) if wanted in classes else 0,
        key=f"class {record.id}", persist_state="session",
    )  # fmt: skip
    st.query_params["class"] = cls
    against = third.selectbox(
        "Against", [name for name in classes if name != cls], index=None,
        placeholder="all others", key=f"against {record.id} {cls}", persist_state="session",
        help="With a class here the question is: why the one and not the other? Scores then say "
        "what spoke for the first rather than for the second.",
    )  # fmt: skip
    baseline, stage = "mean", None
    with fourth:
        if method.uses_baseline:
            baseline = ask_record(BASELINE_PROFILES, "Compared with", key="baseline")
        if method.uses_stage:
            stage = _ask_stage(record.spec.network)
    sets = pick_sets("method ") if method.uses_sets else None
    if method.uses_sets and sets is None:
        return None, cls
    return Recipe(name, baseline, against, stage, sets), cls


def _ask_stage(network: NetworkSpec) -> str | None:
    """Whose maps are looked at; None: those that are looked at unless another is chosen."""
    sides = {name: side for name, side in network.map_sides.items() if side > 1}
    chosen = st.selectbox(
        "Stage of the network", list(sides), index=list(sides).index(network.region_stage),
        key=f"stage {network.backbone} {network.image_size}", persist_state="session",
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
    if recipe.against is not None:
        words.append(f"against {recipe.against}")
    if recipe.towards is not None:
        words.append(f"of {len(recipe.samples)} chosen samples towards {recipe.towards}")
    return " ".join(words)


def show_request(
    run: str, recipe: Recipe, *, what: str, button: str, duration: str, evidence: bool = False
) -> None:
    """The button that computes an attribution or its trust card, and the progress.

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
        st.error(f"{escape_markdown(what)} could not be computed. {escape_markdown(state.message)}")
    if state.state == "working":
        st.fragment(_wait_for, run_every=1)(run, recipe, what, evidence)
        return
    st.markdown(f"**{escape_markdown(what)}** has not been computed for this run yet.")
    st.caption(duration)
    if st.button(button, type="primary", key=f"compute {run} {evidence}"):
        request_explanation(run, recipe, evidence=evidence)
        st.rerun()


def _wait_for(run: str, recipe: Recipe, what: str, evidence: bool) -> None:
    """Progress of a computation; reruns the page once when it ends."""
    state = explanation_state(run, recipe, evidence=evidence)
    if state.state != "working":
        st.rerun()
    st.progress(state.fraction, f"Computing {escape_markdown(what)}. It is safe to close this tab.")
    st.button(
        "Cancel", key=f"cancel {run} {evidence}",
        on_click=lambda: cancel_explanation(run, recipe, evidence=evidence),
        help="Stops after the samples at hand; of a trust card, after the part at hand, and what "
        "was measured so far is kept.",
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


def show_map(
    run: str, found: RunAttribution, recipe: Recipe, cls: str, marked: Sequence[str]
) -> None:
    """The class mean, the misclassified, or one sample as a map, to click or to draw on."""
    method, own = METHODS[recipe.method], np.flatnonzero(found.labels == cls)
    true, predicted = _answers(run, found)
    several = len(np.unique(found.folds)) > 1
    wrong = own[predicted[own] != true[own]]
    names: dict[str | int, str] = {MEAN: f"Mean of {len(own)} held-out samples"}
    if len(wrong):
        names[WRONG] = f"Mean of the {len(wrong)} that were taken for another class"
    for row in own:
        names[int(row)] = (
            f"{found.samples[row]}"
            + (f", fold {found.folds[row] + 1}" if several else "")
            + (f", {true[row]}" if recipe.towards else "")
            + ("" if predicted[row] == true[row] else f", taken for {predicted[row]}")
        )
    left, right = st.columns([4, 5], vertical_alignment="bottom")
    shown = left.selectbox("Shown", list(names), format_func=names.get, key=f"shown {run} {cls}")
    right.segmented_control(
        "Mouse", POINTERS, default="click", required=True, format_func=POINTERS.get,
        key="map pointer", help="A click shows one gene; drawn around, genes become a list.",
    )  # fmt: skip
    rows = own if shown == MEAN else wrong if shown == WRONG else np.array([shown])
    layout = fold_layout(run, int(found.folds[rows[0]]))
    values = mean_scores(found, rows, layout.genes)
    data = pd.DataFrame({"gene": layout.genes, "row": layout.row + 1, "column": layout.col + 1,
                         "attribution": values})  # fmt: skip
    figure = gene_image(layout, values, name="attribution", diverging=method.signed, marked=marked)
    alt = describe(recipe) if recipe.towards else f"{describe(recipe)} of {cls}"
    _show_pointed(figure, layout, data, f"{recipe.stem}_{cls}", alt)
    if several and shown in (MEAN, WRONG):
        st.caption("Means over the folds, gene by gene, painted on the first fold's layout.")
    if found.maps is not None:
        same = rows[found.folds[rows] == found.folds[rows[0]]]
        image = found.maps[same].mean(axis=0)
        with st.expander("The map as it was computed"):
            show_figure(
                region_map(image, name="attribution", diverging=method.signed),
                pd.DataFrame(image), f"{recipe.stem}_{cls}_map", alt=f"Raw map of {cls}", key="raw",
            )  # fmt: skip


def _show_pointed(
    figure: go.Figure, layout: GeneLayout, data: pd.DataFrame, name: str, alt: str
) -> None:
    """The map, on which a gene can be clicked or genes drawn around."""
    if st.session_state["map pointer"] == "click":
        show_figure(figure, data, name, alt=alt, key="map", select=partial(_take_click, layout))
        return
    over = let_draw(figure)
    points = show_figure(figure, data, name, alt=alt, key="map drawn", select="lasso")
    drawn = {point["point_index"] for point in points if point["curve_number"] == over}
    if drawn:  # a chart that changes forgets its selection
        st.session_state[DRAWN] = layout.genes[sorted(drawn)].tolist()


def _take_click(layout: GeneLayout) -> None:
    points = st.session_state["map"]["selection"]["points"]
    if points:
        st.session_state[GENE] = str(layout.genes[points[0]["point_index"]])


def mean_scores(found: RunAttribution, rows: np.ndarray, genes: np.ndarray) -> np.ndarray:
    """(genes,) mean scores over some of the samples that were explained, of the genes named.

    Each gene's mean is over the samples whose fold had it on the image; 0 where none had.
    """
    scores = found.scores[rows][:, np.searchsorted(found.genes, genes)]
    counted = np.isfinite(scores).sum(axis=0)
    return np.nansum(scores, axis=0) / np.maximum(counted, 1)


def _answers(run: str, found: RunAttribution) -> tuple[np.ndarray, np.ndarray]:
    """(samples,) each explained sample's class, and what its fold's network took it for."""
    table = load_predictions(run).set_index(["sample", "fold"])
    table = table.reindex(pd.MultiIndex.from_arrays([found.samples, found.folds]))
    return table["true"].to_numpy(), table["predicted"].to_numpy()


def ask_search(table: pd.DataFrame) -> str:
    """What genes are looked for; a whole symbol chooses that gene."""

    def take() -> None:
        wanted = st.session_state["search"].strip().lower()
        exact = [gene for gene in table["gene"] if gene.lower() == wanted]
        if exact:
            st.session_state[GENE] = exact[0]

    return st.text_input(
        "Find a gene", key="search", placeholder="symbol, or a part of it", on_change=take
    ).strip()


def show_table(table: pd.DataFrame, search: str, key: str) -> list[str]:
    """The ranked genes; gives back those that are selected.

    Args:
        table: the gene table, with ids where they are known.
        search: show genes with this in their symbol or name only.
        key: what the table is of; a selection holds for one table.
    """
    shown = table
    if search:
        named = [column for column in ("gene", "symbol", "name") if column in table]
        fits = [table[name].str.contains(search, case=False, regex=False) for name in named]
        shown = table[np.any(fits, axis=0)]
    shown = shown.assign(links=[gene_links(gene)["GeneCards"] for gene in shown["gene"]])
    key, genes = f"genes {key} {search}", shown["gene"].tolist()
    if "selected" in shown:
        shown["selected"] = (100 * shown["selected"]).round()
    number = st.column_config.NumberColumn
    columns = {
        "rank": number("Rank", width=55),
        "tied": number("Tied", width=55, help="So many genes share this rank."),
        "gene": st.column_config.TextColumn("Gene"),
        "score": number(
            "Score", format="%.3g", help="Mean attribution over the class's held-out samples."
        ),
        "sd": number("± SD", format="%.2g", help="SD of the score over these samples."),
        "selected": number(
            "In folds", format="%d %%",
            help="In how many of the folds the gene is among the top genes.",
        ),
        "consensus": number(
            "Consensus", format="%.2g",
            help="How unlikely such ranks are if the folds' lists were random (robust rank "
            "aggregation, Kolde et al. 2012): low is good. The table is ranked by it.",
        ),
        "symbol": st.column_config.TextColumn("Symbol", help="HGNC's symbol today."),
        "name": st.column_config.TextColumn("Name", width="medium"),
        "direction": st.column_config.TextColumn(
            "In class", help="Whether expression in the class is higher or lower than outside."
        ),
        "log2fc": number(
            "log2 FC", format="%.2f", help="log2 fold change: mean in the class minus elsewhere."
        ),
        "fdr": number("FDR", format="%.2g", help="Welch t test, Benjamini-Hochberg."),
        "auroc": number(
            "AUROC", format="%.2f",
            help="How well the gene alone tells the class: 0.5 not at all; below: low in it.",
        ),
        "mean_in": number("Mean in", format="%.2f", help="Mean log2 expression in the class."),
        "mean_out": number("Mean out", format="%.2f", help="Mean log2 expression elsewhere."),
        "welch": number("Welch", format="%d", help="Rank by the p value of a Welch t test."),
        "logistic": number(
            "Logistic", format="%d",
            help="Rank by the size of the gene's weight in the plain logistic regression, fitted "
            "on the same training samples; with several folds by its mean.",
        ),
        "pixel": st.column_config.TextColumn("Pixel", help="Row, column on the gene-image."),
        "ensembl": st.column_config.TextColumn("Ensembl"),
        "entrez": st.column_config.TextColumn("Entrez"),
        "uniprot": st.column_config.TextColumn("UniProt"),
        "links": st.column_config.LinkColumn("More", display_text="GeneCards"),
    }  # fmt: skip
    empty = [name for name in ("log2fc", "welch", "logistic") if table[name].isna().all()]
    if "tied" in table and (table["tied"] == 1).all():
        empty.append("tied")
    event = st.dataframe(
        shown, hide_index=True, height=480, selection_mode="multi-row", key=key,
        on_select=partial(_take_rows, key, genes, _selected(key, genes)), column_config=columns,
        column_order=[name for name in columns if name in shown and name not in empty],
    )  # fmt: skip
    if "log2fc" in empty:
        st.caption(
            "No fold changes: many of the file's log2 values are below 0, so its genes were "
            "centred or z-scored, and their differences are in no unit."
        )
    if "name" not in table:
        st.caption(
            "Names and ids (Ensembl, Entrez, UniProt) stand here once HGNC's list is kept: press "
            "“Look for outdated gene symbols” on the page Data while you bring a file, or run "
            "`genecanvas data fetch hgnc`."
        )
    return [genes[row] for row in event["selection"]["rows"]]


def show_regions(table: pd.DataFrame, key: str) -> list[str]:
    """A class's regions, best first; gives back the genes of the region that is selected.

    Args:
        table: of `class_regions`, one fold's.
        key: what the table is of; a selection holds for one table.
    """
    number = st.column_config.NumberColumn
    shown = table.assign(genes=table["genes"].str.join(", "))
    columns = {
        "rank": number("Rank", width=55),
        "tied": number("Tied", width=55, help="So many regions share this rank."),
        "region": st.column_config.TextColumn("Region of the map"),
        "score": number("Score", format="%.3g", help="Mean over the class's held-out samples."),
        "sd": number("± SD", format="%.2g", help="SD of the score over these samples."),
        "positive": number(
            "Samples", format="percent",
            help="Share of the samples in which the region spoke for the class.",
        ),
        "size": number("Genes", help="Genes painted on this region."),
        "genes": st.column_config.TextColumn("Which genes, by name", width="large"),
    }  # fmt: skip
    left_out = ["tied"] if (table["tied"] == 1).all() else []
    event = st.dataframe(
        shown, hide_index=True, height=480, selection_mode="single-row", on_select="rerun",
        key=f"regions {key}", column_config=columns,
        column_order=[name for name in columns if name not in left_out],
    )  # fmt: skip
    rows = event["selection"]["rows"]
    return table["genes"].iloc[rows[0]] if rows else []


def _selected(key: str, genes: Sequence[str]) -> list[str]:
    """The genes that are selected in the table of that key before it is drawn again."""
    event = st.session_state.get(key)
    return [genes[row] for row in event["selection"]["rows"]] if event else []


def _take_rows(key: str, genes: Sequence[str], before: Sequence[str]) -> None:
    """Look at the gene whose row was selected now."""
    new = [gene for gene in _selected(key, genes) if gene not in before]
    if new:
        st.session_state[GENE] = new[-1]


def show_gene(record: RunRecord, gene: str, table: pd.DataFrame, layout: GeneLayout) -> None:
    """One gene: its numbers, its neighbours, where to read on, its expression in each class."""
    ids = find_ids(gene, known_ids() or {})
    st.markdown(f"#### {escape_markdown(gene)}")
    if ids is not None:
        _name_gene(ids)
    rows = table[table["gene"] == gene]
    if not len(rows):
        st.caption("This gene has no score for this class.")
        return
    row = rows.iloc[0]
    if "rank" in row:
        tied = f", tied with {row['tied'] - 1} more," if row["tied"] > 1 else ""
        ranked = f"Rank {row['rank']} of {len(table)}{tied} for {escape_markdown(row['class'])}; "
    else:
        ranked = f"In {escape_markdown(row['class'])} "
    change = "" if np.isnan(row["log2fc"]) else f"{abs(row['log2fc']):.2f} log2 "
    tested = "" if np.isnan(row["fdr"]) else f" (Welch FDR {row['fdr']:.2g})"
    st.markdown(
        f"{ranked}expression is {change}{row['direction']} than in the other classes{tested}. "
        + " · ".join(f"[{name}]({url})" for name, url in gene_links(gene, ids).items())
    )
    if gene in set(layout.genes):
        around = neighbours(layout, gene)
        st.caption(
            f"Pixel {row['pixel']} (row, column). "
            + (f"Around it: {escape_markdown(', '.join(around))}." if around else "Nothing around.")
        )
    values = read_expression(record.id, gene, record.spec)
    figure = expression_by_class(
        values["log2_expression"].to_numpy(), values["class"].to_numpy(), gene
    )
    show_figure(figure, values, f"{gene}_expression", alt=f"{gene} by class", key="expression")


def _name_gene(ids: GeneIds) -> None:
    """What HGNC calls a gene, with its ids."""
    parts = [ids.name, ids.symbol, ids.ensembl, ids.entrez and f"Entrez {ids.entrez}",
             ids.uniprot and f"UniProt {ids.uniprot}"]  # fmt: skip
    st.caption(escape_markdown(" · ".join(part for part in parts if part)))


def neighbours(layout: GeneLayout, gene: str) -> list[str]:
    """The genes on a gene's own pixel and on the eight around it."""
    row, col = layout.pixel_of(gene)
    near = (abs(layout.row - row) <= 1) & (abs(layout.col - col) <= 1)
    return [name for name in layout.genes[near].tolist() if name != gene]
