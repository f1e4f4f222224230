"""Gene images: how genes are laid out, how good that is, and what samples and classes look like."""

import io
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.data.cohort import Cohort
from core.data.prepare import Z_LIMIT, Columns, PreparationSpec
from core.data.store import DatasetRecord
from core.explain.enrichment import over_representation
from core.images.layout import GeneLayout
from core.images.layouts import LayoutSpec
from core.images.modules import TREE_SAMPLES, ModuleTree, find_modules, grow_tree
from core.images.quality import compare_with_neighbours
from core.images.references import Kind, list_references, read_groups
from core.images.trial import Trial
from core.models.spec import NetworkSpec
from core.plots.figures import (
    expression_by_class,
    gene_image,
    image_grid,
    let_draw,
    mark_clicked,
)
from core.plots.images import group_image
from ui.find import find_name
from ui.forms import ask_field, ask_genes, ask_number, check_fields
from ui.layouts import ask_layout, ask_reference
from ui.parts import (
    decided,
    download_table,
    errors,
    escape_markdown,
    go_to,
    pick_dataset,
    pick_role,
    say_samples,
    show_figure,
)
from ui.trials import LOOK, Prepared, lay_out, name_layout, prepare, show_quality

SHOWN = 8  # samples side by side
LISTED = 12  # genes named in a sentence
GROUPS = 8  # gene sets in one picture
HOVERED = 12  # classes whose mean stands under the pointer, and how many means go to the browser
HOVERED_MEANS = 100_000  # for it: half a megabyte
SECONDS = 1.2  # a sample is shown while playing
VIEWS = {
    "mean": "Class mean",
    "difference": "Class against the rest",
    "classes": "All classes",
    "samples": "Samples",
    "groups": "Modules, chromosomes, sets",
    "compare": "Compare layouts",
}
POINTERS = {"click": "Click a gene", "draw": "Draw around genes"}
KINDS = {"modules": "Modules", "positions": "Chromosomes", "sets": "Gene sets"}


class Painting(NamedTuple):
    """Expression and its canvas."""

    trial: Trial
    layout: GeneLayout
    prepared: Prepared
    labels: np.ndarray
    """(samples,) class"""

    @property
    def unit(self) -> str:
        """What the values are counted in; empty for values from 0 to 1."""
        return "SD" if self.trial.preparation.scaling in ("zscore", "robust") else ""

    @property
    def name(self) -> str:
        """What the values are."""
        return "SD from the mean" if self.unit else "value"

    @property
    def genes(self) -> list[str]:
        """The genes painted."""
        return self.layout.genes.tolist()

    def values(self, rows: np.ndarray) -> np.ndarray:
        """(rows, genes) of some samples as the network sees them, in units that can be read."""
        return to_readable(self.prepared.unit[rows], self.unit)


