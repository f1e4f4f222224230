"""The frame around every page: title, navigation."""

from pathlib import Path

import streamlit as st

ROOT = Path(__file__).parents[2]
PAGES = (
    ("data", "Data", ":material/table:"),
    ("images", "Gene images", ":material/grid_on:"),
    ("train", "Train", ":material/play_circle:"),
    ("compare", "Compare", ":material/leaderboard:"),
    ("explain", "Explain", ":material/biotech:"),
)

st.set_page_config(page_title="GeneCanvas", page_icon=str(ROOT / "assets/icon.svg"), layout="wide")
st.logo(str(ROOT / "assets/logo.svg"), size="large")
st.html(ROOT / "assets/style.css")
page = st.navigation(
    [
        st.Page(ROOT / f"pages/{name}.py", title=title, url_path=name, default=name == "data")
        for name, title, _ in PAGES
    ],
    position="top",
)
page.run()
