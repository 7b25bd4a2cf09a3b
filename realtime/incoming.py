"""The socket as the product opens it: aiohttp's, with a guard before its reader and without its ways of closing.

aiohttp assembles the messages; `FrameGuard` sees every byte before it does. Closing and pongs are the session's (see
`wire`): the library's own wait for a peer that may never read again.
"""

import asyncio
import time
from typing import Final, Literal, cast

from aiohttp import WebSocketError, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http_websocket import WebSocketReader, WebSocketWriter
from aiohttp.web_request import BaseRequest

from realtime.protocol import codes
from realtime.protocol.codes import Disconnect
from realtime.protocol.frames import BINARY, TEXT
from realtime.protocol.guard import FrameGuard, Refusal

JSON_SUBPROTOCOL: Final = "centrifuge-json"
PROTOBUF_SUBPROTOCOL: Final = "centrifuge-protobuf"
SUBPROTOCOLS: Final = (JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL, "")
"""What a client may offer. The empty name answers SDKs that send an empty header: nothing is echoed to it."""

READ_AHEAD_BYTES: Final = 64 * 1024
"""Twice this may wait in whole messages before reading from the socket pauses."""

_BY_CODE: Final = {one.code: one for one in codes.FRAME_CLOSES}


class GuardedSocket(web.WebSocketResponse[Literal[False]]):
    """A WebSocket that refuses what `FrameGuard` refuses. Text comes as bytes, not yet proven to be UTF-8.

    `receive` gives pings, pongs and closes as well; on a broken frame it gives an error whose data `refusal_of` reads,
    and no close frame was sent. Bound: messages of `max_frame_bytes`, a larger one is 1009.
    """

    def __init__(self, *, max_frame_bytes: int, any_opcode: bool = False) -> None:
        """`any_opcode`: text and binary frames alike, whatever the subprotocol is sent in (conformance tests)."""
        self._any_opcode = any_opcode
        super().__init__(
            protocols=SUBPROTOCOLS,
            autoclose=False,
            autoping=False,
            compress=False,
            # The library refuses what has this size already.
            max_msg_size=max_frame_bytes + 1,
            decode_text=False,
        )

    def _post_start(self, request: BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        # aiohttp's own with the guard put in. There is no public place for it: what a client sends together with its
        # handshake is read in here.
        self._ws_protocol = protocol
        self._writer = writer
        queue = WebSocketDataQueue(request.protocol, READ_AHEAD_BYTES, loop=asyncio.get_running_loop())
        reader = WebSocketReader(queue, self._max_msg_size, compress=False, decode_text=False)
        self._reader, self._parser = queue, reader
        opcode = BINARY if protocol == PROTOBUF_SUBPROTOCOL else TEXT
        guard = FrameGuard(None if self._any_opcode else opcode, monotonic=time.monotonic)
        self._guarded = _Guarded(guard, reader, queue)
        request.protocol.set_parser(cast("WebSocketReader", self._guarded))
        request.protocol.keep_alive(False)

    async def linger(self) -> None:
        """Say that nothing more comes, and drop what the peer still sends until it is gone.

        After a close frame to somebody who was cut short: a socket that is closed with unread bytes is reset, and a
        reset may overtake the close frame. Has no end of its own: the wire's close has one.
        """
        transport = None if self._writer is None else self._writer.transport
        if transport is None or transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        await self._guarded.lost()

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        """Nothing. The library calls it for a broken frame, and at the end."""
        return False


class _Guarded:
    """To the connection a reader like any other, but that it never ends it: after an error it drops what comes."""

    __slots__ = ("_ended", "_guard", "_queue", "_reader", "_waiting")

    def __init__(self, guard: FrameGuard, reader: WebSocketReader, queue: WebSocketDataQueue) -> None:
        self._guard: FrameGuard | None = guard
        self._reader = reader
        self._queue = queue
        self._ended = False
        self._waiting: asyncio.Future[None] | None = None

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        guard = self._guard
        if guard is None:
            return False, b""
        refusal = guard.feed(data)
        failed, _ = self._reader.feed_data(data if refusal is None else data[: refusal.passed])
        if failed:
            self._guard = None
        elif refusal is not None:
            self._guard = None
            # Read after what is queued already.
            self._queue.set_exception(_Refused(refusal))
        return False, b""

    def feed_eof(self) -> None:
        self._ended = True
        self._reader.feed_eof()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def lost(self) -> None:
        """Wait until the connection is lost. For one at a time."""
        if not self._ended:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting


class _Refused(WebSocketError):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.disconnect.code, refusal.rule)


def refusal_of(error: object) -> tuple[Disconnect, str] | None:
    """How to close after an error that `receive` gave: the close and its reason. None: the connection is lost."""
    if not isinstance(error, WebSocketError):
        return None
    disconnect = _BY_CODE.get(error.code, codes.CLOSE_FRAME_PROTOCOL)
    # The library's own texts may quote the frame; the guard's do not.
    return disconnect, f"{disconnect.reason}: {error}" if isinstance(error, _Refused) else disconnect.reason
