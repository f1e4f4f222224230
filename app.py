"""Starts the app: `streamlit run app.py`."""

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.runtime import get_instance

from core.devices import devices
from core.errors import InputError
from core.home import at, homes_inside, serve_people, server_home
from core.jobs.launch import look_after_jobs
from core.jobs.store import JobStore
from core.logs import start_log, wants_json
from core.runs.doctor import tidy
from core.sharing import tidy_shared
from ui.guard import Guard, refuse_open_address
from ui.health import Health
from ui.limits import Limits
from ui.metrics import Metrics, allowed_addresses
from ui.signin import Door, check_sign_in, find_place
from ui.uploads import drop_unclaimed
from ui.watch import Watch, find_request

QUEUE_SECONDS = 5


@asynccontextmanager
async def prepare(_: st.App) -> AsyncIterator[None]:
    """Tidy up, and from then on look after the queue, whether or not a page is open."""
    start_log(sys.stderr, everything=True, find_request=find_request)
    with at(server_home()):  # in which all of this is done, and no page
        tidy_all()
        asking = asyncio.create_task(asyncio.to_thread(devices))  # seconds that no page then waits
        lasting = [asyncio.create_task(collect_garbage()), asyncio.create_task(watch_queue())]
    yield
    for task in lasting:
        task.cancel()
    await asyncio.gather(asking, *lasting, return_exceptions=True)  # pages say what was wrong


def tidy_all() -> None:
    """Tidy up every home, and what is shared."""
    for folder in [server_home(), *homes_inside(server_home())]:
        with at(folder):
            tidy()
            if JobStore.exists():
                JobStore()  # brought up to date, as who only looks at it can't
    tidy_shared()


async def collect_garbage() -> None:
    """Free what Python left in cycles, and uploads that nobody took, each minute.

    Streamlit would do it after each script run, which took nine tenths of the server's time with
    many sessions that poll (benchmarks/results/load.md).
    """
    while True:
        await asyncio.sleep(60)
        runtime = get_instance()
        drop_unclaimed(runtime.uploaded_file_mgr, runtime.is_active_session)
        gc.collect()


async def watch_queue() -> None:
    """See that what is queued is trained, also what a worker that died has left."""
    said = ""
    while True:
        try:
            await asyncio.to_thread(look_after_jobs)
            health.looked_after_queue()
        except Exception as error:  # the next look may go well
            if str(error) != said:
                said = str(error)
                logging.getLogger("genecanvas").warning("The queue is not looked after: %s", said)
        await asyncio.sleep(QUEUE_SECONDS)


try:
    signs_in = check_sign_in()
except InputError as error:
    sys.exit(f"error: {error}")
if refused := refuse_open_address(bool(signs_in)):
    sys.exit(f"error: {refused}")
if signs_in:
    serve_people(find_place)
try:
    wants_json()
    allowed_addresses()
except InputError as error:
    sys.exit(f"error: {error}")
health = Health()
app = st.App(
    "ui/entry/main.py",
    lifespan=prepare,
    middleware=[Middleware(each) for each in (Watch, Guard, Metrics, Door, Limits)],
    routes=[Route("/health", health.answer)],
)
