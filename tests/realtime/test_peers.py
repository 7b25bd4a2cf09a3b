"""Peers that cost something for as long as they are there: silent ones, half-open ones, those who hardly read."""

import asyncio
import json
import socket
import time

import pytest

from realtime import wire
from realtime.ports import Delivery
from realtime.protocol.machine import ConnectionSettings
from realtime.settings import Settings
from support.engine import ListFeed, Served, SmallProduct, serve_engine
from support.raw_client import frame_of, raw_client
from support.waiting import eventually
from support.wire_client import wire_client

CONNECT = {"id": 1, "connect": {"token": "silent"}}


def settings(*, ping_s: float, pong_s: float = 0.5, queued: int = 1024 * 1024) -> Settings:
    connection = ConnectionSettings(ping_interval_s=ping_s, pong_timeout_s=pong_s)
    return Settings(connection=connection, max_queued_bytes=queued)


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1"])


async def flood(served: Served, size: int, count: int) -> None:
    for _ in range(count):
        publication = served.product.feed.append("log:1", json.dumps("x" * size))
        served.engine.hub.publish(Delivery("log:1", "pub", publication, "e"))
        await asyncio.sleep(0)


async def test_the_first_pings_of_those_who_came_together_are_spread(redis_url, redis_prefix, product):
    async with serve_engine(redis_url, redis_prefix, product, settings=settings(ping_s=100)) as served:
        raws = [await raw_client(served.url, CONNECT) for _ in range(40)]
        await eventually(lambda: len(served.engine.hub.sessions) == 40)
        now = time.monotonic()
        due = sorted(session._machine.due_at - now for session in served.engine.hub.sessions.values())
        assert due[0] > 40
        assert due[-1] <= 100
        assert due[-1] - due[0] > 20
        for raw in raws:
            raw.close()


async def test_a_half_open_peer_is_found_within_a_ping_and_its_time(redis_url, redis_prefix, product):
    """It is there, as far as the kernel knows; it never says anything again."""
    async with serve_engine(redis_url, redis_prefix, product, settings=settings(ping_s=1.0)) as served:
        started = time.monotonic()
        raw = await raw_client(served.url, CONNECT)
        await eventually(lambda: len(served.engine.hub.sessions) == 1)
        await eventually(lambda: not served.engine.endpoint.open)
        # The ping, the pong's time, the closing, and the resolution of the clock at each.
        assert time.monotonic() - started < 1.0 + 0.5 + 1.0 + 3 * 0.5 + 3.0
        assert served.engine.stats.disconnects == {3012: 1}
        raw.close()


async def test_who_reads_next_to_nothing_is_put_out_however_often_they_answer(
    redis_url, redis_prefix, product, monkeypatch
):
    """A queue within its bound, held for ever by somebody who sends pongs and reads nothing."""
    monkeypatch.setattr(wire, "STUCK_S", 0.5)
    config = settings(ping_s=1.0, queued=64 * 1024 * 1024)
    async with serve_engine(redis_url, redis_prefix, product, settings=config) as served:
        raw = await raw_client(served.url, CONNECT)
        await eventually(lambda: len(served.engine.hub.sessions) == 1)

        async def pong() -> None:
            while True:
                await asyncio.get_running_loop().sock_sendall(raw, frame_of({}))
                await asyncio.sleep(0.1)

        ponging = asyncio.create_task(pong())
        (session,) = served.engine.hub.sessions.values()
        while session.wire.outbox is None:  # type: ignore[attr-defined]  # a session, behind the port
            await flood(served, 50_000, 10)
        await eventually(lambda: not served.engine.endpoint.open)
        assert served.engine.stats.disconnects == {3008: 1}
        assert served.engine.stats.outbox_bytes == 0
        ponging.cancel()
        await asyncio.wait({ponging})
        raw.close()


async def test_what_the_kernel_holds_for_a_reader_that_does_not_read_is_small(redis_url, redis_prefix, product):
    """By default it would be megabytes."""
    async with serve_engine(redis_url, redis_prefix, product, settings=settings(ping_s=100)) as served:
        raw = await raw_client(served.url, CONNECT)
        await eventually(lambda: len(served.engine.hub.sessions) == 1)
        (session,) = served.engine.hub.sessions.values()
        while session.wire.outbox is None:  # type: ignore[attr-defined]  # a session, behind the port
            await flood(served, 20_000, 5)
        unsent = _unsent_bytes(session.wire._transport.get_extra_info("socket"))  # type: ignore[attr-defined]
        assert unsent < 256 * 1024
        raw.close()


def _unsent_bytes(sock: socket.socket) -> int:
    """What the kernel has of this side's data that the other side has not taken (SIOCOUTQ)."""
    import array
    import fcntl
    import termios

    found = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, found)
    return found[0]


async def test_a_slow_reader_is_gone_a_second_after_the_bound(redis_url, redis_prefix, product):
    async with (
        serve_engine(redis_url, redis_prefix, product, settings=settings(ping_s=100, queued=100_000)) as served,
        wire_client(served.url) as alice,
    ):
        await alice.connect("alice")
        raw = await raw_client(served.url, CONNECT)
        await eventually(lambda: len(served.engine.hub.sessions) == 2)
        await flood(served, 20_000, 60)
        await eventually(lambda: served.engine.stats.disconnects.get(3008) == 1)
        over_at = time.monotonic()
        await eventually(lambda: len(served.engine.endpoint.open) == 1)
        assert time.monotonic() - over_at < 1.0 + 1.0
        await alice.until(lambda: len(alice.offsets("log:1")) == 60)
        raw.close()
