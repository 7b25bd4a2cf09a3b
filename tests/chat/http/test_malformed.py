"""What is no HTTP, and requests that want two answers."""

import asyncio

import pytest
from aiohttp.http_exceptions import BadHttpMethod
from structlog.testing import capture_logs

from chat.http.malformed import RequestLog

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def answers(app, request: bytes) -> list[bytes]:
    """Everything that comes back until the connection ends, split into its answers."""
    host, port = app.http.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    return [b"HTTP/1." + part for part in received.split(b"HTTP/1.")[1:]]


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nBad Header : x\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
        b"GET /" + b"v" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        b"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST /v1/sync HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/sync HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ],
    ids=range(10),
)
async def test_what_is_no_http_gets_one_400_and_one_line(app, request_):
    with capture_logs() as logs:
        (answer,) = await answers(app, request_)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert answer.partition(b"\r\n\r\n")[2] == b"400 Bad Request\n"
    assert b"Server: hubbub\r\n" in answer
    # What is no HTTP at all, such as TLS on this port, is not worth even that.
    assert [one["event"] for one in logs] in (["request_malformed"], [])
    assert not any("exc_info" in one for one in logs)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer eyJsecret\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer eyJsecret\x00\r\n\r\n",
        b"GET /v1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer eyJsecret" + b"y" * 10_000 + b"\r\n\r\n",
        b"GET /v1?token=eyJsecret" + b"v" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1?token=eyJsecret HTTP/1.x\r\nHost: a\r\n\r\n",
        b"eyJsecret /v1 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=[
        f"A19-{where}"
        for where in ("a-name", "a-control-character", "a-long-header", "a-long-path", "a-version", "a-method")
    ],
)
async def test_what_could_not_be_read_is_quoted_to_nobody(app, request_, caplog):
    with capture_logs() as logs, caplog.at_level("DEBUG", "aiohttp"):
        (answer,) = await answers(app, request_)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"eyJsecret" not in answer
    assert "eyJsecret" not in repr(logs)
    assert "eyJsecret" not in caplog.text


async def test_many_requests_on_one_connection_are_answered_in_order(app):
    one = b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-%d\r\n\r\n"
    last = b"GET /v1/nothing HTTP/1.1\r\nHost: a\r\nX-Request-Id: r-99\r\nConnection: close\r\n\r\n"
    received = await answers(app, b"".join(one % number for number in range(99)) + last)
    ids = [answer.split(b"X-Request-Id: ")[1].split(b"\r\n")[0] for answer in received]
    assert ids == [b"r-%d" % number for number in range(100)]


async def test_a_first_request_that_is_no_http_is_not_quoted_at_the_level_of_debugging_either(caplog):
    error = BadHttpMethod(b"eyJsecret /v1 HTTP/1.1", "")
    with caplog.at_level("DEBUG", "aiohttp"):
        RequestLog().debug("Error handling request from %s", "127.0.0.1", exc_info=error)
    assert caplog.messages == ["Error handling request from 127.0.0.1"]
    assert "eyJsecret" not in caplog.text


async def test_a_request_that_is_broken_off_at_the_end_of_the_process_is_one_line():
    with capture_logs() as logs:
        RequestLog().exception("Unhandled exception", exc_info=asyncio.InvalidStateError("invalid state"))
    assert logs == [{"event": "request_broken_off", "log_level": "info"}]
