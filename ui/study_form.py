"""A study: every combination of what is ticked, or the runs that a file lists."""

from itertools import product
from typing import Any

import streamlit as st

from core.data.store import DatasetRecord
from core.errors import InputError
from core.escape import escape_markdown
from core.glossary import define
from core.models.backbones import BACKBONES
from core.runs.recipes import CARDS, NETWORK, fill_recipe
from core.runs.spec import PRESETS, RunSpec
from core.runs.study_file import MAX_RUNS, read_study
from core.training.augmentations import AUGMENTATIONS
from ui.uploads import hold

SPLITTINGS: dict[str, dict[str, Any]] = {
    **{
        f"{100 * (1 - share):.0f}/{100 * share:.0f}": {"kind": "holdout", "test_size": share}
        for share in (0.4, 0.3, 0.2, 0.1)
    },
    "5-fold": {"kind": "kfold", "folds": 5},
}
"""What a split is called -> its fields."""
MOST_SEEDS = 10


def ask_study(record: DatasetRecord, common: dict[str, Any]) -> tuple[list[RunSpec], str]:
    """The runs of a study, each once, and what it is called.

    Raises InputError where nothing is ticked, or the file is none.
    """
    source = st.segmented_control(
        "From", ["Ticks", "A YAML file"], default="Ticks", required=True, key="study from",
        label_visibility="collapsed",
    )  # fmt: skip
    specs, name = ask_file(common) if source == "A YAML file" else ask_ticks(record, common)
    return list({spec.id: spec for spec in specs}.values()), name


def ask_ticks(record: DatasetRecord, common: dict[str, Any]) -> tuple[list[RunSpec], str]:
    """Networks x augmentation x splits x seeds, by one recipe."""
    recipe = st.selectbox(
        "Recipe", CARDS, format_func=lambda name: PRESETS[name].title, key="study recipe"
    )
    solved = PRESETS[recipe].parts["network"].get("head") == "linear"
    network_column, augmentation_column, split_column, seed_column = st.columns(4)
    with network_column:
        networks = _tick("Networks", {b.name: b.title for b in BACKBONES}, [NETWORK])
    with augmentation_column:
        titles = {a.name: a.title for a in AUGMENTATIONS if a.name in ("none", "geometric")}
        titles |= {a.name: a.title for a in AUGMENTATIONS if a.name == "expression"}
        if solved:
            st.markdown("**Augmentation**")
            st.caption("A head that is solved takes none. Take the other recipe to vary it.")
            augmentations = ["none"]
        else:
            augmentations = _tick("Augmentation", titles, ["none", "expression"])
    with split_column:
        splits = _tick("Splits", {name: name for name in SPLITTINGS}, ["70/30"])
    with seed_column:
        seeds = st.number_input(
            "Seeds", value=3, step=1, key="study seeds",
            help="So often each is repeated on another split, which shows what is luck. "
            + define("setup"),
        )  # fmt: skip
        if not 1 <= seeds <= MOST_SEEDS:
            raise InputError(f"Seeds must be 1 to {MOST_SEEDS}, got {seeds}. Nothing is started.")
    if not (networks and augmentations and splits):
        raise InputError("Tick at least one of networks, augmentation and splits.")
    specs = [
        fill_recipe(
            recipe,
            {**common, "split": SPLITTINGS[split], "seed": seed,
             "training": {"augmentation": augmentation}},
            record.genes, network,
        )
        for network, augmentation, split, seed in product(
            networks, augmentations, splits, range(int(seeds))
        )
    ]  # fmt: skip
    st.markdown(
        f"**{len(specs)} runs**: {len(networks)} network{_s(networks)} x {len(augmentations)} "
        f"augmentation{_s(augmentations)} x {len(splits)} split{_s(splits)} x {seeds:.0f} "
        f"seed{'s' if seeds > 1 else ''}."
    )
    return specs, f"{len(specs)} runs on {record.name}"


def _s(several: list[str]) -> str:
    return "s" if len(several) > 1 else ""


def _tick(title: str, options: dict[str, str], ticked: list[str]) -> list[str]:
    """Tick boxes under a title; gives back the names that are ticked."""
    st.markdown(f"**{title}**")
    return [
        name
        for name, words in options.items()
        if st.checkbox(
            words, name in ticked, key=f"study {title} {name}", persist_state="session"
        )
    ]  # fmt: skip


def ask_file(common: dict[str, Any]) -> tuple[list[RunSpec], str]:
    """The runs of a study file; where it names no dataset or class, those of the page are meant."""
    upload = st.file_uploader("Study (YAML)", type=["yaml", "yml"], key="study file")
    st.caption(
        f"A run's fields, where a list of values stands for one run with each; at most "
        f"{MAX_RUNS:,} runs. “This run as YAML” of a single run shows the fields."
    )
    if upload is None:
        raise InputError("Choose the file of a study.")
    study = read_study(hold(upload).read_bytes())
    specs = [
        RunSpec.parse({**run, "cohort": {**common["cohort"], **run.get("cohort", {})}})
        for run in study.runs
    ]
    st.markdown(f"**{len(specs)} runs** of “{escape_markdown(study.name)}”.")
    return specs, study.name
