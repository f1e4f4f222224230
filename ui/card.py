"""What a dataset is and what was found about it, with repairs; the samples on a map."""

import numpy as np
import pandas as pd
import streamlit as st
from anndata import AnnData

from core.data.check import DataCard, check_dataset
from core.data.choices import Choices, save_choices
from core.data.notes import Finding
from core.data.prepare import PreparationSpec, Preprocessor
from core.data.similarity import map_neighbours, map_samples
from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_markdown
from core.plots.data import class_sizes, sample_map, sample_values
from core.plots.findings import say_class_sizes, say_sample_map, say_value_map
from core.runs.spec import say_option
from ui.about import About
from ui.bring import show_corner, show_notes
from ui.find import find_name
from ui.forms import HOLDS
from ui.parts import finished_runs, go_to, go_to_run, open_dataset, say_finding, show_figure
from ui.sample_groups import offer_group

SCALES = {"counts": "counts", "linear": "TPM-like", "log2": "log2"}
MAP_GENES = 1000
MOST_NEIGHBOURS = 5000
"""Samples beyond which t-SNE takes minutes."""
"""Most variable genes on which the map of samples rests."""
TAKEN_BACK = {"where": {}, "leave_out": (), "merge": {}}
"""What is undone when decisions about samples are taken back; columns keep their roles."""
WORST_FIRST = ("error", "warning", "info")
SIZES = About(
    shown="How many samples each class has.",
    n="All samples that are used; the numbers stand at the bars.",
    computed="Counted from the class column, after merging and leaving out.",
    read="The score of a small class hangs on few samples, and its interval is wide.",
)
CARDS = 10
"""Cards that a session remembers."""


def change(record: DatasetRecord, choices: Choices) -> None:
    """Keep new choices, and let the boxes on the page show them."""
    save_choices(record.id, choices)
    short = record.id[:12]
    for role in ("label", "group", "batch"):
        st.session_state[f"{role} {short}"] = getattr(choices.cohort, role)


def used_samples(dataset: str, choices: Choices) -> AnnData:
    """The samples of a stored dataset that the choices keep, classes as they count."""
    return choices.cohort.select(open_dataset(dataset))


def examine(record: DatasetRecord, choices: Choices) -> DataCard:
    """The data card, made once for each set of choices."""
    cards = st.session_state.setdefault("cards", {})
    key = (record.id, choices.model_dump_json())
    if key not in cards:
        data, cohort = used_samples(record.id, choices), choices.cohort
        words = f"Checking {data.n_obs:,} samples x {data.n_vars:,} genes"
        bar = st.progress(0.0, words)
        cards[key] = check_dataset(
            data, cohort.label, cohort.group, cohort.batch, choices.preparation,
            lambda share: bar.progress(share, words),
        )  # fmt: skip
        bar.empty()
        while len(cards) > CARDS:
            cards.pop(next(iter(cards)))
    return cards[key]


def recall_warnings(record: DatasetRecord, choices: Choices) -> list[Finding]:
    """What the card warns of, where this session has made it: making one may take a minute."""
    card = st.session_state.get("cards", {}).get((record.id, choices.model_dump_json()))
    return [] if card is None else [f for f in card.findings if f.severity != "info"]


