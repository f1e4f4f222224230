"""Writes `tumours_ready.zip`: a run of the real example as the page Train starts it, and a story.

python assets/make_ready.py

A minute or two. To be made anew when `tests/test_example.py` says that the page would train another
run: because the recipe, or the version of something that it rests on, has changed.
"""

import os
import tempfile
import zipfile
from pathlib import Path

from core.data.choices import Choices
from core.data.cohort import Cohort
from core.data.store import add_dataset
from core.explain.methods import Recipe
from core.home import home, run_folder
from core.jobs.here import do_here
from core.report.story import tell_run
from core.runs.example import ASSETS, NAME, READY, read_tumours
from core.runs.explaining import EvidenceJob, ExplainJob
from core.runs.recipes import fill_recipe
from core.runs.store import RunStore
from core.runs.training import TrainJob
from core.stories import list_files

LEFT_OUT = ("measures", "log.txt")
"""Of a run's folder: what is computed again when it is needed, and what nobody needs."""


def main() -> None:
    """Train, explain, measure the trust card, tell the story; pack what came of it."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["GENECANVAS_HOME"] = place
        record = add_dataset(read_tumours(), NAME)
        cohort = Cohort(dataset=record.id, label="tumour_type", group="patient")
        decided = Choices(cohort=cohort)
        spec = fill_recipe(
            "recommended",
            {"cohort": cohort.model_dump(), "preparation": decided.preparation.model_dump()},
            record.genes,
        )
        run = do_here(TrainJob(spec=spec), print)
        recipe = Recipe("integrated_gradients")
        do_here(ExplainJob(about=run, recipe=recipe), print)
        do_here(EvidenceJob(about=run, recipe=recipe), print)
        RunStore().label(run, tags="example")
        story = tell_run(run).id
        files = [
            path
            for path in sorted(run_folder(run).rglob("*"))
            if path.is_file() and path.relative_to(run_folder(run)).parts[0] not in LEFT_OUT
        ]
        write(READY, [*files, *list_files(story)])
    print(f"{READY.relative_to(ASSETS.parent)}: {READY.stat().st_size / 1e6:.1f} MB, run {run}")


def write(path: Path, files: list[Path]) -> None:
    """Pack files of the home under their places there."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for file in files:
            packed.write(file, file.relative_to(home()))


if __name__ == "__main__":
    main()
