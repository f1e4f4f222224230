"""Ten people on one server, one of them hostile: what was tried, and what was seen or lost.

    OMP_NUM_THREADS=1 python -m benchmarks.sharing [--sessions 60] [--rounds 2]

Starts the app behind a trusted header, as a proxy on 127.0.0.2 would reach it. Each person has a
dataset with a group, a story, a tissue and, of an earlier home, two finished runs, under names that
hold a word of their own, and a link for a guest. The sessions speak Streamlit's protocol
(tests/sessions.py). Nine people open their own pages, again and again; the tenth opens all pages
with the others' ids, guesses links and files, forges headers and cookies, takes up others'
sessions, and sends path tricks and an upload that is too large. Every byte that comes back is
searched for the other people's words; in the end every home is compared, file by file, with what it
was.
"""

import argparse
import asyncio
import hashlib
import os
import random
import secrets
import shutil
import tempfile
import time
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

from websockets.exceptions import WebSocketException

os.environ["GENECANVAS_HOME"] = tempfile.mkdtemp(prefix="sharing")
os.environ["GENECANVAS_SIGN_IN"] = "header"
os.environ["GENECANVAS_TRUSTED_HEADER"] = "X-Forwarded-User"
os.environ["GENECANVAS_TRUSTED_PROXY"] = "127.0.0.2"
os.environ["FORWARDED_ALLOW_IPS"] = "127.0.0.2"

from core import sharing
from core.data.groups import keep_group
from core.data.simulate import simulate
from core.data.store import add_dataset
from core.home import at, home, server_home
from core.people import welcome
from core.runs.store import RunStore
from core.stories import create_story
from core.tissue.simulate import simulate_tissue
from core.tissue.store import add_tissue
from tests.browser import Server
from tests.earlier_homes import LATEST, unpack_home
from tests.sessions import Tab

PROXY, OTHER, HEADER = "127.0.0.2", "127.0.0.3", "X-Forwarded-User"
PEOPLE = 10
PAGES = {
    "data": ("dataset", "dataset"), "images": ("dataset", "dataset"),
    "train": ("dataset", "dataset"), "run": ("id", "run"), "compare": ("runs", "run"),
    "explain": ("run", "run"), "predict": ("run", "run"), "tissue": ("tissue", "tissue"),
    "transfer": ("target", "dataset"), "story": ("id", "story"), "present": ("story", "story"),
}  # fmt: skip
"""Page -> the part of its link that names a thing, and the kind of thing."""
TRICKS = [
    "../people", "../../people.yaml", "..%2f..%2fpeople.yaml", "/etc/passwd", "%00", "x" * 5000,
    "<script>alert(1)</script>", "' OR 1=1 --", "lab", "server",
]  # fmt: skip
LARGE = 1100 * 10**6
"""Bytes of an upload that is larger than the server takes."""


class Person:
    """One of the lab, with things that only they know."""

    def __init__(self, number: int) -> None:
        self.name = f"person{number}@lab.org"
        self.word = f"Word{secrets.token_hex(6)}"
        """In the name of each thing of theirs."""
        with at(server_home()):
            self.home = welcome(self.name).home
        with at(self.home):
            self.ids = fill(number, self.word)
            self.token = sharing.invite("story", self.ids["story"])

    def tab(self, **changes: object) -> Tab:
        """A session that the proxy lets in under their name."""
        return Tab(**({"url": SERVER.url, "headers": {HEADER: self.name}, "address": PROXY}
                      | changes))  # fmt: skip


def fill(number: int, word: str) -> dict[str, str]:
    """Put a thing of each kind into the home that is open; gives their ids."""
    place = Path(tempfile.mkdtemp())
    unpack_home(LATEST, place / "home")
    for path in (place / "home").iterdir():
        shutil.move(path, home() / path.name)
    shutil.rmtree(place)
    for run in RunStore().list():
        RunStore().label(run.id, name=f"{word} run", note=word)
    dataset = add_dataset(simulate(60, 200, seed=100 + number)[0], f"{word} cohort").id
    keep_group(dataset, f"{word} group", [f"S{n}" for n in range(3)])
    return {
        "dataset": dataset,
        "run": next(run.id for run in RunStore().list() if run.state == "done"),
        "story": create_story(f"{word} story").id,
        "tissue": add_tissue(simulate_tissue(spots=20, seed=number), f"{word} tissue").id,
    }


