"""Bytes that are nearly HTTP: one answer, or the end, and never a second request that somebody smuggled in."""

import asyncio
import re
from dataclasses import dataclass

import aiohttp
import pytest

from support.app import App
from support.raw_http import Answers, exchange
from support.waiting import PATIENCE_S

pytestmark = pytest.mark.asyncio(loop_scope="module")

GET = b"GET /v1 HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Row:
    """`status` of the one answer; `closes`: nothing more is read from this connection."""

    name: str
    data: bytes
    status: int = 400
    closes: bool = True


def post(headers: bytes, body: bytes = b"") -> bytes:
    return POST + headers + b"\r\n" + body


def get(line: bytes) -> bytes:
    return line + b"\r\n\r\n"


TABLE = (
    # Where a body ends
    Row("R11-length-and-chunked", post(b"Content-Length: 6\r\n" + CHUNKED[:-2], b"0\r\n\r\n" + SMUGGLED)),
    Row("R11-two-lengths", post(b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}" + SMUGGLED)),
    Row("R11-the-same-length-twice", post(b"Content-Length: 2\r\nContent-Length: 2\r\n", b"{}")),
    Row("R11-a-list-of-lengths", post(b"Content-Length: 2, 2\r\n", b"{}")),
    Row("R11-a-length-with-a-plus", post(b"Content-Length: +2\r\n", b"{}")),
    Row("R11-a-negative-length", post(b"Content-Length: -2\r\n", b"{}")),
    Row("R11-a-length-in-hex", post(b"Content-Length: 0x2\r\n", b"{}")),
    Row("R11-a-length-of-20-digits", post(b"Content-Length: 99999999999999999999\r\n", b"{}")),
    Row("R11-xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"{}" + SMUGGLED)),
    Row("R11-chunked-twice", post(b"Transfer-Encoding: chunked, chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n")),
    Row("R11-chunked-and-identity", post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", b"2\r\n{}")),
    Row("R11-another-transfer-coding", post(b"Transfer-Encoding: gzip, chunked\r\n", b"2\r\n{}\r\n0\r\n\r\n"), 501),
    # Lines
    Row("R11-bare-line-feeds", b"GET /v1 HTTP/1.1\nHost: x\n\n"),
    Row("R11-one-bare-line-feed", b"GET /v1 HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
    Row("R11-a-folded-header", GET + b"X: a\r\n b\r\n\r\n"),
    Row("R11-a-space-before-the-colon", b"GET /v1 HTTP/1.1\r\nHost : x\r\n\r\n"),
    Row("R11-nul-in-a-value", GET + b"X: a\0b\r\n\r\n"),
    Row("R11-nul-in-a-name", GET + b"X\0: a\r\n\r\n"),
    Row("R11-a-bare-carriage-return", GET + b"X: a\rY: b\r\n\r\n"),
    Row("R11-a-path-that-is-not-utf-8", get(b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: x")),
    # Verbs
    Row("R8-a-verb-that-there-is-not", get(b"BREW /v1 HTTP/1.1\r\nHost: x")),
    Row("R8-a-verb-in-lower-case", get(b"get /v1 HTTP/1.1\r\nHost: x")),
    Row("R8-trace", get(b"TRACE /v1 HTTP/1.1\r\nHost: x"), 405, closes=False),
    Row("R8-connect", get(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x"), 404, closes=False),
    Row("R8-everything", get(b"OPTIONS * HTTP/1.1\r\nHost: x"), 404, closes=False),
    # Hosts
    Row("R12-no-host", get(b"GET /v1 HTTP/1.1")),
    Row("R12-two-hosts", get(b"GET /v1 HTTP/1.1\r\nHost: x\r\nHost: y")),
    Row("R12-a-host-with-a-path", get(b"GET /v1 HTTP/1.1\r\nHost: evil.example/@x")),
    Row("R12-a-host-with-a-user", get(b"GET /v1 HTTP/1.1\r\nHost: x@evil.example")),
    Row("R12-a-host-that-is-a-url", get(b"GET /v1 HTTP/1.1\r\nHost: http://evil.example")),
    Row("R12-another-host-is-not-heard", get(b"GET /v1 HTTP/1.1\r\nHost: evil.example"), 200, closes=False),
    # Sizes
    Row("R13-a-header-of-9000-bytes", GET + b"X: " + b"a" * 9000 + b"\r\n\r\n"),
    Row("R13-an-address-of-9000-bytes", get(b"GET /v1?x=" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x")),
    Row("R13-200-headers", GET + b"".join(b"X%d: a\r\n" % number for number in range(200)) + b"\r\n"),
    Row("R13-a-request-line-that-never-ends", b"GET /" + b"a" * 100_000),
    # Chunks
    Row("R18-extensions-of-a-chunk", POST + CHUNKED + b"2;" + b"a=b;" * 30_000 + b"\r\n{}\r\n0\r\n\r\n"),
    Row("R18-a-chunk-of-18-hex-digits", POST + CHUNKED + b"f" * 18 + b"\r\n{}"),
    Row("R18-a-negative-chunk", POST + CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"),
    Row("R18-a-chunk-in-hex-with-a-prefix", POST + CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n"),
    Row("R18-a-chunk-with-an-underscore", POST + CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n"),
    Row("R18-five-thousand-trailers", POST + CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: a\r\n" * 5000 + b"\r\n"),
    Row("R18-a-trailer-is-not-heard", POST + CHUNKED + b"2\r\n{}\r\n0\r\nAuthorization: x\r\n\r\n", 200, closes=False),
    # What HTTP has besides
    Row("R19-ranges", GET + b"Range: bytes=0-0,1-1,2-\r\n\r\n", 200, closes=False),
    Row("R19-upgrade-to-http-2", GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200, closes=False),
    Row("R19-another-expectation", post(b"Expect: <b>tea</b>\r\nContent-Length: 2\r\n", b"{}"), 417, closes=False),
    Row("R19-a-body-on-a-get", GET + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED, 200, closes=False),
    # What is something else
    Row("R20-tls", bytes.fromhex("16030100c8010000c40303") + b"a" * 200),
    Row("R20-http-2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    Row("R20-http-2-by-name", get(b"GET /v1 HTTP/2.0\r\nHost: x"), 505),
    Row("R20-http-0.9", get(b"GET /v1"), 505),
    Row("R20-http-9.9", get(b"GET /v1 HTTP/9.9\r\nHost: x")),
    Row("R20-noise", b"\x00\x01\x02\x03\r\n\r\n"),
)  # fmt: skip


async def told(app: App, data: bytes) -> Answers:
    return await exchange(app.http, data.replace(b"TOKEN", app.token("alice").encode()), quiet_s=0.3)


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
async def test_what_is_nearly_a_request_is_answered_once(app: App, row: Row) -> None:
    answers = await told(app, row.data)
    assert answers.statuses == [row.status], answers.raw[:300]
    assert answers.closed is row.closes
    if row.status != 200:
        body = answers.raw.partition(b"\r\n\r\n")[2]
        assert len(body) < 500
        assert not re.search(rb"evil|<b>|aaaa|Traceback|aiohttp", body), body


async def test_who_waits_to_be_told_to_go_on_is_told_or_refused(app: App) -> None:
    expecting = b"Expect: 100-continue\r\nContent-Length: 2\r\n"
    for data, statuses in (
        (post(expecting, b"{}"), [100, 200]),
        (post(expecting, b"{}").replace(b"Bearer TOKEN", b"Bearer x"), [100, 401]),
        (post(expecting, b"{}").replace(b"HTTP/1.1", b"HTTP/1.0"), [200]),
    ):
        assert (await told(app, data)).statuses == statuses


@pytest.mark.parametrize("count", [pytest.param(1000, id="R14-a-thousand-requests-at-once")])
async def test_requests_that_are_sent_without_waiting_are_answered_in_order(app: App, count: int) -> None:
    asked = b"".join(
        b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\nX-Request-Id: number-%d\r\n\r\n" % number for number in range(count)
    )
    answers = await exchange(app.http, asked, quiet_s=2)
    assert answers.statuses == [404] * count
    given = [int(number) for number in re.findall(rb"X-Request-Id: number-(\d+)", answers.raw)]
    assert given == list(range(count))


@pytest.mark.parametrize("count", [pytest.param(400_000, id="R14-a-client-that-sends-and-never-reads")])
async def test_a_flood_of_requests_waits_in_the_socket_of_who_sends_it(app: App, count: int) -> None:
    """The server stops reading when enough is waiting, so what is not taken stays with the sender."""
    host, port = app.http.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    asked = GET + b"\r\n"
    writer.transport.set_write_buffer_limits(high=0)
    sent = 0
    try:
        async with asyncio.timeout(3):
            for _ in range(count // 1000):
                writer.write(asked * 1000)
                await writer.drain()
                sent += 1000
    except TimeoutError:
        pass
    async with aiohttp.ClientSession(app.http) as others, asyncio.timeout(PATIENCE_S), others.get("/livez") as response:
        assert response.status == 200
    assert sent < count, "the server took all of it, with nobody reading a single answer"
    writer.transport.abort()
