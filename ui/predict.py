"""What the page Predict has computed: the match card and the calls, with their progress."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import GeneCanvasError
from core.escape import escape_markdown, escape_message
from core.home import sent_folder
from core.jobs.launch import AnswerState
from core.predict.matching import MatchCard
from core.predict.model import Model, load_model
from core.predict.predicting import (
    Prediction,
    cancel_prediction,
    load_match,
    load_prediction,
    match_state,
    prediction_state,
    request_match,
    request_prediction,
)
from core.predict.request import PredictRequest
from core.predict.sent import import_model, list_sent
from ui.kept import cache_resource
from ui.mend import mending_run
from ui.parts import (
    errors,
    finished_runs,
    name_runs,
    pick,
    say_offered,
    starred_first,
    tell_apart,
)
from ui.uploads import hold

CHECKED = "checked models and samples"
"""Where the session keeps what was put to which model: other choices are checked at once then."""


def list_models() -> dict[str, str]:
    """Id -> words of everything that can predict: finished runs, and models that were sent."""
    models = name_runs(starred_first(finished_runs()))
    sent = {model.id: f"{'★ ' * model.starred}{model.name} · sent" for model in list_sent()}
    return models | tell_apart(sent)


def say_sender(model: Model) -> None:
    """What the sender of a model wrote beside it: its tags and note."""
    said = next((sent for sent in list_sent() if sent.id == model.id), None)
    if said is None or not (said.tags or said.note):
        return
    tags = " · ".join(tag.strip() for tag in said.tags.split(",") if tag.strip())
    st.caption("  \n".join(escape_markdown(words) for words in (tags, said.note) if words))


@st.dialog("Bring a model")
def ask_for_model() -> None:
    """The same over the page, when there are models already."""
    take_model()


def take_model() -> None:
    """Take a model folder that somebody exported, as a zip file, and make it the chosen one."""
    st.markdown(
        "A model folder that somebody wrote with `genecanvas export`, packed as a zip file. It is "
        "checked in a process without rights to anything else; nothing in it is run."
    )
    upload = st.file_uploader("Model folder (zip)", key="model folder", type="zip")
    if upload is None:
        return
    with errors(), st.spinner("Checking the model folder"):
        model = import_model(hold(upload))
        st.query_params["run"] = st.session_state["last run"] = model
        st.rerun()


def pick_model(models: dict[str, str], missing: DeltaGenerator) -> str:
    """A select box of models, kept in the link; at first the first one that is whole.

    Args:
        models: the words of each.
        missing: where it is said that the one of the link isn't there.
    """
    ids = list(models)
    chosen = pick(
        "Model", ids, models.__getitem__, "run", missing,
        lambda: next(filter(_is_whole, ids), ids[0]),
    )  # fmt: skip
    say_offered(len(models) - len(list_sent()))
    return chosen


def mending_model(model: str) -> AbstractContextManager[None]:
    """As `errors`; a run that is damaged is mended on its page, to which a button leads."""
    return errors() if sent_folder(model).exists() else mending_run(model)


def _is_whole(model: str) -> bool:
    """Whether a model can be read and none of its files is gone; their content isn't looked at."""
    try:
        return open_model(model).folds[0].kept.gone is None
    except GeneCanvasError:
        return False


@cache_resource(max_entries=4, show_spinner=False)
def open_model(model: str) -> Model:
    """A model, kept while it is among the last four looked at."""
    return load_model(model)


def is_matched(asked: PredictRequest) -> bool:
    """Whether the match card stands; else offers to make it, or shows how far it is.

    Once samples were put to a model, what is changed about the question is checked at once.
    """
    state = match_state(asked)
    checked = st.session_state.setdefault(CHECKED, set())
    this = (asked.model, asked.cohort.dataset)
    if state.state == "done":
        checked.add(this)
        return True
    if state.state == "missing" and this in checked:
        request_match(asked)
        state = match_state(asked)
    if is_working(
        state, partial(match_state, asked), "Looking whether the model fits",
        partial(_cancel, asked),
    ):  # fmt: skip
        return False
    st.caption(
        "Which of the model's genes are there, what those that are missing cost, and whether the "
        "values are on its scale. It takes seconds to a minute, in a process of its own."
    )
    if st.button("Does the model fit?", type="primary", key="ask match"):
        checked.add(this)
        request_match(asked)
        st.rerun()
    return False


def is_predicted(asked: PredictRequest) -> bool:
    """Whether the calls stand; else offers to compute them, or shows how far they are."""
    state = prediction_state(asked)
    if state.state == "done":
        return True
    if is_working(
        state, partial(prediction_state, asked), "Calling the samples", partial(_cancel, asked)
    ):
        return False
    if st.button("Predict", type="primary", key="ask prediction"):
        request_prediction(asked)
        st.rerun()
    return False


def is_working(
    state: AnswerState,
    look: Callable[[], AnswerState],
    what: str,
    cancel: Callable[[], None] | None = None,
) -> bool:
    """Show how far a computation is, or why it failed; whether it is under way.

    Args:
        state: its state.
        look: looks at its state again.
        what: what is done, in words.
        cancel: stops it, where it can be stopped by itself.
    """
    if state.state == "failed":
        st.error(f"{what} failed. {escape_message(state.message)}")
    if state.state == "missing" and state.stopped:
        st.caption(f"{what}: cancelled.")
    if state.state != "working":
        return False
    st.fragment(_wait_for, run_every=1)(look, what, cancel)
    return True


def _wait_for(
    look: Callable[[], AnswerState], what: str, cancel: Callable[[], None] | None
) -> None:
    """Progress of a computation; reruns the page once when it ends."""
    state = look()
    if state.state != "working":
        st.rerun()
    words = f"{what}: {escape_message(state.message)}" if state.message else what
    st.progress(min(state.fraction, 1.0), f"{words}. It is safe to close this tab.")
    if cancel:
        st.button("Cancel", key=f"cancel {what}", on_click=cancel, disabled=state.stopped)


def _cancel(asked: PredictRequest) -> None:
    """Stop, and don't begin again by itself."""
    forget_check(asked)
    cancel_prediction(asked)


def forget_check(asked: PredictRequest) -> None:
    """Let whether the model fits these samples be looked at again only when it is asked for."""
    st.session_state.setdefault(CHECKED, set()).discard((asked.model, asked.cohort.dataset))


@cache_resource(max_entries=8, show_spinner=False)
def read_match(asked: PredictRequest) -> MatchCard:
    """A match card that stands."""
    return load_match(asked)


@cache_resource(max_entries=4, show_spinner="Reading the calls")
def read_prediction(asked: PredictRequest) -> Prediction:
    """Calls that stand, kept while they are among the last four looked at."""
    return load_prediction(asked)
