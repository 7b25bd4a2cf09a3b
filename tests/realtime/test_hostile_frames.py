"""Frames as no client library would send them, over a bare socket: the close code, and that the others are served."""

import asyncio
import os
import time
import zlib
from contextlib import suppress

import pytest

from realtime.protocol.frame_reader import CONTROL_BURST, MAX_FRAGMENTS
from realtime.protocol.machine import ConnectionSettings
from realtime.settings import Settings
from support.engine import ListFeed, SmallProduct, serve_engine
from support.raw_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    client_frame,
    close_payload,
    raw_socket,
)
from support.waiting import eventually
from support.wire_client import wire_client

LIMIT = 1024 * 1024
CONNECT = client_frame(TEXT, b'{"id":1,"connect":{"token":"mallory"}}')


@pytest.fixture
async def served(redis_url, redis_prefix):
    async with serve_engine(redis_url, redis_prefix, SmallProduct(ListFeed())) as served:
        yield served


def broken(opcode: int, payload: bytes = b"", **how) -> bytes:
    return client_frame(opcode, payload, **how)


CLOSED = {
    "W1-an-unmasked-frame": (broken(TEXT, b"{}", masked=False), 1002),
    "W2-not-UTF-8": (broken(TEXT, b"\xff\xfe"), 1007),
    "W2-overlong": (broken(TEXT, b'{"id":1,"x":"\xc0\xaf"}'), 1007),
    "W2-a-surrogate": (broken(TEXT, b'{"id":1,"x":"\xed\xa0\x80"}'), 1007),
    "W2-not-UTF-8-in-fragments": (broken(TEXT, b"\xe2", fin=False) + broken(CONTINUATION, b"("), 1007),
    "W3-one-byte-over-the-limit": (broken(TEXT, b" " * (LIMIT + 1)), 1009),
    "W3-2-to-the-40-declared": (broken(TEXT, declared=2**40), 1009),
    "W3-2-to-the-63-declared": (broken(TEXT, declared=2**63), 1009),
    "W3-2-to-the-64-less-1-declared": (broken(TEXT, declared=2**64 - 1), 1009),
    "W4-41-fragments-over-the-limit": (
        broken(TEXT, b" " * (LIMIT // 40), fin=False) + broken(CONTINUATION, b" " * (LIMIT // 40), fin=False) * 40,
        1009,
    ),
    "W5-100000-empty-fragments": (
        broken(TEXT, fin=False) + broken(CONTINUATION, fin=False) * 100_000,
        1008,
    ),
    "W5-fragments-of-one-byte": (
        broken(TEXT, b" ", fin=False) + broken(CONTINUATION, b" ", fin=False) * (MAX_FRAGMENTS + 1),
        1008,
    ),
    "W6-a-message-within-a-message": (broken(TEXT, b"{", fin=False) + broken(TEXT, b"}"), 1002),
    "W6-the-first-fragment-is-empty": (broken(TEXT, fin=False) + broken(TEXT, b"{}"), 1002),
    "W7-a-continuation-of-nothing": (broken(CONTINUATION, b"{}"), 1002),
    **{f"W8-reserved-bit-{rsv:03b}": (broken(TEXT, b"{}", rsv=rsv), 1002) for rsv in (1, 2, 4, 7)},
    **{f"W9-opcode-{opcode:X}": (broken(opcode, b"{}"), 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "W10-a-ping-of-126-bytes": (broken(PING, b"x" * 126), 1002),
    "W10-a-pong-of-126-bytes": (broken(PONG, b"x" * 126), 1002),
    "W10-a-ping-in-fragments": (broken(PING, b"x", fin=False), 1002),
    "W10-a-close-in-fragments": (broken(CLOSE, close_payload(1000), fin=False), 1002),
    "W10-a-close-of-126-bytes": (broken(CLOSE, close_payload(1000, b"x" * 124)), 1002),
    "W11-2000-pings": (broken(PING, b"x" * 125) * 2000, 1008),
    "W12-100000-pongs": (broken(PONG, b"x") * 100_000, 1008),
    **{
        f"W13-close-with-{code}": (broken(CLOSE, close_payload(code)), 1002)
        for code in (0, 999, 1004, 1005, 1015, 1016, 2999)
    },
    "W13-a-close-of-one-byte": (broken(CLOSE, b"\x03"), 1002),
    "W13-a-reason-that-is-not-UTF-8": (broken(CLOSE, close_payload(1000, b"\xff")), 1007),
    **{f"W14-close-with-{code}": (broken(CLOSE, close_payload(code)), 1002) for code in (1006, 5000, 65535)},
    "W17-a-deflate-bomb": (broken(TEXT, zlib.compress(bytes(60_000_000), 9)[2:-4], rsv=4), 1002),
    "W18-deflate-garbage": (broken(TEXT, os.urandom(500), rsv=4), 1002),
    "W19-deflate-that-was-not-agreed": (broken(TEXT, zlib.compress(b"{}")[2:-4], rsv=4), 1002),
    "W21-binary-on-a-JSON-connection": (broken(BINARY, b"{}"), 1003),
    "W22-a-length-in-more-bytes-than-it-needs": (broken(TEXT, b"{}", length_bytes=8), 1002),
}


@pytest.mark.parametrize(("frames", "code"), CLOSED.values(), ids=CLOSED)
async def test_a_hostile_frame_closes_with_its_code_and_harms_nobody(served, frames: bytes, code: int):
    async with wire_client(served.url) as alice, raw_socket(served.url) as raw:
        await alice.connect("alice")
        await raw.send(CONNECT)
        await raw.frame()
        with suppress(ConnectionError):  # closed before all of it was sent
            await raw.send(frames)
        assert await raw.closed() == code
        await eventually(lambda: len(served.engine.endpoint.open) == 1)
        assert served.engine.stats.disconnects == {code: 1}
        assert await alice.rpc("echo", x=1) == {"x": 1}


async def test_w3_a_message_of_exactly_the_limit_is_served(served):
    command = b'{"id":2,"ping":{}}'
    async with raw_socket(served.url) as raw:
        await raw.send(CONNECT)
        await raw.frame()
        for frames in (
            client_frame(TEXT, command + b" " * (LIMIT - len(command))),
            client_frame(TEXT, command, fin=False) + client_frame(CONTINUATION, b" " * (LIMIT - len(command))),
        ):
            await raw.send(frames)
            assert await raw.frame() == (TEXT, b'{"id":2,"ping":{}}')


async def test_w5_a_frame_that_comes_byte_by_byte_is_served(served):
    async with raw_socket(served.url) as raw:
        for byte in CONNECT:
            await raw.send(bytes([byte]))
            await asyncio.sleep(0)
        _, payload = await raw.frame()
        assert payload.startswith(b'{"id":1,"connect":')


async def test_w11_pings_are_answered_as_long_as_they_are_few(served):
    async with raw_socket(served.url) as raw:
        await raw.send(b"".join(client_frame(PING, b"%d" % number) for number in range(CONTROL_BURST)))
        assert [await raw.frame() for _ in range(CONTROL_BURST)] == [
            (PONG, b"%d" % number) for number in range(CONTROL_BURST)
        ]


async def test_w15_what_comes_after_a_close_is_not_read(served):
    async with raw_socket(served.url) as raw:
        await raw.send(client_frame(CLOSE, close_payload(1000)) + CONNECT)
        assert await raw.closed() == 1000
    await eventually(lambda: not served.engine.endpoint.open)
    assert not served.engine.stats.commands["connect"]


async def test_w15_a_client_that_ends_its_half_without_a_word_is_let_go(served):
    async with raw_socket(served.url) as raw:
        await raw.send(CONNECT)
        await raw.frame()
        raw.writer.write_eof()
        await eventually(lambda: not served.engine.endpoint.open)
        assert served.engine.stats.disconnects == {0: 1}


async def test_w16_who_goes_on_talking_instead_of_answering_a_close_is_cut_off(served):
    async with raw_socket(served.url) as raw:
        await raw.send(CONNECT + client_frame(TEXT, b"{nonsense"))
        await raw.frame()
        assert (await raw.frame())[0] == CLOSE
        started = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - started < 10:
                await raw.send(client_frame(TEXT, b'{"id":3,"ping":{}}'))
                await asyncio.sleep(0.05)
        assert time.monotonic() - started < 5
    await eventually(lambda: not served.engine.endpoint.open)


SILENT = {
    "W23-half-a-header": CONNECT[:1],
    "W23-a-header-without-its-mask": CONNECT[:4],
    "W23-half-a-payload": CONNECT[:20],
    "W23-a-fragment-without-an-end": client_frame(TEXT, b"{", fin=False),
}


@pytest.mark.parametrize("half", SILENT.values(), ids=SILENT)
@pytest.mark.parametrize("connected", [False, True], ids=["before-connect", "connected"])
async def test_w23_who_stops_in_the_middle_of_a_frame_is_closed_in_time(redis_url, redis_prefix, half, connected):
    patience = ConnectionSettings(connect_timeout_s=0.5, ping_interval_s=1.0, pong_timeout_s=0.4)
    settings = Settings(connection=patience)
    async with (
        serve_engine(redis_url, redis_prefix, SmallProduct(ListFeed()), settings=settings) as served,
        raw_socket(served.url) as raw,
    ):
        if connected:
            await raw.send(CONNECT)
            await raw.frame()
        await raw.send(half)
        assert await raw.closed() == (3012 if connected else 4000)
        await eventually(lambda: not served.engine.endpoint.open)


async def test_w25_a_client_that_sends_faster_than_it_is_served_waits_in_its_own_socket(served):
    """What it sends piles up with the client, not with us: reading pauses. (Rate limits are the product's.)"""
    served.product.gate.shut()
    async with raw_socket(served.url) as raw:
        raw.writer.write(CONNECT)
        flood = client_frame(TEXT, b'{"id":2,"rpc":{"method":"echo","data":"%s"}}' % (b"x" * 4000)) * 10_000
        raw.writer.write(flood)
        await eventually(lambda: served.product.gate.waiting)
        left = -1
        while left != (left := raw.writer.transport.get_write_buffer_size()):
            await asyncio.sleep(0.3)
        assert left > len(flood) // 2
        async with wire_client(served.url) as alice:
            served.product.gate.open()
            await alice.connect("alice")
