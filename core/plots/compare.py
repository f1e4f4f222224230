"""Figures of the Compare page: scores with intervals, ranks, grids, effects, calibration."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.escape import escape_all, escape_chart
from core.evaluation.metrics import Metric
from core.plots.figures import COLOURS, SEQUENTIAL, finish

GREY = "#888888"
STYLES = {
    "network": (COLOURS[0], "circle"),
    "baseline": (COLOURS[1], "diamond"),
    "control": (GREY, "x"),
}


def score_dots(table: pd.DataFrame, title: str, *, percent: bool) -> go.Figure:
    """Scores with their 95 % intervals, a row a model.

    Args:
        table: columns model, kind (network or baseline), score, low, high; low and high may be NaN.
        title: the score's name.
        percent: whether it is a share.
    """
    figure = go.Figure()
    for kind, rows in table.groupby("kind", sort=False):
        colour, symbol = STYLES[str(kind)]
        figure.add_scatter(
            x=rows["score"], y=escape_all(rows["model"]), name=str(kind), mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 11},
            error_x={
                "type": "data", "symmetric": False, "array": rows["high"] - rows["score"],
                "arrayminus": rows["score"] - rows["low"], "thickness": 2,
            },
            customdata=rows[["low", "high"]],
            hovertemplate="%{y}: %{x:.3f} (%{customdata[0]:.3f} to %{customdata[1]:.3f})"
            "<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text=f"{title}, 95 % interval", tickformat=".0%" if percent else None)
    _list_rows(figure, escape_all(table["model"]), extra=120)
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    return finish(figure, 36)


def rank_dots(table: pd.DataFrame, critical_difference: float) -> go.Figure:
    """Mean ranks, best first, each with half the critical difference to either side.

    Two setups whose bars don't overlap differ at the 5 % level, all pairs considered.

    Args:
        table: columns model, kind, rank.
        critical_difference: of `rank_models`.
    """
    table = table.sort_values("rank")
    figure = go.Figure()
    for kind, rows in table.groupby("kind", sort=False):
        colour, symbol = STYLES[str(kind)]
        figure.add_scatter(
            x=rows["rank"], y=escape_all(rows["model"]), name=str(kind), mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 11},
            error_x={"type": "constant", "value": critical_difference / 2, "thickness": 2},
            hovertemplate="%{y}: mean rank %{x:.2f}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="mean rank (1 is best), half a critical difference each way")
    _list_rows(figure, escape_all(table["model"]), extra=120)
    figure.update_layout(legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    return finish(figure, 36)


def cost_dots(
    table: pd.DataFrame, title: str, *, percent: bool, plain: float | None, phrase: str
) -> go.Figure:
    """Scores with their intervals against what they cost: seconds, memory and parameters.

    Args:
        table: columns model, kind, score, low, high, seconds, gigabytes, parameters; low, high and
            gigabytes may be NaN.
        title: the score's name.
        percent: whether it is a share.
        plain: the score of the plain model, drawn as a line; None leaves it out.
        phrase: what that model is called.
    """
    columns = {
        "seconds": "seconds per run",
        "gigabytes": "GB of memory",
        "parameters": "parameters",
    }
    marks = []
    for number, row in enumerate(table.itertuples()):
        name = escape_chart(row.model)
        colour = GREY if row.kind == "control" else COLOURS[number % len(COLOURS)]
        error = {
            "type": "data", "symmetric": False, "array": [row.high - row.score],
            "arrayminus": [row.score - row.low], "thickness": 2,
        }  # fmt: skip
        marks += [
            go.Scatter(
                x=[getattr(row, cost)], y=[row.score], xaxis=f"x{place}", name=name,
                mode="markers", legendgroup=name, showlegend=place == 1, error_y=error,
                marker={"color": colour, "symbol": STYLES[row.kind][1], "size": 11},
                hovertemplate=f"{name}: %{{y:.3f}}, %{{x:,.3~g}}<extra></extra>",
            )
            for place, cost in enumerate(columns, 1)
        ]  # fmt: skip
    axes = {
        f"xaxis{place}": {
            "type": "log", "title": {"text": words}, "domain": [(place - 1) / 3 + 0.02, place / 3],
        }
        for place, words in enumerate(columns.values(), 1)
    }  # fmt: skip
    figure = go.Figure(
        marks,
        {
            **axes, "height": 420 + 22 * len(table),
            "yaxis": {"title": {"text": title}, "tickformat": ".1~%" if percent else None},
            "legend": {"orientation": "h", "y": -0.22, "yanchor": "top"},
        },
    )  # fmt: skip
    if plain is not None:
        figure.add_shape(
            type="line", xref="paper", x0=0, x1=1, y0=plain, y1=plain,
            line={"color": GREY, "dash": "dot"},
            label={"text": phrase, "textposition": "end"},
        )  # fmt: skip
    return finish(figure, 20)


def learning_curves(
    curves: Sequence[tuple[str, pd.DataFrame, pd.DataFrame]], title: str, *, percent: bool
) -> go.Figure:
    """Scores by the number of training samples, with the fitted law and its 95 % range.

    Args:
        curves: name, measured points (n_train, score) and law (n_train, score, low, high) of each.
        title: the score's name.
        percent: whether it is a share.
    """
    figure = go.Figure()
    for number, (model, points, law) in enumerate(curves):
        name = escape_chart(model)
        colour = COLOURS[number % len(COLOURS)]
        beyond = law["n_train"] >= points["n_train"].max()
        figure.add_scatter(
            x=[*law["n_train"], *law["n_train"][::-1]], y=[*law["high"], *law["low"][::-1]],
            fill="toself", fillcolor=colour, opacity=0.15, line={"width": 0}, hoverinfo="skip",
            showlegend=False, legendgroup=name,
        )  # fmt: skip
        for part, dash in ((law[~beyond | (law["n_train"] == points["n_train"].max())], "solid"),
                           (law[beyond], "dash")):  # fmt: skip
            figure.add_scatter(
                x=part["n_train"], y=part["score"], mode="lines", showlegend=False,
                legendgroup=name, line={"color": colour, "dash": dash},
                customdata=part[["low", "high"]],
                hovertemplate=f"{name}, %{{x:.0f}} samples: %{{y:.3f}} "
                "(%{customdata[0]:.3f} to %{customdata[1]:.3f})<extra></extra>",
            )  # fmt: skip
        figure.add_scatter(
            x=points["n_train"], y=points["score"], name=name, mode="markers", legendgroup=name,
            marker={"color": colour, "size": 11},
            hovertemplate=f"{name}, %{{x:.0f}} samples: %{{y:.3f}} measured<extra></extra>",
        )  # fmt: skip
    marks = sorted({round(n) for _, _, law in curves for n in _marks(law["n_train"])})
    figure.update_xaxes(
        type="log", title_text="training samples (dashed: extrapolated)", tickvals=marks,
        ticktext=[str(n) for n in marks],
    )  # fmt: skip
    figure.update_yaxes(title_text=title, tickformat=".0%" if percent else None)
    figure.update_layout(height=440, legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    return finish(figure, 36)


def _marks(sizes: pd.Series) -> list[float]:
    """The largest number of samples, halved as often as there are numbers."""
    marks = [float(sizes.max())]
    while marks[-1] / 2 >= 0.99 * sizes.min():
        marks.append(marks[-1] / 2)
    return marks


def answer_grid(
    proba: np.ndarray, rows: Sequence[str], classes: Sequence[str], label: str
) -> go.Figure:
    """The probabilities that each run gave one sample; its own class is marked.

    Args:
        proba: (rows, classes).
        rows: what each row is, all different.
        classes: their names.
        label: the class that the sample is labelled as.
    """
    names = escape_all(f"▶ {name}" if name == label else name for name in classes)
    figure = go.Figure(
        go.Heatmap(
            z=proba, x=names, y=escape_all(rows), zmin=0, zmax=1, colorscale="Blues", xgap=1,
            ygap=1, texttemplate="%{z:.0%}", showscale=False,
            hovertemplate="%{y}: %{x} %{z:.1%}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(type="category", side="top")
    figure.update_yaxes(autorange="reversed", type="category", automargin=True)
    figure.update_layout(height=110 + 26 * len(rows))
    return finish(figure, 60)


def score_grid(table: pd.DataFrame, title: str, *, percent: bool) -> go.Figure:
    """Scores of two settings' levels as a heat map; an empty cell has no run.

    Args:
        table: levels of one setting in the index, of another in the columns, scores in the cells.
        title: the score's name.
        percent: whether it is a share.
    """
    form = ".1%" if percent else ".3f"
    figure = go.Figure(
        go.Heatmap(
            z=table.to_numpy(float), x=escape_all(table.columns),
            y=escape_all(table.index), colorscale=SEQUENTIAL, xgap=2, ygap=2,
            texttemplate=f"%{{z:{form}}}", hoverongaps=False,
            colorbar={"title": {"text": title, "side": "right"}, "thickness": 12,
                      "tickformat": ".0%" if percent else None},
            hovertemplate=f"%{{y}}, %{{x}}: %{{z:{form}}}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(title_text=escape_chart(str(table.columns.name)), type="category")
    figure.update_yaxes(
        title_text=escape_chart(str(table.index.name)), type="category", autorange="reversed",
        automargin=True,
    )  # fmt: skip
    figure.update_layout(height=140 + 44 * len(table))
    return finish(figure, 36)


def effect_dots(table: pd.DataFrame, metric: Metric) -> go.Figure:
    """What each level of each setting does, with its 95 % interval.

    Args:
        table: columns setting, level, effect, low, high; low and high may be NaN.
        metric: the score that the effects are of.
    """
    names = pd.Series(escape_all(table["setting"] + " = " + table["level"]), table.index)
    figure = go.Figure()
    for number, (setting, rows) in enumerate(table.groupby("setting", sort=False)):
        figure.add_scatter(
            x=rows["effect"], y=names[rows.index], name=escape_chart(str(setting)), mode="markers",
            marker={"color": COLOURS[number % len(COLOURS)], "size": 11},
            error_x={
                "type": "data", "symmetric": False, "array": rows["high"] - rows["effect"],
                "arrayminus": rows["effect"] - rows["low"], "thickness": 2,
            },
            hovertemplate=f"%{{y}}: %{{x:+{metric.digits}}}{metric.unit}<extra></extra>",
        )  # fmt: skip
    figure.add_vline(0, line={"color": GREY, "dash": "dot"})
    figure.update_xaxes(title_text=f"{metric.counted} from the mean over all levels, 95 % interval")
    _list_rows(figure, names, extra=100)
    figure.update_layout(showlegend=False)
    return finish(figure, 20)


def reliability_diagram(bins: Mapping[str, pd.DataFrame]) -> go.Figure:
    """How often predictions are right against how sure they are, with Wilson intervals.

    Args:
        bins: model -> columns n, confidence, accuracy, low, high (of `metrics.reliability`).
    """
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", name="as sure as right", hoverinfo="skip",
        line={"color": GREY, "dash": "dot"},
    )  # fmt: skip
    for number, (model, rows) in enumerate(bins.items()):
        figure.add_scatter(
            x=rows["confidence"], y=rows["accuracy"], name=escape_chart(model),
            mode="lines+markers", line={"color": COLOURS[number % len(COLOURS)], "width": 1.5},
            marker={"size": 5 + 16 * np.sqrt(rows["n"] / rows["n"].sum())},
            error_y={
                "type": "data", "symmetric": False, "array": rows["high"] - rows["accuracy"],
                "arrayminus": rows["accuracy"] - rows["low"], "thickness": 1,
            },
            customdata=rows["n"],
            hovertemplate="sure %{x:.0%}, right %{y:.0%}, n = %{customdata}<extra></extra>",
        )  # fmt: skip
    figure.update_xaxes(title_text="probability of the named class", range=[0, 1.02],
                        tickformat=".0%")  # fmt: skip
    figure.update_yaxes(title_text="share right", range=[0, 1.02], tickformat=".0%")
    figure.update_layout(height=460, legend={"orientation": "h", "y": 1, "yanchor": "bottom"})
    return finish(figure, 36)


def confusion_grid(counts: np.ndarray, classes: Sequence[str], *, percent: bool) -> go.Figure:
    """True classes in rows, predicted in columns, coloured by the share of the row.

    Args:
        counts: (classes, classes).
        classes: their names, in the order of `counts`.
        percent: whether to write row percentages instead of counts.
    """
    counts = np.asarray(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = escape_all(classes)
    text = [[_say_cell(n, part, percent) for n, part in zip(*row, strict=True)]
            for row in zip(counts, share, strict=True)]  # fmt: skip
    figure = go.Figure(
        go.Heatmap(
            z=share, x=names, y=names, zmin=0, zmax=1, colorscale="Blues",
            text=text, texttemplate="%{text}", showscale=False, xgap=1, ygap=1, customdata=counts,
            hovertemplate="true %{y}, predicted %{x}: %{customdata} (%{z:.0%})<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(autorange="reversed", title_text="true", type="category", automargin=True)
    figure.update_xaxes(title_text="predicted", type="category")
    figure.update_layout(height=170 + 30 * len(classes))
    return finish(figure, 20)


def _say_cell(count: int, share: float, percent: bool) -> str:
    if count == 0:
        return ""
    return f"{share:.0%}" if percent else str(count)


def _list_rows(figure: go.Figure, names: Sequence[str], *, extra: int) -> None:
    """A row a name, the first on top."""
    figure.update_yaxes(
        autorange="reversed", automargin=True, categoryorder="array", categoryarray=list(names)
    )
    figure.update_layout(height=extra + 34 * len(names))
