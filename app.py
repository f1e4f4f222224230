"""Starts the app: `streamlit run app.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from core.runs.store import RunStore


@asynccontextmanager
async def reconcile_runs(_: st.App) -> AsyncIterator[None]:
    """When the server starts, see which runs lost their worker while it was down."""
    RunStore().reconcile()
    yield


app = st.App("ui/entry/main.py", lifespan=reconcile_runs)
