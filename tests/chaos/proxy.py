"""A TCP proxy that can be unkind: between clients and hubs, hubs and their servers, members of a replica set.

Bytes are neither looked at nor changed (but for `cut_after`, which may look for a word). One direction is one pump: it
reads, waits for its time, waits until its way is open, and writes. What waits is bounded, so that a peer who does not
read is felt by the other one as it would be without the proxy.

What differs from a wire: a server that is down is found out after the client was accepted, so that a client is reset
where it would have been refused. And what a black hole has swallowed is never sent again: a connection that lost bytes
is reset when its link passes again.
"""

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol

from chaos.fault import Traffic

_READ_BYTES = 64 * 1024
_WAITING_CHUNKS = 16
_WAITING_CHUNKS_DELAYED = 1024
"""A delay keeps chunks for a while: small ones as a rule, many of them."""

Target = tuple[str, int] | Path
"""Where the server listens: host and port, or a unix socket."""


class Follower(Protocol):
    """A port that is open or not as its links are."""

    def follow(self) -> None: ...


@dataclass(eq=False)
class _Way:
    """One direction of a link."""

    traffic: Traffic = Traffic.PASS
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    def set(self, traffic: Traffic) -> None:
        self.traffic = traffic
        if traffic is Traffic.STALL:
            self.open.clear()
        else:
            self.open.set()


@dataclass(frozen=True, slots=True)
class _Cut:
    reply_bytes: int
    asked: bytes


