"""A story out of the charts of a run's report; and the report of a story, to be read."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from core import __version__
from core.errors import DamageError, InputError
from core.plots.stage import restore_figure
from core.report.contents import Block, Chart, Remark, Report, Section, Table, Text
from core.report.render import write_report
from core.report.run import report_run
from core.runs.result import load_result, load_spec
from core.stories import (
    LONGEST_CAPTION,
    Pinned,
    Story,
    View,
    check_figure,
    create_story,
    keep_table,
    load_story,
    load_view,
    pin,
)

MOST_COLUMNS = 40
"""Of a table; one of more is turned around."""


def tell_run(run: str) -> Story:
    """A new story of a finished run: the charts of its report, each with its finding.

    Raises InputError as `report_run` does.
    """
    report, result, spec = report_run(run), load_result(run), load_spec(run)
    data = {"dataset": spec.cohort.dataset[:12]}
    pages = {
        "Data": ("data", data),
        "Gene-images": ("images", data),
        "Genes": ("explain", {"run": run}),
    }
    source = f"{spec.title()} · {result.n_test:,} samples held out"
    views = []
    for section in report.sections:
        page, link = pages.get(section.title, ("run", {"id": run}))
        for block in section.blocks:
            if isinstance(block, Chart):
                view = View(
                    page=page, link=link, name=section.title.lower().replace(" ", "_"),
                    finding=block.finding[:LONGEST_CAPTION], source=source[:LONGEST_CAPTION],
                    figure=json.loads(block.figure.to_json()), table=keep_table(block.data),
                    pinned=datetime.now(UTC), version=__version__,
                )  # fmt: skip
                check_figure(view)
                views.append(view)
    story = create_story(report.title)
    for view in views:
        story = pin(story.id, view, view.finding)
    return story


def report_story(story: str) -> Report:
    """The report of a story; notes for the speaker are left out.

    A view that is damaged costs itself alone: the report says so in its place.

    Raises:
        InputError: there is no such story, or nothing is pinned to it.
    """
    found = load_story(story)
    if not found.views:
        raise InputError(f"Nothing is pinned to the story “{found.title}” yet.")
    views = f"{len(found.views)} view{'s' if len(found.views) > 1 else ''}"
    return Report(
        title=found.title,
        subtitle=f"Story {found.id} · {datetime.now(UTC).astimezone():%-d %B %Y}",
        headline=f"{views}, as they were when they were pinned.",
        sections=[
            _tell_view(story, pinned, number) for number, pinned in enumerate(found.views, 1)
        ],
        references=[],
    )


def write_story_report(story: str, path: Path) -> Path:
    """Write the report of a story as one HTML file; returns its absolute path.

    Raises InputError as `report_story` does.
    """
    write_report(report_story(story), path)
    return path.absolute()


def _tell_view(story: str, pinned: Pinned, number: int) -> Section:
    """A view under its caption, or where that is the chart's own sentence, under its name."""
    try:
        view = load_view(story, pinned.view)
        table = pd.DataFrame(list(view.table.rows), columns=list(view.table.columns))
        if len(table.columns) > MOST_COLUMNS:  # such as a gene in each
            table = table.set_index(table.columns[0]).T.reset_index(names="")
        shown: Block
        if view.figure is None:
            shown = Table(view.finding, table)
        else:
            shown = Chart(view.finding, restore_figure(view.figure), table)
    except DamageError as error:
        return Section(pinned.caption or f"View {number}", [Remark("error", str(error))])
    when = f"{view.pinned.astimezone():%-d %B %Y}, GeneCanvas {view.version}"
    said = ". ".join(part for part in (view.source, f"Pinned {when}") if part)
    title = pinned.caption
    if title in ("", view.finding):
        name = view.name.replace("_", " ").strip()
        title = f"{number}. {name[:1].upper()}{name[1:]}"
    return Section(title, [shown, Text(f"{said}.")])
