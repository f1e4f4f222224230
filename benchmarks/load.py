"""Browser sessions that watch a training: how soon its page answers, and what they cost it.

    OMP_NUM_THREADS=1 python -m benchmarks.load [--sessions 20] [--rounds 4] [--seconds 20]

Starts the app and two runs on simulated data, one of which waits. The sessions speak Streamlit's
own protocol, as a browser does, but draw nothing, so that browsers don't take the processor that is
measured: each opens the page of a run and asks for the page's live parts as often as the page says.
Rounds without and with sessions alternate; the sessions open the page within ten seconds, and the
round begins when all have it. An epoch's time is the time between two ends of epochs in the store,
over their number; on a busy machine its processor seconds say what sessions cost the training
itself, and the clock who else wanted the processors. An answer's time is from the request to the
end of the script.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from statistics import mean, median, quantiles

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="load")

from core.data.simulate import simulate
from core.data.store import add_dataset
from core.jobs.launch import ensure_workers
from core.runs.spec import RunSpec
from core.runs.store import RunStore
from tests.browser import Server, worker_pids


class Session:
    """A browser tab without a screen: it opens the page of a run and keeps its live parts alive."""

    def __init__(self, server: Server, run: str) -> None:
        self.url, self.query = f"ws://127.0.0.1:{server.port}/_stcore/stream", f"id={run}"
        self.opening: list[float] = []
        """Seconds until the whole page stood."""
        self.polling: list[float] = []
        """Seconds until a live part was up to date."""
        self.failures = 0
        """Answers with an exception or an error on the page."""
        self._asked: dict[str, list[float]] = {}
        self._timers: dict[str, asyncio.Task] = {}
        self._page = ""

    async def watch(self) -> None:
        """Look at the page until cancelled."""
        try:
            async with connect(self.url, subprotocols=["streamlit"], max_size=None) as self._socket:
                await self._ask("")
                async for frame in self._socket:
                    self._take(ForwardMsg.FromString(frame))
        finally:
            self._stop_timers()

    async def _ask(self, fragment: str) -> None:
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.fragment_id = self.query, fragment
        asked.is_auto_rerun = bool(fragment)
        asked.page_script_hash, asked.page_name = self._page, "" if self._page else "run"
        self._asked.setdefault(fragment, []).append(time.perf_counter())
        await self._socket.send(message.SerializeToString())

    def _take(self, message: ForwardMsg) -> None:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self._page = message.new_session.page_script_hash
            if not message.metadata.run.fragment_ids:
                self._stop_timers()
        elif kind == "auto_rerun":
            asked = message.auto_rerun
            if timer := self._timers.get(asked.fragment_id):
                timer.cancel()
            self._timers[asked.fragment_id] = asyncio.create_task(
                self._repeat(asked.fragment_id, asked.interval)
            )
        elif kind == "delta":
            shown = message.delta.new_element.WhichOneof("type")
            self.failures += shown == "exception" or (
                shown == "alert" and message.delta.new_element.alert.format == 1
            )
        elif kind == "script_finished":
            for fragment in message.metadata.run.fragment_ids or [""]:
                times = self.polling if fragment else self.opening
                now = time.perf_counter()
                times += [now - asked for asked in self._asked.pop(fragment, [])]

    async def _repeat(self, fragment: str, interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            await self._ask(fragment)

    def _stop_timers(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()


def start_runs() -> str:
    """Queue two runs on simulated data; the id of the one that is trained first."""
    dataset = add_dataset(simulate(300, 1000)[0], "simulated").id
    store = RunStore()
    runs = [
        store.submit(
            RunSpec.parse(
                {
                    "cohort": {"dataset": dataset, "label": "tumour_type", "group": "patient"},
                    "seed": seed,
                    "preparation": {"genes": 1000}, "network": {"image_size": 32},
                    "training": {"epochs": 1000, "precision": "float32"},
                }
            )
        )[0].id
        for seed in range(2)
    ]  # fmt: skip
    ensure_workers()
    return runs[0]


def count_epochs(store: RunStore) -> int:
    """Epochs that are in the store, read as cheaply as can be."""
    with closing(sqlite3.connect(store.path)) as db:
        return db.execute("SELECT count(*) FROM events").fetchone()[0]


async def await_epoch(store: RunStore) -> tuple[int, float]:
    """Wait for the end of the epoch at hand; its number and the time."""
    before = count_epochs(store)
    while (now := count_epochs(store)) == before:
        await asyncio.sleep(0.05)
    return now, time.perf_counter()


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(options: argparse.Namespace, server: Server, run: str) -> None:
    """Alternate rounds without and with sessions, and print what they show."""
    store, sessions = RunStore(), []
    epochs, computing = {0: [], options.sessions: []}, {0: [], options.sessions: []}
    first = Session(server, run)  # its page is slow: everything is imported and torch is asked once
    opening = asyncio.create_task(first.watch())
    while count_epochs(store) < options.after or not first.opening:
        await asyncio.sleep(0.5)
    opening.cancel()
    print(f"the first page of a new server: {first.opening[0]:.2f} s")
    print(f"load {os.getloadavg()[0]:.1f} before, {count_epochs(store)} epochs in the store")
    print(f"{'sessions':>8} {'s an epoch':>11} {'server':>7} {'worker':>7} {'this':>6}  processors")
    for number in [0, options.sessions] * options.rounds:
        tabs = [Session(server, run) for _ in range(number)]
        watching = []
        for tab in tabs:
            watching.append(asyncio.create_task(tab.watch()))
            await asyncio.sleep(random.uniform(0, 10 / number))
        while not all(tab.opening for tab in tabs):
            await asyncio.sleep(0.1)
        first, begin = await await_epoch(store)
        pids = [server.process.pid, *worker_pids(server.home), os.getpid()]
        busy = [processor_seconds(pid) for pid in pids]
        await asyncio.sleep(options.seconds)
        last, end = await await_epoch(store)
        busy = [
            (processor_seconds(pid) - before) / (end - begin)
            for pid, before in zip(pids, busy, strict=True)
        ]
        epochs[number].append((end - begin) / (last - first))
        computing[number].append(busy[1] * epochs[number][-1])
        print(f"{number:8} {epochs[number][-1]:11.3f} "
              + " ".join(f"{share:7.2f}" for share in busy), flush=True)  # fmt: skip
        for task in watching:
            task.cancel()
        for ended in await asyncio.gather(*watching, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                raise RuntimeError("A session lost its connection") from ended
        sessions += tabs
    for title in ("opening", "polling"):
        times = [seconds for session in sessions for seconds in getattr(session, title)]
        print(f"{title}: {len(times)} answers, median {median(times):.2f} s, 95th percentile "
              f"{quantiles(times, n=20)[-1]:.2f} s, worst {max(times):.2f} s")  # fmt: skip
    print(f"errors shown: {sum(session.failures for session in sessions)}")
    for title, values in (("seconds", epochs), ("processor seconds", computing)):
        alone, watched = map(mean, values.values())
        print(f"{title} an epoch: {alone:.3f} alone, {watched:.3f} with {options.sessions} "
              f"sessions, {100 * (watched / alone - 1):+.1f} %")  # fmt: skip
    print(f"load {os.getloadavg()[0]:.1f} after")


def main() -> None:
    """Start everything, measure, end everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=4, help="without and with, so often each")
    parser.add_argument("--seconds", type=float, default=20.0, help="a round takes")
    parser.add_argument("--after", type=int, default=30, help="epochs that are there at the start")
    options = parser.parse_args()
    server = Server(Path(os.environ["GENECANVAS_HOME"]))
    try:
        asyncio.run(measure(options, server, start_runs()))
    finally:
        server.kill()
        store = RunStore()
        for record in store.list():  # the newest first: the worker finds none after its own
            store.cancel(record.id)


if __name__ == "__main__":
    main()
