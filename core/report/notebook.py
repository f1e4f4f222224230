"""A finished run as a Jupyter notebook that goes its way again, through the public door."""

import pprint
from typing import Any

from core import __version__
from core.escape import escape_markdown
from core.runs.result import headline, load_result, load_spec

FORMAT = {"nbformat": 4, "nbformat_minor": 5}
"""The version of the notebook format, which is plain JSON."""


def make_notebook(run: str, source: str) -> dict[str, Any]:
    """The notebook of a finished run, without outputs.

    Args:
        run: its id.
        source: the name of the file that its dataset came from.

    Raises:
        InputError: the run has no result, or is damaged.
    """
    spec, result = load_spec(run), load_result(run)
    document = pprint.pformat(spec.model_dump(mode="json"), sort_dicts=False, width=96)
    cells = [
        _say(
            f"# Run {run}",
            escape_markdown(spec.title()),
            escape_markdown(headline(run)),
            f"Written by GeneCanvas {__version__}.",
        ),
        _do("import pandas as pd", "import plotly.express as px", "", "import genecanvas as gcv"),
        _say(
            "## What was asked",
            "Everything that decides the run. The dataset is named by the SHA-256 of its content.",
        ),
        _do(f"spec = gcv.RunSpec.parse({document})", "spec.id"),
        _say(
            "## The run",
            "Where it was trained it stands in the home. Elsewhere, read the file that the dataset "
            "came from and have it trained: the same question gives the same run.",
        ),
        _do(
            f"run = gcv.Run({run!r})",
            f"# run = gcv.fit(gcv.read({source!r}), spec)",
            "run.headline",
        ),
        _do(
            'scores = pd.DataFrame({"network": run.metrics} | run.baselines)',
            "scores",
        ),
    ]
    if result.confusion:
        cells += [
            _say("## What was taken for what"),
            _do('pd.crosstab(run.predictions["true"], run.predictions["predicted"])'),
        ]
    cells += [
        _say(
            "## Which genes decided",
            "Integrated gradients of the held-out samples; computed unless they stand.",
        ),
        _do(
            'found = run.explain("integrated_gradients")',
            'found.genes[found.genes["rank"] <= 5][["class", "rank", "gene", "score"]]',
        ),
        _say("The mean score of each gene for the first class, where it stands on the image."),
        _do(
            "layout = run.folds[0].layout",
            'first = found.genes["class"].iloc[0]',
            'genes = found.genes[found.genes["class"] == first].set_index("gene")["score"]',
            "image = layout.image(genes.reindex(layout.genes).fillna(0).to_numpy())",
            'px.imshow(image, color_continuous_scale="RdBu_r", color_continuous_midpoint=0)',
        ),
        _say("## All of it as one file"),
        _do('run.report("report.html")'),
    ]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {**FORMAT, "metadata": {"kernelspec": kernel}, "cells": cells}


def _say(*paragraphs: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": "\n\n".join(paragraphs)}


def _do(*lines: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "metadata": {}, "source": "\n".join(lines), "outputs": [],
        "execution_count": None,
    }  # fmt: skip
