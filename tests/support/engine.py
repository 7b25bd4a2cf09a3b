"""The engine alone on a real Redis, behind a small product: channels by prefix, users by name."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

from aiohttp import web
from prometheus_client import CollectorRegistry

from realtime.backend import Admission, Caller, Grant, Identity, Peer, Publish
from realtime.engine import Engine, Links, Listener, open_engine
from realtime.ports import Attendance, Feed, StreamOptions
from realtime.protocol import codes
from realtime.protocol.codes import ClientError, Closing
from realtime.protocol.messages import (
    ConnectRequest,
    HistoryRequest,
    Payload,
    Publication,
    SubscribeRequest,
)
from realtime.protocol.recovery import Position
from realtime.redis.opening import OpenRedis, open_redis
from realtime.settings import Settings
from realtime.stats import Stats

STREAM = StreamOptions(size=10, ttl_s=60)


@dataclass(eq=False)
class ListFeed:
    """A durable log in a list, for channels that start with `log:`; shared by the processes of a test.

    `quiet`: nobody learns from it that heads moved; only reading finds what was appended.
    """

    logs: dict[str, list[Publication]] = field(default_factory=dict)
    away: bool = False
    quiet: bool = False

    def append(self, channel: str, data: str) -> Publication:
        log = self.logs.setdefault(channel, [])
        publication = Publication(Payload(data.encode()), offset=len(log) + 1)
        log.append(publication)
        return publication

    def head(self, channel: str) -> int:
        return len(self.logs.get(channel, ()))

    async def after(self, channel: str, offset: int, *, limit: int, max_bytes: int) -> list[Publication]:
        if self.away:
            raise ConnectionError("away")
        found: list[Publication] = []
        for publication in self.logs.get(channel, [])[offset : offset + limit]:
            max_bytes -= len(publication.data)
            if found and max_bytes < 0:
                break
            found.append(publication)
        return found


class Gate:
    """Where tests make something wait: open until shut. `waiting` counts who stands before it."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()
        self.waiting = 0

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    async def wait(self) -> None:
        self.waiting += 1
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1


@dataclass
class SmallProduct:
    """`connect` with the user's name as token. A client may subscribe to `open:*` (no history), `kept:*` (history of
    ten, presence, join/leave), `loose:*` (history, but nobody's position is watched); every user has the `log:*`
    channels of `server_side`, and the `watched` ones, and is this `device`. `gate` is before every connect and the
    method `wait`.
    """

    feed: ListFeed
    server_side: Sequence[str] = ()
    watched: Sequence[str] = ()
    max_missed: int = 100
    seen: list[str] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)
    device: str = ""

    async def connect(self, client: str, request: ConnectRequest, peer: Peer) -> Admission:
        await self.gate.wait()
        if request.token == "expired":
            raise ClientError(codes.TOKEN_EXPIRED)
        if request.token == "forged":
            raise Closing(codes.CLOSE_INVALID_TOKEN)
        user, _, ttl = request.token.partition("/")
        identity = Identity(user, time.time() + float(ttl) if ttl else None)
        return Admission(
            identity,
            Payload(b'{"hello":true}'),
            {name: self.grant(name) for name in self.server_side},
            {name: self.grant(name) for name in self.watched},
            device=self.device,
        )

    def grant(self, name: str) -> Grant:
        if name.startswith("log:"):
            return Grant(
                positioned=True,
                recoverable=True,
                feed=self.feed,
                position=Position("e", self.feed.head(name)),
                max_missed=self.max_missed,
            )
        if name.startswith("kept:"):
            return Grant(
                presence=True,
                join_leave=True,
                push_join_leave=True,
                positioned=True,
                recoverable=True,
                stream=STREAM,
                max_missed=self.max_missed,
            )
        return Grant()

    async def refresh(self, caller: Caller, token: str) -> Identity:
        if token == "expired":
            raise Closing(codes.CLOSE_EXPIRED)
        return Identity(caller.user, time.time() + 60)

    async def subscribe(self, caller: Caller, request: SubscribeRequest) -> Grant:
        if not request.channel.startswith(("open:", "kept:", "loose:", "log:")):
            raise ClientError(codes.PERMISSION_DENIED, "not yours", "subscribe.channel")
        return self.grant(request.channel)

    async def sub_refresh(self, caller: Caller, channel: str, token: str) -> float | None:
        return time.time() + 60

    async def publish(self, caller: Caller, channel: str, data: Payload) -> Publish | None:
        return Publish(data, STREAM if channel.startswith(("kept:", "loose:")) else None)

    async def presence(self, caller: Caller, channel: str) -> None:
        return None

    async def history(self, caller: Caller, request: HistoryRequest) -> StreamOptions:
        return STREAM

    async def rpc(self, caller: Caller, method: str, data: Payload) -> Payload:
        match method:
            case "echo":
                return data
            case "waited":
                return Payload(str(caller.waited_s).encode())
            case "wait":
                await self.gate.wait()
                return data
            case "away":
                raise ConnectionError("the store is away")
            case "bug":
                raise RuntimeError("a fault of ours")
        raise ClientError(codes.NOT_AVAILABLE, f"no method {method}", "method")

    def promoted(self, user: str, channel: str, first: Publication) -> Payload:
        return Payload(b'{"promoted":true}')

    def restarted(self, user: str, channel: str, offset: int) -> Payload:
        return Payload(b'{"restarted":true}')

    def disconnected(self, user: str) -> None:
        self.seen.append(user)


@dataclass
class FeedHeads:
    """Everything that ever moved, each time: what the engine does with it is what is tested."""

    lists: ListFeed

    def feed(self, channel: str) -> Feed | None:
        return self.lists if channel.startswith("log:") else None

    async def changed_since(self, mark: str) -> tuple[Sequence[tuple[str, int]], str]:
        if self.lists.away:
            raise ConnectionError("away")
        return [(name, self.lists.head(name)) for name in self.lists.logs if not self.lists.quiet], ""


@dataclass(frozen=True, slots=True)
class Served:
    """A running engine with its address."""

    url: str
    engine: Engine
    redis: OpenRedis
    product: SmallProduct


@asynccontextmanager
async def serve_engine(
    redis_url: str,
    prefix: str,
    product: SmallProduct,
    *,
    settings: Settings | None = None,
    attendance: Attendance | None = None,
) -> AsyncIterator[Served]:
    """One process of the engine behind an HTTP port of its own."""
    process = uuid4().hex[:12]
    listener = Listener()
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            open_redis([redis_url], prefix=prefix, process=process, node="test", listener=listener)
        )
        engine = await stack.enter_async_context(
            open_engine(
                Links(listener, redis.bus, redis.streams, redis.presence, redis.processes),
                product,
                FeedHeads(product.feed),
                Stats(CollectorRegistry()),
                settings or Settings(),
                process=process,
                node="test",
                version="test",
                attendance=attendance,
            )
        )
        app = web.Application()
        app.router.add_get("/connection/websocket", engine.endpoint.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        stack.push_async_callback(engine.endpoint.close_all, codes.CLOSE_SHUTDOWN, over_s=0)
        yield Served(f"ws://127.0.0.1:{port}/connection/websocket", engine, redis, product)
