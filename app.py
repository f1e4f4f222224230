"""Starts the app: `streamlit run app.py`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st

from core.devices import devices
from core.runs.store import RunStore


@asynccontextmanager
async def prepare(_: st.App) -> AsyncIterator[None]:
    """See which runs lost their worker while the server was down, and which devices there are."""
    RunStore().reconcile()
    asking = asyncio.create_task(asyncio.to_thread(devices))  # seconds that no page then waits
    yield
    await asyncio.gather(asking, return_exceptions=True)  # what is wrong stands on the pages


app = st.App("ui/entry/main.py", lifespan=prepare)
