"""Sessions of a shared server without a browser: they speak Streamlit's own protocol."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect


class Tab:
    """A browser tab that opens pages and keeps all that the server sends to it.

    Args:
        url: the server's, such as http://127.0.0.1:8501.
        headers: those that a browser, or a proxy, sends along.
        address: from which it comes.
        session: of which it says that it was its own before.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str] | None = None, address: str | None = None,
        session: str | None = None,
    ) -> None:  # fmt: skip
        self.url, self.headers, self.address = url, dict(headers or {}), address
        self.before, self.session = session, ""
        self.received = b""
        """All of it, of all pages."""
        self.buttons: list[str] = []
        """Files that the last page would have made."""
        self.files: list[str] = []
        self.failed = 0
        """Files that could not be made."""

    async def open(self, page: str, query: str = "") -> bytes:
        """Open a page and give all that came until its script had ended."""
        async with self._connect() as socket:
            return await asyncio.wait_for(self._look(socket, page, query), 300)

    @asynccontextmanager
    async def stay(self, page: str, query: str = "") -> AsyncIterator[list[str]]:
        """Keep a page open, and have all its files made; gives their addresses."""
        async with self._connect() as socket:
            await asyncio.wait_for(self._look(socket, page, query), 300)
            for button in self.buttons:
                await asyncio.wait_for(self._press(socket, button), 300)
            yield self.files

    async def _press(self, socket: ClientConnection, button: str) -> None:
        """Have the file of a download button made."""
        message = BackMsg()
        message.backend_operation_request.request_id = button
        message.backend_operation_request.session_id = self.session
        message.backend_operation_request.deferred_file.file_id = button
        await socket.send(message.SerializeToString())
        async for frame in socket:
            told = ForwardMsg.FromString(frame)
            if told.WhichOneof("type") == "backend_operation_response":
                answer = told.backend_operation_response
                self.files += [answer.deferred_file.url] if answer.deferred_file.url else []
                self.failed += not answer.deferred_file.url
                return

    def _connect(self) -> connect:
        wanted = ["streamlit", *(["x", self.before] if self.before else [])]
        return connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream", subprotocols=wanted,
            max_size=None, additional_headers=self.headers, open_timeout=120,
            **({"local_addr": (self.address, 0)} if self.address else {}),
        )  # fmt: skip

    async def _look(self, socket: ClientConnection, page: str, query: str) -> bytes:
        message = BackMsg()
        message.rerun_script.query_string, message.rerun_script.page_name = query, page
        await socket.send(message.SerializeToString())
        came, self.buttons = b"", []
        async for frame in socket:
            came += frame
            told = ForwardMsg.FromString(frame)
            kind = told.WhichOneof("type")
            if button := told.delta.new_element.download_button.deferred_file_id:
                self.buttons.append(button)
            if kind == "new_session":
                self.session = told.new_session.initialize.session_id
            elif (
                kind == "script_finished"
                and told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
            ):
                break
        self.received += came
        return came
