"""What another website could ask of the server through a visitor's browser, sent by hand."""

import asyncio
import socket
from base64 import b64encode

import pytest

from tests.browser import Server
from ui.guard import STYLE, Guard, refuse_open_address

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": b64encode(bytes(16)).decode(),
}
HTTP = ["/", "/data", "/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/x/y",
        "/media/x.csv", "/static/js/x.js"]  # fmt: skip
OPEN = 101


def ask(server: Server, path: str, **headers: str) -> int:
    """The status of the answer to one request."""
    sent = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        return int(connection.recv(100).split()[1])


def open_socket(server: Server, **headers: str) -> int:
    return ask(server, "/_stcore/stream", **UPGRADE, **headers)


def foreign(server: Server) -> dict[str, dict[str, str]]:
    """Headers that browsers send for pages of others."""
    host, port = f"127.0.0.1:{server.port}", server.port
    return {
        "rebound name": {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
        "rebound name, no origin": {"Host": f"evil.example:{port}"},
        "name that begins as ours": {"Host": f"localhost.evil.example:{port}"},
        "user before the name": {"Host": f"evil.example@127.0.0.1:{port}"},
        "other site": {"Origin": "https://evil.example"},
        "other port": {"Origin": "http://127.0.0.1:9"},
        "other port of localhost": {"Host": f"localhost:{port}", "Origin": "http://localhost:9"},
        "other name of this computer": {"Host": host, "Origin": f"http://localhost:{port}"},
        "no site": {"Origin": "null"},
        "part of another site's page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
        "part of another port's page": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
        "frame": {
            "Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe",
        },
    }  # fmt: skip


def test_a_page_comes_with_its_style_whole_and_unpacked() -> None:
    """Nothing that is brought later moves what stands there. Other answers stay as they are."""
    body = b"<html><body>page</body></html>"

    async def app(scope: dict, receive: object, send: object) -> None:
        seen.append(dict(scope["headers"]))
        headers = [(b"content-type", scope["kind"]), (b"etag", b"1"), (b"content-length", b"30")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[:9], "more_body": True})
        await send({"type": "http.response.body", "body": body[9:]})

    def get(kind: bytes) -> tuple[dict, bytes]:
        sent: list[dict] = []

        async def send(message: dict) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"accept", b"text/html"),
                   (b"accept-encoding", b"gzip"), (b"if-none-match", b"1")]  # fmt: skip
        scope = {"type": "http", "path": "/", "kind": kind, "headers": headers}
        asyncio.run(Guard(app)(scope, None, send))
        return dict(sent[0]["headers"]), b"".join(message["body"] for message in sent[1:])

    seen: list[dict] = []
    headers, page = get(b"text/html; charset=utf-8")
    assert STYLE.read_bytes() in page
    assert page.endswith(b"</style></body></html>")
    assert headers[b"content-length"] == str(len(page)).encode()
    assert b"etag" not in headers
    assert seen[0].keys() == {b"host", b"accept"}
    assert get(b"text/plain")[1] == body


def test_the_websocket_opens_for_own_pages_only(server: Server) -> None:
    assert open_socket(server) == OPEN  # a program
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        host = f"{name}:{server.port}"
        assert open_socket(server, Host=host, Origin=f"http://{host}") == OPEN, name
    for name, headers in foreign(server).items():
        assert open_socket(server, **headers) == 403, name


@pytest.mark.parametrize("path", HTTP)
def test_so_does_everything_else(server: Server, path: str) -> None:
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert ask(server, path, **own) != 403
    for name, headers in foreign(server).items():
        assert ask(server, path, **headers) == 403, name


def test_a_link_from_elsewhere_opens_the_page(server: Server) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document"}  # fmt: skip
    assert ask(server, "/data", **link) == 200


def test_who_starts_the_server_can_share_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the name that is asked for, and still not to other pages."""
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "lab-pc 127.0.0.1")
    shared = Server(server.home)
    try:
        host = f"lab-pc:{shared.port}"
        assert open_socket(shared, Host=host, Origin=f"http://{host}") == OPEN
        assert ask(shared, "/_stcore/health", Host=host) == 200
        assert open_socket(shared, Host=host, Origin="http://lab-pc:9") == 403
        assert open_socket(shared, Host=f"evil.example:{shared.port}") == 403
    finally:
        shared.kill()


def test_an_open_address_has_to_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for address, told, refused in (
        ("127.0.0.1", "", False),
        ("localhost", "", False),
        ("::1", "", False),
        ("192.168.0.7", "", True),
        ("192.168.0.7", "yes", True),
        ("192.168.0.7", "everyone", False),
        ("", "", True),
        (None, "", True),
    ):
        monkeypatch.setenv("GENECANVAS_OPEN_TO", told)
        monkeypatch.setattr("streamlit.get_option", lambda _, address=address: address)
        assert bool(refuse_open_address()) == refused, (address, told)
