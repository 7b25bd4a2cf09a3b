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

    def __init__(self, *, max_frame_bytes: int) -> None:
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
        guard = FrameGuard(BINARY if protocol == PROTOBUF_SUBPROTOCOL else TEXT, monotonic=time.monotonic)
        request.protocol.set_parser(cast("WebSocketReader", _Guarded(guard, reader, queue)))
        request.protocol.keep_alive(False)

    async def close(self, *, code: int = 1000, message: bytes = b"", drain: bool = True) -> bool:
        """Nothing. The library calls it for a broken frame, and at the end."""
        return False


class _Guarded:
    """To the connection a reader like any other."""

    __slots__ = ("_guard", "_queue", "_reader")

    def __init__(self, guard: FrameGuard, reader: WebSocketReader, queue: WebSocketDataQueue) -> None:
        self._guard = guard
        self._reader = reader
        self._queue = queue

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        refusal = self._guard.feed(data)
        if refusal is None:
            return self._reader.feed_data(data)
        if refusal.passed:
            self._reader.feed_data(data[: refusal.passed])
        if self._queue.exception() is None:
            # Read after what is queued already.
            self._queue.set_exception(_Refused(refusal))
        return True, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


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
