"""What the page Transfer shows: the verdict, the gain against patients, scores, controls, fit."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.escape import escape_markdown
from core.evaluation.metrics import METRICS
from core.plots.findings import say_budgets
from core.plots.transfer import fit_map, gain_curves, layer_map, score_curves
from core.transfer.enquiring import ENQUIRIES, list_enquiries
from core.transfer.experiment import SCORES, list_methods, read_rows
from core.transfer.preparing import PREPARATIONS
from core.transfer.spec import TransferSpec
from core.transfer.transferring import (
    ROWS,
    Transfer,
    delete_transfer,
    gain_table,
    list_transfers,
    load_rows,
    transfer_folder,
)
from core.transfer.verdict import CONTROLS, FEWEST_DRAWS, Gain, find_method, judge, say_gains
from ui.about import About
from ui.download import download_button
from ui.parts import decimals, download_table, name_dataset, place_chart, show_figure
from ui.report import offer_transfer_report

SHOWN_EARLIER = 20
BADGES = {
    "helps": ":green-badge[:material/trending_up: helps]",
    "no difference": ":gray-badge[:material/trending_flat: no difference]",
    "harms": ":red-badge[:material/trending_down: harms]",
}
SCORE = "AUROC"
DASH = "–"
"""In a table where there is no number."""


def show_transfer(found: Transfer, key: str) -> None:
    """The charts with the verdict beside them, the table, the controls, whether the source fits."""
    charts, said = place_chart()
    with said:
        preparation = _pick_preparation(found)
        lines = found.by_line(preparation)
        _show_verdicts(lines, found.source)
        for name, reason in found.refused.items():
            st.warning(f"{escape_markdown(find_method(name).title)}: {escape_markdown(reason)}")
        st.caption(
            f"{found.source_samples:,} samples of {escape_markdown(found.source)}, "
            f"{found.target_patients:,} patients of {escape_markdown(found.target)}, of which each "
            f"of {found.draws} draws holds {found.held_out} out; {found.genes:,} shared genes. "
            "Bands and limits: 95 %, corrected t test over draws (Nadeau and Bengio 2003), p "
            "values by Holm over the numbers of patients."
        )
    table = gain_table([gain for gains in lines.values() for gain in gains])
    titles = [method.title for method in list_methods(found.spec)]
    with charts:
        show_figure(
            gain_curves(table, SCORE, titles), table, f"gain_{key}", key="transfer gain",
            alt=f"Gain over the target alone. {found.headline}",
            about=_about_gain("each method", found.draws, found.held_out),
        )  # fmt: skip
    scores = found.score_table()
    own = scores[(scores["variant"] == "own") & (scores["preparation"] == preparation)]
    with charts:
        show_figure(
            score_curves(own.rename(columns={SCORES[0]: "score"}), SCORE, titles), own,
            f"auroc_{key}", key="transfer scores", alt=say_budgets(own, SCORES[0]),
            about=About(
                "The mean score of each method, the target alone among them, by how many target "
                "patients are labelled.",
                f"Of {found.draws} draws, each of {found.held_out} held-out patients, the same for "
                "all methods.",
                "AUROC on the held-out patients, which no method has seen in any form; the mean "
                "over draws.",
                "It says how good a method is; whether it beats the target alone says the chart "
                "above it, where both are compared draw by draw.",
            ),
        )  # fmt: skip
    _show_table(own, table)
    _show_layers(own)
    _show_controls(found)
    _show_fits(found)
    _show_deciding(found)
    _show_examined(found)
    for note in found.notes:
        st.caption(escape_markdown(note))
    with st.container(horizontal=True):
        download_table(
            lambda: load_rows(key), f"transfer_{key}", "All rows (CSV)", key="transfer rows csv"
        )
        offer_transfer_report(key)
        download_button(
            "Specification (YAML)", found.spec.to_yaml(), "transfer.yaml", "text/yaml",
            on_click="ignore", key="transfer spec",
        )  # fmt: skip


def _about_gain(of: str, draws: int, held_out: int | None) -> About:
    """What stands behind a chart of gains."""
    held = f", each of {held_out} held-out patients" if held_out else ""
    return About(
        f"What {of} gains in AUROC over learning from the target alone, by how many target "
        "patients are labelled.",
        f"Of {draws} draws of patients{held}.",
        "The difference on the same held-out patients, draw by draw. Bands are 95 % intervals of "
        "the corrected t test, in which draws of one cohort aren't independent; p values are "
        "corrected for the numbers of patients by Holm's method.",
        "A triangle up helps, a triangle down harms; a circle is a difference that can be luck. No "
        "difference means that these draws of these patients can't show one. Intervals are on the "
        "safe side: where the answer was planted they were 1.8 times as wide as needed with 6 "
        "labelled patients, and 1.2 times with 80, so that small gains are missed.",
    )


def _pick_preparation(found: Transfer) -> str:
    names = list(found.spec.preparations)
    if len(names) == 1:
        return names[0]
    return st.segmented_control(
        "Preparation", names, default=names[0], required=True, key="shown preparation",
        format_func=lambda name: PREPARATIONS[name].title,
        help="How the cohorts' values were brought together; the target alone is prepared alike.",
    )  # fmt: skip


def _show_verdicts(lines: dict[str, list[Gain]], source: str) -> None:
    """A sentence a method, the chosen methods first."""
    if not lines:
        st.info("No method could be judged: no number of labelled patients is above 0.")
    chosen = [name for name in lines if name not in _QUIET] + [n for n in lines if n in _QUIET]
    for name in chosen:
        gains = sorted(lines[name], key=lambda gain: gain.n)
        first = next((gain for gain in gains if gain.answer != "no difference"), gains[0])
        st.markdown(f"{BADGES[first.answer]} {escape_markdown(say_gains(gains, source))}")


_QUIET = ("source_only", "pooled_weighted")
"""References whose verdicts come last."""


def _show_table(scores: pd.DataFrame, gains: pd.DataFrame) -> None:
    """Scores of each method at each number of patients, with the verdict."""
    shown = scores.merge(gains[["line", "n", "gain", "low", "high", "p", "verdict"]],
                         how="left", on=["line", "n"])  # fmt: skip
    shown = shown[["line", "n", *SCORES, "gain", "low", "high", "p", "verdict"]]
    shown = shown.rename(
        columns={"line": "method", "n": "patients", SCORES[0]: SCORE}
        | {name: METRICS[name].title for name in SCORES[1:]}
    )
    for name in ("gain", "low", "high", "p"):
        form = "{:+.3f}" if name != "p" else "{:.3f}"
        shown[name] = [DASH if pd.isna(value) else form.format(value) for value in shown[name]]
    shown["verdict"] = shown["verdict"].fillna(DASH)
    st.dataframe(shown, hide_index=True, column_config=decimals(shown, "%.3f"))
    st.caption(
        f"{DASH}: the target alone is what gains are over, and without labelled patients there is "
        "nothing to gain over. Low and high are the gain's 95 % interval."
    )


_LAYERS = {"frozen": "scratch", "images": "images_scratch"}
"""What pretrained networks' names begin with -> the same network without a source."""


