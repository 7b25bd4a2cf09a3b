"""The writing half of a connection: frames straight to the transport, or by its queue where the peer is slow."""

import asyncio
from typing import Protocol

from realtime.outbox import Priority
from realtime.protocol import codes
from realtime.protocol.codec import Codec
from realtime.protocol.codes import Disconnect
from realtime.protocol.frames import frame
from realtime.protocol.messages import Event, Push, Reply
from realtime.stats import Stats
from realtime.tasks import Tasks
from realtime.wire import WRITE_AHEAD_BYTES, Wire


class Context(Protocol):
    """What of a process this needs."""

    @property
    def stats(self) -> Stats: ...

    @property
    def tasks(self) -> Tasks: ...


class Writing:
    """Writes to one socket; never blocks, never raises. A base of `Session`, not a part of it: `write` is called for
    every delivery, and another object between would be paid for every time.

    Bound: `Settings.max_queued_bytes` wait for the socket; a peer too slow for that is ended with "slow".
    """

    __slots__ = ("_ctx", "_direct", "_pacer", "_wire", "codec", "ended_with", "fd")

    def __init__(self, ctx: Context, wire: Wire, codec: Codec) -> None:
        self._ctx = ctx
        self._wire = wire
        # The transport, while a frame may go straight to it. None once something is queued, and after the end.
        self._direct = wire.direct
        # The socket, from the first write on, while nothing waits in the transport or the queue; else -1. A channel
        # writes to it past the transport, which costs a tenth less: so it is never the number of a closed socket.
        self.fd = -1
        self._pacer: asyncio.Task[None] | None = None
        self.codec = codec
        self.ended_with: int | None = None

    @property
    def wire(self) -> Wire:
        return self._wire

    @property
    def ended(self) -> bool:
        return self.ended_with is not None

    def end(self, disconnect: Disconnect, reason: str = "") -> None:
        """Close the connection with a code; returns at once, whatever the peer does. The first code counts."""
        raise NotImplementedError

    def reply(self, reply: Reply) -> None:
        self._write_part(self.codec.reply(reply), Priority.CONTROL)

    def push(self, channel: str, event: Event, priority: Priority = Priority.LIVE) -> None:
        self._write_part(self.codec.push(Push(channel, event)), priority)

    def _write_part(self, part: bytes, priority: Priority) -> None:
        ready_frame = frame(self.codec.opcode, self.codec.join([part]))
        self._ctx.stats.frames_out += 1
        self._ctx.stats.bytes_out += len(ready_frame)
        self.write(ready_frame, priority)

    def write(self, ready_frame: bytes, priority: Priority) -> None:
        """Send or queue a ready frame. Over the bound the session ends with "slow"; ended ones ignore it."""
        transport = self._direct
        if transport is not None and transport.get_write_buffer_size() < WRITE_AHEAD_BYTES:
            try:
                transport.write(ready_frame)
            except RuntimeError:
                self.lost()  # uvloop's way to say it; the reader is about to notice
            else:
                self.fd = -1 if transport.get_write_buffer_size() else self._wire.fd
        elif self.ended_with is None:
            self._queue(ready_frame, priority)

    def lost(self) -> None:
        """The connection is lost: from here on its socket's number may be another's."""
        self._wire.fd = self.fd = -1
        self._direct = None

    def _queue(self, ready_frame: bytes, priority: Priority) -> None:
        wire = self._wire
        if not wire.write(ready_frame, priority):
            self.end(codes.CLOSE_SLOW)
            return
        self._direct = wire.direct
        if wire.outbox is not None and self._pacer is None:
            self._pacer = self._ctx.tasks.spawn(self._pace(), name="pace")

    async def _pace(self) -> None:
        """Move the outbox on as the socket takes it. Lives only while something is queued."""
        try:
            await self._wire.pace()
        except TimeoutError:
            # Pongs prove nothing here: they may come from somebody who reads nothing.
            self.end(codes.CLOSE_SLOW)
        except ConnectionError:
            pass
        finally:
            self._pacer = None
            if not self.ended:
                self._direct = self._wire.direct

    def _cease(self, code: int) -> None:
        """Nothing is written from here on; why is told by a code (0: the peer went)."""
        self.ended_with = code
        self._direct = None
        self.fd = -1
