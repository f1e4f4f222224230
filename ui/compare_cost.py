"""Cost beside benefit, and published figures, on the Compare page."""

import streamlit as st

from core.compare.published import SOURCES, list_published, put_beside_published
from core.compare.records import Comparison
from core.compare.tables import list_costs, plain_score
from core.evaluation.metrics import METRICS
from core.plots.compare import cost_dots
from core.training.tasks import TASKS
from ui.about import About
from ui.parts import download_table, percents, show_figure

SHOWN_COSTS = 12
"""The chart of costs shows at most so many networks; its CSV has all."""


def show_published(comparison: Comparison) -> None:
    """The study's own accuracies beside those that others published.

    Args:
        comparison: of the accuracy.
    """
    table = put_beside_published(comparison)
    if len(table):
        st.markdown("## Published figures beside these")
        st.warning(
            "Other samples, other genes, other splits: the published figures say what was reached "
            "elsewhere, not which method is better."
        )
        sources = [source.name for source in SOURCES if source.name in table]
        shown = table.rename(
            columns={"accuracy": "these runs", "low": "from", "high": "to"}
            | {name: f"{name} (other samples)" for name in sources}
        )
        shares = ["these runs", "from", "to", *(f"{name} (other samples)" for name in sources)]
        st.dataframe(
            shown, hide_index=True, column_config=dict.fromkeys(shares, percents()), key="published"
        )
        download_table(table, "beside_published", "CSV", key="published csv")
    st.markdown("## Accuracies that others published for gene-images")
    st.dataframe(list_published(), hide_index=True, column_config={"accuracy": percents()})
    st.caption(
        "Figures with their sources, of other samples, other genes and other splits. None of them "
        "tells with which augmentation."
    )


def show_cost(comparison: Comparison) -> None:
    """What each network costs, beside what it reaches."""
    metric, table = METRICS[comparison.metric], list_costs(comparison)
    show_figure(
        cost_dots(table.head(SHOWN_COSTS), metric.title, percent=metric.is_share,
                  plain=plain_score(comparison),
                  phrase=TASKS[comparison.task].baselines[comparison.reference].phrase),
        table, "cost", alt=f"{metric.title} of each network against seconds, memory and parameters",
        key="cost",
        about=About(
            f"{metric.title} of each network against the seconds, the memory and the parameters "
            "that it took.",
            f"{len(table)} networks; of repeated ones the mean over their runs.",
            "Seconds are by the clock of training and testing; memory is the most that the process "
            "or the GPU held; the dotted line is the plain model on the same samples.",
            "The further up and left, the better. Seconds of different computers, or of a busy "
            "one, can't be compared.",
        ),
    )  # fmt: skip
    st.caption(
        "Seconds are those of the machine that trained, with whatever else it did at the time."
        + (f" The best {SHOWN_COSTS} of {len(table)}; the CSV has all."
           if len(table) > SHOWN_COSTS else "")
    )  # fmt: skip