def _show_layers(scores: pd.DataFrame) -> None:
    """How many layers to freeze with so many patients, where several numbers were tried."""
    tried = {
        first: scores[scores["method"].str.match(rf"{first}_\d+$")] for first in _LAYERS
    }  # fmt: skip
    tried = {first: own for first, own in tried.items() if own["method"].nunique() > 1}
    if not tried:
        return
    st.markdown("## Frozen layers")
    for first, own in tried.items():
        bases = {"target_only": "the target alone", _LAYERS[first]: "the same from scratch"}
        there = {name: words for name, words in bases.items() if name in set(scores["method"])}
        frozen = own.assign(frozen=own["method"].str.removeprefix(f"{first}_").astype(int))
        for place, (name, words) in zip(st.columns(2, gap="large"), there.items(), strict=False):
            with place:
                _show_layer_map(frozen, scores[scores["method"] == name], first, words)
        if len(there) < len(bases):
            st.caption("Choose the network from scratch as well, to see what it brings by itself.")


def _show_layer_map(frozen: pd.DataFrame, base: pd.DataFrame, first: str, words: str) -> None:
    """The gain of networks over something, by frozen layers and labelled patients."""
    alone = base.set_index("n")[SCORES[0]]
    table = frozen.assign(gain=frozen[SCORES[0]] - frozen["n"].map(alone))
    table = table.loc[table["n"] > 0, ["frozen", "n", "gain"]].dropna()
    if table.empty:
        return
    what = "pretrained networks of genes" if first == "frozen" else "pretrained gene-image networks"
    key = f"{first} {base['method'].iloc[0]}"
    show_figure(
        layer_map(table, words), table, f"layers_{key.replace(' ', '_')}", key=f"layers {key}",
        alt=f"Gain in {SCORE} of {what} over {words}. " + " ".join(
            f"{row.frozen} frozen, {row.n} labelled: {row.gain:+.2f}." for row in table.itertuples()
        ),
        about=About(
            f"What {what} gain in {SCORE} over {words}, by how many layers or stages keep what the "
            "source taught.",
            "Means over all draws, on the same held-out patients.",
            "The mean AUROC of the network minus that of what it is held against.",
            "Read it with the intervals of the chart above: a cell is a mean without its interval. "
            "The other way round is a question of its own.",
        ),
    )  # fmt: skip


