"""One finished run on its page: what it reached, its genes, what if; all else folded below."""

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from core.compare.gap import explain_gap
from core.data.notes import Finding
from core.errors import DamageError
from core.escape import escape_markdown, escape_message
from core.glossary import define
from core.home import only_looks
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.plots.findings import say_confusion, say_observed
from core.plots.runs import confusion_matrix, observed_against_predicted
from core.report.story import tell_run
from core.runs.doctor import reopen
from core.runs.result import RunResult, headline, kept_by, load_predictions, load_result
from core.runs.store import RunRecord, RunStore, bytes_of, read_log
from core.training.tasks import TASKS
from ui.about import about_confusion, about_observed
from ui.account import pages_of_guest
from ui.beside import show_side_by_side
from ui.bundles import offer_run_bundle
from ui.mend import mending_computed
from ui.parts import (
    BADGES,
    DAMAGED,
    decimals,
    download_table,
    errors,
    finished_runs,
    go_to,
    say_finding,
    say_score,
    scores_table,
    show_figure,
)
from ui.report import offer_report
from ui.run_about import show_facts
from ui.run_genes import HEIGHT, open_explain, show_genes
from ui.run_live import show_curves
from ui.whatif import show_answers, show_parent, show_whatif
from ui.work import act


def show_ended(record: RunRecord) -> None:
    """The result of a run that has ended, or why there is none and what to do."""
    if record.state != JobState.DONE:
        show_reason(record)
        with errors():
            show_parent(record)
        show_facts(record)
        return
    try:
        result, predictions = load_result(record.id), load_predictions(record.id)
    except DamageError as error:
        show_damage(record, error)
        show_facts(record)
        return
    kept = kept_by(record.id)
    if gone := kept.gone:
        show_damage(record, kept.damage(gone))
    findings, repeats = result.findings or [], repeats_of(record)
    show_headline(record, repeats, findings)
    left, right = st.columns([5, 9], gap="medium")
    with left:
        show_confusion(result, predictions)
    with right, mending_computed(record.id):
        show_genes(record)
    with errors():
        show_parent(record)
    with errors():
        show_whatif(record)
        show_answers(record)
    show_ways_on(record, repeats)
    show_facts(record)
    for finding in findings:
        say_finding(finding)
    for sentence in explain_gap(record.id):
        st.markdown(f"- {escape_markdown(sentence)}")
    show_scores(result)
    show_predictions(result, predictions)


def show_damage(record: RunRecord, error: DamageError) -> None:
    """What is wrong with a run's files, and the button that prepares it for being made again."""
    st.error(escape_message(str(error)))
    if not only_looks():
        act("Prepare it for being made again", reopen, record.id, key="reopen",
            help="What is damaged is set aside; then the run can be resumed.")  # fmt: skip


def show_headline(
    record: RunRecord, repeats: Mapping[str, str], findings: Sequence[Finding]
) -> None:
    """What the run reached, what its repeats gave, and what a result can come from alone."""
    words = [f"**{escape_markdown(headline(record.id))}**"]
    if len(repeats) > 1:
        words.append(f"On {len(repeats)} splits: {', '.join(repeats.values())}.")
    for finding in findings:
        if finding.decisive:  # its first sentence; the whole stands below
            first = finding.message.partition(". ")[0]
            words.append(f"{BADGES[finding.severity]} {escape_markdown(first)}.")
    with st.container(key="run_headline"):
        st.markdown(" ".join(words))


def repeats_of(record: RunRecord) -> dict[str, str]:
    """Run -> its first score in words, of the runs that ask the same on other splits."""
    same = record.spec.key_without("seed")
    repeats = [
        one
        for one in finished_runs(record.study)
        if one.spec.cohort == record.spec.cohort and one.spec.key_without("seed") == same
    ]
    repeats.sort(key=lambda one: one.spec.seed)
    scores = {one.id: say_score(one) for one in repeats}
    return {run: score for run, score in scores.items() if score != DAMAGED}


def show_reason(record: RunRecord) -> None:
    """Why a run has no result, and the button that goes on; its log is folded below."""
    show = st.info if record.state == JobState.CANCELLED else st.error
    show(escape_message(record.why))
    if st.button("Resume", type="primary", key="resume"):
        RunStore().resume(record.id)
        ensure_workers()
        st.rerun()


