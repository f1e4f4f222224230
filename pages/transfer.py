"""Transfer: do samples of other cohorts help to tell classes apart in this one?"""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.store import list_datasets
from core.transfer.spec import TransferSpec
from core.transfer.transferring import cancel_transfer, is_done, load_transfer, transfer_state
from ui.line import say_facts, show_line
from ui.parts import errors, name_dataset, show_empty
from ui.predict import is_working
from ui.transfer_ask import ask_spec, asked_before, offer_start, start
from ui.transfer_show import show_earlier, show_so_far, show_transfer

FEWEST = 2


def show_page() -> None:
    """The question, how far its answer is, and the answer; what was asked before."""
    line = show_line("Transfer")
    if len(list_datasets()) < FEWEST:
        show_empty(
            "A transfer needs two cohorts: one that is learned from, and the one in which classes "
            "shall be told apart.", "Bring data", "data",
        )  # fmt: skip
        return
    opened = asked_before()
    if opened is None:
        st.caption(
            "A few patients of your own, many of somebody else's: do theirs help? Each method is "
            "held against learning from yours alone, on the same held-out patients."
        )
    with st.expander("What is asked", expanded=opened is None, key="transfer question"):
        spec = ask_spec()
        if spec is not None:
            offer_start(spec)
    if opened is not None:
        with errors():
            show_answer(*opened, line.facts)
    show_earlier()


def show_answer(key: str, spec: TransferSpec, facts: DeltaGenerator) -> None:
    """A transfer that was asked for, and in the line above what it is about."""
    sources = ", ".join(name_dataset(cohort.dataset) for cohort in spec.sources)
    said = f"{sources} → {name_dataset(spec.target.dataset)}", spec.target.label
    if is_done(key):
        found = load_transfer(key)
        say_facts(facts, *said, f"{found.target_patients:,} patients", f"{found.draws} draws")
        show_transfer(found, key)
        return
    say_facts(facts, *said)
    state = transfer_state(spec)
    if is_working(
        state, partial(transfer_state, spec), "Transfer", partial(cancel_transfer, spec)
    ):  # fmt: skip
        show_so_far(key, spec)
    else:
        st.caption("It was stopped. Rows that were done are kept.")
        if st.button("Go on", key="transfer again", type="primary"):
            start(spec)


with errors():
    show_page()
