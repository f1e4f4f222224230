"""Downloads from a server that answers well, cuts off, lies, changes its mind or isn't there."""

import contextlib
import hashlib
import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.download import download, unfinished
from core.errors import Cancelled, InputError

CONTENT = bytes(range(256)) * 4096  # 1 MiB, several chunks
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """What the server on loopback does; a test changes it between two calls."""

    files: dict[str, bytes] = field(default_factory=lambda: {"/data.csv": CONTENT})
    etag: str | None = '"v1"'
    modified: str | None = None
    ranges: bool = True
    length: bool = True
    cut: int | None = None
    """Bytes of an answer after which the connection is closed."""
    stall: bool = False
    """After the cut: say nothing more instead of closing."""
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    kind: str = "application/octet-stream"
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of each request."""
    address: str = ""
    over: threading.Event = field(default_factory=threading.Event)


class Handler(http.server.BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        wanted = self.headers.get("Range")
        site.asked.append((self.path, wanted))
        if self.path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[self.path])
            self.end_headers()
            return
        if self.path not in site.files or self.path in site.statuses:
            self.send_error(site.statuses.get(self.path, 404))
            return
        content, start = site.files[self.path], 0
        version = site.etag or site.modified
        if wanted and site.ranges and self.headers.get("If-Range") == version:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", site.kind)
        if site.etag:
            self.send_header("ETag", site.etag)
        if site.modified:
            self.send_header("Last-Modified", site.modified)
        if site.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the other side may have heard enough
            self.wfile.write(content[start:][: site.cut])
        if site.stall:
            self.wfile.flush()
            site.over.wait()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A web server on a free port of this computer."""
    monkeypatch.setenv("no_proxy", "*")
    mine = Site()
    handler = type("SiteHandler", (Handler,), {"site": mine})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    mine.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("GENECANVAS_PRIVATE_HOSTS", "127.0.0.1")
    yield mine
    mine.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "data.csv"


def interrupt(site: Site, target: Path, after: int = 300_000) -> None:
    """A first download that breaks off."""
    site.cut = after
    with pytest.raises(InputError):
        download(f"{site.address}/data.csv", target)
    site.cut = None
    site.asked.clear()


def test_the_file_arrives_whole_with_progress(site: Site, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    found = download(
        f"{site.address}/data.csv",
        target,
        size=len(CONTENT),
        digest=f"sha256:{SHA256}",
        progress=lambda *now: seen.append(now),
    )
    assert found == SHA256
    assert target.read_bytes() == CONTENT
    assert seen == sorted(set(seen))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(target.parent.iterdir()) == [target]


def test_a_published_md5_is_enough(site: Site, target: Path) -> None:
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert download(f"{site.address}/data.csv", target, digest=f"md5:{md5}") == SHA256
    with pytest.raises(InputError, match=r"hash \(MD5\) that begins with 0000, got " + md5[:4]):
        download(f"{site.address}/data.csv", target, digest="md5:0000")


def test_a_server_that_does_not_tell_the_size(site: Site, target: Path) -> None:
    site.length = False
    seen = []
    download(f"{site.address}/data.csv", target, progress=lambda *now: seen.append(now))
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), None)
    site.cut = 1000  # ends like a whole file, and only the known size says otherwise
    with pytest.raises(InputError, match=f"ended after 1000 of {len(CONTENT)} bytes"):
        download(f"{site.address}/data.csv", target.with_name("other"), size=len(CONTENT))


