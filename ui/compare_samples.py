"""Samples on the Compare page: wrong ones, doubtful labels, and one looked at closely."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.compare.samples import find_doubtful_labels, list_answers, view_sample
from core.compare.settings import without_controls
from core.compare.wrong import find_wrong_samples
from core.escape import escape_markdown
from core.models.baselines import Baseline
from core.plots.compare import answer_grid
from core.plots.figures import gene_image
from core.runs.outcome import Outcome, shared_reference
from ui.about import About
from ui.kept import cache_data
from ui.parts import (
    decimals,
    download_table,
    errors,
    find_runs,
    name_runs,
    open_dataset,
    show_figure,
)

SHOWN_ANSWERS = 24
"""A chart shows the answers of at most so many runs; the CSV has all."""


@cache_data(max_entries=20, show_spinner=False)
def read_wrong_samples(key: str, _outcomes: list[Outcome]) -> pd.DataFrame:
    """Samples that at least one of these runs got wrong."""
    return find_wrong_samples(_outcomes)


@cache_data(max_entries=20, show_spinner=False)
def read_doubtful_labels(key: str, _outcomes: list[Outcome]) -> pd.DataFrame:
    """Samples whose label the held-out probabilities doubt."""
    return find_doubtful_labels(_outcomes)


@st.fragment
def show_samples(key: str, outcomes: Sequence[Outcome]) -> None:
    """Two lists of samples; a row that is clicked, or a sample that is named, opens below."""
    outcomes = without_controls(outcomes)
    with errors():
        st.markdown("## Samples")
        lists = {"wrong most often": _show_wrong, "doubtful labels": _show_doubtful}
        chosen = st.segmented_control(
            "List", list(lists), default="wrong most often", required=True, key="sample list",
            label_visibility="collapsed", persist_state="session",
        )  # fmt: skip
        lists[chosen](key, outcomes)
        tested = sorted({sample for outcome in outcomes for sample in outcome.samples.tolist()})
        sample = _pick_sample(tested)
        if sample is not None:
            show_sample(sample, outcomes)


def _pick_sample(tested: list[str]) -> str | None:
    """The sample that was clicked or named; it stands in the link."""
    wanted = st.session_state.get("sample", st.query_params.get("sample"))
    st.session_state["sample"] = wanted if wanted in tested else None
    sample = st.selectbox(
        "Sample",
        tested,
        index=None,
        key="sample",
        placeholder="click a row above, or type a sample's name",
    )
    if sample is None:
        st.query_params.pop("sample", None)
    else:
        st.query_params["sample"] = sample
    return sample


def _show_wrong(key: str, outcomes: list[Outcome]) -> None:
    table = read_wrong_samples(key, outcomes)
    always = table[(table["wrong"] == table["tested"]) & (table["tested"] > 1)]
    st.caption(
        f"{len(always)} samples are wrong in every one of at least two runs that tested them. "
        "Click a row for the sample's image, its probabilities in each run and its neighbours."
    )
    _show_list(table, "wrong_samples", _reference(outcomes))


def _show_doubtful(key: str, outcomes: list[Outcome]) -> None:
    table = read_doubtful_labels(key, outcomes)
    both = int((table["judges"] == 2).sum())
    reference = _reference(outcomes)
    st.caption(
        f"Held-out probabilities confidently speak for another class in {len(table)} samples, the "
        f"network's and {reference.phrase}'s alike in {both} (confident learning, Northcutt et al. "
        "2021). A list to check by eye and by record: a hard sample looks the same as a wrong "
        "label, and nothing is removed by itself."
    )
    _show_list(table, "doubtful_labels", reference)


def _reference(outcomes: list[Outcome]) -> Baseline:
    """The baseline model that stands beside these runs' networks."""
    return outcomes[0].task.baselines[shared_reference(outcomes)]


