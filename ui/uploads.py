"""Uploaded files: written to the disk at once, in a folder that goes with the session.

Streamlit keeps what was uploaded in memory for as long as a session may come back, and what is sent
to its address without a widget as well.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import streamlit as st
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.uploaded_file_manager import UploadedFile, UploadedFileRec

from core.errors import InputError
from core.files import UNWRITABLE, describe_os_error
from core.scratch import scratch
from core.words import say_size
from ui.limits import upload_limit

KEPT = 8
"""The uploads of a session are together at most so many times as large as one may be."""
UNCLAIMED_SECONDS = 300
"""After so long an upload that no page has taken is dropped."""
_seen: dict[tuple[str, str], float] = {}
"""When an upload that is still in memory was seen first, by session and file."""


class _Held:
    """The uploads of one session, on the disk until the session is gone."""

    def __init__(self) -> None:
        self.place: AbstractContextManager[Path] = scratch()
        self.folder = self.place.__enter__()
        self.paths: dict[str, Path] = {}
        self.size = 0
        """Bytes of all that was sent."""

    def __del__(self) -> None:
        self.place.__exit__(None, None, None)


def hold(upload: UploadedFile) -> Path:
    """An upload as a file under its own bare name; its bytes in memory are let go.

    Raises InputError when the disk is full, or the session's uploads are too large together.
    """
    if "uploads" not in st.session_state:
        st.session_state["uploads"] = _Held()
    held: _Held = st.session_state["uploads"]
    if upload.file_id not in held.paths:
        most = KEPT * upload_limit()
        if held.size + upload.size > most:
            raise InputError(
                f"{upload.name} has {say_size(upload.size)}, and this tab has sent "
                f"{say_size(held.size)} already; it may send {say_size(most)}. Reload the page, "
                "which lets go of what was sent."
            )
        path = held.folder / str(len(held.paths)) / (Path(upload.name).name or "unnamed")
        try:
            path.parent.mkdir()
            path.write_bytes(upload.getbuffer())
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in UNWRITABLE:
                raise
            raise InputError(f"{upload.name} is not saved. {describe_os_error(error)}") from None
        held.paths[upload.file_id] = path
        held.size += upload.size
        context = get_script_run_ctx()
        context.uploaded_file_mgr.add_file(
            context.session_id, UploadedFileRec(upload.file_id, upload.name, upload.type, b"")
        )
    return held.paths[upload.file_id]


def drop_unclaimed(
    manager: MemoryUploadedFileManager, is_active: Callable[[str], bool], now: float | None = None
) -> None:
    """Drop what is in memory of closed sessions, or of files that no page has taken for minutes.

    Args:
        manager: where Streamlit keeps uploads.
        is_active: tells whether a session is open.
        now: seconds on a clock that only goes forward.
    """
    now = time.monotonic() if now is None else now
    here = {
        (session, file.file_id)
        for session, files in list(manager.file_storage.items())
        for file in list(files.values())
        if file.data
    }
    for gone in _seen.keys() - here:
        del _seen[gone]
    for session, file in here:
        late = now - _seen.setdefault((session, file), now) > UNCLAIMED_SECONDS
        if late or not is_active(session):
            manager.remove_file(session, file)
