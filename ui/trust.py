"""The trust card: how far an attribution can be believed, as lights with sentences and curves."""

from collections import Counter

import numpy as np
import pandas as pd
import streamlit as st

from core.errors import DamageError
from core.escape import escape_markdown
from core.explain.evidence import judge_data
from core.explain.measures import MEASURES, RANDOM_ORDERS, Evidence, Light
from core.explain.methods import METHODS, Recipe
from core.glossary import define
from core.home import only_looks
from core.jobs.launch import ensure_workers
from core.jobs.record import JobState
from core.plots.explain import randomisation_steps, removal_curves
from core.runs.explain import RunAttribution, measure_run_skill
from core.runs.explaining import explanation_state
from core.runs.result import load_result
from core.runs.store import RunRecord
from core.runs.trust import (
    TrustCard,
    load_evidence,
    planted_recipe,
    planted_run,
    request_permuted,
    request_planted,
)
from core.runs.whatif import permuted_labels
from core.training.tasks import TASKS
from ui.about import About
from ui.explain import describe, show_request
from ui.parts import find_runs, open_dataset, show_figure
from ui.pin import offer_pin

BADGES: dict[Light, str] = {
    "green": ":green-badge[:material/check: good]",
    "amber": ":orange-badge[:material/warning: careful]",
    "red": ":red-badge[:material/close: fails]",
    "none": ":gray-badge[not judged]",
}
WORST_FIRST: tuple[Light, ...] = ("red", "amber", "green", "none")
GROUPS = {
    "Is there something to find?": ("data", "skill", "signal", "permuted", "planted"),
    "Is it what the network goes by?": (
        "completeness", "randomisation", "untrained", "class_mean", "deletion", "insertion",
        "infidelity",
    ),
    "Would it come out again?": ("sensitivity", "agreement", "resampling", "stability"),
}  # fmt: skip
"""The questions of the trust card -> the measures that answer each."""
VERDICTS: dict[Light, str] = {
    "green": "Every light is green: nothing that was measured speaks against this list as a whole. "
    "Single genes can still be there by chance: look at their folds and their FDR.",
    "amber": "Some lights are amber: read them before you rely on single genes.",
    "red": "At least one light is red: **order no primers from this list** before you know why.",
    "none": "Nothing could be judged.",
}


def warn_of_data(run: str) -> None:
    """That the data allow no conclusion, such as classes that can't be told from batches."""
    data = judge_data(load_result(run).findings)
    if data.light == "red":
        with st.popover(":red-badge[:material/warning: of the class?]", type="tertiary"):
            st.markdown(
                "**These may be the genes of something else than the class.** "
                + escape_markdown(data.sentence)
            )


def say_skill(run: str, cls: str) -> None:
    """That a network does no better than a guess, where that is so."""
    skill = measure_run_skill(run)
    if skill.light == "red":
        has_classes = TASKS[load_result(run).task].has_classes
        what, them = ("the classes", "them") if has_classes else (escape_markdown(cls), "it")
        st.error(
            f"This network does not know {what} better than a guess, so what it looks at says "
            f"nothing about {them}. {escape_markdown(skill.sentence)}"
        )


def say_measured(run: str, found: RunAttribution, recipe: Recipe, cls: str) -> None:
    """The card in a line, or what is known before there is one."""
    if explanation_state(run, recipe, evidence=True).state == "done":
        card = load_evidence(run, recipe)
        st.markdown(f"{BADGES[card.light]} **Trust card.** {_verdict(card)}")
        return
    if found.untrained_overlap is not None:
        overlap = found.untrained_overlap[cls]
        light = MEASURES["untrained"].light(overlap if np.isfinite(overlap) else None)
        st.markdown(
            f"{BADGES[light]} The same network without training names {max(overlap, 0):.0%} of the "
            "same top genes, beyond chance. The less, the more the list comes from what was "
            "learned."
        )
    if found.completeness is not None:
        error = float(np.median(found.completeness[found.labels == cls]))
        light = MEASURES["completeness"].light(error if np.isfinite(error) else None)
        st.markdown(
            f"{BADGES[light]} Completeness: the genes' scores miss the change of the class score "
            f"by {error:.1%} (median)."
        )


def _verdict(card: TrustCard) -> str:
    """The card in a sentence, with the titles of what is worst."""
    worst = [row.title for row in card.evidence if row.light == card.light]
    return VERDICTS[card.light] + (
        "" if card.light in ("green", "none") else " " + " ".join(f"*{title}*" for title in worst)
    )


def show_trust(record: RunRecord, recipe: Recipe) -> None:
    """The whole card, or the button that measures it."""
    if explanation_state(record.id, recipe, evidence=True).state != "done":
        show_request(
            record.id, recipe, evidence=True, what=f"The trust card of {describe(recipe)}",
            button="Measure how far this can be believed",
            duration="The network is asked again some hundred times: with genes taken away, with "
            "random weights, with samples that are slightly changed. That takes a few minutes, in "
            "a process of its own; what is measured is saved.",
        )  # fmt: skip
        return
    card = load_evidence(record.id, recipe)
    by_name = {row.name: row for row in card.evidence}
    st.markdown(f"{BADGES[card.light]} {_verdict(card)}")
    ranks = METHODS[recipe.method].ranks_genes
    for title, names in GROUPS.items():
        rows = [by_name[name] for name in names if name in by_name]
        with st.expander(_say_group(title, rows), expanded=any(r.light == "red" for r in rows)):
            for row in rows:
                with st.container(border=True):
                    show_light(row)
                    if row.name == "permuted" and row.value is None:
                        offer_permuted(record)
                    if row.name == "planted" and row.value is None and ranks:
                        offer_planted(record, recipe)
    show_removal(by_name, recipe)
    show_randomisation(by_name["randomisation"], recipe)
    with st.expander("All measurements as a table"):
        table = pd.DataFrame(
            [(row.title, row.value, row.light, row.green, row.red, row.sentence)
             for row in card.evidence],
            columns=["question", "value", "light", "green at", "red at", "found"],
        )  # fmt: skip
        st.dataframe(table, hide_index=True, key="measurements")
        said = f"Trust card: {card.light}, the worst of its lights"
        offer_pin("trust_card", said, table[["light", "question", "found"]], key="measurements")