def _show_list(table: pd.DataFrame, name: str, reference: Baseline) -> None:
    """A table of samples; a click on a row chooses the sample."""

    def take() -> None:
        rows = st.session_state[f"{name} table"]["selection"]["rows"]
        if rows:
            st.session_state["sample"] = table["sample"].iloc[rows[0]]

    title = reference.title.lower()
    shown = table.rename(columns=lambda c: c.replace(reference.name, title).replace("_", " "))
    st.dataframe(
        shown, hide_index=True, height=320, key=f"{name} table", column_config=decimals(shown),
        on_select=take, selection_mode="single-row",
    )  # fmt: skip
    download_table(table, name, "CSV", key=name)


def show_sample(sample: str, outcomes: Sequence[Outcome]) -> None:
    """What each run said of a sample, its gene-image and its nearest training samples."""
    answers = list_answers(sample, outcomes)
    label, wrong = answers["label"].iloc[0], answers[~answers["right"]]
    named = wrong["named"].value_counts()
    mistaken = ", ".join(f"{name} ({n})" for name, n in named.items())
    st.markdown(
        f"**{escape_markdown(sample)}**, labelled {escape_markdown(label)}: "
        + (
            f"right in all {len(answers)} tests."
            if wrong.empty
            else f"wrong in {len(wrong)} of {len(answers)} tests, mistaken for "
            f"{escape_markdown(mistaken)}."
        )
    )
    by_id = {outcome.run: outcome for outcome in outcomes if outcome.run in set(answers["run"])}
    classes = next(iter(by_id.values())).result.classes
    shown = answers.head(SHOWN_ANSWERS)
    names = name_runs(find_runs(shown["run"].unique()))
    show_figure(
        answer_grid(
            shown[[f"p_{name}" for name in classes]].to_numpy(float),
            [f"{names[row.run]} · fold {row.fold + 1}" for row in shown.itertuples()],
            classes, label,
        ),
        answers, "answers", alt=f"Probabilities of each run for {sample}", key="answers",
        about=About(
            "Each class's probability for this sample, by each run that held it out.",
            f"{len(answers)} tests of one sample.",
            "By networks that had not learned from the sample, after dividing by the temperature.",
            "Where all runs agree on another class than the label, look at the label before you "
            "blame the networks.",
        ),
    )  # fmt: skip
    if len(answers) > SHOWN_ANSWERS:
        st.caption(f"The first {SHOWN_ANSWERS} of {len(answers)} tests; the CSV has all.")
    run = st.selectbox(
        "Image and neighbours of the run", list(by_id), key="sample run",
        format_func=names.get,
    )  # fmt: skip
    view = view_sample(by_id[run], sample, open_dataset(by_id[run].spec.cohort.dataset))
    left, right = st.columns(2, gap="large")
    with left:
        pixels = pd.DataFrame(
            {"gene": view.layout.genes, "row": view.layout.row, "column": view.layout.col,
             "value": view.values}
        )  # fmt: skip
        show_figure(
            gene_image(view.layout, view.values, name="prepared expression", limits=(0, 1)), pixels,
            "sample_image", alt=f"Gene-image of {sample}", key="sample image",
            about=About(
                "The sample as the network saw it: each pixel is a gene.",
                f"One sample, {len(pixels):,} genes.",
                "Prepared and laid out by the fold that held the sample out, each gene on the "
                "scale of the training samples.",
                "Bright is high for that gene, not in comparison with other genes.",
            ),
        )  # fmt: skip
        st.caption("As the fold that held the sample out prepared and laid out its genes.")
    with right:
        st.dataframe(view.neighbours, hide_index=True, column_config=decimals(view.neighbours))
        own = int((view.neighbours["label"] == label).sum())
        st.caption(
            f"Training samples whose prepared expression correlates best: {own} of "
            f"{len(view.neighbours)} are labelled {escape_markdown(label)}."
        )
        download_table(view.neighbours, "neighbours", "CSV", key="neighbours")
