"""Pieces that several pages are made of: pickers, figures with downloads, errors, empty states."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from anndata import AnnData
from streamlit.delta_generator import DeltaGenerator

from core.data.choices import Choices, load_choices, save_choices
from core.data.cohort import Cohort
from core.data.notes import Finding
from core.data.roles import suggest_batch, suggest_group, suggest_label
from core.data.store import DatasetRecord, can_be_opened, get_record, load_dataset
from core.errors import GeneCanvasError, InputError
from core.escape import escape_formulas, escape_markdown, escape_message
from core.files import UNWRITABLE, describe_os_error
from core.glossary import define
from core.home import only_looks
from core.jobs.record import JobState
from core.jobs.which import Which
from core.plots.figures import TARGETS
from core.runs.result import RunResult, load_result
from core.runs.store import RunRecord, RunStore
from core.training.tasks import TASKS
from ui.about import About, show_about
from ui.account import pages_of_guest
from ui.download import download_button
from ui.kept import cache_resource
from ui.pin import offer_pin, say_source

DAMAGED = "damaged"
"""What stands for the score of a run whose result can't be read."""
OFFERED = 1000
"""Finished runs that pages offer to choose from."""
ROOT = Path(__file__).parents[1]
PAGES = ROOT / "pages"
WANTED_RUN = "wanted run"
"""Where the session keeps the run whose page was asked for last."""


def component(name: str) -> Callable[..., object]:
    """A component of our own out of its three files in `assets`."""
    return st.components.v2.component(
        f"genecanvas_{name}",
        **{
            kind: (ROOT / f"assets/{name}.{kind}").read_text(encoding="utf-8")
            for kind in ("html", "css", "js")
        },
    )


SAVE_IMAGE = component("save_image")
"""Buttons that save the chart beside them; plotly draws the file in the browser."""
GENE_KEYS = component("gene_keys")
"""The genes of the image above as one stop of the keyboard."""


@contextmanager
def errors() -> Iterator[None]:
    """Show what goes wrong inside as one message; what nobody foresaw goes to the server's log."""
    try:
        yield
    except GeneCanvasError as error:
        st.error(escape_message(str(error)))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            st.error(escape_markdown(describe_os_error(error)))
            return
        if type(error).__module__.startswith("streamlit"):
            raise
        logging.getLogger("genecanvas").exception("A page failed")
        st.error(
            f"Something unforeseen happened ({type(error).__name__}). Nothing is lost; the "
            "server's log has the details. Reload the page to go on."
        )


@cache_resource(max_entries=2, show_spinner="Reading the dataset")
def open_dataset(dataset: str) -> AnnData:
    """A stored dataset, kept in memory while it is among the last two looked at."""
    return load_dataset(dataset)


def pick_dataset(datasets: Sequence[DatasetRecord], missing: DeltaGenerator) -> DatasetRecord:
    """A select box of stored datasets, kept in the link; at first the first one that is whole.

    Args:
        datasets: those that are here.
        missing: where it is said that the one of the link isn't there.
    """
    records = {record.id[:12]: record for record in datasets}
    names = list(records)

    def is_whole(name: str) -> bool:
        try:
            load_choices(records[name].id)
        except InputError:
            return False
        return can_be_opened(records[name].id)

    chosen = pick(
        "Dataset", names, lambda name: records[name].name, "dataset", missing,
        lambda: next(filter(is_whole, names), names[0]),
    )  # fmt: skip
    return records[chosen]


def pick_run(records: list[RunRecord], missing: DeltaGenerator) -> RunRecord:
    """A select box of runs, starred ones first, kept in the link.

    Args:
        records: those that can be chosen.
        missing: where it is said that the one of the link isn't there.
    """
    by_id = {record.id: record for record in starred_first(records)}
    names = name_runs(records)
    chosen = by_id[pick("Run", list(by_id), names.__getitem__, "run", missing)]
    say_offered(len(records))
    return chosen


