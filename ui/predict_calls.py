"""What a model says of new samples: of all together, and of each."""

import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.glossary import define
from core.plots.compare import answer_grid
from core.plots.predict import novelty_bars
from core.predict.model import Model
from core.predict.predicting import Prediction
from core.predict.request import PredictRequest
from core.predict.words import describe_flags, is_known, is_unusual
from ui.about import About
from ui.parts import download_table, percents, show_figure
from ui.predict_why import show_why

UNLIKE, LIKE = "unlike training", "like training"
MOST_CLASSES = 9
"""So many classes fill their table; of more one sees some at a time."""
SHOWN = {
    "all": "All samples",
    "flagged": "Unlike training",
    "torn": "Network and linear model disagree",
    "wrong": "Called wrong",
}
"""Which samples the table lists."""


def show_summary(found: Prediction, model: Model) -> None:
    """The cohort as a whole: how many look unlike training, and what was called how often."""
    summary = found.summary
    say = st.warning if is_unusual(summary) else st.info
    say(escape_markdown(describe_flags(summary)))
    for note in summary.notes:
        st.markdown(f"- {escape_markdown(note)}")
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("## How unusual are they?", help=define("novelty"))
        show_figure(
            novelty_bars(found.calls["novelty"].to_numpy(), summary.expected),
            found.calls[["sample", "novelty", "energy", "flagged"]], "novelty",
            alt="How many samples are how unusual among those that the model's run held out",
            about=About(
                "How many of these samples are how unusual, as a share of the model's own held-out "
                "samples that are less so.",
                f"{len(found.calls):,} samples.",
                "By the distance of the network's features to the nearest class of training "
                "(Mahalanobis); 100 % is further than all samples that the run held out.",
                "A full last bar means another kind of samples, or another way of measuring: "
                "probabilities are then not to be trusted.",
            ),
        )  # fmt: skip
        st.caption(
            "Samples like those that the model's own run held out fill all bars up to the dotted "
            "line; the last bar holds those that are flagged. A sample that isn't flagged may "
            "still be of a class that the model doesn't know."
        )
    if model.task.has_classes:
        with right:
            _show_classes(found, model)


def _show_classes(found: Prediction, model: Model) -> None:
    """Each class of the model: how often it was called, and how well it is known."""
    st.markdown("## What was called, and how well the model knows it")
    columns = ["class", "n", "recall", "precision"]
    table = model.record[columns].rename(columns={"n": "held out"})
    table.insert(1, "called", table["class"].map(found.summary.called).fillna(0).astype(int))
    table = table.sort_values("called", ascending=False, kind="stable")
    st.dataframe(
        table, hide_index=True, key="predicted classes",
        height="content" if len(table) < MOST_CLASSES else 330,
        column_config={
            "held out": st.column_config.NumberColumn(
                help="Samples of this class that the model's own run held out."
            ),
            "recall": percents(
                help="Of those samples of this class, the share that was called so."
            ),
            "precision": percents(
                help="Of those samples that were called so, the share that is. It is another one "
                "where the classes are mixed otherwise."
            ),
        },
    )  # fmt: skip
    if (agreement := found.summary.agreement) is not None:
        st.caption(
            f"The tuned linear model on the same genes names the same class for "
            f"{agreement:.0%} of the samples.", help=define("tuned linear model"),
        )  # fmt: skip
    download_table(
        table, "predicted_classes", "Save CSV", key="classes csv", type="tertiary",
        finding="How often each class was called, and how well the model knows it",
    )  # fmt: skip


def show_samples(found: Prediction, asked: PredictRequest, model: Model) -> None:
    """A row a sample; the one that is chosen, or stands in the link, is looked at closely below."""
    calls, has_classes = found.calls, model.task.has_classes
    rows = {
        "all": calls.index == calls.index,
        "flagged": calls["flagged"],
        "torn": calls["called"] != calls["linear_called"],
        "wrong": calls["true"].isin(model.classes) & (calls["true"] != calls["called"]),
    }
    options = [name for name in SHOWN if name == "all" or (has_classes and rows[name].any())]
    st.markdown("## Each sample")
    shown = st.segmented_control(
        "Shown", options, default="all", required=True, key="predicted rows",
        format_func=lambda name: f"{SHOWN[name]} ({int(rows[name].sum()):,})",
        label_visibility="collapsed",
    )  # fmt: skip
    listed = calls[rows[shown]]
    table = listed_calls(listed, has_classes=has_classes)
    event = st.dataframe(
        table, hide_index=True, key=f"predicted samples {shown}", on_select="rerun",
        selection_mode="single-row", height=420, column_config=_describe_columns(table),
    )  # fmt: skip
    chosen = event["selection"]["rows"]
    if chosen:
        st.query_params["sample"] = listed["sample"].iloc[chosen[0]]
    row = calls[calls["sample"] == st.query_params.get("sample")]
    if row.empty:
        st.caption("Choose a row to look at one sample closely, and at the genes behind its call.")
    else:
        show_sample(row.iloc[0], asked, model)


