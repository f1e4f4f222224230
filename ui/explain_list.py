"""A gene list and what can be done with it: copy it, save it, train without it."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.runs.store import RunRecord
from ui.parts import download_table
from ui.whatif import offer_without


def show_list(
    record: RunRecord, genes: Sequence[str], table: pd.DataFrame, name: str, *, key: str
) -> None:
    """The buttons of a gene list.

    Args:
        record: the finished run.
        genes: the list; with none in it there are no buttons.
        table: a class's gene table, whose rows of these genes are saved.
        name: the file's name, without ending.
        key: the widgets' key.
    """
    if not len(genes):
        return
    with st.container(horizontal=True):
        with st.popover("Copy the gene list"):
            st.code("\n".join(genes), language=None, height=300)
        rows = table[table["gene"].isin(genes)]
        download_table(rows, f"{name}_list", "This list (CSV)", key=f"{key} csv")
        offer_without(record, genes, key=f"{key} without")
