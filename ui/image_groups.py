"""The canvas coloured by modules, chromosomes or gene sets."""

import numpy as np
import streamlit as st

from core.data.store import DatasetRecord
from core.escape import escape_markdown
from core.images.groups import assign_groups, find_members
from core.images.modules import TREE_SAMPLES, ModuleTree, find_modules, grow_tree
from core.images.quality import compare_with_neighbours
from core.images.references import Kind, list_references, read_groups
from core.images.trial import Trial
from core.plots.findings import say_canvas
from core.plots.images import group_image
from ui.about import About
from ui.forms import HOLDS
from ui.kept import cache_data, cache_resource
from ui.layouts import ask_reference
from ui.painting import Painting, show_pointed
from ui.trials import LOOK, prepare

GROUPS = 8  # gene sets in one picture
KINDS = {"modules": "Modules", "positions": "Chromosomes", "sets": "Gene sets"}


def show_groups(
    painting: Painting, record: DatasetRecord, samples: Trial, gene: str | None, where
) -> None:
    """The canvas coloured by what genes belong to; `where` takes the choices."""
    layout = painting.layout
    with where:
        kind = st.segmented_control(
            "Colour by", KINDS, default="modules", required=True, format_func=KINDS.get,
            key="colour by", **HOLDS,
        )  # fmt: skip
        found = ask_groups(painting, record, samples, kind)
    if found is None:
        st.info(
            "Add a file on the right: genes are then coloured by what it says. It is stored on "
            "this computer and can be chosen again."
        )
        return
    groups, order = found
    inside = np.where(np.isin(groups, order), groups, "")
    share, chance = compare_with_neighbours(layout, inside)
    said = say_canvas(KINDS[kind].lower(), share, chance)
    show_pointed(
        group_image(layout, groups, order), layout, layout.table(belongs_to=groups),
        f"gene_image_{kind}", gene, alt=said, key="group image",
        about=About(
            shown=f"Each pixel is a gene, coloured by {KINDS[kind].lower()}; free pixels and genes "
            "of none are grey.",
            n=f"{len(layout.genes):,} genes, {int((inside != '').sum()):,} of them with a colour.",
            computed="Modules are branches of a tree of similar genes (Ward); chromosomes and gene "
            "sets come from the file that is chosen. Neighbours touch along an edge.",
            read="Where the same colours lie together, the layout puts genes of one kind side by "
            "side. The share by chance is what a layout without any order would give.",
        ),
    )  # fmt: skip
    st.caption(escape_markdown(said))


@cache_resource(max_entries=2, show_spinner="Finding modules", hash_funcs=LOOK)
def compare_genes(samples: Trial) -> ModuleTree:
    """The tree that modules are cut from."""
    return grow_tree(prepare(samples).unit)


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
    return assign_groups(members, order, len(painting.genes)), order


@cache_data(max_entries=8, show_spinner=False)
def read_members(kind: Kind, reference: str, genes: tuple[str, ...]) -> dict[str, list[int]]:
    """Positions among the genes of each chromosome, or of each set with the largest first."""
    [file] = [file for file in list_references(kind) if file.id == reference]
    members = find_members(read_groups(file), genes)
    if kind == "positions":
        return members
    return dict(sorted(members.items(), key=lambda item: -len(item[1])))
