"""Writing to sockets, on the event loop that production uses: uvloop's transports differ from asyncio's."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from realtime.outbox import Priority
from realtime.ports import Delivery
from realtime.stats import Stats
from realtime.wire import WRITE_AHEAD_BYTES, Wire, prepare_listener
from support.engine import ListFeed, SmallProduct, serve_engine
from support.raw_client import frame_of, raw_client, vanish
from support.waiting import eventually
from support.wire_client import wire_client

RUNNERS: list[Callable[[Awaitable[None]], None]] = [asyncio.run, uvloop.run]


@pytest.fixture(params=RUNNERS, ids=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on one of the event loops."""
    return request.param


class Flow(asyncio.Protocol):
    """Back-pressure as the WebSocket library's protocol has it."""

    def __init__(self) -> None:
        self.made = asyncio.Event()
        self.resumed = asyncio.Event()
        self.resumed.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.made.set()

    def connection_lost(self, exception: Exception | None) -> None:
        self.resumed.set()

    def pause_writing(self) -> None:
        self.resumed.clear()

    def resume_writing(self) -> None:
        self.resumed.set()

    async def drain(self) -> None:
        await self.resumed.wait()


@asynccontextmanager
async def connection(*, max_queued_bytes: int = 10_000_000) -> AsyncIterator[tuple[Wire, Flow, socket.socket]]:
    """A wire, and the peer's socket, which reads only when told."""
    flow = Flow()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: flow, "127.0.0.1", 0)
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    peer.setblocking(False)
    await loop.sock_connect(peer, server.sockets[0].getsockname())
    await flow.made.wait()
    counted = Stats(CollectorRegistry())
    wire = Wire(flow.transport, flow.drain, loop, max_queued_bytes=max_queued_bytes, counted=counted)  # type: ignore[arg-type]  # a TCP one
    try:
        yield wire, flow, peer
    finally:
        wire.reset()
        peer.close()
        server.close()
        await server.wait_closed()


async def fill(wire: Wire) -> None:
    """Write until the kernel takes no more and frames are queued."""
    while wire.outbox is None:
        wire.write(b"x" * 60_000, Priority.LIVE)
        await asyncio.sleep(0)


def test_a_queue_is_moved_on_by_no_more_than_the_transport_is_to_hold(run):
    """What the transport has is out of reach of priorities: a ping would wait behind all of it."""

    async def play() -> None:
        async with connection() as (wire, flow, peer):
            await fill(wire)
            for _ in range(100):
                wire.write(b"y" * 30_000, Priority.LIVE)
            loop = asyncio.get_running_loop()
            while wire.outbox is not None and len(wire.outbox) > 50:
                if not wire.flush():
                    await asyncio.sleep(0)
                    assert wire.queued_bytes - wire.outbox.size_bytes < WRITE_AHEAD_BYTES + 60_000
                if not flow.resumed.is_set():
                    await loop.sock_recv(peer, 100_000)
            assert wire.outbox is not None

    run(play())


def test_writing_after_the_connection_was_lost_is_ignored(run):
    async def play() -> None:
        async with connection() as (wire, _, _peer):
            wire.reset()
            await asyncio.sleep(0.01)
            assert wire.write(b"x", Priority.LIVE)
            assert wire.direct is None
            assert wire.queued_bytes == 0
            wire.close(3001, "shutdown", flush=True)
            wire.finish()

    run(play())


def test_over_the_bound_the_answer_is_no(run):
    async def play() -> None:
        async with connection(max_queued_bytes=100_000) as (wire, _, _peer):
            await fill(wire)
            assert not wire.write(b"x" * 100_001, Priority.LIVE)

    run(play())


def test_a_peer_that_never_reads_is_let_go_a_second_after_the_close(run):
    async def play() -> None:
        async with connection() as (wire, flow, _peer):
            await fill(wire)
            wire.close(3001, "shutdown", flush=True)
            await eventually(lambda: flow.transport.is_closing())

    run(play())


def test_connections_that_are_lost_do_not_take_a_publication_from_the_others(run, redis_url, redis_prefix):
    """Their handlers are busy, so that nobody has noticed yet."""

    async def play() -> None:
        product, others = SmallProduct(ListFeed(), server_side=["log:1"]), 8
        async with serve_engine(redis_url, redis_prefix, product) as served, wire_client(served.url) as alice:
            await alice.connect("alice")
            lost = [await raw_client(served.url, {"id": 1, "connect": {"token": "lost"}}) for _ in range(others)]
            await eventually(lambda: len(served.engine.hub.sessions) == 1 + others)
            product.gate.shut()
            for raw in lost:
                await asyncio.get_running_loop().sock_sendall(
                    raw, frame_of({"id": 2, "rpc": {"method": "wait", "data": 1}})
                )
            await eventually(lambda: product.gate.waiting == others)
            for raw in lost:
                vanish(raw)
            lost_ones = [session for session in served.engine.hub.sessions.values() if session.user == "lost"]
            await eventually(lambda: all(session.wire.direct is None for session in lost_ones))
            for number in range(1, 4):
                publication = product.feed.append("log:1", str(number))
                served.engine.hub.publish(Delivery("log:1", "pub", publication, "e"))
                await asyncio.sleep(0)
            await alice.until(lambda: alice.offsets("log:1") == [1, 2, 3])
            product.gate.open()

    run(play())


def test_accepted_sockets_are_bounded_from_their_first_byte_on():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        prepare_listener(listener)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 25_000
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 16 * 1024
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
