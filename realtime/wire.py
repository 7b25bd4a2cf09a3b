"""One accepted socket, as the engine writes to it: ready-made frames, back-pressure, and an end that never hangs.

Reading stays with the WebSocket library; writing goes straight to the transport, because a frame is built once for all
receivers. What closing must survive is a peer that does not read: every wait here has an end.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from realtime.outbox import Counted, Outbox, Priority
from realtime.protocol.frames import close_frame

WRITE_AHEAD_BYTES: Final = 64 * 1024
"""How much may wait inside the transport before frames queue in the outbox, where priorities still count."""

CLOSE_TIMEOUT_S: Final = 1.0
"""How long a close handshake may take before the socket is reset."""

STUCK_S: Final = 20.0
"""With frames queued, the socket has to take about `WRITE_AHEAD_BYTES` in this time: a slower reader never catches up,
and would hold its queue for as long as it likes.
"""

_LINGER_NONE: Final = struct.pack("ii", 1, 0)
_UNSENT_LOW_WATER_BYTES: Final = 16 * 1024
_USER_TIMEOUT_MS: Final = 25_000


def prepare_socket(transport: asyncio.Transport) -> None:
    """Bound what the kernel holds for a slow peer, and let it notice a vanished one."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        _bound(sock)


def _bound(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_LOW_WATER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


def prepare_listener(sock: socket.socket) -> None:
    """The same for a listening socket, whose accepted ones inherit it from their first byte on."""
    _bound(sock)


def abort(transport: asyncio.Transport) -> None:
    """End a connection at once and give its buffers back, the kernel's included."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None:
        # Without this the kernel keeps megabytes for a peer that does not read, long after the abort. ValueError is
        # uvloop's, where the socket is closed already.
        with suppress(OSError, ValueError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    transport.abort()


def _plain_fd(transport: asyncio.Transport) -> int:
    sock: socket.socket | None = transport.get_extra_info("socket")
    return -1 if sock is None or transport.get_extra_info("sslcontext") is not None else sock.fileno()


class Wire:
    """Writes frames to one transport. All methods are synchronous and must run on the event loop.

    Bound: `max_queued_bytes` wait in the outbox beyond what the transport holds; then `write` answers False.
    """

    __slots__ = (
        "_close_handle",
        "_closing",
        "_counted",
        "_drain",
        "_loop",
        "_max_queued_bytes",
        "_transport",
        "fd",
        "outbox",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        drain: Callable[[], Awaitable[None]],
        loop: asyncio.AbstractEventLoop,
        *,
        max_queued_bytes: int,
        counted: Counted,
    ) -> None:
        transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES // 2, low=_UNSENT_LOW_WATER_BYTES)
        self._transport = transport
        self.fd = _plain_fd(transport)
        """The socket's number, until the connection is lost; -1 where what is written is not what is sent (TLS)."""
        self._drain = drain
        self._loop = loop
        self._max_queued_bytes = max_queued_bytes
        self._counted = counted
        self._closing = False
        self._close_handle: asyncio.TimerHandle | None = None
        self.outbox: Outbox | None = None

    @property
    def direct(self) -> asyncio.Transport | None:
        """The transport, while nothing is queued and nothing is closing: whoever writes often may skip `write` as long
        as less than `WRITE_AHEAD_BYTES` wait in it.
        """
        return None if self._closing or self.outbox is not None or self._transport.is_closing() else self._transport

    @property
    def queued_bytes(self) -> int:
        """What waits for the peer in this process (the kernel's buffers not counted)."""
        if self._transport.is_closing():
            return 0
        waiting = self._transport.get_write_buffer_size()
        return waiting if self.outbox is None else waiting + self.outbox.size_bytes

    def write(self, frame: bytes, priority: Priority) -> bool:
        """Send a frame now, or queue it. False: the peer is too slow, the connection is to be closed."""
        if self._closing or self._transport.is_closing():
            return True
        if self.outbox is None:
            if self._transport.get_write_buffer_size() < WRITE_AHEAD_BYTES:
                self._transport.write(frame)
                return True
            self.outbox = Outbox(self._max_queued_bytes, self._counted)
        return self.outbox.put(frame, priority)

    def flush(self) -> bool:
        """Move queued frames on as far as the socket takes them. True when nothing is queued any more."""
        outbox = self.outbox
        if outbox is None or self._closing or self._transport.is_closing():
            return True
        # Counted here: uvloop's transport counts what it is given in this turn only at the turn's end.
        room = WRITE_AHEAD_BYTES - self._transport.get_write_buffer_size()
        if room < WRITE_AHEAD_BYTES // 2:
            return False
        for frame in outbox.take():
            self._transport.write(frame)
            room -= len(frame)
            if room <= 0:
                break
        if len(outbox):
            return False
        self.outbox = None
        return True

    async def pace(self) -> None:
        """Move the outbox on as the socket takes it, until it is gone. Raises ConnectionError when the socket closed,
        TimeoutError when it takes too little.
        """
        while not self.flush():
            async with asyncio.timeout(STUCK_S):
                await self.drained()

    async def drained(self) -> None:
        """Wait until the transport has room again. Raises ConnectionError when it closed. Safe to cancel."""
        if self._closing or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        await self._drain()
        # The library's drain may return without waiting: whoever loops over this must let the loop turn.
        await asyncio.sleep(0)

    async def emptied(self) -> None:
        """Wait until the outbox is gone and the transport has room: what is written then goes out in that order."""
        await self.drained()
        while self.outbox is not None:
            await self.drained()

    def close(self, code: int, reason: str, *, flush: bool) -> None:
        """Start the closing handshake; after `CLOSE_TIMEOUT_S` the socket is reset, whatever the peer does.

        `flush` sends what is queued first, as far as the socket takes it; a slow peer's queue is thrown away instead.
        """
        if self._closing:
            return
        if flush:
            self.flush()
        self._closing = True
        self._discard()
        if self._transport.is_closing():
            return
        self._transport.write(close_frame(code, reason))
        self._close_handle = self._loop.call_later(CLOSE_TIMEOUT_S, self.reset)

    def finish(self) -> None:
        """The peer has answered the close, or is gone: let the transport go, by force if its buffer stays full."""
        self._closing = True
        self._discard()
        if self._transport.is_closing() and self._transport.get_write_buffer_size() == 0:
            self._cancel_timer()
            return
        # Whether its buffer is empty is not to be known in the turn that wrote to it; so the timer decides.
        self._transport.close()
        if self._close_handle is None:
            self._close_handle = self._loop.call_later(CLOSE_TIMEOUT_S, self.reset)

    def reset(self) -> None:
        """End the connection at once and give its buffers back, the kernel's included."""
        self._cancel_timer()
        self._closing = True
        self._discard()
        abort(self._transport)

    def _discard(self) -> None:
        if self.outbox is not None:
            self.outbox.clear()
            self.outbox = None

    def _cancel_timer(self) -> None:
        if self._close_handle is not None:
            self._close_handle.cancel()
            self._close_handle = None
