"""Sessions of a shared server without a browser: they speak Streamlit's own protocol."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

FILES = re.compile(rb"/media/[0-9a-f]{40,}[.a-z0-9]*")


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

    async def open(self, page: str, query: str = "") -> bytes:
        """Open a page and give all that came until its script had ended."""
        async with self._connect() as socket:
            return await asyncio.wait_for(self._look(socket, page, query), 300)

    @asynccontextmanager
    async def stay(self, page: str, query: str = "") -> AsyncIterator[list[str]]:
        """Keep a page open; gives the addresses of the files that it names."""
        async with self._connect() as socket:
            await asyncio.wait_for(self._look(socket, page, query), 300)
            yield self.files

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
        came = b""
        async for frame in socket:
            came += frame
            told = ForwardMsg.FromString(frame)
            kind = told.WhichOneof("type")
            if kind == "new_session":
                self.session = told.new_session.initialize.session_id
            elif (
                kind == "script_finished"
                and told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
            ):
                break
        self.received += came
        return came

    @property
    def files(self) -> list[str]:
        """Addresses of files that pages have named."""
        return sorted({found.decode() for found in FILES.findall(self.received)})
