"""What was found about a run's data that bears on what its result is worth.

The findings are the data card's own, under the run's choices; they are looked for once, when the
run starts, and travel with its result.
"""

from anndata import AnnData

from core.data.check import check_dataset
from core.data.choices import load_choices
from core.data.notes import Finding
from core.data.roles import suggest_batch
from core.runs.spec import RunSpec
from core.training.tasks import TASKS


def find_doubts(spec: RunSpec, data: AnnData) -> list[Finding]:
    """Look through the samples of a run; what is only good to know is left out.

    Classes are held against the batch that the run or the page Data names, else against the column
    that looks like one.

    Args:
        spec: the run.
        data: its dataset.
    """
    data = spec.cohort.select(data)
    chosen = load_choices(spec.cohort.dataset)
    batch = (
        spec.split.batch or spec.cohort.batch or (chosen and chosen.cohort.batch)
        or suggest_batch(data)
    )  # fmt: skip
    label = spec.cohort.label if TASKS[spec.task].has_classes else None
    card = check_dataset(
        data,
        label,
        spec.cohort.group,
        None if batch == spec.cohort.label else batch,
        spec.preparation,
    )
    return [
        finding
        for finding in card.findings
        if finding.severity != "info" and (label or finding.code != "no_label")
    ]