def show_card(record: DatasetRecord, choices: Choices) -> None:
    """Sizes, findings with their repairs, class sizes, the corner, and the way on."""
    card = examine(record, choices)
    picture, found = st.columns([3, 2], gap="medium")
    with picture:
        try:
            show_samples(record, choices)
        except InputError as error:
            st.caption(f"No map of the samples. {escape_markdown(str(error))}")
    with found:
        show_decisions(record, choices)
        say_sizes(card)
        for finding in sorted(card.findings, key=lambda each: WORST_FIRST.index(each.severity)):
            say_finding(
                finding, lambda f=finding: change(record, choices.changed(**f.repair.changes))
            )
        wrong = any(finding.severity == "error" for finding in card.findings)
        if wrong or not card.label:
            st.caption(
                "Once a class column is chosen and nothing stands in the way, go on from here."
            )
        with st.container(horizontal=True):
            if st.button("See gene-images →", disabled=wrong or not card.label):
                go_to("images")
            if st.button("Train on these →", type="primary", disabled=wrong or not card.label):
                go_to("train")
            runs = [run.id for run in finished_runs() if run.spec.cohort.dataset == record.id]
            if runs and st.button("See its last run →"):
                go_to_run(runs[0])
        if any(finding.code in ("label_ids", "label_numbers") for finding in card.findings):
            st.caption("The chosen column doesn't look like classes.")
        elif card.classes:
            st.markdown("## Class sizes")
            table = pd.DataFrame({"class": card.classes.keys(), "samples": card.classes.values()})
            show_figure(
                class_sizes(card.classes), table, "class_sizes",
                alt=say_class_sizes(card.classes), about=SIZES,
            )  # fmt: skip
        else:
            st.caption("Choose the column that holds the class.")
    with st.expander("How the file was read"):
        show_notes(record.notes)
        st.caption(escape_markdown(card.evidence))
        show_corner(used_samples(record.id, choices))


def say_sizes(card: DataCard) -> None:
    """How large the dataset is, in a line."""
    sizes = [f"**{card.samples:,}** samples", f"**{card.genes:,}** genes"]
    sizes += [f"**{len(card.classes)}** classes"] if card.classes else []
    sizes += [f"**{card.patients:,}** patients"] if card.patients is not None else []
    sizes += [f"**{card.batches:,}** batches"] if card.batches is not None else []
    st.markdown(
        " · ".join([*sizes, SCALES[card.scale]]), help=escape_markdown(card.evidence)
    )  # fmt: skip


def show_decisions(record: DatasetRecord, choices: Choices) -> None:
    """What was decided about samples and values, and the way back."""
    decided = [
        f"{escape_markdown(column)} is {escape_markdown(', '.join(values))}"
        for column, values in choices.cohort.where.items()
    ]
    if choices.cohort.leave_out:
        names = ", ".join(choices.cohort.leave_out[:3]) + (
            " …" if len(choices.cohort.leave_out) > 3 else ""
        )
        decided.append(
            f"{len(choices.cohort.leave_out)} samples left out ({escape_markdown(names)})"
        )
    decided += [
        f"{escape_markdown(old)} counts as {escape_markdown(new)}"
        for old, new in choices.cohort.merge.items()
    ]
    default = PreparationSpec()
    decided += [
        f"{field.title}: {_say(name, getattr(choices.preparation, name))}"
        for name, field in PreparationSpec.model_fields.items()
        if getattr(choices.preparation, name) != getattr(default, name)
    ]
    if not decided:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":green-badge[:material/check: decided] {' · '.join(decided)}", width="stretch"
        )
        st.button(
            "Take it all back", type="tertiary",
            on_click=lambda: change(
                record,
                Choices(cohort=choices.cohort.model_copy(update=TAKEN_BACK)),
            ),
        )  # fmt: skip


def _say(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} genes"
    return escape_markdown(say_option(name, value))


@st.cache_resource(max_entries=4, show_spinner="Comparing samples")
def locate(
    dataset: str, choices: str, neighbours: bool = False
) -> tuple[AnnData, np.ndarray, list[str]]:
    """The used samples on a map of their most variable genes, and what its axes are.

    Principal components, or with `neighbours` a t-SNE of them.
    """
    decided = Choices.model_validate_json(choices)
    data = used_samples(dataset, decided)
    spec = decided.preparation.model_copy(update={"genes": MAP_GENES})
    x, genes = np.asarray(data.X), data.var_names.to_numpy()
    prepared = Preprocessor.fit(x, genes, str(data.uns["scale"]), spec)
    values = prepared.transform(x, genes)
    if neighbours:
        return data, map_neighbours(values), ["t-SNE 1", "t-SNE 2"]
    scores, share = map_samples(values)
    axes = [f"PC{n + 1} ({part:.0%} of the variance)" for n, part in enumerate(share)]
    return data, scores, axes


