"""Whatever a name holds, a chart shows it as it is: plotly would take parts of it for HTML."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from core.evaluation.metrics import METRICS
from core.images.layout import GeneLayout
from core.plots import compare, data, explain, figures, images, predict, runs, whatif

BAD = '<a href="http://h/p">x</a>%{x}'
SHOWN = '&lt;a href=\\"http://h/p\\"&gt;x&lt;/a&gt;%&#123;x}'  # as JSON writes it
TWO = [BAD, "b"]
LAYOUT = GeneLayout("order", np.array(TWO), np.array([0, 1]), np.array([0, 1]), (2, 2))
SCORES = pd.DataFrame(
    {"model": TWO, "kind": "network", "score": 0.5, "low": 0.4, "high": 0.6, "rank": [1.0, 2.0],
     "seconds": 1.0, "gigabytes": 1.0, "parameters": 9}
)  # fmt: skip
EFFECTS = pd.DataFrame(
    {"setting": BAD, "level": TWO, "effect": 1.0, "low": 0.5, "high": 2.0}
)  # fmt: skip
LAW = pd.DataFrame({"n_train": [5.0, 9.0], "score": 0.5, "low": 0.4, "high": 0.6})
EPOCHS = pd.DataFrame(
    {"fold": 0, "epoch": [1, 2], "validation_loss": 1.0, "validation_accuracy": 0.5,
     "validation_macro_f1": 0.5}
)  # fmt: skip
BINS = pd.DataFrame({"n": [4], "confidence": 0.5, "accuracy": 0.5, "low": 0.4, "high": 0.6})
GENES = pd.DataFrame({"gene": TWO, "score": 1.0, "log2fc": 1.0, "rank": [1, 2], "tied": 1})
SETS = pd.DataFrame(
    {"set": TWO, "fdr": 0.1, "nes": 1.0, "count": 2, "score": 1.0, "sd": 0.1, "size": 2, "x": 0.0,
     "y": [0.0, 1.0], "genes": [TWO, TWO]}
)  # fmt: skip
LINKS = pd.DataFrame({"first": [BAD], "second": ["b"], "shared": 1, "overlap": 0.8})
VALUES = np.array([1.0, 2.0])


def marked() -> go.Figure:
    figure = figures.gene_image(LAYOUT, VALUES, marked=TWO)
    figures.mark_clicked(figure, LAYOUT, BAD)
    figures.name_genes(figure, LAYOUT, TWO)
    return figure


def map_with_wrong() -> go.Figure:
    figure = data.sample_map(VALUES, VALUES, TWO, TWO, ("x", "y"))
    wrong = pd.DataFrame({"sample": [BAD], "true": [BAD], "predicted": [BAD]})
    data.mark_wrong(figure, VALUES[:1], VALUES[:1], wrong)
    return figure


FIGURES: dict[str, Callable[[], go.Figure]] = {
    "scores": lambda: compare.score_dots(SCORES, "s", percent=True),
    "ranks": lambda: compare.rank_dots(SCORES, 1.0),
    "cost": lambda: compare.cost_dots(SCORES, "s", percent=True, plain=None, phrase=""),
    "curve": lambda: compare.learning_curves([(BAD, LAW, LAW)], "s", percent=True),
    "answers": lambda: compare.answer_grid(np.eye(2), TWO, TWO, BAD),
    "grid": lambda: compare.score_grid(
        pd.DataFrame(np.eye(2), pd.Index(TWO, name=BAD), pd.Index(TWO, name=BAD)), "s", percent=True
    ),
    "effects": lambda: compare.effect_dots(EFFECTS, METRICS["accuracy"]),
    "reliability": lambda: compare.reliability_diagram({BAD: BINS}),
    "confusion": lambda: compare.confusion_grid(np.eye(2), TWO, percent=False),
    "samples": map_with_wrong,
    "ranges": lambda: data.value_ranges(np.zeros((2, 5)), TWO, "v"),
    "missing": lambda: data.missing_by_class(np.array([1, 2]), 3, TWO),
    "volcano": lambda: explain.volcano(GENES, [BAD], []),
    "set dots": lambda: explain.set_dots(SETS, "nes", "t", "count", "genes"),
    "set bars": lambda: explain.set_bars(SETS, "t"),
    "network": lambda: explain.set_network(SETS, LINKS),
    "running sum": lambda: explain.running_sum(VALUES, np.array([0, 1]), TWO),
    "image": lambda: figures.gene_image(LAYOUT, VALUES, means={BAD: VALUES}),
    "marked": marked,
    "images": lambda: figures.image_grid(LAYOUT, np.eye(2), TWO),
    "runs": lambda: runs.curves_side_by_side({BAD: EPOCHS}),
    "matrix": lambda: runs.confusion_matrix(np.eye(2), TWO),
    "numbers": lambda: data.sample_values(VALUES, VALUES, TWO, VALUES, BAD, ("x", "y")),
    "heat": lambda: data.heat_map(np.zeros((2, 2)), TWO, TWO, {BAD: TWO}),
    "differences": lambda: data.differences(
        pd.DataFrame({"gene": TWO, "log2fc": [1.0, -1.0], "p": 0.001, "fdr": 0.002}), BAD, "b", BAD
    ),
    "sizes": lambda: data.class_sizes({BAD: 1}),
    "expression": lambda: figures.expression_by_class(VALUES, np.array(TWO), BAD),
    "groups": lambda: images.group_image(LAYOUT, np.array(TWO), TWO),
    "recall": lambda: whatif.recall_changes(
        pd.DataFrame({"class": TWO, "samples": 1, "before": 0.5, "after": 0.6})
    ),
    "predicted": lambda: predict.prediction_map(
        pd.DataFrame({"sample": TWO, "kind": ["training", "new"], "group": TWO, "x": VALUES,
                      "y": VALUES, "flagged": True}), [BAD], ("x", "y")
    ),
    "quantiles": lambda: predict.quantile_curves({BAD: VALUES}, "v"),
    "left out": lambda: whatif.drop_curves(
        pd.DataFrame({"class": BAD, "kind": "top", "genes": [1, 2], "accuracy": 0.5, "low": 0.4,
                      "high": 0.6})
    ),
}  # fmt: skip


def shown(figure: go.Figure) -> str:
    """The figure as it is sent, without what only names points to the app."""
    sent = json.loads(figure.to_json())
    for trace in sent["data"]:
        trace.pop("customdata", None)
    return json.dumps(sent, ensure_ascii=False)


@pytest.mark.parametrize("name", FIGURES)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    text = shown(FIGURES[name]())
    assert SHOWN in text
    assert "<a" not in text
    assert "</a>%{x}" not in text


@pytest.mark.parametrize("name", FIGURES)
def test_what_only_names_points_never_stands_in_a_label(name: str) -> None:
    """`customdata` is given back by clicks as it is, so no text of it may be shown."""
    for trace in FIGURES[name]().data:
        held = trace.customdata if "customdata" in trace else None
        if held is None or not len(held):
            continue
        for at, column in enumerate(np.asarray(held, dtype=object).reshape(len(held), -1).T):
            if any("<a" in str(value) for value in column):
                template = trace.hovertemplate or ""
                assert f"customdata[{at}]" not in template
                assert "customdata}" not in template