def show_confusion(result: RunResult, predictions: pd.DataFrame) -> None:
    """True against predicted, and the ways on."""
    if result.confusion:
        counts = pd.DataFrame(result.confusion, result.classes, result.classes)
        figure = confusion_matrix(counts.to_numpy(), result.classes)
        data, alt = (
            counts.rename_axis("true").reset_index(),
            say_confusion(counts.to_numpy(), result.classes),
        )
        name = "confusion_matrix"
    else:
        data = predictions[predictions["fold"].isin(result.scored)]
        figure = observed_against_predicted(data, result.classes[0])
        name = "observed_predicted"
        alt = say_observed(data["true"], data["predicted"], result.classes[0])
    figure.update_layout(height=HEIGHT, margin={"t": 4})
    about = about_confusion if result.confusion else about_observed
    show_figure(
        figure, data, name, alt=alt, key="confusion", about=about(result.n_test, "held-out samples")
    )


def show_ways_on(record: RunRecord, repeats: Mapping[str, str]) -> None:
    """The buttons to what other pages say of a finished run, and its report to keep."""
    with st.container(horizontal=True):
        if pages_of_guest() is None:
            if st.button("More about its genes →"):
                open_explain(record)
            if len(repeats) > 1:
                if st.button(f"Compare the {len(repeats)} splits →"):
                    go_to("compare", {"runs": ",".join(repeats)})
            elif st.button("Compare runs →"):
                go_to("compare")
        offer_report(record.id)
        if only_looks():
            return
        if st.button("Predict other samples →"):
            go_to("predict", {"run": record.id})
        offer_run_bundle(record)
        if st.button(
            "Make a story", icon=":material/slideshow:",
            help="The charts of the report, each with its finding, to be presented.",
        ):  # fmt: skip
            with errors(), st.spinner("Drawing its charts"):
                go_to("story", {"id": tell_run(record.id).id})


def show_scores(result: RunResult) -> None:
    """All scores beside the baseline models, and what the run cost."""
    with st.expander("All scores, beside the baseline models"):
        table = scores_table(result)
        st.dataframe(table, width="stretch", column_config=decimals(table))
        download_table(
            table.reset_index(), "scores", "CSV", key="scores",
            finding="Scores of the network and of plain models on the held-out samples",
        )  # fmt: skip
        task = TASKS[result.task]
        plain = task.baselines[task.reference(result.baselines)]
        st.caption(f"{plain.title}: {plain.help}", help=define("baseline model"))
        for note in result.notes:
            st.caption(escape_markdown(note))
        st.caption(
            f"{result.n_train} training, {result.n_validation} validation, {result.n_test} "
            f"held-out samples · {result.parameters / 1e6:.1f} million parameters · "
            f"{result.seconds:.0f} s on {result.device}, {result.precision} · "
            f"{escape_markdown(result.weights)}"
        )


def show_predictions(result: RunResult, predictions: pd.DataFrame) -> None:
    """Every prediction of a held-out sample."""
    with st.expander("Predictions of the held-out samples"):
        wrong = bool(result.confusion) and st.toggle("Only wrong ones", key="wrong")
        shown = (
            predictions[predictions["true"] != predictions["predicted"]] if wrong else predictions
        )
        st.dataframe(shown, hide_index=True)
        download_table(predictions, "predictions", "All predictions (CSV)", key="predictions")


def show_rest(record: RunRecord) -> None:
    """What stands below any run: curves, other runs beside it, log, settings, and its end."""
    if record.state.finished:
        show_curves(record)
    show_side_by_side(record)
    with st.expander("Log", key="log", on_change="rerun") as log:
        if log.open:
            st.code(read_log(record.id) or "nothing yet", language=None)
    with st.expander("All settings"):
        st.code(record.spec.to_yaml(), language="yaml")
        st.caption(f"Run `{record.id}`. The same as YAML starts it from the command line.")
    if record.state.finished and not only_looks():
        with st.popover("Delete this run"):
            st.markdown(
                "Its network, predictions and gene tables go too "
                f"({bytes_of(record.id) / 1e6:,.0f} MB)."
            )
            if st.button("Yes, delete", key="delete"):
                delete(record)


def delete(record: RunRecord) -> None:
    """Delete a run and go to the list of the others; where that can't be, says why."""
    with errors():
        RunStore().delete(record.id)
        st.session_state.pop("last run", None)
        go_to("train")