def digest(folder: Path) -> dict[str, str]:
    """Each file that a person has -> the hash of its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "person.json" and ".sqlite" not in path.name
        and not path.name.startswith(".") and "tmp" not in path.parts[len(folder.parts) :]
    }  # fmt: skip


def ask(path: str, headers: list[tuple[str, str]], address: str = PROXY, method: str = "GET",
        body: bytes = b"") -> tuple[int, bytes]:  # fmt: skip
    """Status and content of the answer to one request; 0 where the server hung up."""
    connection = HTTPConnection("127.0.0.1", SERVER.port, 120, source_address=(address, 0))
    try:
        connection.putrequest(method, path)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


class Tried:
    """What the hostile one tried, and what came of it."""

    def __init__(self, words: list[str]) -> None:
        self.words = [word.encode() for word in words]
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        """Answers that held another's word."""

    def note(self, what: str, came: bytes, refused: bool = False) -> None:
        """Count one try."""
        self.counts[what] += 1
        self.refused[what] += refused
        if any(word in came for word in self.words):
            self.seen[what] += 1


async def look(tried: Tried, what: str, tab: Tab, page: str, query: str) -> bytes:
    """Open a page; what came, or nothing where the server didn't open it."""
    try:
        came = await tab.open(page, query)
        tried.note(what, came)
        return came
    except (TimeoutError, WebSocketException, OSError):
        tried.note(what, b"", refused=True)
        return b""


async def attack(tried: Tried, me: Person, others: list[Person], files: list[str],
                 sessions: list[str]) -> None:  # fmt: skip
    """All that one who may sign in can think of."""
    named = [(HEADER, me.name)]
    for other in others:
        for page, (key, kind) in PAGES.items():
            await look(tried, "pages with others' ids", me.tab(), page, f"{key}={other.ids[kind]}")
        for page, query in (("run", f"id={other.ids['run']}&in=lab"), ("people", ""),
                            ("data", f"dataset={other.ids['dataset']}&in=server")):  # fmt: skip
            await look(tried, "pages of the lab and of admins", me.tab(), page, query)
        for _ in range(3):
            token = secrets.token_urlsafe(32)
            await look(tried, "guessed guests' links", me.tab(), "story",
                       f"id={other.ids['story']}&guest={token}")  # fmt: skip
        wrong = other.token[:-2] + secrets.token_urlsafe(2)[:2]
        await look(tried, "guessed guests' links", me.tab(), "story", f"guest={wrong}")
        forged = {HEADER: other.name}
        for headers in (forged, forged | {"X-Forwarded-For": PROXY}):
            await look(tried, "forged headers, WebSocket", me.tab(headers=headers, address=OTHER),
                       "data", "")  # fmt: skip
            status, came = await asyncio.to_thread(ask, "/data", list(headers.items()), OTHER)
            tried.note("forged headers, HTTP", came, status == 403)
        twice = [(HEADER, me.name), (HEADER, other.name)]
        status, came = await asyncio.to_thread(ask, "/data", twice)
        tried.note("forged headers, HTTP", came, status == 403)
        for origin in ("https://evil.example", "null", f"http://127.0.0.1:{SERVER.port + 1}"):
            headers = {HEADER: other.name, "Origin": origin}
            await look(tried, "WebSocket from another origin", other.tab(headers=headers), "data",
                       "")  # fmt: skip
        cookie = {HEADER: me.name, "Cookie": f"_streamlit_user={secrets.token_hex(40)}"}
        await look(tried, "cookies that nobody gave", me.tab(headers=cookie), "data", "")
    for session in sessions:
        await look(tried, "others' sessions taken up", me.tab(session=session), "data", "")
        for method in ("PUT", "DELETE"):
            path = f"/_stcore/upload_file/{session}/1"
            status, came = await asyncio.to_thread(ask, path, named, PROXY, method, b"x" * 1000)
            tried.note("files into others' sessions", came, status == 403)
    for file in files:
        await reach(tried, file, me)
    for path in ("/metrics", "/_stcore/metrics", "/_stcore/message", "/_stcore/component/x"):
        for more in ([], [("X-Forwarded-For", "127.0.0.1")], [("X-Real-IP", "127.0.0.1")]):
            status, came = await asyncio.to_thread(ask, path, [*named, *more])
            tried.note("numbers of the server", came, status >= 400)
    for trick in TRICKS:
        for page, (key, _) in PAGES.items():
            await look(tried, "path tricks in links", me.tab(), page, f"{key}={trick[:300]}")
        for path in (f"/media/{trick}", f"/static/{trick}", f"/_stcore/upload_file/{trick}/1",
                     f"/{trick}"):  # fmt: skip
            if trick.isprintable() and " " not in path:
                status, came = await asyncio.to_thread(ask, path, named)
                tried.note("path tricks in addresses", came, status >= 400 or status == 0)
    own = me.tab()
    async with own.stay("data"):
        status, came = await asyncio.to_thread(
            ask, f"/_stcore/upload_file/{own.session}/1", named, PROXY, "PUT", bytes(LARGE)
        )
        tried.note("uploads of 1.1 GB", came, status >= 400 or status == 0)


