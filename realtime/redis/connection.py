"""One connection to one Redis server: RESP2 in and out, nothing about what is said.

redis-py's own reading costs 8 to 20 microseconds a message on the layers of coroutines it goes through, and it cannot
tell a frozen server from a quiet one. Here bytes go from the transport to hiredis and from there to one callback.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, cast

import hiredis

from realtime.redis.address import Address

WRITE_HIGH_WATER_BYTES: Final = 128 << 10
"""What may wait in the transport before `writable` turns false. What waits before it can still be dropped."""


pack: Final = cast("Callable[[tuple[bytes, ...]], bytes]", hiredis.pack_command)
"""Turn a command into what is written. The cast is for hiredis' own annotation, which knows only tuples of one."""


class Handler(Protocol):
    """What a connection does with its replies. Called on the event loop; must not raise."""

    def on_replies(self, next_reply: Callable[[], object]) -> None:
        """Replies have come: `next_reply()` gives one after the other, and False when there are no more."""

    def on_writable(self) -> None:
        """The transport takes more again."""


class Connection(asyncio.Protocol):
    """Made by `dial`. `closed` is done once it has ended, whoever ended it; `reason` then says why, in words."""

    __slots__ = ("_greeted", "_greetings_due", "_handler", "_reader", "_transport", "closed", "reason", "writable")

    def __init__(self, handler: Handler) -> None:
        loop = asyncio.get_running_loop()
        self._handler = handler
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._greeted: asyncio.Future[str] = loop.create_future()
        """Why greeting failed; empty when it worked. A result, as nobody may be there to take an exception."""
        self._greetings_due: list[bytes] = []
        self.closed: asyncio.Future[None] = loop.create_future()
        self.reason = ""
        self.writable = False

    # --- for the owner ---

    def write(self, packed: bytes) -> None:
        """Send packed commands. After the end they go nowhere."""
        if self._transport is not None:
            self._transport.write(packed)

    def abort(self, reason: str) -> None:
        """End at once: what was not sent yet is lost."""
        self.reason = self.reason or reason
        if self._transport is not None:
            self._transport.abort()

    async def greet(self, commands: list[tuple[bytes, ...]]) -> None:
        """Send the opening commands and wait for their replies. Raises ConnectionError where the server refuses."""
        self._greetings_due = [command[0] for command in commands]
        self.write(b"".join(pack(command) for command in commands))
        if refusal := await self._greeted:
            raise ConnectionError(refusal)

    # --- for the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_HIGH_WATER_BYTES)
        self.writable = True

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            if self._greetings_due:
                self._read_greetings()
            else:
                self._handler.on_replies(self._reader.gets)
        except hiredis.ProtocolError as error:
            self.abort(f"not RESP: {error}")

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._handler.on_writable()

    def connection_lost(self, error: Exception | None) -> None:
        self.reason = self.reason or (str(error) if error else "closed by the server")
        self.writable = False
        self._transport = None
        if not self._greeted.done():
            self._greeted.set_result(self.reason)
        self.closed.set_result(None)

    def _read_greetings(self) -> None:
        while self._greetings_due and (reply := self._reader.gets()) is not False:
            command = self._greetings_due.pop(0)
            # A name for CLIENT LIST is a courtesy that access rules may forbid.
            if isinstance(reply, hiredis.ReplyError) and command != b"CLIENT":
                self.abort(f"{command.decode()} refused: {reply}")
                return
        if not self._greetings_due and not self._greeted.done():
            self._greeted.set_result("")


async def dial(address: Address, handler: Handler, *, client_name: str, timeout_s: float) -> Connection:
    """Connect and greet within `timeout_s`. Raises OSError (ConnectionError and TimeoutError are ones).

    Cancelled or failed, it leaves no connection behind.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        if address.path:
            _, connection = await loop.create_unix_connection(lambda: Connection(handler), address.path)
        else:
            _, connection = await loop.create_connection(
                lambda: Connection(handler), address.host, address.port, ssl=address.tls
            )
        try:
            await connection.greet(address.greeting(client_name))
        except BaseException:
            connection.abort("not greeted")
            raise
    return connection
