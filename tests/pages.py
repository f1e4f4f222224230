"""Pages without a browser: Streamlit's AppTest, from the main script as the server runs it."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

# Each new session would read what every installed package says of itself, which takes longer than
# most pages; what is installed doesn't change meanwhile.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

MAIN = Path(__file__).parents[1] / "ui/entry/main.py"
LONG = 300
"""Seconds that no page should need, on whatever machine; Streamlit would give it three."""


def open_page(name: str, **query: str) -> AppTest:
    """A new session on a page, with nothing left in the caches of the one before."""
    st.cache_data.clear()
    st.cache_resource.clear()
    app = AppTest.from_file(str(MAIN), default_timeout=LONG)
    for key, value in query.items():
        app.query_params[key] = value
    return app.switch_page(f"../../pages/{name}.py").run()


def run_script(script: Callable[[], None]) -> AppTest:
    """A session on a page that is one function."""
    return AppTest.from_function(script, default_timeout=LONG).run()


def button(app: AppTest, label: str):
    """The one button of that label."""
    found = [widget for widget in app.button if widget.label == label]
    assert len(found) == 1, [widget.label for widget in app.button]
    return found[0]


def words(app: AppTest) -> str:
    """Everything that stands on the page as text, as its readers see it: without escapes."""
    kinds = (app.title, app.markdown, app.caption, app.error, app.warning, app.info)
    text = "\n".join(element.value for elements in kinds for element in elements)
    return re.sub(r"\\(_|[^\w\s])", r"\1", text).replace("\xa0", " ")


def charts(app: AppTest) -> int:
    """How many charts stand on the page."""
    return len(app.get("plotly_chart"))