async def reach(tried: Tried, file: str, me: Person) -> None:
    """Ask for another's file: whole, a part of it, under a name and a type of one's own."""
    named = [(HEADER, me.name)]
    for path, headers in (
        (file, named), (file, [*named, ("Range", "bytes=0-99")]), (f"{file}?title=x", named),
        (f"{file.rpartition('.')[0]}.txt", named), (f"/{file}", named),
        (file.replace("/media/", "/media/./"), named), (file, [*named, ("X-Original-URL", file)]),
    ):  # fmt: skip
        status, came = await asyncio.to_thread(ask, path, headers)
        tried.note("others' files by their address", came, status >= 400)


async def work(person: Person, tabs: int, rounds: int, times: list[float], missing: list[str],
               files: set[str], sessions: set[str]) -> None:  # fmt: skip
    """Open one's own pages in some tabs, and look that one's own things are there."""

    async def one() -> None:
        for _ in range(rounds):
            for page, (key, kind) in random.sample(list(PAGES.items()), len(PAGES)):
                tab = person.tab()
                begun = time.perf_counter()
                query = f"{key}={person.ids[kind]}"
                if page == "run":
                    async with tab.stay(page, query) as made:
                        sessions.add(tab.session)
                        files.update(made)
                        await asyncio.sleep(20)  # somebody looks at it
                    came = tab.received
                else:
                    came = await tab.open(page, query)
                    times.append(time.perf_counter() - begun)
                    sessions.add(tab.session)
                if page in ("data", "run", "story", "tissue") and person.word.encode() not in came:
                    missing.append(f"{page} of {person.name}")

    await asyncio.gather(*(one() for _ in range(tabs)))


async def measure(options: argparse.Namespace, people: list[Person]) -> None:
    """Let all work and one attack, and print what came of it."""
    *honest, hostile = people
    before = {person.name: digest(person.home) for person in honest}
    times: list[float] = []
    missing: list[str] = []
    files, sessions = set(), set()
    tried = Tried([person.word for person in honest])
    tabs = max((options.sessions - 6) // len(honest), 1)
    begun = time.perf_counter()
    working = [
        asyncio.create_task(work(p, tabs, options.rounds, times, missing, files, sessions))
        for p in honest
    ]
    while len(sessions) < len(honest) and not all(task.done() for task in working):
        await asyncio.sleep(1)
    parts = [honest[n::6] for n in range(6)]
    known = sorted(sessions)[:30], sorted(files)[:60]
    await asyncio.gather(
        *(
            attack(tried, hostile, part, known[1] if not n else [], known[0] if not n else [])
            for n, part in enumerate(parts)
            if part
        )
    )
    await asyncio.gather(*working)
    late = sorted(files)
    for file in late:
        await reach(tried, file, hostile)
    print(f"{PEOPLE} people, {tabs * len(honest) + 6} sessions at once, "
          f"{len(times)} own pages opened, {sum(tried.counts.values())} hostile tries, "
          f"{time.perf_counter() - begun:.0f} s, median page {median(times):.1f} s")  # fmt: skip
    print("\n| tried | times | refused before a page | answers with another's word |")
    print("| --- | ---: | ---: | ---: |")
    for what, count in sorted(tried.counts.items()):
        print(f"| {what} | {count} | {tried.refused[what]} | {tried.seen[what]} |")
    changed = [
        f"{person.name}: {name}"
        for person in honest
        for name, was in before[person.name].items()
        if digest(person.home).get(name) != was
    ]
    print(f"\nown things that a page of their owner lacked: {len(missing)} {missing[:3]}")
    print(f"files that were lost or changed: {len(changed)} {changed[:3]}")
    runs = 0
    for person in honest:
        with at(person.home):
            runs += sum(run.name.startswith(person.word) for run in RunStore().list())
    print(f"runs still listed under their names: {runs} of {2 * len(honest)}")


def main() -> None:
    """Make the homes, start the server, measure, end everything."""
    global SERVER
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2, help="all own pages, so often each tab")
    options = parser.parse_args()
    folder = server_home()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "people.yaml").write_text("admins: [admin@lab.org]\n")
    try:
        people = [Person(number) for number in range(PEOPLE)]
        SERVER = Server(folder)
        try:
            asyncio.run(measure(options, people))
        finally:
            SERVER.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
