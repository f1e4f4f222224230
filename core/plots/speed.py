"""Figures of what a computer can do."""

import pandas as pd
import plotly.graph_objects as go

from core.plots.figures import COLOURS, finish


def speed_curves(table: pd.DataFrame) -> go.Figure:
    """Samples a second of each network over the image size, both axes logarithmic.

    Args:
        table: columns network, pixels, samples_per_second.
    """
    figure = go.Figure()
    for place, (network, own) in enumerate(table.groupby("network", sort=False)):
        figure.add_scatter(
            x=own["pixels"], y=own["samples_per_second"], mode="lines+markers", name=network,
            line={"color": COLOURS[place % len(COLOURS)], "width": 2}, marker={"size": 8},
            hovertemplate="%{x} pixels: %{y:.3g} samples/s",
        )  # fmt: skip
    sizes = sorted(table["pixels"].unique().tolist())
    figure.update_xaxes(title_text="Image size, pixels", type="log", tickvals=sizes,
                        ticktext=[str(size) for size in sizes])  # fmt: skip
    figure.update_yaxes(title_text="Samples trained a second", type="log", dtick=1)
    figure.update_layout(height=380)
    return finish(figure, 60)
