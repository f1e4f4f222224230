"""Gene-images of classes and samples: what is painted, and how it is shown."""

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.cohort import Cohort
from core.data.prepare import Z_LIMIT
from core.data.store import DatasetRecord
from core.escape import escape_markdown
from core.images.classes import ClassMeans, average_classes, to_sd
from core.images.layout import GeneLayout
from core.images.layouts import LayoutSpec
from core.images.trial import Trial
from core.plots.figures import gene_image, image_grid, let_draw, mark_clicked
from core.plots.findings import say_gene_image, say_images
from core.plots.images import share_limits
from ui.about import About
from ui.forms import ask_number
from ui.kept import cache_resource
from ui.layouts import ask_layout
from ui.parts import errors, show_figure
from ui.trials import LOOK, Prepared, lay_out, name_layout, prepare

VIEWS = {
    "mean": "Class mean",
    "difference": "Class against the rest",
    "classes": "All classes",
    "samples": "Samples",
    "groups": "Modules, chromosomes, sets",
    "compare": "Compare layouts",
}
COLUMNS = 3  # of small images
SHOWN = 9  # samples side by side
HOVERED = 12  # classes whose mean stands under the pointer, and how many means go to the browser
HOVERED_MEANS = 100_000  # for it: half a megabyte
SECONDS = 1.2  # a sample is shown while playing
SIDE_BY_SIDE = About(
    shown="Each image is a class's mean or a sample, each pixel a gene; a gene that was found is "
    "named on all of them.",
    n="The number of samples stands above each class; a sample is one.",
    computed="log2 expression, scaled gene by gene; all images have one scale of colours.",
    read="What differs between images is genes that differ. How much single samples scatter is "
    "shown under Samples, not by means.",
)


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
        unit = self.prepared.unit[rows]
        return to_sd(unit) if self.unit else unit


@cache_resource(max_entries=8, show_spinner=False, hash_funcs=LOOK)
def average(samples: Trial, in_sd: bool) -> ClassMeans:
    """The mean of each class, and how it differs from all other samples."""
    prepared = prepare(samples)
    return average_classes(prepared.unit, class_of(prepared, samples.cohort), in_sd=in_sd)


def class_of(prepared: Prepared, cohort: Cohort) -> np.ndarray:
    """The class of each sample; one for all when no column is chosen."""
    if cohort.label is None:
        return np.full(prepared.data.n_obs, "all samples")
    return prepared.data.obs[cohort.label].astype(str).replace(cohort.merge).to_numpy().astype(str)


