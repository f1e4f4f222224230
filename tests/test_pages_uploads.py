"""Uploads: on the disk at once, out of memory, and gone with their session."""

from pathlib import Path

from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from tests.pages import run_script
from ui.uploads import UNCLAIMED_SECONDS, drop_unclaimed


def take_one() -> None:
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from ui.uploads import hold

    upload = st.file_uploader("file", key="file")
    if upload is not None:
        st.text(str(hold(upload)))
        context = get_script_run_ctx()
        files = context.uploaded_file_mgr.get_files(context.session_id, [upload.file_id])
        st.text(str(len(files[0].data)))


def test_an_upload_is_a_private_file_and_no_longer_in_memory(home: Path) -> None:
    app = run_script(take_one)
    app.file_uploader(key="file").upload("../../a.csv", b"gene,s1\nTP63,1\n", "text/csv").run()
    path = Path(app.text[0].value)
    assert path.read_bytes() == b"gene,s1\nTP63,1\n"
    assert path.name == "a.csv"
    assert path.is_relative_to(home.resolve())
    assert path.parents[1].stat().st_mode & 0o077 == 0
    assert app.text[1].value == "0"
    app.run()
    assert Path(app.text[0].value) == path  # the same file, although its bytes are gone
    assert path.exists()


def test_what_no_page_takes_is_dropped() -> None:
    manager = MemoryUploadedFileManager("/upload")
    for session, file in (("open", "taken"), ("open", "invented"), ("closed", "left")):
        content = b"" if file == "taken" else b"1234"
        manager.add_file(session, UploadedFileRec(file, "a.csv", "text/csv", content))

    def left() -> set[str]:
        return {file for files in manager.file_storage.values() for file in files}

    drop_unclaimed(manager, lambda session: session == "open", now=100.0)
    assert left() == {"taken", "invented"}
    drop_unclaimed(manager, lambda session: session == "open", now=101.0 + UNCLAIMED_SECONDS)
    assert left() == {"taken"}
