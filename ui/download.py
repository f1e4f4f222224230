"""Files that pages hand out: made in the home of the page, for whoever looks at it."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core.home import at, where
from ui.signin import note_made, signed_in


def download_button(label: str, data: bytes | str | Callable[[], bytes | str], *args: Any,
                    **options: Any) -> bool:  # fmt: skip
    """`st.download_button` with its options.

    What makes a file is called by Streamlit when it is asked for, in a thread that belongs to no
    session; so it is told here in which home it is, and for whom.
    """
    if not callable(data):
        return st.download_button(label, data, *args, **options)
    place, name = where(), signed_in()

    def make() -> bytes:
        with at(place.folder, looks=place.looks):
            made = data()
        content = made.encode() if isinstance(made, str) else made
        note_made(content, name)
        return content

    return st.download_button(label, make, *args, **options)