def pick(
    label: str,
    options: list[str],
    words: Callable[[str], str],
    key: str,
    missing: DeltaGenerator | None = None,
    first: Callable[[], str] | None = None,
) -> str:
    """A select box whose value stands in the link and survives a change of page and a reload.

    Where none was chosen before it is `first`'s, or the first one. What was chosen before and isn't
    there is said: in `missing` where the box stands in a drawer, else above the box.
    """
    wanted = st.query_params.get(key) or st.session_state.get(f"last {key}")
    if wanted is not None and wanted not in options:
        (missing or st).warning(
            f"The {label.lower()} that was chosen before ({escape_markdown(wanted[:20])}) is not "
            "among those that this page shows."
        )
    shown = hash(tuple(map(words, options)))  # a box of the same key would keep showing old words
    box = f"pick {key} {shown}"

    def follow() -> None:
        st.query_params[key] = st.session_state[box]

    if wanted not in options:
        wanted = first() if first else options[0]
    st.session_state[box] = wanted
    chosen = st.selectbox(label, options, format_func=words, key=box, on_change=follow)
    st.session_state[f"last {key}"] = chosen
    if st.query_params.get(key) != chosen:
        st.query_params[key] = chosen
    return chosen


def decided(record: DatasetRecord) -> Choices:
    """What was decided about a dataset; at first, what its columns look like."""
    choices = load_choices(record.id)
    if choices is None:
        data = open_dataset(record.id)
        cohort = Cohort(
            dataset=record.id, label=suggest_label(data), group=suggest_group(data),
            batch=suggest_batch(data),
        )  # fmt: skip
        choices = Choices(cohort=cohort)
    return choices


BADGES = {
    "error": ":red-badge[:material/block: put right first]",
    "warning": ":orange-badge[:material/warning: look out]",
    "info": ":blue-badge[:material/info: good to know]",
}


def say_finding(finding: Finding, repair: Callable[[], None] | None = None) -> None:
    """One finding, and the button that repairs it where this can be done and one may do it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"{BADGES[finding.severity]} {escape_message(finding.message)}", width="stretch"
        )
        if finding.repair and repair and not only_looks():
            st.button(
                escape_markdown(finding.repair.title), key=f"repair {finding.code}",
                icon=":material/build:", on_click=repair,
            )  # fmt: skip


ROLES = {
    "label": ("Class", define("class")),
    "group": ("Patient", define("patient")),
    "batch": ("Batch or site", define("batch")),
}


def pick_role(record: DatasetRecord, role: Literal["label", "group", "batch"]) -> str | None:
    """A select box for a column's role; the choice is kept and holds on all pages."""
    choices = decided(record)
    title, help = ROLES[role]
    columns = [
        name for name, counts in record.columns.items() if role != "label" or len(counts) > 1
    ]
    now = getattr(choices.cohort, role)
    chosen = st.selectbox(
        title, columns, index=columns.index(now) if now in columns else None,
        key=f"{role} {record.id[:12]}", persist_state="session", help=help,
        placeholder="choose the column" if role == "label" else "none", disabled=only_looks(),
    )  # fmt: skip
    if chosen != now:
        save_choices(record.id, choices.changed(**{role: chosen}))
    return chosen


def say_samples(record: DatasetRecord, choices: Choices) -> None:
    """Which samples are used, when not all of them, and where that is decided."""
    parts = [f"{column} is {', '.join(values)}" for column, values in choices.cohort.where.items()]
    if choices.cohort.leave_out:
        parts.append(f"without {len(choices.cohort.leave_out)} that were left out")
    parts += [f"{old} counts as {new}" for old, new in choices.cohort.merge.items()]
    what = f"samples where {'; '.join(parts)}" if parts else f"all {record.samples:,} samples"
    st.caption(
        f"Of {escape_markdown(record.name)}: {escape_markdown(what)}. Samples and preparation are "
        "chosen on the page Data."
    )


def name_runs(records: Sequence[RunRecord]) -> dict[str, str]:
    """Each run's id -> what select boxes call it: star, name, state; of equal names also when."""
    equal = Counter(record.name for record in records)
    names = {}
    for record in records:
        words = [f"★ {record.name}" if record.starred else record.name]
        words += [] if record.state == "done" else [str(record.state)]
        words += [say_asked(record, "%d %b %H:%M:%S")] if equal[record.name] > 1 else []
        names[record.id] = " · ".join(words)
    return tell_apart(names)


def tell_apart(names: dict[str, str]) -> dict[str, str]:
    """Id -> name, with the beginning of the id where several things have that name."""
    twice = Counter(names.values())
    return {id: f"{name} · {id[:6]}" if twice[name] > 1 else name for id, name in names.items()}


def say_asked(record: RunRecord, form: str = "%d %b %H:%M") -> str:
    """When a run was asked for, by the clock on the wall."""
    return record.created.astimezone().strftime(form)