def under_pointer(classes: ClassMeans, chosen: str) -> dict[str, np.ndarray]:
    """The means under the pointer: of the chosen class and the largest others.

    Twelve classes up to 8000 genes, five at 20 000. A click on a gene shows all.
    """
    most = min(HOVERED, max(HOVERED_MEANS // classes.means.shape[1], 1))
    first = sorted(classes.names, key=lambda name: (name != chosen, -classes.size_of(name)))
    return {name: classes.mean_of(name) for name in sorted(first[:most])}


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
    about: About | None = None,
) -> None:
    """A large image on which a gene can be clicked or genes drawn around."""
    genes = layout.genes.tolist()
    if st.session_state.get("pointer") != "draw":
        mark_clicked(figure, layout, first_marked(figure, genes, gene, key))
        take = partial(take_click, genes, key)
        show_figure(figure, table, name, alt=alt, key=key, select=take, about=about)
        return
    over = let_draw(figure)
    points = show_figure(
        figure, table, name, alt=alt, key=f"{key} drawn", select="lasso", about=about
    )
    drawn = [genes[point["point_index"]] for point in points if point["curve_number"] == over]
    if drawn:
        st.session_state["drawn"] = sorted(set(drawn))


def show_one(
    painting: Painting, classes: ClassMeans, chosen: str, view: str, gene: str | None
) -> None:
    """One class as a large image; every class has the same colour scale."""
    images = classes.means if view == "mean" else classes.differences
    values = images[classes.names.index(chosen)]
    name = f"mean of {chosen}" if view == "mean" else f"{chosen} minus the rest"
    limits = share_limits(images, diverging=view == "difference" or images.min() < 0)
    figure = gene_image(
        painting.layout, values, diverging=limits[0] < 0,
        name=f"{name} ({painting.unit})" if painting.unit else name, limits=limits,
        means=under_pointer(classes, chosen),
    )  # fmt: skip
    show_pointed(
        figure, painting.layout, painting.layout.table(**{view: values}),
        f"gene_image_{view}_{chosen}", gene, key="gene image",
        alt=say_gene_image(values, painting.genes, capitalise(name), signed=limits[0] < 0),
        about=explain_image(painting, classes, chosen, view),
    )  # fmt: skip


def capitalise(words: str) -> str:
    """Words with a capital letter at the beginning, names left as they are."""
    return words[:1].upper() + words[1:]


def explain_image(painting: Painting, classes: ClassMeans, chosen: str, view: str) -> About:
    """What stands behind a class's image."""
    n, all_of = classes.size_of(chosen), len(painting.labels)
    unit = "SD from the gene's mean" if painting.unit else "the gene's range, from 0 to 1"
    if view == "mean":
        what, how = f"the mean of {escape_markdown(chosen)}", "the mean over the class's samples"
    else:
        what = f"{escape_markdown(chosen)} minus all other samples"
        how = "the class's mean minus the mean of all other samples"
    return About(
        shown=f"Each pixel is a gene in {what}; like genes stand together where the layout learns.",
        n=f"{n:,} samples of {escape_markdown(chosen)} of {all_of:,}; {len(painting.genes):,} "
        "genes.",
        computed=f"log2 expression in {unit}, {how}. All classes share the scale of colours. Here "
        "genes, scaling and layout are fitted on all samples shown; in a run on training samples.",
        read="A bright patch is a group of genes that are high together. It says nothing of what "
        "a network uses: Explain does.",
    )


def show_many(
    painting: Painting, images: np.ndarray, titles: list[str], gene: str | None, limits
) -> None:
    """Several images side by side on one colour scale."""
    figure = image_grid(
        painting.layout, images, titles, diverging=limits[0] < 0, limits=limits,
        marked=[gene] if gene else [], name=painting.name, columns=COLUMNS,
    )  # fmt: skip
    figure.update_annotations(font_size=12)  # a sample's name has the room of its image

    def table() -> pd.DataFrame:
        values = pd.DataFrame(images, columns=painting.layout.genes)
        values.insert(0, "image", titles)
        return values

    show_figure(
        figure, table, "gene_images", key="grid",
        alt=say_images(images, titles, painting.genes, painting.unit), about=SIDE_BY_SIDE,
    )  # fmt: skip


def show_samples(painting: Painting, chosen: str, gene: str | None, place: DeltaGenerator) -> None:
    """The samples of a class, some at a time or one after the other, as is chosen in `place`."""
    rows = np.flatnonzero(painting.labels == chosen)
    names = painting.prepared.data.obs_names[rows].tolist()
    limits = (-Z_LIMIT, Z_LIMIT) if painting.unit else (0.0, 1.0)
    with place:
        start = ask_number(
            "Starting with sample", 1, len(rows), 1, step=SHOWN, key=f"first {chosen}",
            help=f"{chosen} has {len(rows):,} samples; {SHOWN} are shown at a time.",
        )  # fmt: skip
        plays = st.toggle("Play through them, one after the other", key="play")
    if plays:
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
    values = painting.values(rows[[now]])[0]
    st.plotly_chart(
        figure, key="playing image",
        alt=say_gene_image(values, painting.genes, names[now], signed=limits[0] < 0),
    )  # fmt: skip


def show_compared(
    painting: Painting,
    record: DatasetRecord,
    classes: ClassMeans,
    chosen: str,
    gene: str | None,
    place: DeltaGenerator,
) -> list[Trial]:
    """The same class or sample on two layouts, on one colour scale, as is chosen in `place`.

    Returns the layouts whose measures stand below them: both, and the control.
    """
    rows = np.flatnonzero(painting.labels == chosen)
    names = painting.prepared.data.obs_names[rows].tolist()
    what, beside = place.columns(2, gap="large")
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
        values = classes.mean_of(chosen)
        limits = share_limits(classes.means, diverging=bool(painting.unit))
    else:
        values = painting.values(rows[[names.index(sample)]])[0]
        limits = (-Z_LIMIT, Z_LIMIT) if painting.unit else (0.0, 1.0)
    trials = [
        painting.trial.model_copy(update={"layout": spec})
        for spec in (painting.trial.layout, other_spec, LayoutSpec(name="random"))
    ]
    sides = st.columns(2, gap="medium")
    for side, trial, key in zip(sides, trials[:2], ("left", "right"), strict=True):
        with side, errors():
            layout = lay_out(trial, key=key)
            if layout is None:
                continue
            st.markdown(f"**{name_layout(trial.layout)}**")
            figure = gene_image(
                layout, values, diverging=limits[0] < 0, limits=limits, name=painting.name,
                means=under_pointer(classes, chosen),
            )  # fmt: skip
            figure.update_layout(height=480)
            show_pointed(
                figure, layout, layout.table(value=values), f"gene_image_{layout.name}", gene,
                key=f"{key} image",
                about=SIDE_BY_SIDE,
                alt=say_gene_image(
                    values, layout.genes, f"{sample or chosen}, {name_layout(trial.layout)}",
                    signed=limits[0] < 0,
                ),
            )  # fmt: skip
            st.caption(layout.describe())
    return [trial for at, trial in enumerate(trials) if trial not in trials[:at]]