def _say_group(title: str, rows: list[Evidence]) -> str:
    """A group of lights in a line: how many are of each colour, the worst first."""
    lights = Counter(row.light for row in rows)
    said = [f"{BADGES[light]} {lights[light]}" for light in WORST_FIRST if lights[light]]
    return f"**{title}** {' '.join(said)}"


def show_light(row: Evidence) -> None:
    """One measure: its light, what was found, where the limits are and why, where it is from."""
    measure = MEASURES[row.name]
    st.markdown(f"{BADGES[row.light]} **{row.title}**", help=measure.help)
    st.markdown(escape_markdown(row.sentence))
    limits = ""
    if row.green is not None and row.red is not None:
        sign = "up to" if row.green < row.red else "from"
        other = "from" if row.green < row.red else "down to"
        limits = f"green {sign} {row.green:g}, red {other} {row.red:g}. "
        if row.value is not None:
            limits = f"Measured {row.value:.2g}: {limits}"
        else:
            limits = limits.capitalize()
    source = f" {measure.reference}." if measure.reference else ""
    st.caption(f"{limits}{measure.reason}{source}")


def offer_permuted(record: RunRecord) -> None:
    """Queue the run with permuted labels, or say where it stands."""
    state = _find_state(permuted_labels(record.spec).id)
    if record.spec.permute_labels:
        st.caption("This run is such a control itself.")
    elif state is not None:
        _say_state(state)
    elif not only_looks() and st.button("Train it with permuted labels", key="permuted"):
        request_permuted(record.id)
        ensure_workers()
        st.rerun()


def offer_planted(record: RunRecord, recipe: Recipe) -> None:
    """Queue the planted self-test, say where it stands, or explain it by the same recipe."""
    try:
        control = planted_run(record.id)
    except DamageError:  # the light says so
        control = None
    state = control and _find_state(control)
    if control is None or state is None:
        if not only_looks() and st.button("Train the planted self-test", key="planted"):
            request_planted(record.id, open_dataset(record.spec.cohort.dataset))
            ensure_workers()
            st.rerun()
    elif state != JobState.DONE:
        _say_state(state)
    else:
        recipe = planted_recipe(recipe)
        show_request(
            control, recipe, what=f"The search for planted genes by {describe(recipe)}",
            button="Look for the planted genes", duration="It takes seconds to a few minutes.",
        )  # fmt: skip


def _find_state(run: str) -> JobState | None:
    """A run's state; None for a run that was never asked for or was deleted."""
    return next((record.state for record in find_runs([run])), None)


def _say_state(state: JobState) -> None:
    st.caption(f"The control is {state}: see it on the page Run. Its light comes when it is done.")


def show_removal(by_name: dict[str, Evidence], recipe: Recipe) -> None:
    """Deletion and insertion beside random orders."""
    titles = {"deletion": "Genes taken away", "insertion": "Genes put back"}
    curves = {title: by_name[name].details for name, title in titles.items()}
    data = pd.concat([pd.DataFrame(by_name[name].details).assign(measure=name) for name in titles])
    st.markdown("## The class score without, and with, the top genes")
    st.caption(
        "A good ranking falls (rises) faster than random orders of the genes, whose range is grey. "
        "Removal favours smooth maps, so it can fail a map, never prove it."
    )
    show_figure(
        removal_curves(curves), data, f"{recipe.stem}_removal", key="removal",
        alt="Class score while genes are taken away or put back",
        about=About(
            "The class score while genes are set to the training mean, or put back, by the "
            "ranking and in random orders.",
            "The mean of four held-out samples of each class.",
            f"In steps of the ranking; the grey range is of {RANDOM_ORDERS} random orders of the "
            "same genes.",
            "A good ranking falls, or rises, faster than the grey range. It can fail a map and "
            "never prove it.",
        ),
    )  # fmt: skip


def show_randomisation(row: Evidence, recipe: Recipe) -> None:
    """How like the map stays while the network's layers are made random."""
    layers, similarity = row.details["layers"], row.details["similarity"]
    st.markdown(
        "## Parameter-randomisation test: the map while the weights become random",
        help=define("parameter-randomisation test"),
    )
    st.caption(
        "Layers are made random from the head to the image. A map that stays what it was does not "
        "come from what the network learned."
    )
    show_figure(
        randomisation_steps(layers, similarity, row.green, row.red),
        pd.DataFrame({"layer": layers, "similarity": similarity}),
        f"{recipe.stem}_randomisation", key="randomisation",
        alt="Similarity to the true map, layer by layer",
        about=About(
            "How like the map stays to the true one while the network's layers become random.",
            f"{len(layers)} steps, from the head to the image.",
            "Size of the rank correlation of the genes' scores (Adebayo et al. 2018), of four "
            "held-out samples of each class.",
            "A map that stays what it was doesn't come from what the network learned.",
        ),
    )  # fmt: skip