def test_redirects_are_followed(site: Site, target: Path) -> None:
    site.redirects = {"/a": "/b", "/b": f"{site.address}/data.csv"}
    download(f"{site.address}/a", target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/data.csv"])
def test_a_redirect_out_of_the_web_is_not_followed(place: str, site: Site, target: Path) -> None:
    site.redirects = {"/a": place}
    with pytest.raises(InputError, match=r"leads to .*not safe|answers 302"):
        download(f"{site.address}/a", target)
    assert not list(target.parent.iterdir())


def test_a_redirect_that_never_ends(site: Site, target: Path) -> None:
    site.redirects = {"/a": "/b", "/b": "/a"}
    with pytest.raises(InputError, match="answers 302"):
        download(f"{site.address}/a", target)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://a/b", "data.csv", "", "http://[/"])
def test_only_addresses_of_the_web(url: str, target: Path) -> None:
    with pytest.raises(InputError, match=r"begins with http|can't be reached"):
        download(url, target)
    assert not target.exists()


@pytest.mark.parametrize("etag", ['"v1"', None])
def test_an_interrupted_download_goes_on(etag: str | None, site: Site, target: Path) -> None:
    site.etag, site.modified = etag, "Wed, 01 May 2024 10:00:00 GMT"
    interrupt(site, target)
    assert not target.exists()
    assert unfinished(target) == 300_000
    seen: list[tuple[int, int | None]] = []
    download(f"{site.address}/data.csv", target, progress=lambda *now: seen.append(now))
    assert site.asked == [("/data.csv", "bytes=300000-")]
    assert target.read_bytes() == CONTENT
    assert seen[0][0] > 300_000
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert unfinished(target) == 0
    assert list(target.parent.iterdir()) == [target]


def test_it_goes_on_behind_a_redirect(site: Site, target: Path) -> None:
    site.redirects = {"/latest": "/data.csv"}
    site.cut = 300_000
    with pytest.raises(InputError, match="goes on there"):
        download(f"{site.address}/latest", target)
    site.cut = None
    site.asked.clear()
    download(f"{site.address}/latest", target)
    assert site.asked[-1] == ("/data.csv", "bytes=300000-")
    assert target.read_bytes() == CONTENT


def test_a_file_that_has_changed_is_fetched_anew(site: Site, target: Path) -> None:
    interrupt(site, target)
    site.files["/data.csv"], site.etag = CONTENT[::-1], '"v2"'
    download(f"{site.address}/data.csv", target)
    assert target.read_bytes() == CONTENT[::-1]


def test_another_address_is_fetched_from_its_beginning(site: Site, target: Path) -> None:
    interrupt(site, target)
    site.files["/other.csv"] = CONTENT[::-1]
    download(f"{site.address}/other.csv", target)
    assert site.asked == [("/other.csv", None)]
    assert target.read_bytes() == CONTENT[::-1]


def test_a_server_that_ignores_ranges(site: Site, target: Path) -> None:
    interrupt(site, target)
    site.ranges = False
    download(f"{site.address}/data.csv", target)
    assert target.read_bytes() == CONTENT


def test_a_part_as_long_as_the_file_is_fetched_anew(site: Site, target: Path) -> None:
    interrupt(site, target)
    site.files["/data.csv"] = CONTENT[:300_000]  # the same version by its name, yet shorter
    download(f"{site.address}/data.csv", target)
    assert [wanted for _, wanted in site.asked] == ["bytes=300000-", None]
    assert target.read_bytes() == CONTENT[:300_000]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_server_that_does_not_tell_versions_apart(
    etag: str | None, site: Site, target: Path
) -> None:
    site.etag = etag
    site.cut = 300_000
    with pytest.raises(InputError, match="begins anew"):
        download(f"{site.address}/data.csv", target)
    assert not list(target.parent.iterdir())


def test_a_silent_connection_counts_as_broken(site: Site, target: Path) -> None:
    site.cut, site.stall = 300_000, True
    with pytest.raises(InputError, match=r"broke off after 300000 bytes \(timed out\)"):
        download(f"{site.address}/data.csv", target, timeout=2)
    assert unfinished(target) == 300_000


def test_cancelled_and_resumed(site: Site, target: Path) -> None:
    done = 0

    def progress(now: int, _: int | None) -> None:
        nonlocal done
        done = now

    with pytest.raises(Cancelled):
        download(
            f"{site.address}/data.csv", target, progress=progress, cancelled=lambda: done > 100_000
        )
    assert not target.exists()
    assert unfinished(target) == done > 100_000
    download(f"{site.address}/data.csv", target)
    assert site.asked[-1] == ("/data.csv", f"bytes={done}-")
    assert target.read_bytes() == CONTENT


def test_a_wrong_hash_leaves_nothing_and_says_both(site: Site, target: Path) -> None:
    with pytest.raises(InputError) as caught:
        download(f"{site.address}/data.csv", target, digest="sha256:" + 64 * "0")
    assert f"begins with {64 * '0'}, got {SHA256}" in str(caught.value)
    assert str(target) in str(caught.value)
    assert not list(target.parent.iterdir())


def test_a_file_of_another_size_is_not_even_fetched(site: Site, target: Path) -> None:
    with pytest.raises(InputError, match="offers 1,048,576 bytes, expected were 1,000"):
        download(f"{site.address}/data.csv", target, size=1000)
    with pytest.raises(
        InputError, match="offers 1,048,576 bytes, more than the 1,000 there is room"
    ):
        download(f"{site.address}/data.csv", target, limit=1000)
    assert not list(target.parent.iterdir())


def test_too_large_without_saying_so(site: Site, target: Path) -> None:
    site.length = False
    with pytest.raises(InputError, match="more than the 1,000 bytes allowed"):
        download(f"{site.address}/data.csv", target, limit=1000)
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (503, "503")])
def test_an_answer_that_is_no_file(status: int, words: str, site: Site, target: Path) -> None:
    interrupt(site, target)
    site.statuses = {"/data.csv": status}
    with pytest.raises(InputError, match=f"answers {words}.*put it at {target}"):
        download(f"{site.address}/data.csv", target)
    assert unfinished(target) == 300_000  # the server may be well again tomorrow


