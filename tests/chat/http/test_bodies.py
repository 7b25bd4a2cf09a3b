"""Bodies of requests: their type, their coding, their size, and whether they are JSON at all."""

import asyncio
import gzip
import io

import pytest

from support.raw_http import exchange
from support.resting import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")


TYPES = {
    "R4-text": "text/plain",
    "R4-none": "",
    "R4-a-form": "application/x-www-form-urlencoded",
    "R4-parts": "multipart/form-data; boundary=x",
    "R4-json-of-another-kind": "text/json",
    "R4-a-patch": "application/json-patch+json",
    "R4-utf-16": "application/json; charset=utf-16",
    "R4-latin-1": "application/json; charset=iso-8859-1",
    "R4-a-charset-that-there-is-not": "application/json; charset=nonsense",
    "R4-a-codec-of-python": "application/json; charset=zlib_codec",
    "R4-another-codec-of-python": "application/json; charset=unicode_escape",
    "R4-a-charset-in-quotes": 'application/json; charset="utf-7"',
}


@pytest.mark.parametrize("content_type", [pytest.param(value, id=name) for name, value in TYPES.items()])
async def test_a_body_of_another_type_is_415(alice, content_type):
    async with alice.post("/v1/sync", data=b"{}", headers={"Content-Type": content_type}) as response:
        await problem(response, 415, "bad_request")


@pytest.mark.parametrize("charset", ["", "; charset=utf-8", "; charset=UTF-8", '; charset="utf-8"', "; charset=utf8"])
async def test_json_in_utf_8_is_fine_however_it_is_said(alice, charset):
    headers = {"Content-Type": f"application/json{charset}"}
    async with alice.post("/v1/sync", data=b"{}", headers=headers) as response:
        assert response.status == 200


BODIES = {
    "R5-cut-off": b"{",
    "R5-garbage-behind": b"{}x",
    "R5-two-values": b"{}{}",
    "R5-a-byte-order-mark": b"\xef\xbb\xbf{}",
    "R5-not-utf-8": b'{"epoch":"\xff"}',
    "R5-utf-16": '{"epoch":""}'.encode("utf-16"),
    "R5-half-a-pair": b'{"epoch":"\\ud800"}',
    "R5-nan": b'{"epoch":NaN}',
    "R5-infinity": b'{"revision":Infinity}',
    "R5-a-hundred-thousand-levels": b"[" * 100_000,
    "R5-levels-that-end": b'{"cursors":' + b"[" * 500 + b"]" * 500 + b"}",
    "R5-5000-digits": b'{"epoch":' + b"9" * 5_000 + b"}",
    "R5-30-digits": b'{"revision":' + b"9" * 30 + b"}",
    "R5-a-number-beyond-all": b'{"revision":1e400}',
    "R5-an-array": b"[]",
    "R5-a-string": b'"x"',
    "R5-null": b"null",
    "R5-nul": b"\x00",
    "R5-a-form": b"epoch=&revision=0",
}


@pytest.mark.parametrize("body", [pytest.param(body, id=name) for name, body in BODIES.items()])
async def test_a_body_that_is_no_good_json_is_400(alice, body):
    async with alice.post("/v1/sync", data=body, headers={"Content-Type": "application/json"}) as response:
        await problem(response, 400, "bad_request")


@pytest.mark.parametrize("body", [pytest.param(b"", id="R5-empty"), pytest.param(b" ", id="R5-blank")])
async def test_where_a_body_is_needed_there_is_one(alice, body):
    async with alice.post("/v1/conversations", data=body, headers={"Content-Type": "application/json"}) as response:
        await problem(response, 400, "bad_request")


async def test_wrong_types_are_pointed_at(alice):
    async with alice.post("/v1/conversations", json={"kind": "group", "members": ["bob", 7]}) as response:
        told = await problem(response, 400, "bad_request")
    assert told["errors"][0]["pointer"] == "/members/1"


@pytest.mark.parametrize("more", [pytest.param(1, id="R6-one-byte-more")])
async def test_a_body_over_the_limit_is_413(alice, app, more):
    limit = app.running.process.config.limits.request_max_size
    headers = {"Content-Type": "application/json"}
    async with alice.post("/v1/sync", data=io.BytesIO(b" " * (limit + more)), headers=headers) as response:
        await problem(response, 413, "limit_exceeded")


@pytest.mark.parametrize("chunk", [pytest.param(65_536, id="R6-in-chunks-without-a-length")])
async def test_a_body_in_chunks_over_the_limit_is_413(alice, app, chunk):
    limit = app.running.process.config.limits.request_max_size

    async def chunks():
        for _ in range(limit // chunk + 2):
            yield b" " * chunk

    async with alice.post("/v1/sync", data=chunks(), headers={"Content-Type": "application/json"}) as response:
        await problem(response, 413, "limit_exceeded")


@pytest.mark.parametrize(
    "coding",
    [
        pytest.param("gzip", id="R7-gzip"),
        pytest.param("deflate", id="R7-deflate"),
        pytest.param("br", id="R7-br"),
        pytest.param("zstd", id="R7-zstd"),
        pytest.param("gzip, gzip", id="R7-twice"),
        pytest.param("nonsense", id="R7-one-that-there-is-not"),
    ],
)
async def test_compressed_bodies_are_415(alice, coding):
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    async with alice.post("/v1/sync", data=b"{}", headers=headers) as response:
        await problem(response, 415, "bad_request")


async def test_a_body_that_breaks_off_harms_nothing(app, http):
    host, port = app.http.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + app.token("alice").encode()
        + b"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with http.get("/v1") as response:
        assert response.status == 200


@pytest.mark.parametrize("size", [pytest.param(50_000_000, id="R6-a-bomb-of-gzip")])
async def test_nothing_is_unpacked(alice, size):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * size)
    assert len(bomb) < 100_000
    async with alice.post("/v1/sync", data=bomb, headers=headers) as response:
        await problem(response, 415, "bad_request")


async def test_a_body_of_just_the_limit_is_read(alice, app):
    limit = app.running.process.config.limits.request_max_size
    headers = {"Content-Type": "application/json"}
    async with alice.post("/v1/sync", data=io.BytesIO(b"{}" + b" " * (limit - 2)), headers=headers) as response:
        assert response.status == 200


async def test_a_body_declared_too_large_is_refused_before_it_is_sent(app):
    """Who waits for the answer before sending all of it is spared the rest."""
    request = (
        b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer " + app.token("alice").encode() + b"\r\nContent-Length: 999999999\r\n\r\n{"
    )
    answers = await exchange(app.http, request)
    assert answers.statuses == [413]
