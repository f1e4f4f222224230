"""Who is asking: how people sign in, and in which home each session is.

GENECANVAS_SIGN_IN says how: `openid` is Streamlit's own sign-in with an OpenID provider, which
`.streamlit/secrets.toml` names; `header` trusts a proxy that has signed people in, and says in a
header who they are. Unset, nobody signs in and everything is one person's.
"""

import hashlib
import ipaddress
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from typing import Any
from urllib.parse import unquote

import streamlit as st
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config
from streamlit.runtime import get_instance
from streamlit.runtime.media_file_storage import MediaFileStorageError
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME
from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

from core.errors import InputError
from core.home import LAB, MARKS, Place, at, server_home
from core.people import SHARED, Person, is_shared, load_rules, welcome
from core.sharing import TOKEN, Invitation, find_invitation, guest_home
from ui.guard import address_of

HEADER, PROXY = "GENECANVAS_TRUSTED_HEADER", "GENECANVAS_TRUSTED_PROXY"
CLAIM = "GENECANVAS_SIGN_IN_CLAIM"
"""What of an OpenID provider's answer is a person's name here; by default the e-mail address."""
FORWARDED = "FORWARDED_ALLOW_IPS"
"""From which addresses the server takes the word who is behind them; by default 127.0.0.1."""
USER = "genecanvas_user"
"""Under which a session keeps what the trusted header said."""
VISIT = "visit"
"""Where a session keeps whose home it looks at, if not its own: LAB, SERVER, a guest's token."""
SERVER = "server"
OPEN_PATHS = ("/health", "/_stcore/health")
"""Say only that the server lives."""
FRESH = 2.0
"""Seconds for which it is remembered where a session is: so soon an ended link leads nowhere."""
MOST_MADE = 10_000
"""Files of which it is remembered for whom they were made."""
_made: dict[bytes, frozenset[str | None]] = {}
_places: dict[tuple[str | None, str | None], tuple[float, Place]] = {}


def check_sign_in() -> str:
    """How people sign in, "" where nobody does, once all that it needs is there.

    Raises InputError, in a sentence, where something is missing or says what can't be.
    """
    how = os.environ.get(SHARED, "") if is_shared() else ""
    if how not in ("", "openid", "header"):
        raise InputError(f"Expected {SHARED} to be openid, header or none, got {how!r}.")
    if how == "openid":
        if find_spec("authlib") is None:
            raise InputError(
                "Signing in with OpenID needs a package that isn't installed: "
                "`pip install -r requirements-signin.txt`."
            )
        if "auth" not in st.secrets:
            raise InputError(
                "Signing in with OpenID needs a section [auth] in .streamlit/secrets.toml. See "
                "docs/sharing.md."
            )
    if how == "header":
        proxy = _proxy()
        if not os.environ.get(HEADER, "").strip():
            raise InputError(f"Signing in by a header needs its name: set {HEADER}.")
        if os.environ.get(FORWARDED, "127.0.0.1").strip() != proxy:
            raise InputError(
                f"The server takes the word of {os.environ.get(FORWARDED, '127.0.0.1')} who is "
                f"behind it, and {PROXY} is {proxy}. Set {FORWARDED}={proxy} too."
            )
        config.set_option("server.trustedUserHeaders", {_header(): USER})
    if how:
        load_rules()
    return how