def starred_first(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs in their order, those with a star before the others."""
    return sorted(records, key=lambda record: not record.starred)


def say_score(record: RunRecord) -> str:
    """A finished run's first score in a few words."""
    try:
        scores = load_result(record.id).metrics
    except GeneCanvasError:
        return DAMAGED
    task = TASKS[record.spec.task]
    if task.has_classes:
        return f"{scores['accuracy']:.1%} right"
    metric = task.metrics[task.first_metric]
    return f"{metric.title} {scores[metric.name]:z.2f}"


def name_dataset(dataset: str) -> str:
    """A stored dataset's name, or the beginning of its id when it was deleted."""
    try:
        return get_record(dataset).name
    except InputError:
        return dataset[:12]


def finished_runs(study: str | None = None) -> list[RunRecord]:
    """Runs that have a result, the newest first.

    Of more than `OFFERED` the last ones, and behind them those that have a star, that the link or
    the session names, and that are of the study.
    """
    store, done = RunStore(), [JobState.DONE]
    found = {one.id: one for one in store.list(Which(states=done), most=OFFERED)}
    if len(found) == OFFERED:
        link = st.query_params
        named = [link.get("run", ""), st.session_state.get("last run", "")]
        named += link.get("runs", "").split(",")
        of_study = Which(states=done, study=study or link.get("study", ""))
        for which in (Which(states=done, starred=True), Which(states=done, ids=named), of_study):
            for record in store.list(which, most=OFFERED):
                found.setdefault(record.id, record)
    return [*found.values()]


def find_runs(runs: Iterable[str]) -> list[RunRecord]:
    """The records of some runs, of those that are in the list."""
    return RunStore().list(Which(ids=[*runs]))


def say_offered(count: int) -> None:
    """Say that there are more finished runs than are offered, where it is so."""
    if count >= OFFERED:
        st.caption(
            f"The last {OFFERED:,} finished runs, those with a star and those of the link. Any "
            "other is found on the page Train and opened from there."
        )


def needs_own_home(what: str) -> bool:
    """Whether one only looks at this home; then it says that something is done in one's own.

    Args:
        what: the beginning of that sentence, such as "Genes can be ranked".
    """
    if not only_looks():
        return False
    st.caption(f"{what} in a home of your own; you are looking at what somebody shares.")
    return True


def show_empty(text: str, button: str, page: str, link: dict[str, str] | None = None) -> None:
    """Say what to do first, with the button that leads to that page, or to a view of it.

    Whoever only looks can't do it: the button leads to what the lab shares; a guest has none.
    """
    if only_looks():
        button, page, link = "What the lab shares", "lab", None
    with st.container(border=True):
        st.markdown(f"## {text}")
        if pages_of_guest() is None and st.button(button, type="primary", key=f"empty {page}"):
            go_to(page, link)


def go_to(page: str, link: dict[str, str] | None = None) -> None:
    """Change to a page, keeping what is chosen, or to the view that a link's parts stand for."""
    open_to_guest = pages_of_guest()
    if open_to_guest is not None and page not in open_to_guest:
        st.toast("A guest sees this page only.")
        return
    # None would have Streamlit refuse to empty a link that holds a widget's value
    st.switch_page(PAGES / f"{page}.py", query_params=link or {})


def go_to_run(run: str) -> None:
    """Change to the page of a run.

    The session knows it too: a live part that asks at that moment makes Streamlit forget the link.
    """
    st.session_state[WANTED_RUN] = run
    go_to("run", {"id": run})


def link_run(run: str) -> None:
    """A button that leads to the page of the run that is looked at."""
    if st.button("Open the run →", key="open run", type="tertiary"):
        go_to_run(run)


def place_chart() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Places for a chart at the top and, at its right, for what is asked and said about it."""
    chart, said = st.columns([3, 2], gap="medium")
    return chart, said


def show_figure(
    figure: go.Figure,
    data: pd.DataFrame | Callable[[], pd.DataFrame],
    name: str,
    *,
    alt: str,
    key: str | None = None,
    select: bool | Literal["lasso"] | Callable[[], None] = False,
    pin: bool = True,
    about: About | None = None,
) -> list[dict]:
    """A chart with, below it, its place in a story, its image as a file and its numbers as CSV.

    Args:
        figure: the chart.
        data: the numbers that it shows, or what makes them.
        name: the name of the files, without ending.
        alt: the chart in words.
        key: the widget's key, by default `name`.
        select: whether clicked points are given back ("lasso": points that are drawn around), or
            what to do at once on a click; `key` in the session state then holds the event.
        pin: whether it can be put on a story; not while it changes by itself.
        about: what stands behind its numbers, said by a button beside it.

    Returns:
        The selected points.
    """
    key = key or name
    lasso = select == "lasso"
    with st.container(gap="xsmall"):
        event = st.plotly_chart(
            figure,
            key=key,
            alt=alt,
            on_select=select if callable(select) else "rerun" if select else "ignore",
            selection_mode=("lasso", "box") if lasso else "points",
            config={
                "displaylogo": False,
                "toImageButtonOptions": {"format": "svg", "filename": name, "scale": 2},
                "modeBarButtonsToRemove": ["autoScale2d"]
                if lasso
                else ["select2d", "lasso2d", "autoScale2d"],
            },
        )
        with st.container(
            horizontal=True,
            horizontal_alignment="right",
            vertical_alignment="center",
            gap="xxsmall",
        ):
            if select and any(trace.name == TARGETS for trace in figure.data):
                GENE_KEYS(key=f"{key} keys", width="content")
            if about:
                show_about(about, key=key)
            if pin:
                offer_pin(name, alt, data, figure, key=key)
            words = {"title": alt, "source": say_source()}
            SAVE_IMAGE(key=f"{key} image", width="content", data=words)
            download_table(data, name, "CSV", key=f"{key} csv", type="tertiary")
    return event["selection"]["points"] if select else []


def pick_row(table: pd.DataFrame, key: str, *, why: str) -> int | None:
    """A table of which one row can be picked; gives its number, or says what picking is for.

    Args:
        table: a row a thing.
        key: of the widget.
        why: what picking a row does, as in "to look at it".
    """
    event = st.dataframe(
        table, hide_index=True, key=key, on_select="rerun", selection_mode="single-row",
        height=min(36 * (len(table) + 1), 500),
    )  # fmt: skip
    rows = [row for row in event["selection"]["rows"] if row < len(table)]
    if rows:
        return rows[0]
    st.caption(f"Click the box before a row {why}.")
    return None


def decimals(table: pd.DataFrame, form: str = "%.3f", **others: str) -> dict[str, dict]:
    """How `st.dataframe` writes a table's fractions: as `form` says, some columns otherwise.

    A pandas Styler would write each cell on the server, which takes longer than all the rest.
    """
    forms = dict.fromkeys(table.select_dtypes("float"), form) | others
    return {
        name: percents() if said == "percent" else st.column_config.NumberColumn(format=said)
        for name, said in forms.items()
    }


def percents(label: str | None = None, *, help: str | None = None) -> dict:
    """How `st.dataframe` writes a column of shares: as percent, with one decimal."""
    return st.column_config.NumberColumn(label, format="percent", step=0.001, help=help)


def download_table(
    table: pd.DataFrame | Callable[[], pd.DataFrame],
    name: str,
    label: str,
    *,
    key: str,
    type: Literal["secondary", "tertiary"] = "secondary",
    finding: str | None = None,
) -> None:
    """A button that saves a table, or what makes it, as CSV that is safe in a spreadsheet.

    Args:
        table: the table, or what makes it.
        name: the file's name, without ending.
        label: what the button is called.
        key: the button's.
        type: how the button looks.
        finding: what the table shows, in a sentence; with it the table can be put on a story.
    """
    if finding is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            download_table(table, name, label, key=key, type=type)
            offer_pin(name, finding, table, key=key)
        return
    download_button(
        label,
        lambda: escape_formulas(table() if callable(table) else table).to_csv(index=False).encode(),
        file_name=f"{name}.csv",
        mime="text/csv",
        on_click="ignore",
        key=key,
        type=type,
    )


def scores_table(result: RunResult) -> pd.DataFrame:
    """A run's scores beside those of the baseline models: models x metrics."""
    models = {"network": result.metrics}
    task = TASKS[result.task]
    models |= {task.baselines[name].title: scores for name, scores in result.baselines.items()}
    table = pd.DataFrame(models).T.rename_axis("model")
    table = table.reindex(columns=task.metrics.names)
    return table.rename(columns={metric.name: metric.title for metric in task.metrics})
