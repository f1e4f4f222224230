"""The button beside a chart or table that puts it on a story."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core import __version__
from core.data.store import get_record, list_datasets
from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.home import only_looks
from core.runs.result import load_result
from core.runs.store import RunStore
from core.stories import (
    LONGEST_CAPTION,
    LONGEST_TITLE,
    View,
    create_story,
    keep_table,
    list_stories,
    pin,
)
from ui.kept import cache_data

PAGE = "page that is open"
"""Where the session keeps the name of the page that is shown."""
LAST = "last story"
"""Where the session keeps the story that something was pinned to last."""
NEW = "a new story"
MOST_ROWS = 200
"""Of a table; a chart keeps all of its numbers."""
NAMING = ("id", "run", "samples", "dataset", "runs")
"""Parts of links that name what a view is of."""


def offer_pin(
    name: str,
    finding: str,
    data: pd.DataFrame | Callable[[], pd.DataFrame],
    figure: go.Figure | None = None,
    *,
    key: str,
) -> None:
    """The button, where one may pin; it asks for the story and the caption.

    Args:
        name: of the files of the chart or table.
        finding: what it shows, in a sentence: the caption, unless another is given.
        data: the numbers of the chart, or the table, or what makes it.
        figure: the chart; None of a table.
        key: the button's.
    """
    if only_looks():
        return
    if st.button(
        "Pin", key=f"{key} pin", type="tertiary", icon=":material/push_pin:",
        help="Put it on a story, to be shown in a meeting or kept as a report.",
    ):  # fmt: skip
        link = st.query_params.to_dict()
        page = st.session_state.get(PAGE, "data")
        table = data() if callable(data) else data
        view = View(
            page=page, link=link, name=name, finding=finding[:LONGEST_CAPTION],
            source=say_source(),
            figure=None if figure is None else json.loads(figure.to_json()),
            table=keep_table(table.head(MOST_ROWS) if figure is None else table),
            pinned=datetime.now(UTC), version=__version__,
        )  # fmt: skip
        _ask(view)


@st.dialog("Pin to a story")
def _ask(view: View) -> None:
    """Which story, and the caption."""
    stories = {story.id: story for story in list_stories()}
    last = st.session_state.get(LAST)
    options = [*stories, NEW]
    with st.form("pin", border=False):
        chosen = st.selectbox(
            "Story", options, index=options.index(last) if last in stories else 0,
            format_func=lambda id: stories[id].title if id in stories else NEW,
        )  # fmt: skip
        title = st.text_input(
            "Title of a new story", "" if stories else "Lab meeting", max_chars=LONGEST_TITLE
        )
        caption = st.text_area(
            "Caption", view.finding, max_chars=LONGEST_CAPTION, height=100,
            help="What the audience shall see in it. It stands above the chart.",
        )  # fmt: skip
        st.caption(escape_markdown(view.source))
        if not st.form_submit_button("Pin it", type="primary"):
            return
    try:
        story = create_story(title).id if title.strip() or chosen == NEW else chosen
        kept = pin(story, view, caption)
    except GeneCanvasError as error:
        st.error(escape_message(str(error)))
        return
    st.session_state[LAST] = story
    st.toast(f"Pinned to “{escape_markdown(kept.title)}”: {len(kept.views)} views.")
    st.rerun()


def say_source() -> str:
    """Of which run and samples the view of the link is, with their number."""
    link = st.query_params.to_dict()
    named = {name: link[name] for name in NAMING if name in link}
    return _say_source(**named)[:LONGEST_CAPTION]


@cache_data(max_entries=200, ttl=20, show_spinner=False)
def _say_source(
    id: str = "", run: str = "", samples: str = "", dataset: str = "", runs: str = ""
) -> str:
    parts, run = [], id or run
    if run:
        try:
            record, result = RunStore().get(run), load_result(run)
            parts += [record.name, f"{result.n_test:,} samples held out"]
            parts += [] if samples else [get_record(record.spec.cohort.dataset).name]
        except (
            GeneCanvasError
        ):  # a model that was sent, a run without a result, a dataset that is gone
            parts = parts or [f"run {run[:6]}"]
    wanted = samples or dataset
    for record in list_datasets() if wanted else []:
        if record.id.startswith(wanted):
            parts.append(f"{record.name}, {record.samples:,} samples")
    if runs and runs != "all":
        parts.append(f"{runs.count(',') + 1} runs")
    return " · ".join(parts)
