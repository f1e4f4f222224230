"""What this computer can do: how quickly it trains which network, at the foot of the page Train."""

import pandas as pd
import streamlit as st

from core.errors import InputError
from core.escape import escape_markdown
from core.plots.speed import speed_curves
from core.runs.speed import cancel_speeds, load_speeds, request_speeds, speeds_state
from ui.about import About
from ui.parts import show_figure
from ui.predict import is_working


def show_speed() -> None:
    """A closed part of the page; it is measured when it is asked for, once."""
    with st.expander(
        "What this computer can do", on_change="rerun", key="speed", icon=":material/speed:"
    ) as part:
        if not part.open:
            return
        state = speeds_state()
        if state.state != "done" and is_working(state, speeds_state, "Measuring", cancel_speeds):
            return
        if state.state == "done":
            _show_found()
        _offer(again=state.state == "done")


def _offer(*, again: bool) -> None:
    if not again:
        st.caption(
            "Each network is trained on a few batches of made-up samples, at four image sizes. It "
            "takes a few minutes without a GPU, begins when no run is being trained, and is kept: "
            "from then on the time that a run will take is known at once where it was measured."
        )
    if st.button("Measure again" if again else "Measure", key="measure speed"):
        request_speeds()
        st.rerun()


def _show_found() -> None:
    found = load_speeds()
    if found is None:  # measured anew by another session
        raise InputError("The measurement is being made again. Reload the page.")
    table = found.table()
    first = table.iloc[table["samples_per_second"].argmax()]
    st.markdown(
        f"This computer ({escape_markdown(found.device)}) trains "
        f"**{first['samples_per_second']:.0f} samples a second** with {first['network']} at "
        f"{first['pixels']} pixels."
    )
    wide = table.pivot(index="network", columns="pixels", values="samples_per_second")
    wide = wide.loc[table["network"].unique()].rename(columns=lambda pixels: f"{pixels} px")
    columns = st.columns(2, gap="large")
    with columns[0]:
        said = wide.map(lambda speed: "–" if pd.isna(speed) else f"{speed:.3g}")
        st.dataframe(said.rename_axis(index="Samples a second"))
        st.caption(
            f"Measured on {found.measured:%d %B %Y}: batches of 32, all of the network trained, "
            "the head that looks at all stages. – was not tried, because a batch of the next "
            "smaller size takes more than five seconds."
        )
    with columns[1]:
        show_figure(
            speed_curves(table), table, "speed",
            alt="Samples trained a second over the image size, one line a network",
            about=About(
                "Samples a second that each network is trained on, at each image size.",
                "The median of three batches of 32 made-up samples for each point.",
                "All of a network is trained, from values that are no data of yours. Reading data, "
                "testing and plain models come on top.",
                "Use it to choose a network and an image size that this computer can bear. What "
                "else the computer did at that moment made it slower.",
            ),
        )  # fmt: skip
