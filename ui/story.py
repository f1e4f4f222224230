"""A story as it is made: its views with captions and notes, and their order."""

from collections.abc import Callable, Sequence

import streamlit as st

from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.home import only_looks
from core.plots.stage import restore_figure
from core.stories import (
    LONGEST_CAPTION,
    LONGEST_NOTES,
    LONGEST_TITLE,
    Pinned,
    Story,
    View,
    change_story,
    create_story,
    damaged_stories,
    delete_story,
    load_view,
)
from ui.account import pages_of_guest
from ui.bundles import offer_story_bundle, offer_taking
from ui.line import Line, close_drawer
from ui.parts import PAGES, go_to, pick, show_empty
from ui.pin import LAST
from ui.report import offer_story_report
from ui.share import offer_sharing

SMALL = 300
"""Pixels of a chart's height beside its caption."""
SMALL_TYPE = 8
"""Pixels of the words on such a chart."""
FEW_ROWS = 5
KEYS = (
    "Keys: **→** or space next, **←** back, **F** full screen, **N** notes in a second window, "
    "**O** open the page behind a chart, **Esc** leave."
)


def show_damaged() -> None:
    """The stories that can't be read, each with the one thing that can be done."""
    for story in damaged_stories():
        with st.container(border=True):
            st.error(escape_message(story.why))
            if not only_looks() and st.button("Delete this story", key=f"drop {story.id}"):
                delete_story(story.id)
                st.rerun()


def show_none() -> None:
    """What a story is, where there is none yet."""
    if only_looks():
        show_empty("No story is shared here.", "What the lab shares", "lab")
        return
    with st.container(border=True):
        st.markdown("## There is no story yet.")
        st.markdown(
            "Every chart has a **Pin** below it. It puts the chart, with a caption of your own, on "
            "a story: shown on a projector, or kept as a report."
        )
        with st.container(horizontal=True):
            if st.button("Look at the data", type="primary"):
                go_to("data")
            if st.button("Look at a run"):
                go_to("run")
            offer_taking()


def pick_story(stories: Sequence[Story], line: Line) -> Story:
    """The story of the link, or the one that was pinned to last.

    Args:
        stories: those that are here.
        line: the page's, in whose drawer another one is chosen, made or taken.
    """
    by_id = {story.id: story for story in stories}
    if "id" not in st.query_params and st.session_state.get(LAST) in by_id:
        st.query_params["id"] = st.session_state[LAST]
    with line.drawer:
        chosen = pick("Story", list(by_id), lambda id: by_id[id].title, "id", line.missing)
        if not only_looks():
            with st.form("new story", clear_on_submit=True):
                title = st.text_input(
                    "A new story", placeholder="Lab meeting", max_chars=LONGEST_TITLE
                )
                if st.form_submit_button("Make it", icon=":material/add:"):
                    st.query_params["id"] = create_story(title).id
                    st.rerun()
            offer_taking(on_click=close_drawer)
    st.session_state[LAST] = chosen
    return by_id[chosen]


def show_story(story: Story) -> None:
    """Its ways out, and its views one below the other."""
    with st.container(gap="xxsmall"):
        _show_ways_out(story)
        slides = st.container()
    with slides:
        if not story.views:
            more = "." if only_looks() else ": every chart has a Pin below it."
            st.info(f"Nothing is pinned to it yet{more}")
        slide = 0
        for place, pinned in enumerate(story.views):
            beside = place and _stands_beside(story, place)
            slide += not beside
            with st.container(border=True, key=f"pinned {place}"):
                said = f"Slide {slide}" + (", beside" if beside else "")
                _show_pinned(story, place, pinned, said)


def _show_ways_out(story: Story) -> None:
    """Buttons to present, keep and pass it on; those that the browser draws later come last."""
    ways, keys = st.columns([7, 5], vertical_alignment="center")
    with ways, st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Present", type="primary", icon=":material/slideshow:", key="present",
                     disabled=not story.views):  # fmt: skip
            go_to("present", {"story": story.id, "slide": "1"})
        if not only_looks():
            _offer_keeping(story)
        offer_sharing("story", story.id)
        if story.views:
            offer_story_report(story.id)
            offer_story_bundle(story.id)
    if story.views:
        keys.caption(KEYS)


def _stands_beside(story: Story, place: int) -> bool:
    seen = -1
    for slide in story.slides:
        seen += len(slide)
        if place <= seen:
            return len(slide) == 2 and place == seen
    return False


