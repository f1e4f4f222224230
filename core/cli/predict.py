"""`predict`: apply a finished model to other samples."""

import argparse
from pathlib import Path
from typing import Any

from core.cli.options import add_choice, add_data_options, given_cohort, read_data, take_roles
from core.cli.output import Progress, give
from core.cli.parser import add_command
from core.data.cohort import Cohort
from core.data.store import add_dataset
from core.errors import InputError
from core.escape import write_csv
from core.files import write_atomic
from core.predict.model import load_model
from core.predict.predicting import predict_here
from core.predict.request import PredictRequest
from core.predict.sent import find_model, import_model
from core.predict.together import TOGETHER
from core.predict.words import describe_flags, describe_match, describe_scores

MOST_CALLED = 20
"""Classes that are listed."""


def add_commands(commands: Any) -> None:
    """Add `predict`."""
    parser = add_command(
        commands, "predict", predict, "apply a finished model to samples of another cohort"
    )
    parser.add_argument(
        "model", help="a model folder or a zip file of one, or the id of a run or of a model that "
        "was sent, or its beginning",
    )  # fmt: skip
    add_data_options(parser)
    add_choice(
        parser, "--together", TOGETHER.names, "none", "how the values are brought to training's"
    )
    parser.add_argument(
        "--merge", action="append", default=[], metavar="CLASS=CLASS",
        help="a class of the samples, and which class of the model it is; may be given several "
        "times",
    )  # fmt: skip
    parser.add_argument(
        "--two-groups", action="store_true",
        help="of a model of two classes: seek the threshold between them in these samples' scores",
    )  # fmt: skip
    parser.add_argument("--csv", type=Path, help="CSV of all calls, a row a sample")
    parser.add_argument("--report", type=Path, help="a report of it all, as one HTML file")


def predict(options: argparse.Namespace) -> int:
    """Whether the model fits, and what it calls; where it doesn't fit nothing is called."""
    model = load_model(_find_model(options.model))
    take_roles(options)
    merge = _read_merge(options.merge)
    if merge and options.label is None:
        raise InputError("--merge is about known classes: name their column with --label.")
    data = read_data(options)
    cohort = Cohort(**given_cohort(options), merge=merge)
    cohort.select(data)  # complains before anything is stored
    dataset = add_dataset(data, Path(options.data).stem).id
    asked = PredictRequest(
        model=model.id, cohort=cohort.changed(dataset=dataset), together=options.together,
        two_groups=options.two_groups,
    )  # fmt: skip
    said = Progress()

    def progress(share: float, text: str) -> None:
        said(text, share == 1)

    found = predict_here(asked, progress)
    card = found.match
    if options.csv:
        write_atomic(options.csv, lambda path: write_csv(found.calls, path))
    if options.report:
        from core.report.prediction import write_prediction_report  # loads plotly

        write_prediction_report(asked, options.report)
    summary = found.summary
    lines = [*describe_match(card), "", describe_flags(summary), *summary.notes]
    called = sorted(summary.called.items(), key=lambda item: -item[1])
    lines += [f"  {name}: {n}" for name, n in called[:MOST_CALLED] if n]
    if summary.agreement is not None:
        lines.append(
            f"The tuned linear model names the same class for {summary.agreement:.1%} of the "
            "samples."
        )
    if summary.scores:
        lines.append(describe_scores(summary.scores, model.task))
    document = {
        "model": model.id,
        "request": asked.model_dump(mode="json"),
        "match": card.model_dump(mode="json"),
        "summary": summary.model_dump(mode="json"),
        "csv": str(options.csv) if options.csv else None,
        "report": str(options.report) if options.report else None,
    }
    return give(options, document, "\n".join(lines))


def _find_model(text: str) -> str:
    """The id of a run or of a model that was sent; a model folder is imported first."""
    if Path(text).exists():
        return import_model(Path(text))
    return find_model(text)


def _read_merge(texts: list[str]) -> dict[str, str]:
    """Class of the samples -> class of the model; raises InputError unless it is CLASS=CLASS."""
    merge = {}
    for text in texts:
        known, equals, named = text.rpartition("=")
        if not (known and equals and named):
            raise InputError(f"--merge expects CLASS=CLASS, got {text!r}.")
        merge[known] = named
    return merge
