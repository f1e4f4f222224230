"""Fetching a URL to a file: resumed, checked and renamed, so that what is there is the whole file.

The standard library does it: what a client library would add (pools, retries, HTTP/2) isn't needed
for one large file at a time.
"""

import errno
import fcntl
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.addresses import REFUSAL, connect, leads_inside
from core.errors import Cancelled, InputError
from core.files import read_json, write_json
from core.home import need_right_to_change

CHUNK = 2**18
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
MAX_BYTES = 20 * 10**9
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The disk, or what this account may keep on it, is full."""

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all (None: the server doesn't say)."""


def download(
    url: str,
    path: Path,
    *,
    size: int | None = None,
    digest: str | None = None,
    limit: int = MAX_BYTES,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
    timeout: float = TIMEOUT,
) -> str:
    """Fetch `url` to `path`, which appears only when it is complete and as expected.

    What has arrived stays beside it as `<name>.part` when the connection breaks, the disk is full
    or the user cancels, if the server tells versions of the file apart (a strong ETag or a date of
    change). The next call goes on there, or starts again when the file has changed.

    Args:
        url: http or https; redirects are followed, but never from https to http, and only to
            hosts that `core.addresses` allows.
        path: where the file goes; a file that is there is replaced.
        size: bytes that the file must have, when they are known.
        digest: "sha256:" or "md5:" and the hexadecimal digits, or the first of them.
        limit: most bytes that the file may have.
        progress: called after each chunk.
        cancelled: asked between two chunks whether to stop.
        timeout: seconds without a byte after which the connection counts as broken.

    Returns:
        The file's SHA-256 in hexadecimal digits.

    Raises:
        InputError: no network, an answer other than the file, a broken connection, a wrong size or
            digest (nothing is kept then), a full disk; says what to do.
        Cancelled: `cancelled` said so.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise InputError(f"Expected an address that begins with http:// or https://, got {url!r}.")
    part, origin = _part(path), _origin(path)
    by_hand = f"Or download {url} by other means and put it at {path}."
    with _open_part(part) as file:
        _lock(file, part, url)
        try:
            offer = _ask(url, file.tell(), _version_of_part(url, path), timeout)
            _receive(offer, file, origin, size, limit, progress, cancelled)
            os.fsync(file.fileno())
            if digest and (wrong := describe_digest(part, digest)):
                raise _Wrong(f"What {url} sent is another file: {wrong}.")
            sha256 = hash_file(part, "sha256")
            part.replace(path)
            origin.unlink(missing_ok=True)
        except _Wrong as error:
            origin.unlink(missing_ok=True)
            raise InputError(f"{error} It was not saved. {by_hand}") from None
        except _Unreachable as error:
            raise InputError(f"{error} {by_hand}") from None
        except _Broken as error:
            raise InputError(
                f"The download of {url} {error}. Start it again: {_foretell(origin)}. {by_hand}"
            ) from None
        except OSError as error:
            full = error.errno in FULL
            reason, advice = ("the disk is full", "Make room") if full else (error, "Mend that")
            raise InputError(
                f"{part} can't be written: {reason} ({unfinished(path):,} bytes so far). {advice}, "
                f"then start the download of {url} again: {_foretell(origin)}."
            ) from None
        finally:
            if not origin.exists():  # no later call could go on with this part
                part.unlink(missing_ok=True)
    return sha256


def unfinished(path: Path) -> int:
    """Bytes that an interrupted download to `path` has left for the next call."""
    part = _part(path)
    return part.stat().st_size if part.exists() else 0


def hash_file(path: Path, algorithm: str) -> str:
    """A file's hash in hexadecimal digits; `algorithm` as hashlib names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def describe_digest(path: Path, digest: str) -> str:
    """What is wrong when a file's hash doesn't begin as "algorithm:digits" says; else empty."""
    algorithm, _, expected = digest.partition(":")
    got = hash_file(path, algorithm)
    if got.startswith(expected):
        return ""
    name = {"sha256": "SHA-256", "md5": "MD5"}[algorithm]
    return f"expected a hash ({name}) that begins with {expected}, got {got[: len(expected)]}"


class _Wrong(Exception):
    """What the server offers or sent is not the file."""


class _Unreachable(Exception):
    """No answer, or one that says no."""


class _Broken(Exception):
    """The answer ended early."""


