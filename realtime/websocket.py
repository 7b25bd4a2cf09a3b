"""The `/connection/websocket` endpoint: one HTTP upgrade, then frames in. Frames out are written by the session itself.

aiohttp parses the handshake; from then on the socket is ours (see `incoming`, `wire`).
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from aiohttp import web

from realtime.backend import Peer
from realtime.commands import HANDLERS
from realtime.draining import drain
from realtime.incoming import JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL, Incoming, subprotocol_of, take_over
from realtime.outbox import Priority
from realtime.protocol.codec import Codec
from realtime.protocol.codes import Disconnect
from realtime.protocol.frame_reader import FrameReader, Refusal
from realtime.protocol.frames import CLOSE, PING, PONG, frame
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.protobuf_codec import ProtobufCodec
from realtime.session import Context, Session
from realtime.wire import Wire, prepare_socket

log = structlog.get_logger(__name__)

_NORMAL: Final = 1000


class WebSocketEndpoint:
    """Serves upgrades, and knows every open socket from the upgrade on, so that a shutdown can close them all.

    Bounds: messages of `Settings.max_frame_bytes` (a larger one closes with 1009); the number of sockets by the
    listener's admission, which is asked before the upgrade.
    """

    def __init__(self, ctx: Context, *, client_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._ctx = ctx
        self._client_id = client_id
        self._codecs: dict[str, Codec] = {JSON_SUBPROTOCOL: JsonCodec(), PROTOBUF_SUBPROTOCOL: ProtobufCodec()}
        self.open: set[Session] = set()

    @property
    def sockets(self) -> int:
        """How many are open."""
        return len(self.open)

    async def handle(self, request: web.Request, *, address: str | None = None) -> web.StreamResponse:
        """Upgrade, and serve from then on. Origin and admission were checked by the caller.

        `address`: where the client is, if not at the other end of the socket.
        """
        transport = request.transport
        if transport is None or transport.is_closing():
            # The client went away meanwhile. Something has to be returned; nobody will see it.
            return web.Response()
        prepare_socket(transport)
        ctx, subprotocol = self._ctx, subprotocol_of(request)
        codec = self._codecs[subprotocol or JSON_SUBPROTOCOL]
        peer = Peer(request.remote or "" if address is None else address, request.headers.get("Origin", ""), codec.name)
        reader = FrameReader(codec.opcode, max_bytes=ctx.settings.max_frame_bytes, monotonic=time.monotonic)
        connection = _Connection(reader, transport, self)
        wire = Wire(
            transport,
            connection.drain,
            asyncio.get_running_loop(),
            max_queued_bytes=ctx.settings.max_queued_bytes,
            counted=ctx.stats,
        )
        session = connection.session = Session(ctx, HANDLERS, wire, codec, peer, client=self._client_id())
        self.open.add(session)
        ctx.stats.connections[codec.name] += 1
        ctx.stats.connections_opened[codec.name] += 1
        return take_over(request, connection, subprotocol)

    def let_go(self, session: Session) -> None:
        """Its socket is closed."""
        self.open.discard(session)
        self._ctx.stats.connections[session.codec.name] -= 1
        session.gone()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run what a command needs, as one of the engine's tasks."""
        self._ctx.tasks.spawn(work, name="serve")

    async def close_all(self, disconnect: Disconnect, *, over_s: float) -> None:
        """Close every connection with a code: see `draining.drain`."""
        await drain(self.open, disconnect, over_s=over_s)


class _Connection(Incoming):
    """A session's socket. They know of each other until it is gone: garbage is looked for seldom."""

    __slots__ = ("_endpoint", "session")

    def __init__(self, reader: FrameReader, transport: asyncio.Transport, endpoint: WebSocketEndpoint) -> None:
        super().__init__(reader, transport)
        self._endpoint = endpoint
        self.session: Session | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.session is not None:
            self.session.lost()
        super().connection_lost(exc)

    def take(self, opcode: int, payload: bytes) -> Coroutine[Any, Any, None] | None:
        session = self.session
        if session is None:
            return None
        if opcode == CLOSE:
            # The peer closes, or answers ours. A close frame is due either way, and only one.
            session.wire.close(_NORMAL, "bye", flush=False)
            self.finish()
        elif opcode == PING:
            session.write(frame(PONG, payload), Priority.CONTROL)
        elif opcode != PONG and not session.ended:
            return session.take(payload)
        return None

    def refused(self, refusal: Refusal) -> None:
        if self.session is not None:
            self.session.end(refusal.disconnect, refusal.reason)

    def gone(self) -> None:
        session, self.session = self.session, None
        if session is not None:
            self._endpoint.let_go(session)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._endpoint.spawn(work)
