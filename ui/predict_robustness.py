"""How much distortion a run's model stands: its own held-out samples, distorted."""

from functools import partial

import streamlit as st

from core.errors import DamageError
from core.escape import escape_markdown
from core.evaluation.metrics import METRICS
from core.plots.robustness import distortion_curves
from core.predict.distortions import DISTORTIONS
from core.predict.model import Model
from core.predict.robustness import (
    Robustness,
    Verdict,
    cancel_robustness,
    load_robustness,
    request_robustness,
    robustness_path,
    robustness_state,
)
from ui.about import About
from ui.parts import download_table, show_figure
from ui.predict import is_working


def show_robustness(model: Model) -> None:
    """A closed part of the page; what it shows is computed when it is asked for."""
    with st.expander(
        "How much distortion does this model stand?",
        expanded=st.query_params.get("distorted") == "yes", on_change="rerun", key="robustness",
    ) as part:  # fmt: skip
        if not part.open:
            st.query_params.pop("distorted", None)
            return
        st.query_params["distorted"] = "yes"
        if model.sent:
            st.caption(
                "That is measured on the samples that a run held out, and this model was sent "
                "without them."
            )
            return
        if _is_measured(model):
            _show_found(model)


def _is_measured(model: Model) -> bool:
    """Whether the answer stands; else offers to compute it, or shows how far it is."""
    run = model.id
    state = robustness_state(run)
    if state.state == "done":
        return True
    if is_working(
        state, partial(robustness_state, run), "Distorting samples",
        partial(cancel_robustness, run),
    ):  # fmt: skip
        return False
    st.caption(
        "The samples that the run held out are distorted as another laboratory would, stronger and "
        "stronger, and put to the network and to the tuned linear model: who breaks first? It "
        "takes a minute to some ten minutes, in a process of its own."
    )
    if st.button("Distort samples", key="ask robustness"):
        request_robustness(run)
        st.rerun()
    return False


def _show_found(model: Model) -> None:
    try:
        found = load_robustness(model.id)
    except DamageError:
        st.warning(f"What was measured is damaged ({robustness_path(model.id).name}).")
        if st.button("Measure it again", key="again robustness"):
            robustness_path(model.id).unlink(missing_ok=True)
            request_robustness(model.id)
            st.rerun()
        return
    st.markdown(escape_markdown(found.summarise()))
    st.caption(
        f"On {found.say_samples()}; bars are 95 % intervals over patients. Dotted: the same values "
        "after the quantiles of each sample were brought to those of training. Real laboratories "
        "differ in several of these ways at once."
    )
    columns = st.columns(2, gap="large")
    for place, verdict in enumerate(found.verdicts):
        with columns[place % 2]:
            _show_distortion(found, verdict)
    download_table(found.table(), f"robustness_{model.id}", "All of it (CSV)", key="robustness csv")


def _show_distortion(found: Robustness, verdict: Verdict) -> None:
    kind, metric = DISTORTIONS[verdict.distortion], METRICS[found.metric]
    table = found.table()
    table = table[table["distortion"] == kind.name]
    st.markdown(f"### {kind.title}", help=kind.help)
    form = ".0%" if metric.is_share else ".2f"
    show_figure(
        distortion_curves(
            table, {"network": "network", "linear": found.linear.removeprefix("the ")},
            [f"{level:.0%}" if kind.is_share else f"{level:g}" for level in kind.levels],
            kind.unit, metric.title, form,
        ),
        table, f"robustness_{kind.name}", alt=f"{metric.title} under distortion: {kind.title}",
        about=About(
            f"{metric.title} of network and linear model while the samples are distorted more and "
            f"more: {kind.title}.",
            f"{found.say_samples()}.",
            f"{kind.help} Bars are 95 % intervals over patients.",
            "The model whose curve falls first breaks first. Real laboratories differ in several "
            "ways at once, so it is a lower limit of what may go wrong.",
        ),
    )  # fmt: skip
    st.caption(escape_markdown(found.describe(verdict)))
