"""A section on the page Histology: a gene measured and predicted, and the tile of a spot."""

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.jobs.launch import answer_state
from core.plots.tissue import section_map, tile_view
from core.tissue.job import SeeTissueJob, ask
from core.tissue.predicting import load_effects
from core.tissue.result import TissueAnswer
from core.tissue.spots import Tissue, lay_out, spacing
from core.tissue.store import TissueRecord, load_tissue
from core.tissue.targets import TARGETS
from ui.kept import cache_resource
from ui.parts import pick, show_figure
from ui.predict import is_working
from ui.spot_tile import show_tile_under_pointer
from ui.tissue import GENE, TITLES
from ui.tissue_about import about_section, about_tile

STRONGEST = 2.0
"""SD of the strongest colour."""
COVERED, MAPPED = "covering", "Grad-CAM"
WAYS = {
    COVERED: "Red: covering this place lowers the prediction. Blue: it raises it.",
    MAPPED: "Red: this place of the network's last map raises the prediction. Blue: it lowers it.",
}
"""How a gene is found on a tile, and what its colours say."""
SPOT = "spot"
"""The part of the link that names the spot whose tile is shown."""


@cache_resource(max_entries=2, show_spinner="Reading the tissue")
def open_tissue(tissue: str) -> Tissue:
    """A stored tissue, kept in memory while it is among the last two looked at."""
    return load_tissue(tissue)


def show_section(record: TissueRecord, answer: TissueAnswer) -> str:
    """A section twice, what was measured of a gene and what was predicted, or the error; a tile.

    Gives the gene that is looked at.
    """
    first, second, third, fourth = st.columns([0.8, 0.8, 0.8, 2.7], vertical_alignment="bottom")
    with first:
        gene = pick("Gene", list(answer.genes["gene"]), str, GENE)
    with second:
        section = pick("Section", list(record.sections), str, "section")
    right = third.segmented_control(
        "Right", ["predicted", "error"], default="predicted", required=True, key="tissue right",
    )  # fmt: skip
    target = fourth.segmented_control(
        "Target", list(TARGETS), default="normalised", required=True, key="tissue target",
        format_func=TITLES.get,
    )  # fmt: skip
    tissue = open_tissue(record.id)
    own = (tissue.spots["section"] == section).to_numpy()
    place = int(answer.genes.set_index("gene").loc[gene, "place"])
    measured, predicted = (
        answer.values(what, target)[own, place].astype(float) for what in ("measured", "predicted")
    )
    if np.isnan(measured).all():
        st.caption(
            "The training patients of this section did not choose this gene: it was not predicted "
            "here. Choose another section or gene."
        )
        return gene
    values = {"measured": measured, "predicted": predicted, "error": predicted - measured}
    x, y = (tissue.spots[name].to_numpy(float)[own] for name in ("x", "y"))
    names, tiles = tissue.spots.index[own], tissue.tiles[own]
    table = pd.DataFrame({"spot": names, "x": x, "y": y, **values})
    wanted = st.query_params.get(SPOT)
    spot = names.get_loc(wanted) if wanted in names else int(np.nanargmax(predicted))
    r = np.corrcoef(measured, predicted)[0, 1] if np.ptp(predicted) and np.ptp(measured) else 0.0
    width = spacing(np.column_stack([x, y]))
    picture, edges = lay_out(tiles, x, y, width)
    columns = st.columns([1.25, 1.25, 0.8], gap="medium")
    for column, what in zip(columns[:2], ("measured", right), strict=True):
        key = f"section {what}"
        with column:
            show_figure(
                section_map(
                    picture, edges, x, y, values[what], names, title=f"{gene}, {what}",
                    limit=STRONGEST, dot=width, marked=spot,
                ),
                table, f"{section}_{gene}_{what}", key=key,
                alt=f"{gene}, {what} in section {section} (held out), {TITLES[target]}; measured "
                f"and predicted correlate by r = {r:.2f} over {len(x)} spots.",
                select=partial(_take_spot, key, list(names)),
                about=about_section(gene, len(x)),
            )  # fmt: skip
    with columns[2]:
        _show_tile(answer, tiles[spot], table.iloc[spot], gene, place)
        show_tile_under_pointer(record.id, section, tiles, names, key="tile")
    st.caption(
        f"In this section r = {r:.2f}, in SD of the training spots; the spots were held out. The "
        "picture is put together from the tiles. The tile of the spot under the pointer stands on "
        "the right; a click keeps it there."
    )
    return gene


def _take_spot(key: str, names: list[str]) -> None:
    """Show the tile of the spot that was clicked."""
    points = [
        point
        for point in st.session_state[key]["selection"]["points"]
        if point.get("curve_number") == 0
    ]
    if points:
        st.query_params[SPOT] = names[points[0]["point_index"]]


def _show_tile(
    answer: TissueAnswer, tile: np.ndarray, spot: pd.Series, gene: str, place: int
) -> None:
    """A spot's tile, its values, and on request where a model sees the gene."""
    job = SeeTissueJob(asked=answer.result.spec, spot=spot["spot"])
    state = answer_state(job)
    effects, said = None, ""
    name = str(spot["spot"])
    st.markdown(f"**{escape_markdown(name)}**")
    if state.state == "done":
        found = load_effects(job.asked, job.spot)
        way = COVERED
        if found.mapped is not None:
            way = st.segmented_control(
                "Seen by", [COVERED, MAPPED], default=COVERED, required=True, key="seen by",
                help="Covering paints one of 64 places after the other in the tile's mean colour. "
                "Grad-CAM (Selvaraju et al. 2017) takes each channel of the network's last map "
                "times its mean gradient: its places add up to the prediction less a constant.",
            )  # fmt: skip
        effects = (found.covered if way == COVERED else found.mapped)[..., place]
        said = " " + WAYS[way]
    data = pd.DataFrame(spot).T if effects is None else pd.DataFrame(effects)
    values = f"measured {spot['measured']:.2f}, predicted {spot['predicted']:.2f} SD."
    show_figure(
        tile_view(tile, effects), data, f"tile_{name}", key="tile", about=about_tile(gene),
        alt=f"The tile of {name}: {gene} {values}{said}",
    )  # fmt: skip
    st.caption(f"{escape_markdown(gene)}: {values}{said}")
    if effects is None and not is_working(state, partial(answer_state, job), "Covering the tile"):
        st.button(
            "Where is it seen?", key="see tile", on_click=ask, args=(job,),
            help="Covers one of 64 places of the tile after the other with its mean colour and "
            "asks the model again: where the prediction changes, the model looked. It says nothing "
            "about which cells make the gene.",
        )  # fmt: skip