def _show_deciding(found: Transfer) -> None:
    """The genes that decide in methods that are networks, side by side."""
    table = found.deciding_table()
    if table.empty:
        return
    st.markdown("## Which genes decide")
    st.caption(
        f"Integrated gradients of held-out samples for their own class, from the mean labelled "
        f"target sample, of networks that learned from all labelled patients; the mean over the "
        f"first {table['draws'].max()} draws. In brackets the gene's share of all scores."
    )
    table["gene"] = [f"{row.gene} ({row.share:.1%})" for row in table.itertuples()]
    wide = table.pivot(index="rank", columns="method", values="gene")
    st.dataframe(wide[list(dict.fromkeys(table["method"]))])


def _show_examined(found: Transfer) -> None:
    """What methods say of themselves."""
    table = found.examined_table()
    if table.empty:
        return
    st.markdown("## What the methods say of themselves")
    first = PREPARATIONS[found.spec.preparations[0]].title.lower()
    st.caption(
        f"Means over the first {table['draws'].max()} draws, with {table['n'].min()} labelled "
        f"patients, {escape_markdown(first)}; on samples that the method didn't learn from where "
        "it says how well something is told or hidden."
    )
    st.dataframe(
        table[["method", "what", "value"]], hide_index=True,
        column_config=decimals(table, "%.3f") | {"what": st.column_config.Column(width="large")},
    )  # fmt: skip


def _show_controls(found: Transfer) -> None:
    gains = [
        gain
        for variant in CONTROLS
        for own in found.by_line(variant=variant).values()
        for gain in own
    ]
    if not gains:
        return
    st.markdown("## Controls")
    st.caption(
        "With the sources' labels permuted, or an unrelated source, nothing should be gained, and "
        "harm shows what a bad source can do. With the target's labels permuted what is left comes "
        "from the source."
    )
    for variant in CONTROLS:
        for own in found.by_line(variant=variant).values():
            own = sorted(own, key=lambda gain: gain.n)
            first = next((gain for gain in own if gain.answer != "no difference"), own[0])
            st.markdown(f"{BADGES[first.answer]} {escape_markdown(say_gains(own, found.source))}")
    table = gain_table(gains)
    show_figure(
        gain_curves(table, SCORE), table, "controls", key="transfer controls",
        alt="Gain of the controls in AUROC. "
        + " ".join(f"{row.line}: {row.gain:+.2f} with {row.n}." for row in table.itertuples()),
        about=_about_gain("each control", found.draws, found.held_out),
    )  # fmt: skip


