"""A story on the whole screen, moved with the keyboard; and the speaker's window beside it."""

from math import ceil

import pandas as pd
import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.plots.stage import enlarge, name_point, restore_figure
from core.report.render import say_cell
from core.stories import Pinned, Story, View, load_story, load_view
from ui.line import SHOWN, show_line
from ui.parts import ROOT, component, go_to, show_empty
from ui.story import offer_opening, open_view

SIZE = "stage size"
"""Where the session keeps width and height of the window, in pixels."""
USUAL_SIZE = {"width": 1920, "height": 1080}
"""Until the browser has said it."""
KEYS = "stage keys"
WIDTHS, LEAST = 80, 15
"""The type of a chart is the window's width divided by this, and at least so many pixels: 24 on a
projector of 1920."""
CAPTION = 85
"""Letters of a caption in a line of the whole width."""
INKS = {"dark": "#E8EEF1", "light": "#1B262C"}
ROWS, COLUMNS = 14, 7
"""Of a table, as far as a slide has room."""
STAGE = component("stage")
"""The keys, and below the slide what they do as buttons, with the number of the slide."""


def show_stage() -> None:
    """The slide that the link names, or the speaker's window of it."""
    story = _find_story()
    if story is None:
        return
    st.session_state[SHOWN] = story.title
    slides = story.slides
    if not slides:
        go_to("story", {"id": story.id})
    number = _read_number(len(slides))
    speaks = "notes" in st.query_params
    st.html(ROOT / "assets/present.css")
    body = st.container(key="stage", gap="small")
    size = st.session_state.get(SIZE, USUAL_SIZE)
    asked = STAGE(
        key=KEYS, on_slide_change=_wait, on_leave_change=_wait, on_open_change=_wait,
        on_size_change=_keep_size,
        data={"story": story.id, "slide": number, "slides": len(slides), "notes": speaks,
              "size": size},
    )  # fmt: skip
    if asked.slide and asked.slide != number:
        st.query_params["slide"] = str(min(max(1, int(asked.slide)), len(slides)))
        st.rerun()
    if asked.leave:
        go_to("story", {"id": story.id})
    if asked.open:
        open_view(load_view(story.id, slides[number - 1][0].view))
    with body:
        if speaks:
            st.title(f"Slide {number}: notes", anchor=False)
            _show_notes(slides, number)
        else:
            with st.container(key="pair" if len(slides[number - 1]) > 1 else "one", gap="small"):
                _show_slide(story, slides[number - 1], number, size)


def _find_story() -> Story | None:
    """The story of the link; where there is none, or it isn't here, that is said with a way on."""
    wanted = st.query_params.get("story")
    try:
        if wanted:
            return load_story(wanted)
    except GeneCanvasError as error:
        show_line("Present")
        st.error(escape_message(str(error)))
        show_empty("This story can't be shown.", "All stories", "story")
    else:
        show_line("Present")
        show_empty("No story has been chosen to be presented.", "Choose a story", "story")
    return None


def _keep_size() -> None:
    st.session_state[SIZE] = dict(st.session_state[KEYS]["size"])


def _wait() -> None:
    """What is asked is answered further down the page."""


def _read_number(slides: int) -> int:
    text = st.query_params.get("slide", "1")
    return min(max(1, int(text)), slides) if text.isdecimal() and len(text) < 5 else 1


def _show_slide(story: Story, slide: list[Pinned], number: int, size: dict[str, int]) -> None:
    beside, level = len(slide) > 1, "#"
    if beside:  # a page has one heading above all others
        st.markdown(f"# {escape_markdown(story.title)}")
        level = "##"
    places = st.columns(len(slide), gap="large")
    lines = max(ceil(len(pinned.caption) * len(slide) / CAPTION) for pinned in slide)
    letters = max(LEAST, size["width"] // WIDTHS)
    room = (
        size["height"]
        - 95
        - (9 if beside else 7) * letters
        - max(0, lines - 1) * int(0.026 * size["width"])
    )
    for place, (column, pinned) in enumerate(zip(places, slide, strict=True)):
        with column:
            try:
                view = load_view(story.id, pinned.view)
                st.markdown(f"{level} {escape_markdown(pinned.caption or view.finding)}")
                _draw(view, f"{story.id} {number} {place}", letters, room)
            except GeneCanvasError as error:
                st.error(escape_message(str(error)))


def _draw(view: View, key: str, letters: int, room: int) -> None:
    """A view with type of so many pixels, as high as there is room, and below it what it is of; a
    gene can be clicked."""
    named = None
    if view.figure is None:
        _draw_table(view)
    else:
        ink = INKS[st.context.theme.type or "light"]
        figure = enlarge(restore_figure(view.figure), letters, ink)
        event = st.plotly_chart(
            figure, key=f"slide {key}", alt=view.finding, on_select="rerun",
            height=max(300, room), selection_mode="points",
            config={"displayModeBar": False},
        )  # fmt: skip
        points = event["selection"]["points"]
        first = points[0] if points else None
        named = first and name_point(figure, first["curve_number"], first["point_index"])
    with st.container(horizontal=True, vertical_alignment="center"):
        if named is None:
            st.caption(escape_markdown(view.source))
        else:
            st.markdown(f"**{escape_markdown(named)}**", width="content")
        offer_opening(view, key=f"open {key}", **({"gene": named} if named else {}))


def _draw_table(view: View) -> None:
    rows = [[say_cell(cell) for cell in row[:COLUMNS]] for row in view.table.rows[:ROWS]]
    table = pd.DataFrame(rows, columns=view.table.columns[:COLUMNS])
    st.table(table.map(escape_markdown).rename(columns=escape_markdown), hide_index=True)
    if len(view.table.rows) > ROWS:
        st.caption(f"and {len(view.table.rows) - ROWS:,} more rows")


def _show_notes(slides: list[list[Pinned]], number: int) -> None:
    """What the speaker reads: the notes, and what comes next."""
    for pinned in slides[number - 1]:
        st.markdown(f"## {escape_markdown(pinned.caption)}")
        for line in pinned.notes.splitlines() or ["(no notes)"]:
            st.markdown(escape_markdown(line))
    if number < len(slides):
        captions = " · ".join(pinned.caption for pinned in slides[number])
        st.caption(escape_markdown(f"Next: {captions}"))
    else:
        st.caption("This is the last slide.")
