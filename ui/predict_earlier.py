"""What a model was asked before: a list that brings views back, and what is damaged deleted."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pandas as pd
import streamlit as st

from core.data.store import list_datasets
from core.errors import DamageError
from core.escape import escape_message
from core.evaluation.metrics import METRICS
from core.predict.earlier import Earlier, delete_prediction, list_predictions
from core.predict.model import Model
from core.predict.request import PredictRequest
from core.predict.together import TOGETHER
from ui.parts import decided, errors, percents
from ui.predict import forget_check
from ui.predict_link import open_view

GONE = "samples that were deleted"
_Read = TypeVar("_Read")


def read_or_mend(read: Callable[[PredictRequest], _Read], asked: PredictRequest) -> _Read | None:
    """What stands, or None where it is damaged: then it says so, with a button that deletes it."""
    try:
        return read(asked)
    except DamageError as error:
        st.error(escape_message(str(error)))
        if st.button("Delete what is damaged", key="delete damaged"):
            with errors():
                delete_prediction(asked.model, asked.key)
                forget_check(asked)
                st.rerun()
        return None


def show_earlier(model: Model) -> None:
    """A closed list of what was asked; the row that is chosen can be opened, or deleted."""
    with st.expander("What this model was asked before", on_change="rerun", key="earlier") as part:
        if not part.open:
            return
        found = list_predictions(model.id)
        if not found:
            st.caption("Nothing yet.")
            return
        table = earlier_table(found, model)
        event = st.dataframe(
            table, hide_index=True, key=f"earlier calls {model.id} {len(found)}",
            on_select="rerun", selection_mode="single-row",
            column_config={
                "when": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm"),
                "unlike training": percents(),
                METRICS[model.task.first_metric].title: st.column_config.NumberColumn(
                    format="%.3f", help="The network's, where the samples' classes or values "
                    "are known.",
                ),
            },
        )  # fmt: skip
        if not event["selection"]["rows"]:
            st.caption("Choose a row to see its calls again, or to delete them.")
            return
        _show_choices(found[event["selection"]["rows"][0]], model)


def earlier_table(found: Sequence[Earlier], model: Model) -> pd.DataFrame:
    """A row a question: samples, when, how many of them look unlike training, the first score."""
    metric, rows = METRICS[model.task.first_metric], []
    names = {record.id: record.name for record in list_datasets()}
    for one in found:
        row: dict[str, object] = {"samples": f"damaged ({one.key})", "when": one.when}
        if one.asked and one.summary:
            cohort = one.asked.cohort
            parts = [f"{column} is {', '.join(are)}" for column, are in cohort.where.items()]
            row |= {
                "samples": "; ".join([names.get(cohort.dataset, GONE), *parts]),
                "known class" if model.task.has_classes else "known value": cohort.label,
                "patient": cohort.group,
                "brought together": TOGETHER[one.asked.together].title,
                "n": one.summary.n,
                "unlike training": one.summary.flagged / one.summary.n,
                metric.title: next(
                    (
                        score.value
                        for score in (one.summary.scores.scores if one.summary.scores else ())
                        if (score.model, score.metric) == ("network", metric.name)
                    ),
                    None,
                ),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _show_choices(one: Earlier, model: Model) -> None:
    why = _say_why_not(one)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Show these calls", key="open earlier", disabled=why is not None):
            open_view(one.asked)
        if st.button("Delete these calls", key="delete earlier", icon=":material/delete:"):
            with errors():
                delete_prediction(model.id, one.key)
                if one.asked:
                    forget_check(one.asked)
                st.rerun()
        if why:
            st.caption(why)


def _say_why_not(one: Earlier) -> str | None:
    """Why the page can't show calls again; None if it can."""
    if one.asked is None or one.summary is None:
        return "They are damaged and can only be deleted."
    records = {record.id: record for record in list_datasets()}
    record = records.get(one.asked.cohort.dataset)
    if record is None:
        return "Their samples were deleted."
    if one.asked.cohort.leave_out != decided(record).cohort.leave_out:
        return "Other samples were left out on the page Data then than are now."
    return None