def _show_fits(found: Transfer) -> None:
    if not found.fits:
        return
    st.markdown("## Does this source fit?")
    st.caption(
        "How far source and target are apart, whatever their classes. Distance: mean over genes of "
        "the difference of the two means, in SD. Domain AUROC: how well a linear model tells the "
        "cohorts apart on samples that had no part in fitting it or the preparation; .5 is not at "
        "all, 1 is always. Cohorts that can be told apart may still help."
    )
    table = pd.DataFrame([fit.model_dump() for fit in found.fits])
    table["preparation"] = [PREPARATIONS[name].title for name in table["preparation"]]
    left, right = st.columns(2, gap="large")
    with left:
        show_figure(
            fit_map(table), table, "fit", key="transfer fit",
            alt="Distance and domain AUROC. " + " ".join(
                f"{row.source}, {row.preparation}: {row.distance:.2f} SD, {row.domain_auroc:.2f}."
                for row in table.itertuples()
            ),
            about=About(
                "How far each source lies from the target, and how well the two are told apart.",
                f"{len(table)} pairs of source and preparation; a form is a source.",
                "Means and AUROC of samples that had no part in fitting the model or the "
                "preparation; preparations that look at tested samples are left out.",
                "Lower left fits best. Cohorts that can be told apart may still help: look at the "
                "gain.",
            ),
        )  # fmt: skip
    table = table.rename(columns={"domain_auroc": "domain AUROC", "samples": "source samples"})
    right.dataframe(table, hide_index=True, column_config=decimals(table, "%.2f"))


def show_so_far(key: str, spec: TransferSpec, working: bool) -> None:
    """The chart of the rows that stand, while the others are computed or wait to be."""
    st.fragment(_draw_so_far, run_every=4 if working else None)(key, spec)


def _draw_so_far(key: str, spec: TransferSpec) -> None:
    rows = list(read_rows(transfer_folder(key) / ROWS).values())
    ended = max((row.draw for row in rows), default=0)
    rows = [
        row for row in rows
        if row.draw < ended and row.variant == "own" and row.preparation == spec.preparations[0]
    ]  # fmt: skip
    gains = judge(rows, spec.held_out / (1 - spec.held_out))
    if not gains:
        st.caption(
            f"A chart is shown from {FEWEST_DRAWS} draws on; {ended} of {spec.number_of_draws} are "
            "done."
        )
    else:
        table = gain_table(gains)
        st.caption(f"So far, after {ended} of {spec.number_of_draws} draws:")
        show_figure(
            gain_curves(table, SCORE), table, "so_far", key="transfer so far",
            alt="Gain in AUROC so far against the number of labelled patients",
            about=_about_gain("each method, so far,", ended, None), pin=False,
        )  # fmt: skip


def show_earlier() -> None:
    """What was asked before, of any kind."""
    told = []
    for one in list_transfers():
        sources = ", ".join(name_dataset(cohort.dataset) for cohort in one.spec.sources)
        words = f"{sources} → {name_dataset(one.spec.target.dataset)}"
        methods = ", ".join(find_method(name).title for name in one.spec.methods)
        told.append((one.when, one.key, f"{words}{' · ' + methods if methods else ''}"))
    for one in list_enquiries():
        kind = ENQUIRIES[one.enquiry.question]
        names = map(name_dataset, dict.fromkeys(kind.datasets(one.enquiry)))
        told.append((one.when, one.key, " · ".join(
            part for part in (" → ".join(names), kind.title, kind.describe(one.enquiry)) if part
        )))  # fmt: skip
    if not told:
        return
    with st.expander(f"Asked before ({len(told)})", key="transfers earlier"):
        for when, key, words in sorted(told, reverse=True)[:SHOWN_EARLIER]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    escape_markdown(f"{words} · {when.astimezone().strftime('%d %b %H:%M')}"),
                    width="stretch",
                )
                if st.button("Open", key=f"open transfer {key}"):
                    st.query_params.from_dict({"id": key})
                    st.rerun()
                if st.button("Delete", key=f"delete transfer {key}", type="tertiary"):
                    delete_transfer(key)
                    if st.query_params.get("id") == key:
                        del st.query_params["id"]
                    st.rerun()