def listed_calls(calls: pd.DataFrame, *, has_classes: bool) -> pd.DataFrame:
    """The columns of a table of calls that are read; novelty always stands beside probability."""
    said = calls["flagged"].map({True: UNLIKE, False: LIKE})
    table = pd.DataFrame({"sample": calls["sample"], "call": calls["called"]})
    if has_classes:
        table["probability"] = calls["probability"]
    table["looks"] = said
    table["novelty"] = calls["novelty"]
    if calls["disagreement"].notna().any():
        table["disagreement"] = calls["disagreement"]
    table["tuned linear model"] = calls["linear_called"]
    if has_classes:
        table["its probability"] = calls["linear_probability"]
    if (calls["nearest"] != "").any():
        table["nearest training sample"] = (
            calls["nearest"] + " (" + calls["nearest_class"].astype(str) + ")"
        )
    if calls["learned_from"].any():
        table["learned from"] = calls["learned_from"]
    if "set" in calls:
        table["set"] = calls["set"]
    if is_known(calls).any():
        table["known"] = calls["true"]
    return table


def _describe_columns(table: pd.DataFrame) -> dict[str, dict]:
    text = st.column_config.TextColumn
    columns = {
        "probability": percents(
            help="How sure the network is, if the sample is of one of its classes. It says nothing "
            "about samples of other classes: read it beside the novelty."
        ),
        "looks": text(help=define("novelty")),
        "novelty": percents(help=define("novelty")),
        "disagreement": percents(
            help="Standard deviation of that probability over the folds."
        ),
        "tuned linear model": text(help=define("tuned linear model")),
        "its probability": percents(),
        "nearest training sample": text(
            help="The sample of training that is nearest by the network's features, and its class."
        ),
        "set": text(
            help="Classes that the sample may be of: in 90 of 100 samples the true one is among "
            "them, if those whose class is known are a random part of all."
        ),
        "learned from": st.column_config.CheckboxColumn(
            help="The model has learned from this very sample; it counts in no score."
        ),
    }  # fmt: skip
    return {name: column for name, column in columns.items() if name in table}


def show_sample(row: pd.Series, asked: PredictRequest, model: Model) -> None:
    """One sample: each class's probability, how unusual it is, and the genes behind its call."""
    name, classes = escape_markdown(row["sample"]), model.classes
    st.markdown(f"### {name}: {UNLIKE if row['flagged'] else LIKE}")
    if model.task.has_classes:
        stems = {"network": "p", "tuned linear model": "l"}
        table = pd.DataFrame(
            {title: [row[f"{stem}_{cls}"] for cls in classes] for title, stem in stems.items()},
            classes,
        ).T
        show_figure(
            answer_grid(table.to_numpy(float), list(table.index), classes, row["true"]),
            table.rename_axis("model").reset_index(), "sample_probabilities",
            alt=f"Probabilities of {row['sample']}",
            about=About(
                "Each class's probability by the network and by the tuned linear model.",
                "One sample.",
                "The mean over the folds' networks, after dividing by the temperature. They add up "
                "to 1 over the classes that the model knows.",
                "It is how sure the model is *if* the sample is of one of its classes: read it "
                "beside how unusual the sample is.",
            ),
        )  # fmt: skip
    nearest = ""
    if row["nearest"]:
        nearest = f" The nearest training sample is {row['nearest']}, {row['nearest_class']}."
    st.caption(
        escape_markdown(
            f"It is more unusual than {row['novelty']:.0%} of the model's own held-out samples by "
            f"its features, and than {row['energy']:.0%} by the energy score.{nearest}"
        )
    )
    called = row["called"] if model.task.has_classes else f"a higher {classes[0]}"
    show_why(asked, row["sample"], called)