def _offer_keeping(story: Story) -> None:
    """Its title, and deleting it."""
    with st.popover("Title, deletion", icon=":material/edit:", type="tertiary", key="keeping"):
        st.text_input(
            "Title", story.title, max_chars=LONGEST_TITLE, key=f"title {story.id}",
            on_change=_retitle, args=(story.id,),
        )  # fmt: skip
        sure = st.checkbox("Yes, delete this story", key=f"sure {story.id}")
        if st.button("Delete story", disabled=not sure):
            delete_story(story.id)
            st.session_state.pop(LAST, None)
            st.session_state.pop("last id", None)
            st.query_params.clear()
            st.rerun()


def _retitle(story: str) -> None:
    title = " ".join(st.session_state[f"title {story}"].split())
    if title:
        _change(story, lambda found: found.model_copy(update={"title": title}))


def _change(story: str, change: Callable[[Story], Story]) -> None:
    try:
        change_story(story, change)
    except GeneCanvasError as error:
        st.toast(escape_message(str(error)))


def _show_pinned(story: Story, place: int, pinned: Pinned, slide: str) -> None:
    """The view, small, beside what is said about it and what can be done with it."""
    key = f"{story.id} {pinned.view} {place}"
    left, right = st.columns([5, 6], gap="medium")
    with right:
        st.caption(slide)
        if only_looks():
            st.markdown(f"**{escape_markdown(pinned.caption)}**")
            st.markdown("  \n".join(map(escape_markdown, pinned.notes.splitlines())))
        else:
            _ask_words(story, place, pinned, key)
        with st.container(horizontal=True, gap="small"):
            if not only_looks():
                _offer_moves(story, place, key)
            open_page = st.empty()
    with left:
        try:
            view = load_view(story.id, pinned.view)
            _draw_small(view, key)
        except GeneCanvasError as error:
            st.error(escape_message(str(error)))
            return
        st.caption(escape_markdown(f"{view.source} · pinned {view.pinned.astimezone():%-d %b %Y}"))
    with open_page:
        offer_opening(view, key=f"open {key}")


def _ask_words(story: Story, place: int, pinned: Pinned, key: str) -> None:
    """The caption and the notes of a view, and whether it stands beside the one before."""

    def keep(field: str) -> None:
        value = st.session_state[f"{field} {key}"]
        _change(story.id, lambda found: found.with_view(place, **{field: value}))

    st.text_area("Caption", pinned.caption, max_chars=LONGEST_CAPTION, height=75,
                 key=f"caption {key}", on_change=keep, args=("caption",))  # fmt: skip
    st.text_area("Notes for the speaker", pinned.notes, max_chars=LONGEST_NOTES, height=75,
                 key=f"notes {key}", on_change=keep, args=("notes",))  # fmt: skip
    if place:
        st.checkbox("Beside the one before", pinned.beside, key=f"beside {key}",
                    on_change=keep, args=("beside",),
                    help="Two views stand side by side on a slide.")  # fmt: skip


def _offer_moves(story: Story, place: int, key: str) -> None:
    """Buttons that move a view, or take it off the story."""
    last = place == len(story.views) - 1
    for label, icon, change, off in (
        ("Up", "arrow_upward", lambda found: found.moved(place, -1), not place),
        ("Down", "arrow_downward", lambda found: found.moved(place, 1), last),
        ("Remove", "close", lambda found: found.without(place), False),
    ):
        st.button(
            label, icon=f":material/{icon}:", key=f"{label} {key}", type="tertiary",
            disabled=off, on_click=_change, args=(story.id, change),
        )  # fmt: skip


def offer_opening(view: View, *, key: str, **more: str) -> None:
    """A button that opens the page that a view was pinned on; a guest has no such page."""
    if pages_of_guest() is None and st.button("Open this view →", key=key, type="tertiary"):
        open_view(view, **more)


def open_view(view: View, **more: str) -> None:
    """Change to the page that a view was pinned on, as it was."""
    if (PAGES / f"{view.page}.py").exists():
        go_to(view.page, view.link | more)


def _draw_small(view: View, key: str) -> None:
    if view.figure is None:
        rows = [dict(zip(view.table.columns, row, strict=True)) for row in view.table.rows]
        st.dataframe(rows[:FEW_ROWS], hide_index=True, key=f"table {key}")
        return
    figure = restore_figure(view.figure)
    figure.update_layout(height=SMALL)
    figure.update_annotations(font_size=SMALL_TYPE)
    st.plotly_chart(figure, key=f"chart {key}", alt=view.finding, config={"displayModeBar": False})
