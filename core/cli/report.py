"""`report` and `archive`: runs or a story as one HTML file, a run as a folder to be deposited."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.explain import keep_sets
from core.cli.options import add_choice
from core.cli.output import give
from core.cli.parser import add_command
from core.errors import InputError
from core.evaluation.metrics import METRICS
from core.runs.store import RunStore
from core.stories import find_story


def add_commands(commands: Any) -> None:
    """Add `report` and `archive`."""
    parser = add_command(
        commands,
        "report",
        report,
        "write a finished run, several side by side, or a story as one HTML file",
    )
    parser.add_argument("runs", nargs="*", metavar="run", help="run ids, or their beginnings")
    parser.add_argument("file", type=Path, help="the HTML file, which is written anew")
    _add_sets(parser)
    parser.add_argument("--story", help="a story's title, or the beginning of its id; no runs then")
    add_choice(
        parser, "--metric", METRICS.names, None,
        "the score that several runs are compared by (accuracy, or r2, unless another is named)",
    )  # fmt: skip
    archive = add_command(
        commands, "archive", archive_run, "write a finished run as a folder to be deposited"
    )
    archive.add_argument("run", help="a run's id, or its beginning")
    archive.add_argument("folder", type=Path, help="where to; it must be empty or not there yet")
    _add_sets(archive)


def _add_sets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sets",
        help="gene sets that the top genes of a run are held against: a GMT file, a stored file's "
        "id, or the name of a collection that `data fetch` has fetched",
    )


def report(options: argparse.Namespace) -> int:
    """Write the report of a run, of several, or of a story."""
    # these load plotly, which no other command needs
    from core.report.run import write_run_report
    from core.report.story import write_story_report
    from core.report.study import write_study_report

    if bool(options.story) == bool(options.runs):
        raise InputError("Name either runs or, with --story, a story.")
    if options.story:
        story = find_story(options.story)
        path = write_story_report(story.id, options.file)
        document = {"story": story.id, "file": str(path), "bytes": path.stat().st_size}
        return give(options, document, f"{path} ({document['bytes'] / 1e6:.1f} MB)")
    store = RunStore()
    runs = [store.find_id(run) for run in options.runs]
    if len(runs) == 1:
        if options.metric:
            raise InputError("--metric is what several runs are compared by: name more than one.")
        path = write_run_report(runs[0], options.file, keep_sets(options.sets))
    else:
        if options.sets:
            raise InputError("--sets is for the genes of one run: name one.")
        path = write_study_report(runs, options.file, options.metric)
    document = {"runs": runs, "file": str(path), "bytes": path.stat().st_size}
    return give(options, document, f"{path} ({document['bytes'] / 1e6:.1f} MB)")


def archive_run(options: argparse.Namespace) -> int:
    """Write a run as a folder: report, notebook, tables, metadata."""
    from core.report.archive import write_archive  # loads plotly

    run = RunStore().find_id(options.run)
    folder = write_archive(run, options.folder, keep_sets(options.sets))
    files = sorted(path.name for path in folder.iterdir())
    document = {"run": run, "folder": str(folder), "files": files}
    return give(options, document, f"{folder}: {', '.join(files)}")
