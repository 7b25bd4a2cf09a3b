"""The `/connection/websocket` endpoint: one HTTP upgrade, then frames in. Frames out are written by the session itself.

aiohttp parses the handshake and the incoming frames (see `incoming`). Closing is ours (see `wire`): the library's own
waits for a peer that may never read again.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import WSMsgType, web

from realtime.backend import Peer
from realtime.commands import HANDLERS
from realtime.draining import drain
from realtime.incoming import JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL, GuardedSocket, refusal_of
from realtime.outbox import Priority
from realtime.protocol.codec import Codec
from realtime.protocol.codes import Disconnect
from realtime.protocol.frames import PONG, frame
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.protobuf_codec import ProtobufCodec
from realtime.session import Context, Session
from realtime.wire import Wire, prepare_socket

log = structlog.get_logger(__name__)

_NORMAL: Final = 1000


class WebSocketEndpoint:
    """Serves upgrades, and knows every open socket from the upgrade on, so that a shutdown can close them all.

    Bounds: frames of `Settings.max_frame_bytes` (a larger one closes with 1009); the number of sockets by the
    listener's admission, which is asked before the upgrade.
    """

    def __init__(self, ctx: Context, *, client_id: Callable[[], str] = lambda: str(uuid.uuid4())) -> None:
        self._ctx = ctx
        self._client_id = client_id
        self._codecs: dict[str, Codec] = {JSON_SUBPROTOCOL: JsonCodec(), PROTOBUF_SUBPROTOCOL: ProtobufCodec()}
        self.open: set[Session] = set()
        self._opening = 0

    @property
    def sockets(self) -> int:
        """How many are open, those that are just being upgraded among them."""
        return len(self.open) + self._opening

    async def handle(self, request: web.Request, *, address: str | None = None) -> web.StreamResponse:
        """Upgrade and serve until either side ends it. Origin and admission were checked by the caller.

        `address`: where the client is, if not at the other end of the socket.
        """
        ctx = self._ctx
        socket = GuardedSocket(max_frame_bytes=ctx.settings.max_frame_bytes)
        self._opening += 1
        try:
            writer = await socket.prepare(request)
        except ConnectionError:
            # The client went away meanwhile. Something has to be returned; nobody will see it.
            return web.Response()
        finally:
            self._opening -= 1
        transport = request.transport
        if transport is None or transport.is_closing():
            return socket
        prepare_socket(transport)
        codec = self._codecs[socket.ws_protocol or JSON_SUBPROTOCOL]
        wire = Wire(
            transport,
            writer.drain,
            asyncio.get_running_loop(),
            max_queued_bytes=ctx.settings.max_queued_bytes,
            counted=ctx.stats,
        )
        peer = Peer(request.remote or "" if address is None else address, request.headers.get("Origin", ""), codec.name)
        session = Session(ctx, HANDLERS, wire, codec, peer, client=self._client_id())
        self.open.add(session)
        ctx.stats.connections[codec.name] += 1
        ctx.stats.connections_opened[codec.name] += 1
        try:
            await self._read(socket, session)
        finally:
            self.open.discard(session)
            ctx.stats.connections[codec.name] -= 1
            session.gone()
        return socket

    async def _read(self, socket: GuardedSocket, session: Session) -> None:
        stats = self._ctx.stats
        while True:
            message = await socket.receive()
            if message.type is WSMsgType.TEXT or message.type is WSMsgType.BINARY:
                if session.ended:
                    continue
                stats.frames_in += 1
                stats.bytes_in += len(message.data)
                await session.receive(message.data)
            elif message.type is WSMsgType.CLOSE:
                # The peer closes, or answers ours. A close frame is due either way, and only one.
                session.wire.close(_NORMAL, "bye", flush=False)
                return
            elif message.type is WSMsgType.PING:
                session.write(frame(PONG, message.data), Priority.CONTROL)
            elif message.type is not WSMsgType.PONG:
                if (refusal := refusal_of(message.data)) is not None:
                    session.end(*refusal)
                    await socket.linger()
                return

    async def close_all(self, disconnect: Disconnect, *, over_s: float) -> None:
        """Close every connection with a code: see `draining.drain`."""
        await drain(self.open, disconnect, over_s=over_s)