class Door:
    """ASGI middleware: lets nobody in under a name that the proxy didn't give, and gives nobody
    what belongs to another's session."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        refused = ""
        if scope["type"] in ("http", "websocket") and is_shared():
            refused = refuse(scope)
        if not refused:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refused})
        else:
            await PlainTextResponse(refused, 403)(scope, receive, send)


def refuse(scope: Scope) -> str:
    """Why a request is refused; empty for one that is answered."""
    path, headers = scope["path"], Headers(scope=scope)
    if path in OPEN_PATHS:
        return ""
    if os.environ.get(SHARED) == "header":
        given = headers.getlist(_header())
        if given and not _is_from_proxy(scope):
            return "This server takes the name of who is asking from its own proxy only."
        if len(given) != 1 or not given[0].strip():
            return "This server is reached through its proxy, which says who is asking."
    asking = name_of_request(headers)
    if path.startswith(uploads := address_of("_stcore/upload_file/")):
        session = unquote(path.removeprefix(uploads)).partition("/")[0]
        if not is_begun_by(session, asking):
            return "This session is not yours."
    if path.startswith(files := address_of("media/")):
        file = path.removeprefix(files).partition(".")[0]
        given = any(is_begun_by(session, asking) for session in _sessions_with(file))
        if not given and asking not in _made_for(file):
            return "There is no such file in a session of yours."
    return ""


def note_made(content: bytes, name: str | None) -> None:
    """Note for whom a file was made, which no session names (`ui.download`)."""
    digest = hashlib.sha256(content).digest()
    _made[digest] = _made.pop(digest, frozenset()) | {name}
    while len(_made) > MOST_MADE:
        del _made[next(iter(_made))]


def _made_for(file: str) -> frozenset[str | None]:
    """For whom a file was made; of what it holds, as Streamlit's name of it isn't of all of it."""
    with suppress(MediaFileStorageError):
        content = get_instance().media_file_mgr._storage.get_file(file).content
        return _made.get(hashlib.sha256(content).digest(), frozenset())
    return frozenset()


def name_of_request(headers: Headers) -> str | None:
    """Under which name a request comes; None where nobody has signed in."""
    if os.environ.get(SHARED) == "header":
        return headers.get(_header(), "").strip() or None
    cookies = cookie_parser(headers.get("cookie", ""))
    content = _get_signed_cookie_with_chunks(cookies, USER_COOKIE_NAME)
    try:
        return _name_in(json.loads(content)) if content else None
    except ValueError:
        return None


def is_begun_by(session: str, name: str | None) -> bool:
    """Whether a session is there that was begun under a name; None: that nobody signed in to."""
    info = get_instance()._session_mgr.get_session_info(session)
    return info is not None and _name_in(info.session._user_info) == name


def signed_in() -> str | None:
    """The name of whoever sits before this page."""
    context = get_script_run_ctx(suppress_warning=True)
    return None if context is None else _name_in(context.user_info)


def visited() -> str | None:
    """Whose home the session looks at, if not its own."""
    return st.session_state.get(VISIT)


def find_place() -> Place:
    """In which home this thread's session is; raises InputError where it is in none."""
    if get_script_run_ctx(suppress_warning=True) is None:
        raise InputError("Nobody is signed in here.")
    key = (signed_in(), visited())
    when, place = _places.get(key, (0.0, None))
    if place is None or time.monotonic() - when > FRESH:
        _places.pop(key, None)
        with at(server_home()):
            place = _look_up(*key)
        for old, (then, _) in list(_places.items()):
            if time.monotonic() - then > FRESH:
                _places.pop(old, None)
        _places[key] = time.monotonic(), place
    return place


def invitation() -> Invitation | None:
    """The guest's link by which the session looks at something."""
    visit = visited() or ""
    with at(server_home()):
        return find_invitation(visit) if TOKEN.fullmatch(visit) else None


def person() -> Person | None:
    """Whoever has signed in; None of guests. Raises InputError for who may not come."""
    name = signed_in()
    if name is None:
        return None
    with at(server_home()):
        return welcome(name)


def is_admin() -> bool:
    """Whether whoever has signed in looks after the server."""
    name = signed_in()
    return name is not None and load_rules().is_admin(name)


def _look_up(name: str | None, visit: str | None) -> Place:
    if visit and TOKEN.fullmatch(visit):
        invited = find_invitation(visit)
        if invited is None:
            raise InputError("This link leads nowhere any more. Ask whoever sent it for another.")
        return Place(guest_home(invited), looks=True)
    if name is None:
        raise InputError("Nobody is signed in here.")
    someone = welcome(name)
    if visit == LAB and (server_home() / LAB / MARKS[LAB]).exists():
        return Place(server_home() / LAB, looks=True)
    if visit == SERVER and load_rules().is_admin(name):
        return Place(server_home())
    return Place(someone.home)


def _name_in(said: Mapping[str, Any]) -> str | None:
    """A person's name in what the proxy, or the OpenID provider, said of them.

    An e-mail address counts only where the provider says that it is theirs.
    """
    if os.environ.get(SHARED) == "header":
        return (said.get(USER) or "").strip() or None
    claim = os.environ.get(CLAIM, "email")
    theirs = claim != "email" or said.get("email_verified") is True
    if not said.get("is_logged_in") or not theirs:
        return None
    return str(said.get(claim) or "").strip() or None


def _sessions_with(file: str) -> list[str]:
    """Sessions to which a page has given a file."""
    known = get_instance().media_file_mgr._files_by_session_and_coord
    return [session for session, files in list(known.items()) if file in list(files.values())]


def _is_from_proxy(scope: Scope) -> bool:
    """Whether a request comes from the proxy itself.

    The server takes the word of this address alone who is behind it, and then gives port 0.
    """
    host, port = scope.get("client") or ("", -1)
    return host == _proxy() or port == 0


def _proxy() -> str:
    given = os.environ.get(PROXY, "").strip()
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        raise InputError(
            f"Signing in by a header needs the address of the proxy: expected {PROXY} to be one "
            f"such as 127.0.0.1, got {given!r}."
        ) from None


def _header() -> str:
    return os.environ.get(HEADER, "").strip()
