"""Transfer: does knowledge from elsewhere help here?"""

from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.store import list_datasets
from core.jobs.launch import answer_state, stop
from core.transfer.enquiring import AnyEnquiry
from core.transfer.spec import TransferSpec
from core.transfer.transferring import TransferJob, is_done, load_transfer
from ui.line import say_facts, show_line, show_looking
from ui.parts import errors, name_dataset, place_chart, show_empty
from ui.predict import is_working
from ui.transfer_ask import LINK, ask_spec, asked_before, offer_start, start
from ui.transfer_enquire import ask_enquiry, offer_enquiry, show_enquiry
from ui.transfer_show import show_earlier, show_so_far, show_transfer

FEWEST = 2
CLASSES = "classes"
"""The first question: do other cohorts' samples help to tell classes apart?"""
QUESTIONS = {
    CLASSES: "Do their samples help?",
    "programs": "Programs of genes",
    "species": "Gene sets of another species",
    "images": "Networks on images",
    "imbalance": "A rare class",
}


def show_page() -> None:
    """The question, how far its answer is, and the answer; what was asked before."""
    line = show_line("Transfer")
    opened = asked_before()
    of = CLASSES
    if opened is not None and not isinstance(opened[1], TransferSpec):
        of = opened[1].question
    question = _pick_question(of, opened is not None)
    if question != of:
        opened = None  # another question was chosen than the one whose answer stands in the link
    answer = st.container()  # above what it is the answer to, which then is folded
    if question == CLASSES:
        _show_classes(opened, line.facts, answer)
    else:
        with _place_form(question, opened):
            with errors():
                enquiry = ask_enquiry(question)
                started = offer_enquiry(enquiry) if enquiry is not None else None
            if started:
                st.query_params[LINK] = started
                st.rerun()
        if opened is not None:
            with answer, errors():
                show_enquiry(*opened, line.facts)
    show_earlier()


def _pick_question(of: str, is_open: bool) -> str:
    """Which question is asked; that of what the link names, until another one is chosen."""
    wanted = of if is_open else st.query_params.get("ask", CLASSES)

    def follow() -> None:
        st.query_params["ask"] = st.session_state[key]
        st.query_params.pop(LINK, None)

    key = f"question {of} {is_open}"
    return st.segmented_control(
        "Question", list(QUESTIONS), format_func=QUESTIONS.get, required=True, key=key,
        default=wanted if wanted in QUESTIONS else CLASSES, label_visibility="collapsed",
        on_change=follow,
    )  # fmt: skip


def _place_form(name: str, opened: tuple[str, TransferSpec | AnyEnquiry] | None) -> DeltaGenerator:
    """Where a form stands: folded below an answer, and not called what that was asked."""
    return st.expander(
        "What is asked" if opened is None else "Ask something else", expanded=opened is None,
        key=f"{name} question",
    )  # fmt: skip


def _show_classes(
    opened: tuple[str, TransferSpec] | None, facts: DeltaGenerator, answer: DeltaGenerator
) -> None:
    if len(list_datasets()) < FEWEST:
        show_empty(
            "A transfer needs two cohorts: one that is learned from, and the one in which classes "
            "shall be told apart.", "Bring data", "data",
        )  # fmt: skip
        return
    if opened is None:
        st.caption(
            "A few patients of your own, many of somebody else's: do theirs help? Each method is "
            "held against learning from yours alone, on the same held-out patients."
        )
    with _place_form("transfer", opened), errors():
        spec = ask_spec()
        if spec is not None:
            offer_start(spec)
    if opened is not None:
        with answer, errors():
            show_answer(*opened, facts)


def show_answer(key: str, spec: TransferSpec, facts: DeltaGenerator) -> None:
    """A transfer that was asked for, and in the line above what it is about."""
    sources = ", ".join(name_dataset(cohort.dataset) for cohort in spec.sources)
    said = f"{sources} → {name_dataset(spec.target.dataset)}", spec.target.label
    if is_done(key):
        found = load_transfer(key)
        say_facts(facts, *said, f"{found.target_patients:,} patients", f"{found.draws} draws")
        show_transfer(found, key)
        if spec.turned is not None and st.button(
            "Ask the other way round", key="transfer turned", icon=":material/swap_horiz:",
            help="What was the source becomes the target, and the other way round.",
        ):  # fmt: skip
            start(spec.turned)
        return
    say_facts(facts, *said)
    job = TransferJob(spec=spec)
    state = answer_state(job)
    chart, said = place_chart()
    with said:
        working = is_working(state, partial(answer_state, job), "Transfer", partial(stop, job))
        if not working:
            if state.state == "missing":
                st.caption("It was stopped. Rows that were done are kept.")
            if st.button("Go on", key="transfer again", type="primary"):
                start(spec)
    with chart:
        show_so_far(key, spec, working)


with errors():
    if not show_looking("Transfer", "Transfers are asked in a home of your own."):
        show_page()