class Classes(NamedTuple):
    """Class means."""

    names: list[str]
    sizes: list[int]
    means: np.ndarray
    """(classes, genes)"""
    differences: np.ndarray
    """(classes, genes) mean of the class minus mean of all other samples"""

    def pointed_at(self, chosen: str) -> dict[str, np.ndarray]:
        """The means under the pointer: of the chosen class and the largest others.

        Twelve classes up to 8000 genes, five at 20 000. A click on a gene shows all.
        """
        most = min(HOVERED, max(HOVERED_MEANS // self.means.shape[1], 1))
        first = sorted(self.names, key=lambda name: (name != chosen, -self.size_of(name)))
        return {name: self.means[self.names.index(name)] for name in sorted(first[:most])}

    def size_of(self, name: str) -> int:
        """How many samples a class has."""
        return self.sizes[self.names.index(name)]


def to_readable(unit: np.ndarray, name: str) -> np.ndarray:
    """Values in [0, 1] as SD from the mean, where they are that."""
    return (2 * unit - 1) * Z_LIMIT if name else unit


@st.cache_resource(max_entries=8, show_spinner=False, hash_funcs=LOOK)
def average(samples: Trial, readable: str) -> Classes:
    """The mean of each class, and how it differs from all other samples."""
    prepared = prepare(samples)
    labels = class_of(prepared, samples.cohort)
    names, sizes = np.unique(labels, return_counts=True)
    belongs = (labels == names[:, None]).astype(np.float32)
    means = to_readable(belongs / sizes[:, None].astype(np.float32) @ prepared.unit, readable)
    rest = np.maximum(sizes.sum() - sizes, 1)[:, None]
    others = (sizes @ means - sizes[:, None] * means) / rest
    return Classes(names.tolist(), sizes.tolist(), means, means - others)


def class_of(prepared: Prepared, cohort: Cohort) -> np.ndarray:
    """The class of each sample; one for all when no column is chosen."""
    if cohort.label is None:
        return np.full(prepared.data.n_obs, "all samples")
    return prepared.data.obs[cohort.label].astype(str).replace(cohort.merge).to_numpy().astype(str)


def ask_trial(record: DatasetRecord) -> Trial:
    """The column on the left: which samples, which genes, which layout."""
    pick_role(record, "label")
    choices = decided(record)
    above = st.container()
    genes = ask_genes(record, choices.preparation.genes)
    scaling = ask_field(
        PreparationSpec, "scaling", key=f"scaling {record.id[:12]}",
        default=choices.preparation.scaling,
    )  # fmt: skip
    size = ask_field(NetworkSpec, "image_size", key="image size")
    with above:
        layout = ask_layout(record, size)
    say_samples(record, choices)
    st.caption(
        "For this preview genes, scaling and layout are fitted on all samples shown. In a run they "
        "are fitted on the training samples only."
    )
    check_fields(PreparationSpec, {"genes": genes})
    check_fields(NetworkSpec, {"image_size": size})
    preparation = choices.preparation.model_copy(update={"genes": genes, "scaling": scaling})
    return Trial(cohort=choices.cohort, preparation=preparation, layout=layout, image_size=size)


def offer_layout(layout: GeneLayout) -> None:
    """The layout as files."""
    st.download_button(
        "Layout (npz)", lambda: save_layout(layout), f"layout_{layout.name}.npz",
        on_click="ignore",
    )  # fmt: skip
    download_table(
        lambda: tabulate(layout), "gene_coordinates", "Gene coordinates (CSV)", key="coordinates"
    )


def save_layout(layout: GeneLayout) -> bytes:
    """The layout as an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **layout.arrays())
    return buffer.getvalue()


def tabulate(layout: GeneLayout, **columns: np.ndarray) -> pd.DataFrame:
    """Genes, their pixels (from 0 at the top left), the layout's groups, and more columns."""
    places = {"gene": layout.genes, "row": layout.row, "column": layout.col}
    groups = {} if layout.group is None else {"group": layout.group}
    return pd.DataFrame({**places, **groups, **columns})


def first_marked(figure: go.Figure, genes: list[str], gene: str | None, key: str) -> str | None:
    """The gene that a chart is sent with.

    A click marks its gene in the browser at once. A chart that is then sent as it was stays as it
    is; one that differs is drawn anew, which takes longer than all the rest of the answer. So the
    chart differs only where the browser's mark has to go.
    """
    kept = f"{key} sent"
    points = st.session_state.get(key, {}).get("selection", {}).get("points", [])
    revision, first, turn = st.session_state.get(kept, (None, None, 0))
    if revision != figure.layout.datarevision:  # the points are those of another image
        first = gene
    elif not points or genes[points[0]["point_index"]] != gene:
        first, turn = gene, turn + len(points)
    st.session_state[kept] = (figure.layout.datarevision, first, turn)
    figure.layout.meta = turn
    return first


def take_click(genes: list[str], key: str) -> None:
    """Make the gene of a clicked pixel the one that is looked at."""
    points = st.session_state[key]["selection"]["points"]
    if points:
        st.session_state["gene"] = genes[points[0]["point_index"]]


def show_pointed(
    figure: go.Figure,
    layout: GeneLayout,
    table: pd.DataFrame,
    name: str,
    gene: str | None,
    *,
    alt: str,
    key: str,
) -> None:
    """A large image on which a gene can be clicked or genes drawn around."""
    genes = layout.genes.tolist()
    if st.session_state.get("pointer") != "draw":
        mark_clicked(figure, layout, first_marked(figure, genes, gene, key))
        show_figure(figure, table, name, alt=alt, key=key, select=partial(take_click, genes, key))
        return
    over = let_draw(figure)
    points = show_figure(figure, table, name, alt=alt, key=f"{key} drawn", select="lasso")
    drawn = [genes[point["point_index"]] for point in points if point["curve_number"] == over]
    if drawn:
        st.session_state["drawn"] = sorted(set(drawn))


def show_one(
    painting: Painting, classes: Classes, chosen: str, view: str, gene: str | None
) -> None:
    """One class as a large image; every class has the same colour scale."""
    images = classes.means if view == "mean" else classes.differences
    values = images[classes.names.index(chosen)]
    name = f"mean of {chosen}" if view == "mean" else f"{chosen} minus the rest"
    limits = find_limits(images, diverging=view == "difference" or images.min() < 0)
    figure = gene_image(
        painting.layout, values, diverging=limits[0] < 0,
        name=f"{name} ({painting.unit})" if painting.unit else name, limits=limits,
        means=classes.pointed_at(chosen),
    )  # fmt: skip
    show_pointed(
        figure, painting.layout, tabulate(painting.layout, **{view: values}),
        f"gene_image_{view}_{chosen}", gene, alt=f"Gene-image: {VIEWS[view]} of {chosen}",
        key="gene image",
    )  # fmt: skip


def find_limits(images: np.ndarray, *, diverging: bool) -> tuple[float, float]:
    """One colour scale for all images of a kind, whichever of them is shown."""
    if not diverging:
        return 0.0, 1.0
    reach = float(np.quantile(np.abs(images), 0.998)) or 1.0
    return -reach, reach


def show_many(
    painting: Painting, images: np.ndarray, titles: list[str], gene: str | None, limits
) -> None:
    """Several images side by side on one colour scale."""
    figure = image_grid(
        painting.layout, images, titles, diverging=limits[0] < 0, limits=limits,
        marked=[gene] if gene else [], name=painting.name,
    )  # fmt: skip

    def table() -> pd.DataFrame:
        values = pd.DataFrame(images, columns=painting.layout.genes)
        values.insert(0, "image", titles)
        return values

    show_figure(figure, table, "gene_images", alt="Gene-images side by side", key="grid")


def show_samples(painting: Painting, chosen: str, gene: str | None) -> None:
    """The samples of a class, some at a time or one after the other."""
    rows = np.flatnonzero(painting.labels == chosen)
    names = painting.prepared.data.obs_names[rows].tolist()
    limits = (-Z_LIMIT, Z_LIMIT) if painting.unit else (0.0, 1.0)
    first, play = st.columns([1, 3], vertical_alignment="bottom")
    with first:
        start = ask_number(
            "Starting with sample", 1, len(rows), 1, step=SHOWN, key=f"first {chosen}",
            help=f"{chosen} has {len(rows):,} samples; {SHOWN} are shown at a time.",
        )  # fmt: skip
    if play.toggle("Play through them, one after the other", key="play"):
        show_playing(painting, rows, names, gene, limits)
        return
    part = slice(start - 1, start - 1 + SHOWN)
    show_many(painting, painting.values(rows[part]), names[part], gene, limits)


@st.fragment(run_every=SECONDS)
def show_playing(
    painting: Painting, rows: np.ndarray, names: list[str], gene: str | None, limits
) -> None:
    """One sample of the class, and the next one after a moment."""
    now = st.session_state.get("playing", -1) + 1
    st.session_state["playing"] = now
    now %= len(rows)
    st.markdown(f"**{escape_markdown(names[now])}** · {now + 1:,} of {len(rows):,}")
    figure = gene_image(
        painting.layout, painting.values(rows[[now]])[0], marked=[gene] if gene else [],
        diverging=limits[0] < 0, limits=limits, name=painting.name,
    )  # fmt: skip
    st.plotly_chart(figure, key="playing image", alt=f"Gene-image of sample {names[now]}")


def show_compared(
    painting: Painting, record: DatasetRecord, classes: Classes, chosen: str, gene: str | None
) -> None:
    """The same class or sample on two layouts, on one colour scale, and the measures of both."""
    rows = np.flatnonzero(painting.labels == chosen)
    names = painting.prepared.data.obs_names[rows].tolist()
    what, beside = st.columns(2, gap="large")
    with what:
        sample = st.selectbox(
            "Shown on both", ["", *names], key=f"compared {chosen}",
            format_func=lambda name: name or f"mean of {chosen}",
        )  # fmt: skip
    with beside:
        other_spec = ask_layout(
            record, painting.trial.image_size, key="other layout", label="Beside it",
            default="random",
        )  # fmt: skip
    if not sample:
        values = classes.means[classes.names.index(chosen)]
        limits = find_limits(classes.means, diverging=bool(painting.unit))
    else:
        values = painting.values(rows[[names.index(sample)]])[0]
        limits = (-Z_LIMIT, Z_LIMIT) if painting.unit else (0.0, 1.0)
    trials = [
        painting.trial.model_copy(update={"layout": spec})
        for spec in (painting.trial.layout, other_spec, LayoutSpec(name="random"))
    ]
    sides = st.columns(2, gap="large")
    for place, trial, key in zip(sides, trials[:2], ("left", "right"), strict=True):
        with place, errors():
            layout = lay_out(trial, key=key)
            if layout is None:
                continue
            st.markdown(f"**{name_layout(trial.layout)}**")
            st.caption(describe_canvas(layout))
            figure = gene_image(
                layout, values, diverging=limits[0] < 0, limits=limits, name=painting.name,
                means=classes.pointed_at(chosen),
            )  # fmt: skip
            figure.update_layout(height=480)
            show_pointed(
                figure, layout, tabulate(layout, value=values), f"gene_image_{layout.name}", gene,
                alt=f"{name_layout(trial.layout)}: {sample or chosen}", key=f"{key} image",
            )  # fmt: skip
    show_quality([trial for at, trial in enumerate(trials) if trial not in trials[:at]])


def describe_canvas(layout: GeneLayout) -> str:
    """How many genes stand on how many pixels, which of them share one, and what is free."""
    rows, columns = layout.shape
    shared, free = layout.shared_pixels(), int(layout.free_pixels().sum())
    parts = [f"{len(layout.genes):,} genes on {rows} x {columns} pixels"]
    if shared:
        most = np.bincount(layout.row * columns + layout.col).max()
        parts.append(f"{shared:,} share a pixel with another (up to {most} on one)")
    else:
        parts.append("each on its own")
    if free:
        parts.append(f"{free:,} pixels free (chequered)")
    return ", ".join(parts)


@st.cache_resource(max_entries=2, show_spinner="Finding modules", hash_funcs=LOOK)
def compare_genes(samples: Trial) -> ModuleTree:
    """The tree that modules are cut from."""
    return grow_tree(prepare(samples).unit)


def show_groups(
    painting: Painting, record: DatasetRecord, samples: Trial, gene: str | None, where
) -> None:
    """The canvas coloured by what genes belong to; `where` takes the choices."""
    layout = painting.layout
    with where:
        kind = st.segmented_control(
            "Colour by", KINDS, default="modules", required=True, format_func=KINDS.get,
            key="colour by", persist_state="session",
        )  # fmt: skip
        found = ask_groups(painting, record, samples, kind)
    if found is None:
        st.info(
            "Add a file on the right: genes are then coloured by what it says. It is kept on this "
            "computer and can be chosen again."
        )
        return
    groups, order = found
    show_pointed(
        group_image(layout, groups, order), layout, tabulate(layout, belongs_to=groups),
        f"gene_image_{kind}", gene, alt=f"Canvas coloured by {KINDS[kind].lower()}",
        key="group image",
    )  # fmt: skip
    inside = np.where(np.isin(groups, order), groups, "")
    share, chance = compare_with_neighbours(layout, inside)
    if share == share:
        st.caption(
            f"Of neighbouring genes with a colour, {share:.0%} have the same one; with genes "
            f"placed at random it would be {chance:.0%}."
        )


def ask_groups(
    painting: Painting, record: DatasetRecord, samples: Trial, kind: str
) -> tuple[np.ndarray, list[str]] | None:
    """The group of each gene and the groups in order; None while a file is missing."""
    if kind == "modules":
        most = min(30, len(painting.genes))
        number = st.slider("Modules", 2, most, min(12, most), key="modules",
                           help="Genes that rise and fall together over the samples: branches of "
                           "a tree of similar genes (Ward), the largest first. Of many samples "
                           f"{TREE_SAMPLES:,} are looked at, drawn at random.")  # fmt: skip
        names = np.array([f"module {index}" for index in range(1, number + 1)])
        return names[find_modules(compare_genes(samples), number) - 1], names.tolist()
    reference = ask_reference(record, kind, key="groups")
    if reference is None:
        return None
    members = read_members(kind, reference, tuple(painting.genes))
    order = list(members)
    if kind == "sets":
        order = st.multiselect(
            "Sets", order, default=order[:GROUPS], max_selections=GROUPS,
            key=f"sets {reference[:12]} {record.id[:12]}",
            format_func=lambda name: f"{name} ({len(members[name])})",
            help="Sets with genes on this image, the largest first. A gene in several of the "
            "chosen sets gets the colour of the smallest.",
        )  # fmt: skip
    groups = np.full(len(painting.genes), "", dtype=object)
    for name in sorted(order, key=lambda name: -len(members[name])):
        groups[members[name]] = name
    return groups.astype(str), order


@st.cache_data(max_entries=8, show_spinner=False)
def read_members(kind: Kind, reference: str, genes: tuple[str, ...]) -> dict[str, list[int]]:
    """Positions among the genes of each chromosome, or of each set with the largest first."""
    [file] = [file for file in list_references(kind) if file.id == reference]
    at = {gene: index for index, gene in enumerate(genes)}
    members = {
        name: sorted({at[gene] for gene in own if gene in at})
        for name, own in read_groups(file).items()
    }
    members = {name: own for name, own in members.items() if own}
    if kind == "positions":
        return members
    return dict(sorted(members.items(), key=lambda item: -len(item[1])))


def show_gene(painting: Painting, gene: str | None) -> None:
    """A gene's expression in each class, and its neighbours on the canvas."""
    if gene is None:
        st.markdown("#### One gene")
        st.caption("Find a gene above, or click a pixel of a large image: its expression in each "
                   "class stands here.")  # fmt: skip
        return
    layout = painting.layout
    row, col = layout.pixel_of(gene)
    near = (np.abs(layout.row - row) <= 1) & (np.abs(layout.col - col) <= 1)
    same = [name for name in layout.genes_at(row, col) if name != gene]
    neighbours = [name for name in layout.genes[near].tolist() if name != gene and name not in same]
    st.markdown(f"#### {escape_markdown(gene)}")
    shares = f" **Shares its pixel with {list_genes(same)}.**" if same else ""
    st.caption(
        f"Row {row + 1}, column {col + 1}.{shares} Neighbours: {list_genes(neighbours) or 'none'}."
    )
    samples = painting.trial.model_copy(update={"layout": LayoutSpec(), "label": None})
    values = read_gene(samples, gene)
    table = pd.DataFrame({
        "sample": painting.prepared.data.obs_names, "class": painting.labels,
        "log2_expression": values,
    })  # fmt: skip
    show_figure(
        expression_by_class(values, painting.labels, gene), table, f"{gene}_expression",
        alt=f"Expression of {gene} in each class", key="gene expression",
    )  # fmt: skip


@st.cache_data(max_entries=64, show_spinner=False, hash_funcs=LOOK)
def read_gene(samples: Trial, gene: str) -> np.ndarray:
    """(samples,) log2 expression of one gene."""
    fitted = prepare(samples).preprocessor
    return read_columns(samples).filled(fitted.index[fitted.genes == gene], fitted.fill)[:, 0]


@st.cache_resource(max_entries=2, show_spinner=False, hash_funcs=LOOK)
def read_columns(samples: Trial) -> Columns:
    """log2 expression, a gene at a time; what it takes of whole samples is computed once."""
    prepared = prepare(samples)
    return prepared.preprocessor.columns(np.asarray(prepared.data.X))


def list_genes(genes: list[str]) -> str:
    """Genes in a sentence, not too many."""
    more = f" and {len(genes) - LISTED} more" if len(genes) > LISTED else ""
    return escape_markdown(", ".join(genes[:LISTED])) + more


def show_drawn(painting: Painting, record: DatasetRecord, classes: Classes) -> None:
    """The genes that were drawn around: to copy, to save, and which gene sets they are rich in."""
    known = set(painting.genes)
    genes = [gene for gene in st.session_state.get("drawn", []) if gene in known]
    if not genes:
        st.markdown("#### Several genes")
        st.caption("Draw around pixels with the mouse: their genes are listed here.")
        return
    st.markdown(f"#### {len(genes):,} genes drawn around")
    st.code("\n".join(genes), language=None, height=200)
    inside = np.isin(painting.layout.genes, genes)
    table = tabulate(
        painting.layout,
        **{f"mean {name}": mean for name, mean in zip(classes.names, classes.means, strict=True)},
    )[inside]
    download_table(table, "drawn_genes", "Save CSV", key="drawn csv", type="tertiary")
    with st.expander("Which gene sets are they rich in?", on_change="rerun") as enrichment:
        if enrichment.open:
            show_enrichment(genes, painting, record)


def show_enrichment(genes: list[str], painting: Painting, record: DatasetRecord) -> None:
    """Over-representation of gene sets, with all genes on the image as background."""
    reference = ask_reference(record, "sets", key="enrichment")
    if reference is None:
        return
    [file] = [file for file in list_references("sets") if file.id == reference]
    with errors():
        found = over_representation(genes, painting.genes, read_groups(file))
        st.dataframe(
            found.head(100), hide_index=True, height=320,
            column_order=["set", "overlap", "expected", "size", "fdr"],
            column_config={
                "expected": st.column_config.NumberColumn(format="%.1f"),
                "fdr": st.column_config.NumberColumn("FDR", format="%.2g"),
            },
        )  # fmt: skip
        st.caption(
            f"Against the {len(painting.genes):,} genes on this image, not the whole genome. Genes "
            "that stand together are alike to begin with where a layout learns: read this as a "
            "description of the patch, not as evidence."
        )
        download_table(found, "drawn_genes_sets", "Save CSV", key="enrichment csv", type="tertiary")


def show_images(painting: Painting, record: DatasetRecord) -> None:
    """What to look at, the image, and the gene or genes that are looked at."""
    layout, trial = painting.layout, painting.trial
    samples = trial.model_copy(update={"layout": LayoutSpec(), "image_size": 64})
    classes = average(samples, painting.unit)
    st.markdown(
        f"**{describe_canvas(layout)}**; the network sees {trial.image_size} x {trial.image_size}. "
        f"{len(painting.labels):,} samples."
    )
    view = st.segmented_control(
        "Show", VIEWS, default="mean", required=True, format_func=VIEWS.get, key="view",
        persist_state="session", label_visibility="collapsed",
    )  # fmt: skip
    which, find, point = st.columns([3, 3, 4])
    chosen = which.selectbox(
        "Class shown", classes.names, key="class shown", disabled=view in ("classes", "groups"),
        persist_state="session",
    )  # fmt: skip
    with find:
        gene = find_name(
            "Find a gene", painting.genes, key="gene", placeholder="type, or click a pixel"
        )
    drawing = point.segmented_control(
        "Mouse", POINTERS, default="click", required=True, format_func=POINTERS.get,
        key="pointer", persist_state="session", disabled=view in ("classes", "samples"),
        help="On large images: a click shows one gene; drawn around, genes become a list.",
    ) == "draw" and view not in ("classes", "samples")  # fmt: skip

    def show_picked() -> None:
        if drawing:
            show_drawn(painting, record, classes)
        else:
            show_gene(painting, gene)

    if view in ("mean", "difference", "groups"):
        image, side = st.columns([3, 2], gap="medium")
        choices = side.container()
        with image, errors():
            if view == "groups":
                show_groups(painting, record, samples, gene, choices)
            else:
                show_one(painting, classes, chosen, view, gene)
        with side:
            show_picked()
        return
    if view == "classes":
        titles = [f"{name} (n = {n})" for name, n in zip(classes.names, classes.sizes, strict=True)]
        limits = find_limits(classes.means, diverging=classes.means.min() < 0)
        show_many(painting, classes.means, titles, gene, limits)
    elif view == "samples":
        show_samples(painting, chosen, gene)
    else:
        show_compared(painting, record, classes, chosen, gene)
    show_picked()


def show_page() -> None:
    """Settings on the left, images on the right."""
    record = pick_dataset()
    if record is None:
        return
    left, right = st.columns([1, 4], gap="large")
    with left:
        trial = ask_trial(record)
    with right, errors():
        layout = lay_out(trial, key="main")
        if layout is None:
            return
        prepared = prepare(trial)
        show_images(Painting(trial, layout, prepared, class_of(prepared, trial.cohort)), record)
        with left:
            offer_layout(layout)
        if st.button("Train on these →", type="primary"):
            st.session_state["level"] = "custom"  # the recommended recipe has its own layout
            go_to("train")


st.title("Gene images")
with errors():
    show_page()