@dataclass(frozen=True)
class _Offer:
    """A server's answer, of which nothing has been read yet."""

    url: str
    answer: http.client.HTTPResponse
    start: int
    """The byte of the file at which the answer begins."""
    total: int | None
    """Bytes of the whole file, if the server says so."""
    version: str | None
    """What the server calls this version of the file."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https, never from https down to http."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urlsplit(newurl).scheme not in allowed:
            raise _Wrong(f"{req.full_url} leads to {newurl}, which is not safe to follow.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Plain(urllib.request.HTTPHandler):
    """Opens http addresses, at each redirect, where `core.addresses` allows it."""

    def http_open(self, req):
        return self.do_open(_connection(http.client.HTTPConnection, req), req)


class _Secure(urllib.request.HTTPSHandler):
    """Opens https addresses in the same way."""

    def https_open(self, req):
        return self.do_open(_connection(http.client.HTTPSConnection, req), req)


def _connection(kind: Callable, request: urllib.request.Request) -> Callable:
    """What makes a connection for a request.

    Behind a proxy, which the environment names, the proxy looks names up, so only those are
    refused that are known here to lead into the own network.
    """
    tunnel = request._tunnel_host

    def make(host: str, **options):
        connection = kind(host, **options)
        if not tunnel and not request.has_proxy():
            connection._create_connection = connect
            return connection
        wanted = urlsplit("//" + unquote(tunnel or urlsplit(request.full_url).netloc))
        if leads_inside(wanted.hostname or "", wanted.port or connection.default_port):
            raise OSError(REFUSAL)
        return connection

    return make


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _origin(path: Path) -> Path:
    """Where it is noted of which address and version the part is."""
    return path.with_name(f"{path.name}.part.json")


def _open_part(part: Path) -> FileIO:
    need_right_to_change(part)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("ab", buffering=0)
    except OSError as error:
        raise InputError(
            f"{part} can't be written: {error.strerror}. Make its folder writable, or name another "
            "with GENECANVAS_HOME."
        ) from None


def _foretell(origin: Path) -> str:
    """What the next call will do with what has arrived."""
    return "it goes on there" if origin.exists() else "it begins anew, as this server wants it"


def _version_of_part(url: str, path: Path) -> str | None:
    origin = _origin(path)
    noted = read_json(origin) if origin.exists() else {}
    return noted["version"] if noted.get("url") == url else None


def _lock(file: FileIO, part: Path, url: str) -> None:
    """Make sure that nothing else writes to the part, in this process or another."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine = part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())
    except BlockingIOError:
        mine = False
    if not mine:  # or another download has just renamed it
        raise InputError(f"{url} is being downloaded already. Wait until that has ended.")


def _ask(url: str, done: int, version: str | None, timeout: float) -> _Offer:
    """Ask for what is missing after `done` bytes of `version`, or else for the whole file."""
    try:
        if done and version:
            headers = {"Range": f"bytes={done}-", "If-Range": version}
            answer = _request(url, headers, timeout)
            place = answer.headers.get("Content-Range", "")
            if (
                answer.status == 206
                and place.startswith(f"bytes {done}-")
                and _version(answer) in (version, None)
            ):
                total = None if answer.length is None else done + answer.length
                return _Offer(url, answer, done, total, version)
            if answer.status != 200:
                answer.close()
                answer = _request(url, {}, timeout)
        else:
            answer = _request(url, {}, timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise _Unreachable(
            f"{url} can't be reached ({reason}). Check the connection to the internet and start "
            "again."
        ) from None
    if answer.status != 200:
        answer.close()
        raise _Unreachable(f"{url} answers {answer.status} {answer.reason} instead of a file.")
    if answer.headers.get_content_type() == "text/html":
        answer.close()
        raise _Wrong(f"{url} answers with a web page instead of a file. Does it ask for a login?")
    return _Offer(url, answer, 0, answer.length, _version(answer))


def _request(url: str, headers: dict[str, str], timeout: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": "GeneCanvas", "Accept-Encoding": "identity", **headers}
    try:
        opener = urllib.request.build_opener(_Redirects, _Plain, _Secure)  # with today's proxies
        return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:  # an answer as well
        return error


def _version(answer: http.client.HTTPResponse) -> str | None:
    """What If-Range may name: a strong ETag, else the date of the last change."""
    tag = answer.headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")


def _receive(
    offer: _Offer,
    file: FileIO,
    origin: Path,
    size: int | None,
    limit: int,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> None:
    """Write what the server offers behind what is there already."""
    url, done, total = offer.url, offer.start, offer.total
    with offer.answer:
        if size is not None and total not in (None, size):
            raise _Wrong(f"{url} offers {total:,} bytes, expected were {size:,}.")
        if (total or 0) > limit:
            raise _Wrong(
                f"{url} offers {total:,} bytes, more than the {limit:,} there is room for. Make "
                "room, or raise the limit on what is stored."
            )
        if not done:
            origin.unlink(missing_ok=True)
            file.truncate(0)
            if offer.version:
                write_json(origin, {"url": url, "version": offer.version})
        for chunk in _read_chunks(offer.answer, done):
            if cancelled and cancelled():
                raise Cancelled(f"The download of {url} was cancelled after {done:,} bytes.")
            done += len(chunk)
            if done > (limit if size is None else size):
                raise _Wrong(f"{url} sends more than the {size or limit:,} bytes allowed.")
            while chunk:
                chunk = chunk[file.write(chunk) :]
            if progress:
                progress(done, total)
    expected = total if size is None else size
    if expected is not None and done < expected:
        raise _Broken(f"ended after {done} of {expected} bytes")


def _read_chunks(answer: http.client.HTTPResponse, done: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = answer.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(f"broke off after {done} bytes ({error})") from None
        if not chunk:
            return
        done += len(chunk)
        yield chunk
