"""Large charts in a report: still pictures that say so, within 10 MB, names as text."""

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from core.images.layout import GeneLayout
from core.plots.data import sample_map
from core.plots.figures import gene_image
from core.report import render as rendering
from core.report.contents import Chart, Report, Section
from core.report.render import render
from core.report.still import draw_still

NAME = "<script>alert(1)</script>"
STILL = "This chart is large and therefore a still picture"


def make_report(*charts: Chart) -> Report:
    return Report("Many genes", "a case", "It fits.", [Section("One", list(charts))], [])


def test_a_report_of_very_many_genes_has_ten_megabytes_at_most() -> None:
    side, rng = 142, np.random.default_rng(0)
    genes = np.array([f"{NAME}{number}" for number in range(20_000)])
    order = rng.permutation(side * side)[: len(genes)]
    layout = GeneLayout("random", genes, order // side, order % side, (side, side))
    means = {f"class {k}": rng.normal(size=len(genes)).astype(np.float32) for k in range(5)}
    chart = Chart(
        "One image.", gene_image(layout, means["class 0"], means=means), layout.table(**means)
    )
    page = render(make_report(*[chart] * 8))
    assert len(page.encode()) < 10_000_000
    assert page.count(STILL) == page.count('class="chart still"') == 8
    assert "as all would be too large" in page
    assert "<script>alert" not in page


def test_only_what_is_large_is_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "LARGE", 4000)
    small = Chart("Small.", go.Figure(go.Scatter(x=[1, 2], y=[3, 4])), pd.DataFrame({"x": [1]}))
    many = np.arange(500.0)
    names = [f"S{number}" for number in range(500)]
    large = Chart(
        "Large.", sample_map(many, many, names, [NAME] * 250 + ["b"] * 250, ("x", "y")),
        pd.DataFrame({"x": many}),
    )  # fmt: skip
    page = render(make_report(small, large))
    assert page.count(STILL) == page.count('class="chart still"') == 1
    assert page.count('data-chart="') == 1
    assert "<script>alert" not in page
    assert "the first 50 of 500 rows; the file has all of them" in page.lower()


def test_a_bar_chart_is_never_still() -> None:
    assert draw_still(go.Figure(go.Bar(x=["a"], y=[1])), 880) is None
    logarithmic = go.Figure(go.Scatter(x=[1, 2], y=[3, 4])).update_xaxes(type="log")
    assert draw_still(logarithmic, 880) is None


def test_pixels_and_points_stand_where_they_belong() -> None:
    figure = go.Figure(go.Heatmap(z=[[0, 1], [1, 0]], colorscale="Viridis", showscale=False))
    figure.update_layout(width=880, height=500)
    figure.update_xaxes(range=[-0.5, 1.5]).update_yaxes(range=[1.5, -0.5])
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="markers", marker={"color": "#112233", "size": 9})
    picture = draw_still(figure, 880)
    left, width = 70 + 0.25 * 700, 700  # margins of 70 and 110: the pixels' centres
    top = 40 + 0.25 * 404  # margins of 40 and 56; the first row is at the top
    assert f'x="70.0" y="40.0" width="{width:.1f}" height="404.0"' in picture
    path = re.search(r'd="(M[^"]*)" stroke="#112233" stroke-width="9"', picture)[1]
    assert path == f"M{left:.1f} {top:.1f}h0M{left + 350:.1f} {top + 202:.1f}h0"
