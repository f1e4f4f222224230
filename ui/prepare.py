"""Which samples are used and how their values are prepared, as a form and as a sentence."""

import streamlit as st

from core.data.choices import Choices
from core.data.prepare import PreparationSpec
from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_markdown
from core.images.references import read_gene_sets
from ui.forms import ask_field, ask_where, check_fields
from ui.parts import errors, needs_own_home
from ui.sample_map import change, used_samples
from ui.uploads import hold

STEPS = {
    "The values": ("scale", "library", "floor", "missing", "across"),
    "The genes": ("choose", "genes", "scaling"),
}


def show_prepare(record: DatasetRecord, choices: Choices) -> None:
    """The form; saved choices hold on every page and in every later session."""
    if needs_own_home("Another preparation is chosen"):
        say_preparation(record, choices)
        return
    version = choices.model_dump_json()
    key = f"prepare {record.id[:12]} {hash(version)}"
    left, middle, right = st.columns(3, gap="large")
    with left:
        st.markdown("## The samples")
        where = ask_where(record.columns, key=key, chosen=choices.cohort.where)
        if left_out := choices.cohort.leave_out:
            kept_out = st.multiselect(
                "Left out by name", left_out, default=left_out, key=f"{key} out"
            )
        else:
            kept_out = []
    asked = {}
    for column, (title, names) in zip((middle, right), STEPS.items(), strict=True):
        with column:
            st.markdown(f"## {title}")
            for name in names:
                asked[name] = ask_field(
                    PreparationSpec, name, key=f"{key} {name}",
                    default=getattr(choices.preparation, name),
                )  # fmt: skip
    with right:
        asked["gene_list"] = ask_gene_list(key, choices.preparation.gene_list)
    with errors():
        numbers = {name: value for name, value in asked.items() if isinstance(value, int | float)}
        check_fields(PreparationSpec, numbers)
        new = Choices(
            cohort=choices.cohort.model_copy(update={"where": where, "leave_out": tuple(kept_out)}),
            preparation=PreparationSpec(**{**choices.preparation.model_dump(), **asked}),
        )  # fmt: skip
        say_preparation(record, new)
        st.button(
            "Use this preparation", type="primary", disabled=new == choices,
            on_click=lambda: change(record, new),
        )  # fmt: skip


def say_preparation(record: DatasetRecord, choices: Choices) -> None:
    """How its samples are prepared; InputError where none of the listed genes is here."""
    st.markdown("## So it is prepared")
    data, spec = used_samples(record.id, choices), choices.preparation
    steps = spec.describe(str(data.uns["scale"]))
    st.markdown(
        f"{data.n_obs:,} of {record.samples:,} samples; "
        + escape_markdown("; ".join(steps))
        + ". What is learned for this is learned from training samples only."
    )
    if spec.gene_list:
        present = len(set(spec.gene_list) & set(data.var_names))
        if not present:
            raise InputError("None of the listed genes is in this dataset.")
        st.caption(f"{present:,} of the {len(spec.gene_list):,} listed genes are in this dataset.")


def ask_gene_list(key: str, chosen: tuple[str, ...]) -> tuple[str, ...]:
    """Genes typed or pasted, or a set out of a GMT file."""
    text = st.text_area(
        "Only these genes", " ".join(chosen), key=f"{key} list", height=80,
        placeholder="all genes; or paste symbols, divided by spaces, commas or lines",
    )  # fmt: skip
    upload = st.file_uploader("or a gene set (GMT)", key=f"{key} gmt")
    if upload is not None:
        with errors():
            sets = read_gene_sets(hold(upload))
            name = st.selectbox("Set", list(sets), key=f"{key} set")
            return tuple(sets[name])
    return tuple(dict.fromkeys(text.replace(",", " ").replace(";", " ").split()))