def log_values(data: AnnData, gene: str) -> np.ndarray:
    """(samples,) log2 expression of a gene, of counts and linear values that of 1 more."""
    values = np.asarray(data[:, gene].X, dtype=float).ravel()
    return values if data.uns["scale"] == "log2" else np.log2(np.maximum(values, 0) + 1)


def show_samples(record: DatasetRecord, choices: Choices) -> None:
    """Samples on a map; a lasso says who they are and can leave them out."""
    data, scores, titles = locate(record.id, choices.model_dump_json())
    chart = st.container()
    left, right, third = st.columns(3)
    columns, colour, groups = list(data.obs.columns), "group", np.full(data.n_obs, "all samples")
    if columns:
        colour = left.selectbox(
            "Colour by", columns, key="map colour", **HOLDS,
            index=columns.index(choices.cohort.label) if choices.cohort.label else 0,
        )  # fmt: skip
        groups = data.obs[colour].astype(str).to_numpy()
    maps = {
        f"Principal components {n + 1} and {n + 2}": n for n in range(0, scores.shape[1] - 1, 2)
    }
    if 5 <= data.n_obs <= MOST_NEIGHBOURS:
        maps["Nearest neighbours (t-SNE)"] = None
    with third:
        gene = find_name(
            "Or by a gene", data.var_names.tolist(), key="map gene", placeholder="such as ESR1"
        )
    x = maps[right.selectbox("Map", list(maps), key="map axes", **HOLDS)]
    said = "Principal components of"
    if x is None:
        _, scores, titles = locate(record.id, choices.model_dump_json(), neighbours=True)
        x, said = 0, "Near samples are alike, far groups may be or not: t-SNE of"
    y, axes = x + 1, titles[x : x + 2]
    at = scores[:, x], scores[:, y], data.obs_names
    points = scores[:, [x, y]]
    if gene is None:
        figure = sample_map(*at, groups, (axes[0], axes[1]))
        alt = say_sample_map(points, groups, colour)
    else:
        colour, groups = f"{gene}, log2", log_values(data, gene)
        figure = sample_values(*at, groups, colour, (axes[0], axes[1]))
        alt = say_value_map(points, groups, colour)
    table = pd.DataFrame(
        {"sample": data.obs_names, colour: groups, axes[0]: scores[:, x], axes[1]: scores[:, y]}
    )
    with chart:
        points = show_figure(
            figure, table, "samples_map", alt=alt, key="samples_pca", select="lasso",
            about=explain_map(data, said),
        )  # fmt: skip
    st.caption(
        f"{said} the {min(MAP_GENES, data.n_vars):,} most variable genes. Draw "
        "around points to see who they are."
    )
    chosen = [point["customdata"] for point in points]
    chosen = [name[0] if isinstance(name, list) else name for name in chosen]
    if not chosen:
        return
    st.markdown(f"## {len(chosen)} samples")
    st.dataframe(data.obs.loc[chosen].rename_axis("sample").reset_index(), hide_index=True)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offer_group(record, chosen, key="group of points")
        st.button(
            "Leave these samples out", icon=":material/build:",
            on_click=lambda: change(record, choices.changed(leave_out=chosen)),
        )  # fmt: skip


def explain_map(data: AnnData, said: str) -> About:
    """What stands behind the map of samples."""
    how = (
        "Principal components of log2 expression, each gene centred; the axes say their share of "
        "the variance."
        if said.startswith("Principal")
        else "t-SNE of the first principal components: near samples stay near, distances between "
        "far groups mean nothing."
    )
    return About(
        shown="Each point is a sample; like samples lie together.",
        n=f"{data.n_obs:,} samples; the {min(MAP_GENES, data.n_vars):,} genes that vary most.",
        computed=f"{how} No class was looked at.",
        read="Groups that lie apart differ in many genes. Colour by batch or site as well: where "
        "that parts the samples like the class does, the two can't be told apart.",
    )
