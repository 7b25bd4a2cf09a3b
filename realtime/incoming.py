"""One socket from its upgrade on: what the peer sends, frame by frame, to whoever serves it.

The HTTP server's part ends with the handshake: it lets go of the connection, of the request, and of the tasks that it
had for both. From then on nothing runs for a connection that says nothing; a task lives only as long as a command does.
"""

import asyncio
import base64
import hashlib
from collections.abc import Coroutine
from typing import Any, Final, cast

from aiohttp import hdrs, web
from aiohttp.http_websocket import WS_KEY, WebSocketReader

from realtime.protocol.frame_reader import Frame, FrameReader, Refusal

JSON_SUBPROTOCOL: Final = "centrifuge-json"
PROTOBUF_SUBPROTOCOL: Final = "centrifuge-protobuf"
SUBPROTOCOLS: Final = (JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL, "")
"""What a client may offer. The empty name answers SDKs that send an empty header: nothing is echoed to it."""

READ_AHEAD_BYTES: Final = 128 * 1024
"""So much may wait in whole messages before reading from the socket pauses."""

_FRAME_BYTES: Final = 128
"""What a frame that waits counts for besides its payload."""


class Incoming(asyncio.Protocol):
    """Reads frames, and has them served one after the other. A base: what serving means is `take`, `refused`, `gone`.

    Bounds: `READ_AHEAD_BYTES` of messages that wait, and what the reader holds of one that is not complete. `gone` is
    called once, after what came before the end has been served.
    """

    __slots__ = (
        "_drained",
        "_full",
        "_is_gone",
        "_lost",
        "_over",
        "_paused",
        "_reader",
        "_transport",
        "_waiting",
        "_waiting_bytes",
    )

    def __init__(self, reader: FrameReader, transport: asyncio.Transport) -> None:
        self._reader = reader
        self._transport = transport
        # Frames that wait for the one that is being served; None while none is.
        self._waiting: list[Frame] | None = None
        self._waiting_bytes = 0
        self._paused = False
        self._full = False
        self._drained: asyncio.Future[None] | None = None
        # Nothing is read any more; the socket is closed; that was told.
        self._over = self._lost = self._is_gone = False

    def take(self, opcode: int, payload: bytes) -> Coroutine[Any, Any, None] | None:
        """Serve a message or control frame: at once (None), or by this."""
        raise NotImplementedError

    def refused(self, refusal: Refusal) -> None:
        """The peer broke the rules: send it a close. Nothing it sends is read any more."""
        raise NotImplementedError

    def gone(self) -> None:
        """It is over: the socket is closed, or the peer's close was taken."""
        raise NotImplementedError

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it as a task that somebody owns."""
        raise NotImplementedError

    # --- what the transport calls ---

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        frames = self._reader.feed(data)
        if self._waiting is not None:
            self._wait(frames)
            return
        for number, frame in enumerate(frames):
            serving = self._take(frame)
            if serving is not None:
                self._waiting = []
                self._wait(frames[number + 1 :])
                self.spawn(self._serve(serving))
                return

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self.resume_writing()
        if self._waiting is None:
            self._go()

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    # --- for whoever writes ---

    async def drain(self) -> None:
        """Wait until the transport has room. Raises ConnectionResetError when it closed. Safe to cancel."""
        if self._full and not self._lost:
            if self._drained is None:
                self._drained = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._drained)
        if self._lost:
            raise ConnectionResetError("the connection is closed")

    # --- serving ---

    def _wait(self, frames: list[Frame]) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        waiting += frames
        self._waiting_bytes += sum(map(_weight, frames))
        if self._waiting_bytes > READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    async def _serve(self, serving: Coroutine[Any, Any, None]) -> None:
        """The frame that takes its time, and then those that wait."""
        waiting = self._waiting
        try:
            await serving
            while waiting and not self._over:
                frames, self._waiting_bytes = waiting[:], 0
                waiting.clear()
                await self._serve_all(frames)
                self._read_on()
        except BaseException:
            self._lost = True
            self._transport.abort()
            raise
        finally:
            self._waiting = None
            if self._lost:
                self._go()

    async def _serve_all(self, frames: list[Frame]) -> None:
        for frame in frames:
            if self._over:
                return
            serving = self._take(frame)
            if serving is not None:
                await serving

    def _take(self, frame: Frame) -> Coroutine[Any, Any, None] | None:
        if not isinstance(frame, Refusal):
            return self.take(frame.opcode, frame.payload)
        self._over = True
        self.refused(frame)
        self._read_on()
        # Say that nothing more comes, and drop what the peer still sends until it is gone: a socket that is closed with
        # unread bytes is reset, and a reset may overtake the close frame. The wire's close sees to the end.
        if not self._transport.is_closing() and self._transport.can_write_eof():
            self._transport.write_eof()
        return None

    def _read_on(self) -> None:
        transport = self._transport
        if self._paused and not transport.is_closing() and (self._over or self._waiting_bytes <= READ_AHEAD_BYTES):
            self._paused = False
            transport.resume_reading()

    def finish(self) -> None:
        """Read nothing any more: the peer's close was taken."""
        self._over = True
        self._go()

    def _go(self) -> None:
        if not self._is_gone:
            self._is_gone = self._over = True
            self.gone()


def _weight(frame: Frame) -> int:
    return _FRAME_BYTES + (0 if isinstance(frame, Refusal) else len(frame.payload))


class Upgraded(web.StreamResponse):
    """Tells the HTTP server that its part is over: there is no answer to write."""

    def __init__(self) -> None:
        super().__init__(status=101)

    @property
    def prepared(self) -> bool:
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def subprotocol_of(request: web.Request) -> str:
    """The first of what the client offers that is known; empty: none is to be named."""
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL, "")
    return next((name for one in offered.split(",") if (name := one.strip()) in SUBPROTOCOLS), "")


def take_over(request: web.Request, incoming: Incoming, subprotocol: str) -> Upgraded:
    """Answer an upgrade, and take its socket away from the HTTP server; the answer is for the handler to return.

    What the client sent together with its handshake is fed to `incoming` before this returns. The request was checked.
    """
    handler, transport = request.protocol, request.transport
    if transport is None:
        raise ConnectionResetError("the connection is closed")
    rest = _Rest()
    handler.set_parser(cast("WebSocketReader", rest))
    transport.set_protocol(incoming)
    # It closes what it knows of when it is told that the connection is lost, which is how it forgets it.
    handler.transport = None
    handler.connection_lost(None)
    key = request.headers.get(hdrs.SEC_WEBSOCKET_KEY, "").encode()
    accepted = base64.b64encode(hashlib.sha1(key + WS_KEY, usedforsecurity=False).digest())
    named = f"Sec-WebSocket-Protocol: {subprotocol}\r\n".encode() if subprotocol else b""
    transport.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accepted, named)
    )
    if rest.data:
        incoming.data_received(bytes(rest.data))
    return Upgraded()


class _Rest:
    """To the HTTP server a reader, which it gives what came behind the handshake."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """The connection was let go."""