def test_a_web_page_instead_of_the_file(site: Site, target: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(InputError, match="answers with a web page"):
        download(f"{site.address}/data.csv", target)
    assert not list(target.parent.iterdir())


def test_no_network(site: Site, target: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # taken, and nobody listens
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.csv"
        with pytest.raises(InputError) as caught:
            download(url, target)
    message = str(caught.value)
    assert "can't be reached" in message
    assert f"Or download {url} by other means and put it at {target}." in message
    assert not list(target.parent.iterdir())


def test_a_full_disk_keeps_the_part(site: Site, target: Path) -> None:
    """A limit of the system on the size of files stands for the full disk: it needs no rights."""
    script = (
        "import resource, sys; from pathlib import Path; from core.download import download;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000));"
        "download(sys.argv[1], Path(sys.argv[2]))"
    )
    url = f"{site.address}/data.csv"
    ended = subprocess.run(
        [sys.executable, "-c", script, url, str(target)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "no_proxy": "*"},
    )
    assert ended.returncode
    assert "InputError" in ended.stderr
    assert "the disk is full (500,000 bytes so far). Make room" in ended.stderr
    assert unfinished(target) == 500_000
    download(url, target)
    assert site.asked[-1] == ("/data.csv", "bytes=500000-")
    assert target.read_bytes() == CONTENT


def test_a_place_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "data.csv.part").mkdir()
    with pytest.raises(InputError, match="can't be written"):
        download(f"{site.address}/data.csv", tmp_path / "data.csv")


def test_two_downloads_of_one_file_do_not_mix(site: Site, target: Path) -> None:
    site.cut, site.stall = 300_000, True
    first: list[BaseException] = []

    def fetch() -> None:
        try:
            download(f"{site.address}/data.csv", target)
        except InputError as error:
            first.append(error)

    started = threading.Event()
    thread = threading.Thread(target=fetch)
    thread.start()
    while unfinished(target) < 300_000:
        started.wait(0.01)
    with pytest.raises(InputError, match="being downloaded already"):
        download(f"{site.address}/data.csv", target)
    site.over.set()
    thread.join()
    assert len(first) == 1
    assert unfinished(target) == 300_000


def test_a_redirect_from_https_to_http_is_refused(
    site: Site, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    try:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no openssl")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    safe = Site(redirects={"/a": "/data.csv", "/b": f"{site.address}/data.csv"})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("SafeHandler", (Handler,), {"site": safe})
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        address = f"https://127.0.0.1:{server.server_port}"
        download(f"{address}/a", target)
        assert target.read_bytes() == CONTENT
        with pytest.raises(InputError, match="not safe to follow"):
            download(f"{address}/b", target.with_name("other.csv"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not site.asked


@pytest.fixture
def hidden(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site inside the network, which nobody has named."""
    monkeypatch.delenv("GENECANVAS_PRIVATE_HOSTS")
    return site


def refusal(url: str, target: Path) -> str:
    with pytest.raises(InputError) as error:
        download(url, target, timeout=5)
    return str(error.value).replace(url, "URL")


@pytest.mark.parametrize(
    "place",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "%31%32%37.0.0.1", "[::1]",
     "[::ffff:127.0.0.1]", "me@127.0.0.1"],
)  # fmt: skip
def test_nothing_inside_the_network_is_asked(place: str, hidden: Site, target: Path) -> None:
    port = hidden.address.rpartition(":")[2]
    download_refused = refusal(f"http://{place}:{port}/data.csv", target)
    assert "can't be reached" in download_refused
    assert hidden.asked == []


def test_a_port_that_listens_can_not_be_told(hidden: Site, target: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{probe.getsockname()[1]}"
    there = refusal(f"{hidden.address}/data.csv", target)
    assert there == refusal(f"{hidden.address}/nothing", target)
    assert there == refusal(f"{silent}/data.csv", target)
    assert there == refusal("http://no-such-host.invalid/data.csv", target)
    assert "GENECANVAS_PRIVATE_HOSTS" in there
    assert hidden.asked == []


def test_a_redirect_into_the_network_is_not_followed(site: Site, target: Path) -> None:
    port = site.address.rpartition(":")[2]
    site.redirects = {"/a": f"http://localhost:{port}/data.csv"}  # only 127.0.0.1 is named
    assert "its name leads to no public address" in refusal(f"{site.address}/a", target)
    assert [path for path, _ in site.asked] == ["/a"]


def test_a_proxy_does_not_lead_into_the_network(
    hidden: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy itself is asked, being named by who starts the server."""
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", hidden.address)
    assert "its name leads to no public address" in refusal("http://127.0.0.1/data.csv", target)
    assert "its name leads to no public address" in refusal("http://%31%32%37.1/data.csv", target)
    assert hidden.asked == []
    hidden.files = {"http://no-such-host.invalid/data.csv": CONTENT}
    download("http://no-such-host.invalid/data.csv", target)
    assert target.read_bytes() == CONTENT
