"""The proxy that the chaos tests are unkind with."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from chaos.doors import Listener, Opened, opened
from chaos.fault import Traffic
from chaos.proxy import ProxyLink
from support.waiting import eventually


@contextlib.asynccontextmanager
async def upper() -> AsyncIterator[tuple[str, int]]:
    """A server that sends back what it gets in upper case, until its client has ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                writer.write(chunk.upper())
                await writer.drain()
            writer.write(b"!")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


@pytest.fixture
async def way() -> AsyncIterator[Opened]:
    async with upper() as address, opened("a", address) as way:
        yield way


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def say(self, text: bytes) -> None:
        self.writer.write(text)

    async def hear(self, size: int, *, within_s: float = 5) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), within_s)

    async def silent(self, seconds: float = 0.1) -> bool:
        try:
            heard = await asyncio.wait_for(self.reader.read(100), seconds)
        except TimeoutError:
            return True
        raise AssertionError(f"heard {heard!r}")

    async def is_reset(self) -> bool:
        try:
            heard = await asyncio.wait_for(self.reader.read(100), 5)
        except ConnectionResetError:
            return True
        raise AssertionError(f"heard {heard!r}")

    def vanish(self) -> None:
        self.writer.transport.abort()


Come = Callable[[int], Awaitable[Client]]


@pytest.fixture
async def come() -> AsyncIterator[Come]:
    """Makes clients of a port, and lets them go."""
    clients: list[Client] = []

    async def come(port: int) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return clients[-1]

    yield come
    for client in clients:
        client.vanish()
        with contextlib.suppress(ConnectionError):
            await client.writer.wait_closed()


async def test_what_goes_through_is_the_same_in_both_directions_and_to_the_end(way, come):
    client = await come(way.port)
    client.say(b"x" * 3_000_000)
    assert await client.hear(3_000_000) == b"X" * 3_000_000
    client.writer.write_eof()
    assert await client.hear(1) == b"!"
    assert await client.reader.read() == b""
    await eventually(lambda: way.link.connections == 0)


async def test_a_stalled_direction_holds_back_and_sends_on_what_it_held(way, come):
    client = await come(way.port)
    for direction in ({"to_server": False}, {"to_client": False}, {}):
        way.link.set(Traffic.STALL, **direction)
        client.say(b"abc")
        assert await client.silent()
        way.link.set(Traffic.PASS)
        assert await client.hear(3) == b"ABC"


async def test_a_new_connection_through_a_stalled_link_is_served_when_it_passes_again(way, come):
    way.link.set(Traffic.STALL)
    client = await come(way.port)
    client.say(b"abc")
    assert await client.silent()
    way.link.set(Traffic.PASS)
    assert await client.hear(3) == b"ABC"


async def test_refusing_resets_who_is_there_and_lets_nobody_in(way, come):
    client = await come(way.port)
    client.say(b"a")
    await client.hear(1)
    way.link.set(Traffic.REFUSE)
    assert await client.is_reset()
    with pytest.raises(ConnectionRefusedError):
        await come(way.port)
    way.link.set(Traffic.PASS)
    client = await come(way.port)
    client.say(b"b")
    assert await client.hear(1) == b"B"


async def test_a_black_hole_swallows_and_resets_who_lost_something_when_it_ends(way, come):
    spared = await come(way.port)
    spared.say(b"a")
    await spared.hear(1)
    harmed = await come(way.port)
    harmed.say(b"a")
    await harmed.hear(1)
    way.link.set(Traffic.BLACKHOLE)
    harmed.say(b"lost")
    late = await come(way.port)
    late.say(b"lost")
    assert await harmed.silent()
    assert await late.silent()
    way.link.set(Traffic.PASS)
    assert await harmed.is_reset()
    assert await late.is_reset()
    spared.say(b"b")
    assert await spared.hear(1) == b"B"


async def test_nobody_is_told_of_a_client_that_goes_away_behind_a_black_hole(way, come):
    client = await come(way.port)
    client.say(b"a")
    await client.hear(1)
    way.link.set(Traffic.BLACKHOLE)
    client.vanish()
    await asyncio.sleep(0.1)  # nothing happens, which takes time to see
    assert way.link.connections == 1
    way.link.set(Traffic.PASS)
    await eventually(lambda: way.link.connections == 0)


async def test_a_delay_keeps_the_order_and_does_not_add_up(way, come):
    way.link.delay(0.1, 0.05)
    client = await come(way.port)
    started = time.monotonic()
    expected = b""
    for number in range(20):
        client.say(b"%d;" % number)
        expected += b"%d;" % number
        await asyncio.sleep(0.005)
    assert await client.hear(len(expected)) == expected
    assert 0.1 < time.monotonic() - started < 2.0


async def test_a_rate_is_kept_to(way, come):
    way.link.rate(10_000)
    client = await come(way.port)
    started = time.monotonic()
    client.say(b"a" * 5_000)
    await client.hear(5_000)
    assert time.monotonic() - started > 0.35


async def test_chopped_bytes_are_the_same_bytes(way, come):
    way.link.chop(1)
    client = await come(way.port)
    client.say(b"abcdefgh")
    assert await client.hear(8) == b"ABCDEFGH"


async def test_one_connection_is_cut_off_after_so_many_bytes_of_its_reply(way, come):
    one, other = await come(way.port), await come(way.port)
    other.say(b"a")
    await other.hear(1)
    way.link.cut_after(3)
    one.say(b"abcdef")
    assert await one.hear(3) == b"ABC"
    assert await one.is_reset()
    other.say(b"abcdef")
    assert await other.hear(6) == b"ABCDEF"
    assert way.link.cuts == 1


async def test_a_reply_is_cut_off_only_where_something_was_asked(way, come):
    one, other = await come(way.port), await come(way.port)
    way.link.cut_after(0, asked=b"insert")
    other.say(b"hello")
    assert await other.hear(5) == b"HELLO"
    one.say(b"insert")
    assert await one.is_reset()
    assert way.link.cuts == 1


async def test_a_half_closed_server_answers_to_the_end(way, come):
    client = await come(way.port)
    client.say(b"a")
    assert await client.hear(1) == b"A"
    way.link.half_close()
    assert await client.hear(1) == b"!"


async def test_a_reset_concerns_those_who_are_there(way, come):
    client = await come(way.port)
    client.say(b"a")
    await client.hear(1)
    way.link.reset()
    assert await client.is_reset()
    assert await (await come(way.port)).silent()


async def test_a_server_that_is_away_resets_its_clients(come):
    async with opened("a", ("127.0.0.1", 1)) as way:
        assert await (await come(way.port)).is_reset()


async def test_one_port_may_belong_to_several_links(come):
    async with upper() as address:
        first, second = ProxyLink("first"), ProxyLink("second")
        takes_turns = itertools.cycle((first, second))
        listener = Listener(address, lambda _: next(takes_turns), lambda: (first, second))
        for link in (first, second):
            link.listened_by(listener)
        listener.follow()
        try:
            refused, served = await come(listener.port), await come(listener.port)
            await eventually(lambda: first.connections == second.connections == 1)
            first.set(Traffic.REFUSE)
            assert await refused.is_reset()
            served.say(b"a")
            assert await served.hear(1) == b"A"
        finally:
            listener.close()
            await first.close()
            await second.close()
