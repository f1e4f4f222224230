"""Story: the views that were pinned, in the order in which they are shown."""

import streamlit as st

from ui.parts import errors
from ui.story import pick_story, show_damaged, show_none, show_story

st.title("Story")
with errors():
    show_damaged()
    story = pick_story()
    if story is None:
        show_none()
    else:
        show_story(story)