class ProxyLink:
    """What is done with the connections of one way through a proxy. Implements `chaos.fault.Link`.

    For use on one event loop. `random` decides jitter.
    """

    def __init__(self, name: str, *, random: Random | None = None) -> None:
        self.name = name
        self.random = random or Random(name)
        self.to_server = _Way()
        self.to_client = _Way()
        self.delay_s = 0.0
        self.jitter_s = 0.0
        self.bytes_per_s: float | None = None
        self.piece_bytes: int | None = None
        self.accepted = 0
        self.cuts = 0
        """Replies that were cut off, as `cut_after` wanted it."""
        self._cut: _Cut | None = None
        self._connections: set[_Connection] = set()
        self._listeners: list[Follower] = []

    @property
    def refusing(self) -> bool:
        return self.to_server.traffic is Traffic.REFUSE

    @property
    def connections(self) -> int:
        return len(self._connections)

    def set(self, traffic: Traffic, *, to_server: bool = True, to_client: bool = True) -> None:
        """From now on. `REFUSE` concerns connections, so it is always for both directions."""
        if traffic is Traffic.REFUSE or self.refusing:
            to_server = to_client = True
        if to_server:
            self.to_server.set(traffic)
        if to_client:
            self.to_client.set(traffic)
        if traffic is Traffic.REFUSE:
            self.reset()
        for connection in list(self._connections):
            connection.on_change()
        for listener in self._listeners:
            listener.follow()

    def delay(self, seconds: float, jitter_s: float = 0.0) -> None:
        """Let every chunk come later, each direction by itself; the order stays. 0 ends it."""
        self.delay_s, self.jitter_s = seconds, jitter_s

    def rate(self, bytes_per_s: float | None) -> None:
        """Let no more through in each direction of each connection. None ends it."""
        self.bytes_per_s = bytes_per_s

    def chop(self, piece_bytes: int | None) -> None:
        """Write in pieces of this size, each a segment of its own. None ends it."""
        self.piece_bytes = piece_bytes

    def reset(self) -> None:
        for connection in list(self._connections):
            connection.end(reset=True)

    def half_close(self) -> None:
        """Tell the servers that the clients will say no more, which the clients do not know."""
        for connection in list(self._connections):
            connection.half_close()

    def cut_after(self, reply_bytes: int, *, asked: bytes = b"") -> None:
        """Reset the next connection that got so many more bytes from its server; they arrive, no more do.

        With `asked` it counts from a chunk on that has these bytes, on its way to the server.
        """
        self._cut = _Cut(reply_bytes, asked)
        for connection in self._connections:
            connection.left = None if asked else reply_bytes

    # --- for listeners and connections ---

    def listened_by(self, listener: Follower) -> None:
        self._listeners.append(listener)

    def take(self, client: socket.socket, target: Target) -> None:
        """A client has come."""
        if self.refusing:
            _close(client, reset=True)
            return
        self.accepted += 1
        connection = _Connection(self, client, target)
        if self._cut is not None and not self._cut.asked:
            connection.left = self._cut.reply_bytes
        self._connections.add(connection)
        connection.task = asyncio.create_task(connection.run(), name=f"proxy-{self.name}")

    def asked_for(self, connection: "_Connection", chunk: bytes) -> None:
        """A chunk goes to the server; perhaps its answer is the one to be cut off."""
        if self._cut is not None and self._cut.asked and connection.left is None and self._cut.asked in chunk:
            connection.left = self._cut.reply_bytes

    def cut_off(self) -> None:
        """One connection was: the others are spared."""
        self.cuts += 1
        self._cut = None
        for connection in self._connections:
            connection.left = None

    def forget(self, connection: "_Connection") -> None:
        self._connections.discard(connection)

    async def close(self) -> None:
        """End all connections and wait until they are gone."""
        tasks = [connection.task for connection in self._connections if connection.task is not None]
        self.reset()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Connection:
    """A client, its server, and two pumps. Ends when both sides have ended, when one breaks, or when told to."""

    def __init__(self, link: ProxyLink, client: socket.socket, target: Target) -> None:
        self.link = link
        self.left: int | None = None
        """Bytes of replies before it is to be cut off; None: never."""
        self.task: asyncio.Task[None] | None = None
        self._client = client
        self._target = target
        self._server: socket.socket | None = None
        self._lost = False
        self._reset = False
        self._over = False

    async def run(self) -> None:
        client = self._client
        try:
            client.setblocking(False)
            if self.link.to_server.traffic is Traffic.BLACKHOLE:
                self._lost = True
                await self._swallow(client)
                return
            self._server = server = await _connected(self._target)
            _at_once(client)
            _at_once(server)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(client, server, self.link.to_server))
                group.create_task(self._pump(server, client, self.link.to_client))
        except* (OSError, _CutOff):
            self._reset = True
        finally:
            self.link.forget(self)
            for end in (client, self._server):
                if end is not None:
                    _close(end, reset=self._reset)

    def end(self, *, reset: bool) -> None:
        self._reset = self._reset or reset
        # The tasks end some turns of the loop later: what comes until then must not follow what was swallowed.
        self._over = True
        if self.task is not None:
            self.task.cancel()

    def half_close(self) -> None:
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_WR)

    def on_change(self) -> None:
        """The link does something else now: whoever lost bytes and could now go on must not."""
        if self._lost and Traffic.BLACKHOLE not in (self.link.to_server.traffic, self.link.to_client.traffic):
            self.end(reset=True)

    async def _swallow(self, client: socket.socket) -> None:
        """Nobody answers. Ends by being ended: that the client has gone is not told to anybody either."""
        while await asyncio.get_running_loop().sock_recv(client, _READ_BYTES):
            pass
        await asyncio.get_running_loop().create_future()

    async def _pump(self, source: socket.socket, sink: socket.socket, way: _Way) -> None:
        waiting = _Waiting()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(source, way, waiting))
            group.create_task(self._write(sink, way, waiting))

    async def _read(self, source: socket.socket, way: _Way, waiting: "_Waiting") -> None:
        loop, link = asyncio.get_running_loop(), self.link
        due_at = 0.0
        while True:
            try:
                chunk = await loop.sock_recv(source, _READ_BYTES)
            except OSError:
                # A reset is on the way like everything else.
                await way.open.wait()
                if way.traffic is not Traffic.BLACKHOLE:
                    raise
                self._lost = True
                return
            delay_s = link.delay_s + (link.random.uniform(-link.jitter_s, link.jitter_s) if link.jitter_s else 0.0)
            due_at = max(due_at, loop.time() + delay_s)  # never before what was read earlier
            await waiting.put(due_at, chunk, most=_WAITING_CHUNKS_DELAYED if link.delay_s else _WAITING_CHUNKS)
            if not chunk:
                return

    async def _write(self, sink: socket.socket, way: _Way, waiting: "_Waiting") -> None:
        loop = asyncio.get_running_loop()
        while True:
            due_at, chunk = await waiting.take()
            if (wait_s := due_at - loop.time()) > 0:
                await asyncio.sleep(wait_s)
            await way.open.wait()
            if way.traffic is Traffic.BLACKHOLE:
                self._lost = True
                continue
            if self._over:
                return
            if not chunk:
                if not self._lost:
                    with contextlib.suppress(OSError):  # the other side may have gone altogether
                        sink.shutdown(socket.SHUT_WR)
                return
            for piece in self._pieces(chunk):
                if way is self.link.to_server:
                    self.link.asked_for(self, piece)
                elif self.left is not None and len(piece) > self.left:
                    await self._cut_off(sink, piece[: self.left])
                elif self.left is not None:
                    self.left -= len(piece)
                await loop.sock_sendall(sink, piece)
                if self.link.bytes_per_s is not None:
                    await asyncio.sleep(len(piece) / self.link.bytes_per_s)

    def _pieces(self, chunk: bytes) -> Iterator[bytes]:
        size = self.link.piece_bytes or len(chunk)
        if self.link.bytes_per_s is not None:
            size = min(size, max(1, int(self.link.bytes_per_s / 10)))
        return (chunk[start : start + size] for start in range(0, len(chunk), size))

    async def _cut_off(self, client: socket.socket, last: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(client, last)
        self.link.cut_off()
        raise _CutOff


class _CutOff(Exception):
    """The reply was to end here."""


class _Waiting:
    """Chunks on their way, with the time when each may go on. One reader, one writer."""

    def __init__(self) -> None:
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._changed = asyncio.Condition()

    async def put(self, due_at: float, chunk: bytes, *, most: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._chunks) < most)
            self._chunks.append((due_at, chunk))
            self._changed.notify_all()

    async def take(self) -> tuple[float, bytes]:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._chunks))
            taken = self._chunks.popleft()
            self._changed.notify_all()
            return taken


async def _connected(target: Target) -> socket.socket:
    if isinstance(target, Path):
        server = socket.socket(socket.AF_UNIX)
        address: str | tuple[str, int] = str(target)
    else:
        server = socket.socket()
        address = target
    server.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(server, address)
    except BaseException:
        server.close()
        raise
    return server


def _at_once(end: socket.socket) -> None:
    if end.family != socket.AF_UNIX:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close(end: socket.socket, *, reset: bool) -> None:
    if reset and end.family != socket.AF_UNIX:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
