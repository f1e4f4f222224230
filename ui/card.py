"""What a dataset is and what was found about it, with repairs; the samples on a map."""

import pandas as pd
import streamlit as st

from core.data.check import DataCard, check_dataset
from core.data.choices import Choices
from core.data.notes import Finding
from core.data.prepare import PreparationSpec
from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_markdown, escape_message
from core.home import only_looks
from core.jobs.record import JobState
from core.jobs.which import Which
from core.plots.data import class_sizes
from core.plots.findings import say_class_sizes
from core.runs.spec import say_option
from core.runs.store import RunStore
from ui.about import About
from ui.account import pages_of_guest
from ui.bring import show_corner, show_notes
from ui.parts import go_to, go_to_run, say_finding, show_figure
from ui.sample_map import change, show_samples, used_samples

SCALES = {"counts": "counts", "linear": "TPM-like", "log2": "log2"}
LATE = 50
"""The last finished runs."""
TAKEN_BACK = {"where": {}, "leave_out": (), "merge": {}}
"""What is undone when decisions about samples are taken back; columns keep their roles."""
WORST_FIRST = ("error", "warning", "info")
SIZES = About(
    shown="How many samples each class has.",
    n="All samples that are used; the numbers stand at the bars.",
    computed="Counted from the class column, after merging and leaving out.",
    read="The score of a small class hangs on few samples, and its interval is wide.",
)
CARDS = 10
"""Cards that a session remembers."""


def examine(record: DatasetRecord, choices: Choices) -> DataCard:
    """The data card, made once for each set of choices."""
    cards = st.session_state.setdefault("cards", {})
    key = (record.id, choices.model_dump_json())
    if key not in cards:
        data, cohort = used_samples(record.id, choices), choices.cohort
        words = f"Checking {data.n_obs:,} samples x {data.n_vars:,} genes"
        bar = st.progress(0.0, words)
        cards[key] = check_dataset(
            data, cohort.label, cohort.group, cohort.batch, choices.preparation,
            lambda share: bar.progress(share, words),
        )  # fmt: skip
        bar.empty()
        while len(cards) > CARDS:
            cards.pop(next(iter(cards)))
    return cards[key]


def recall_warnings(record: DatasetRecord, choices: Choices) -> list[Finding]:
    """What the card warns of, where this session has made it: making one may take a minute."""
    card = st.session_state.get("cards", {}).get((record.id, choices.model_dump_json()))
    return [] if card is None else [f for f in card.findings if f.severity != "info"]


def show_card(record: DatasetRecord, choices: Choices) -> None:
    """Sizes, findings with their repairs, class sizes, the corner, and the way on."""
    card = examine(record, choices)
    picture, found = st.columns([3, 2], gap="medium")
    with picture:
        try:
            show_samples(record, choices)
        except InputError as error:
            st.caption(f"No map of the samples. {escape_message(str(error))}")
    with found:
        show_decisions(record, choices)
        say_sizes(card)
        for finding in sorted(card.findings, key=lambda each: WORST_FIRST.index(each.severity)):
            say_finding(
                finding, lambda f=finding: change(record, choices.changed(**f.repair.changes))
            )
        wrong = any(finding.severity == "error" for finding in card.findings)
        if wrong or not card.label:
            st.caption(
                "Once a class column is chosen and nothing stands in the way, go on from here."
            )
        if pages_of_guest() is None:
            show_ways_on(record, blocked=wrong or not card.label)
        if any(finding.code in ("label_ids", "label_numbers") for finding in card.findings):
            st.caption("The chosen column doesn't look like classes.")
        elif card.classes:
            st.markdown("## Class sizes")
            table = pd.DataFrame({"class": card.classes.keys(), "samples": card.classes.values()})
            show_figure(
                class_sizes(card.classes), table, "class_sizes",
                alt=say_class_sizes(card.classes), about=SIZES,
            )  # fmt: skip
        else:
            st.caption("Choose the column that holds the class.")
    with st.expander("How the file was read"):
        show_notes(record.notes)
        st.caption(escape_markdown(card.evidence))
        show_corner(used_samples(record.id, choices))


def show_ways_on(record: DatasetRecord, *, blocked: bool) -> None:
    """The buttons that lead on from a dataset; those that need a class may be blocked."""
    with st.container(horizontal=True):
        if st.button("See gene-images →", disabled=blocked):
            go_to("images")
        if not only_looks() and st.button("Train on these →", type="primary", disabled=blocked):
            go_to("train")
        last = find_last_run(record.id)
        if last and st.button("See its last run →"):
            go_to_run(last)


def find_last_run(dataset: str) -> str | None:
    """The last finished run of a dataset, which in most cases is one of the last of all."""
    store, done = RunStore(), [JobState.DONE]
    late = [
        run
        for run in store.list(Which(states=done), most=LATE)
        if run.spec.cohort.dataset == dataset
    ]
    found = late or store.list(Which(states=done, input=dataset), most=1)
    return found[0].id if found else None


def say_sizes(card: DataCard) -> None:
    """How large the dataset is, in a line."""
    sizes = [f"**{card.samples:,}** samples", f"**{card.genes:,}** genes"]
    sizes += [f"**{len(card.classes)}** classes"] if card.classes else []
    sizes += [f"**{card.patients:,}** patients"] if card.patients is not None else []
    sizes += [f"**{card.batches:,}** batches"] if card.batches is not None else []
    st.markdown(
        " · ".join([*sizes, SCALES[card.scale]]), help=escape_markdown(card.evidence)
    )  # fmt: skip


def show_decisions(record: DatasetRecord, choices: Choices) -> None:
    """What was decided about samples and values, and the way back."""
    decided = [
        f"{escape_markdown(column)} is {escape_markdown(', '.join(values))}"
        for column, values in choices.cohort.where.items()
    ]
    if choices.cohort.leave_out:
        names = ", ".join(choices.cohort.leave_out[:3]) + (
            " …" if len(choices.cohort.leave_out) > 3 else ""
        )
        decided.append(
            f"{len(choices.cohort.leave_out)} samples left out ({escape_markdown(names)})"
        )
    decided += [
        f"{escape_markdown(old)} counts as {escape_markdown(new)}"
        for old, new in choices.cohort.merge.items()
    ]
    default = PreparationSpec()
    decided += [
        f"{field.title}: {_say(name, getattr(choices.preparation, name))}"
        for name, field in PreparationSpec.model_fields.items()
        if getattr(choices.preparation, name) != getattr(default, name)
    ]
    if not decided:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":green-badge[:material/check: decided] {' · '.join(decided)}", width="stretch"
        )
        if only_looks():
            return
        st.button(
            "Take it all back", type="tertiary",
            on_click=lambda: change(
                record,
                Choices(cohort=choices.cohort.model_copy(update=TAKEN_BACK)),
            ),
        )  # fmt: skip


def _say(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return f"{len(value)} genes"
    return escape_markdown(say_option(name, value))
