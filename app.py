"""Starts the app: `streamlit run app.py`."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime import get_instance

from core.devices import devices
from core.runs.store import RunStore
from ui.guard import Guard
from ui.uploads import drop_unclaimed


@asynccontextmanager
async def prepare(_: st.App) -> AsyncIterator[None]:
    """See which runs lost their worker while the server was down, and which devices there are."""
    RunStore().reconcile()
    asking = asyncio.create_task(asyncio.to_thread(devices))  # seconds that no page then waits
    collecting = asyncio.create_task(collect_garbage())
    yield
    collecting.cancel()
    await asyncio.gather(asking, collecting, return_exceptions=True)  # pages say what was wrong


async def collect_garbage() -> None:
    """Free what Python left in cycles, and uploads that nobody took, each minute.

    Streamlit would do it after each script run, which took nine tenths of the server's time with
    many sessions that poll (docs/benchmarks.md).
    """
    while True:
        await asyncio.sleep(60)
        runtime = get_instance()
        drop_unclaimed(runtime.uploaded_file_mgr, runtime.is_active_session)
        gc.collect()


app = st.App("ui/entry/main.py", lifespan=prepare, middleware=[Middleware(Guard)])
