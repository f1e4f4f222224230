"""Signing in to a server that runs: by a proxy's header, and with an OpenID provider."""

import asyncio
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from core import sharing
from core.data.simulate import simulate
from core.data.store import add_dataset, list_datasets
from core.home import at
from core.people import key_of, list_people, welcome
from tests.browser import Server, open_page
from tests.sessions import Tab
from tests.test_browser_access import look_at

PROXY, OTHER = "127.0.0.2", "127.0.0.3"
ANNA, BERT = "anna@lab.org", "bert@lab.org"
HEADER = "X-Forwarded-User"
RULES = "admins: [admin@lab.org]\nmembers: ['*@lab.org']\n"
FIRST_ROW = {"x": 16, "y": 52}
"""Where the box before the first row of a table is, in pixels."""


@pytest.fixture
def start(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Starts a server of that environment, with a dataset in Anna's home."""
    home.mkdir()
    (home / "people.yaml").write_text(RULES)
    with at(welcome(ANNA).home):
        add_dataset(simulate(50, 200)[0], "Secret cohort")
    servers = []

    def begin(*options: str, **environment: str) -> Server:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        servers.append(Server(home, ("streamlit", "run", "app.py", *options)))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill()


def ask(
    server: Server, path: str, headers: list[tuple[str, str]] = (), address: str = PROXY,
    method: str = "GET", body: bytes = b"",
) -> tuple[int, bytes]:  # fmt: skip
    """Status and content of the answer to a request from an address of this computer."""
    connection = HTTPConnection("127.0.0.1", server.port, 60, source_address=(address, 0))
    connection.putrequest(method, path)
    for name, value in [*headers, ("Content-Length", str(len(body)))]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def named(name: str) -> list[tuple[str, str]]:
    return [(HEADER, name)]


def test_the_header_counts_from_the_proxy_alone(start: Callable[..., Server]) -> None:
    server = start(
        GENECANVAS_SIGN_IN="header", GENECANVAS_TRUSTED_HEADER=HEADER,
        GENECANVAS_TRUSTED_PROXY=PROXY, FORWARDED_ALLOW_IPS=PROXY,
    )  # fmt: skip
    behind = [("X-Forwarded-For", "203.0.113.7"), ("X-Forwarded-Proto", "https")]
    claims = [("X-Forwarded-For", PROXY)]
    for path in ("/", "/data", "/_stcore/host-config", "/static/js/x.js", "/media/x.csv"):
        assert ask(server, path, named(ANNA), OTHER)[0] == 403, path
        assert ask(server, path, named(ANNA) + claims, OTHER)[0] == 403, path
        assert ask(server, path, [], PROXY)[0] == 403, path
        assert ask(server, path, named(ANNA) * 2, PROXY)[0] == 403, path
        assert ask(server, path, named(" "), PROXY)[0] == 403, path
    assert ask(server, "/", named(ANNA))[0] == 200
    assert ask(server, "/", named(ANNA) + behind)[0] == 200
    assert ask(server, "/_stcore/health", [], OTHER)[0] == 200

    for headers, address in (
        ({HEADER: ANNA}, OTHER),
        ({}, PROXY),
        ({HEADER: ANNA, "X-Forwarded-For": PROXY}, OTHER),
        ({HEADER: ANNA, "Origin": "https://evil.example"}, PROXY),
    ):
        with pytest.raises(InvalidStatus, match="403"):
            asyncio.run(Tab(server.url, headers, address).open("data"))

    anna = Tab(server.url, {HEADER: ANNA}, PROXY)
    assert b"Secret cohort" in asyncio.run(anna.open("data"))
    bert = Tab(server.url, {HEADER: BERT}, PROXY)
    assert b"Secret" not in asyncio.run(bert.open("data"))
    eve = Tab(server.url, {HEADER: "eve@evil.org"}, PROXY)
    assert b"may not use this server" in asyncio.run(eve.open("data"))
    again = Tab(server.url, {HEADER: BERT}, PROXY, session=anna.session)
    assert b"Secret" not in asyncio.run(again.open("data"))
    assert again.session != anna.session

    async def reach_into() -> None:
        """What belongs to a session of Anna's that is open is for her alone."""
        tab = Tab(server.url, {HEADER: ANNA}, PROXY)
        async with tab.stay("data") as files:
            assert len(files) > 1
            assert not tab.failed
            for file in files:
                status, content = await asyncio.to_thread(ask, server, file, named(ANNA))
                assert status == 200
                assert content
                assert (await asyncio.to_thread(ask, server, file, named(BERT)))[0] == 403
            upload = f"/_stcore/upload_file/{tab.session}/1"
            for method in ("PUT", "DELETE"):
                answer = await asyncio.to_thread(ask, server, upload, named(BERT), PROXY, method)
                assert answer == (403, b"This session is not yours.")

    asyncio.run(reach_into())
    assert {person.name for person in list_people()} == {ANNA, BERT}


def test_one_signs_in_with_an_openid_provider(
    start: Callable[..., Server], home: Path, tmp_path: Path, page
) -> None:
    pytest.importorskip("authlib")
    from tests.openid import CLIENT, SECRET, Provider

    (home / "people.yaml").write_text(f"admins: ['{ANNA}']\n")
    provider = Provider()
    provider.claims = {"email": ANNA, "email_verified": True}
    secrets = tmp_path / "secrets.toml"
    secrets.write_text("[auth]\n")
    server = start(f"--secrets.files={secrets}", GENECANVAS_SIGN_IN="openid")
    server.kill()
    secrets.write_text(
        f'[auth]\nredirect_uri = "{server.url}/oauth2callback"\ncookie_secret = "{"s" * 64}"\n'
        f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
        f'server_metadata_url = "{provider.url}/.well-known/openid-configuration"\n'
    )
    server.start()
    page.goto(f"{server.url}/data")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Secret cohort").first.wait_for()
    with at(welcome(ANNA).home):
        sharing.share("dataset", list_datasets()[0].id)
    for name, said, scheme in (
        ("lab", "Look at it →", "light"), ("people", "Take that back", "dark"),
    ):  # fmt: skip
        open_page(page, f"{server.url}/{name}")
        page.get_by_test_id("stDataFrame").click(position=FIRST_ROW)
        page.get_by_role("button", name=said).wait_for()
        assert look_at(page, [scheme]) == {}, name
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}

    for forged in ("", "x", cookies["_streamlit_user"][:-3] + "abc"):
        tab = Tab(
            server.url,
            {"Cookie": f"_streamlit_user={forged}; _streamlit_xsrf={cookies['_streamlit_xsrf']}",
             "Origin": server.url},
        )  # fmt: skip
        with ThreadPoolExecutor(1) as beside:  # Playwright has a loop of its own here
            came = beside.submit(asyncio.run, tab.open("data")).result()
        assert b"Secret" not in came
        assert b"Sign in" in came

    page.get_by_role("button", name="Account").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    provider.claims = {"email": ANNA, "email_verified": False}
    with page.expect_request(re.compile("/oauth2callback")):
        page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Sign in").wait_for()
    assert [person.name for person in list_people()] == [ANNA]
    assert key_of(ANNA) == list_people()[0].key


def test_what_is_missing_is_said_before_it_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.errors import InputError
    from ui.guard import refuse_open_address
    from ui.signin import check_sign_in

    home.mkdir()
    rules = home / "people.yaml"
    for environment, says in (
        ({"GENECANVAS_SIGN_IN": "password"}, "to be openid, header or none"),
        ({"GENECANVAS_SIGN_IN": "header"}, "address of the proxy"),
        ({"GENECANVAS_TRUSTED_PROXY": "proxy.lab.org"}, "address of the proxy"),
        ({"GENECANVAS_TRUSTED_PROXY": "10.0.0.7"}, "needs its name"),
        ({"GENECANVAS_TRUSTED_HEADER": HEADER}, "FORWARDED_ALLOW_IPS=10.0.0.7"),
        ({"FORWARDED_ALLOW_IPS": "10.0.0.7"}, "is missing"),
    ):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(InputError, match=says):
            check_sign_in()
    rules.write_text(RULES)
    assert check_sign_in() == "header"
    monkeypatch.setattr("streamlit.get_option", lambda _: "0.0.0.0")
    assert refuse_open_address()
    assert not refuse_open_address(signs_in=True)
