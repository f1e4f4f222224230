"""Which genes speak for calls: of one sample, and of a class here and in the model's own cohort."""

from functools import partial

import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.explain.methods import METHODS
from core.predict.model import Model
from core.predict.predicting import Prediction, cancel_why, load_why, request_why, why_state
from core.predict.request import PredictRequest, explaining_methods
from ui.kept import cache_data
from ui.parts import decimals, download_table
from ui.predict import is_working
from ui.predict_earlier import read_or_mend


def show_why(asked: PredictRequest, sample: str, called: str) -> None:
    """The genes that speak for a sample's call; computed when it is asked for.

    Args:
        asked: the question.
        sample: its id.
        called: what it is called, in words.
    """
    methods = [method.name for method in explaining_methods()]
    method = st.selectbox(
        "Which genes say so, by", methods, index=methods.index("integrated_gradients"),
        format_func=lambda name: METHODS[name].title, key="why method", persist_state="session",
        help="Methods of the page Explain that score each gene by itself, here from the mean "
        "training sample.",
    )  # fmt: skip
    state = why_state(asked, [sample], method)
    if is_working(
        state, partial(why_state, asked, [sample], method), "Asking the genes",
        partial(cancel_why, asked, [sample], method),
    ):  # fmt: skip
        return
    if state.state != "done":
        if st.button("Which genes say so?", key="ask why"):
            request_why(asked, [sample], method)
            st.rerun()
        return
    table = read_or_mend(partial(_read_why, sample=sample, method=method), asked)
    if table is None:
        return
    st.dataframe(
        table, hide_index=True, height=330, key=f"why {sample} {method}",
        column_config=decimals(table, "%.3g") | {
            "score": st.column_config.NumberColumn(
                format="%.3g", help=f"How much the gene speaks for {escape_markdown(called)}; "
                "below 0 it speaks against it.",
            ),
            "away": st.column_config.NumberColumn(
                format="%.1f", help="How far the gene's value is from the mean of training, in "
                "standard deviations of training; empty where these samples lack the gene.",
            ),
            "importance": st.column_config.NumberColumn(
                format="percent", help="The gene's share of the weight in the model's own held-out "
                "samples: does this call rest on what the model is known to rest on?",
            ),
        },
    )  # fmt: skip
    download_table(table, f"genes_of_{sample}", "These genes (CSV)", key="why csv")


@cache_data(max_entries=20, show_spinner=False)
def _read_why(asked: PredictRequest, sample: str, method: str) -> pd.DataFrame:
    return load_why(asked, [sample], method)


def show_agreement(found: Prediction, model: Model) -> None:
    """Whether the genes that speak for each class are those that did in the model's own cohort."""
    genes = found.summary.genes
    st.markdown("## Are the genes those of training?")
    if not genes:
        st.caption("Too few samples are called alike to say so.")
        return
    table = pd.DataFrame(
        [
            {
                "called": one.name,
                "samples asked": one.n,
                "correlation": one.correlation,
                "top genes shared": f"{one.shared} of {one.top}",
                "count for more here": ", ".join(one.raised),
                "count for less here": ", ".join(one.lowered),
            }
            for one in genes
        ]
    )
    st.dataframe(
        table, hide_index=True, key="gene agreement",
        column_config=decimals(table, "%.2f") | {
            "correlation": st.column_config.NumberColumn(
                format="%.2f", help="Spearman's, of how important each gene is for these samples "
                "and for the model's own held-out samples of that class.",
            ),
        },
    )  # fmt: skip
    st.caption(
        "Where other genes speak for a class than in training, the call may be right for a wrong "
        "reason: such as a difference between laboratories."
    )
    download_table(table, "gene_agreement", "Save CSV", key="agreement csv", type="tertiary")
