"""Handshakes as no browser and no SDK sends them: the status, no word of what was sent, and the connection ends."""

import asyncio
import re

import pytest
from structlog.testing import capture_logs

from realtime.incoming import JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL
from support.raw_frames import TEXT, UPGRADE, RawSocket, client_frame, handshake, raw_socket

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SECRET = "eyJhbGciOiJIUzI1NiJ9"
PATH = "/connection/websocket"


def without(name: str) -> bytes:
    headers = "".join(f"{key}: {value}\r\n" for key, value in UPGRADE if key != name)
    return f"GET {PATH} HTTP/1.1\r\n{headers}\r\n".encode()


def line(text: str) -> bytes:
    return handshake(line=text)


REFUSED = {
    "H1-no-Upgrade": (without("Upgrade"), 426),
    "H1-no-Connection": (without("Connection"), 426),
    "H1-another-Upgrade": (handshake(("Upgrade", SECRET)), 426),
    "H1-Upgrade-to-h2c": (handshake(("Upgrade", "h2c")), 426),
    "H1-Connection-without-upgrade": (handshake(("Connection", f"keep-alive, {SECRET}")), 426),
    "H2-no-key": (without("Sec-WebSocket-Key"), 400),
    "H2-an-empty-key": (handshake(("Sec-WebSocket-Key", "")), 400),
    "H2-a-short-key": (handshake(("Sec-WebSocket-Key", "dGhlIHNhbXBsZQ==")), 400),
    "H2-a-long-key": (handshake(("Sec-WebSocket-Key", SECRET * 3)), 400),
    "H3-junk-in-the-key": (handshake(("Sec-WebSocket-Key", "dGhlI*HNhb!XBsZSBub25jZQ==")), 400),
    "H3-a-key-in-the-alphabet-of-URLs": (handshake(("Sec-WebSocket-Key", "-_hlIHNhbXBsZSBub25jZQ==")), 400),
    "H3-a-key-with-bits-left-over": (handshake(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZR==")), 400),
    "H3-two-keys": (handshake(("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")), 400),
    "H3-the-same-key-twice": (handshake(("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)), 400),
    "H3-two-versions": (handshake(("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Version", "8")), 400),
    "H3-Upgrade-twice": (handshake(("Upgrade", "websocket"), ("Upgrade", "websocket")), 400),
    "H4-no-version": (without("Sec-WebSocket-Version"), 426),
    "H4-version-12": (handshake(("Sec-WebSocket-Version", "12")), 426),
    "H4-version-13-and-8": (handshake(("Sec-WebSocket-Version", "13, 8")), 426),
    "H4-a-version-that-is-no-number": (handshake(("Sec-WebSocket-Version", SECRET)), 426),
    "H5-version-7": (handshake(("Sec-WebSocket-Version", "7")), 426),
    "H5-version-8": (handshake(("Sec-WebSocket-Version", "8")), 426),
    "H6-HEAD": (line(f"HEAD {PATH} HTTP/1.1"), 405),
    "H7-HTTP-1.0": (line(f"GET {PATH} HTTP/1.0"), 400),
    "H7-HTTP-2.0": (line(f"GET {PATH} HTTP/2.0"), 505),
    "H7-HTTP-0.9": (line(f"GET {PATH} HTTP/0.9"), 505),
    "H8-a-body-with-a-length": (handshake(("Content-Length", "5")) + b"hello", 400),
    "H8-a-chunked-body": (handshake(("Transfer-Encoding", "chunked")) + b"5\r\nhello\r\n0\r\n\r\n", 400),
    "H8-a-body-that-does-not-come": (handshake(("Content-Length", "1000000")), 400),
    "H8-a-request-in-the-body": (
        handshake(("Content-Length", "37")) + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n      ",
        400,
    ),
    "H8-a-request-behind-a-refused-handshake": (
        handshake(("Sec-WebSocket-Version", "8")) + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        426,
    ),
    "H9-a-foreign-origin": (handshake(("Origin", "https://evil.example")), 403),
    "H9-null": (handshake(("Origin", "null")), 403),
    "H9-ours-as-a-prefix": (handshake(("Origin", "https://app.example.evil.example")), 403),
    "H9-ours-as-a-suffix": (handshake(("Origin", "https://evil-app.example")), 403),
    "H9-ours-at-another-port": (handshake(("Origin", "https://app.example:8443")), 403),
    "H9-ours-by-another-scheme": (handshake(("Origin", "http://app.example")), 403),
    "H9-ours-with-a-path": (handshake(("Origin", "https://app.example/x")), 403),
    "H9-an-empty-origin": (handshake(("Origin", "")), 403),
    "H9-two-origins": (handshake(("Origin", "https://app.example"), ("Origin", "https://app.example")), 403),
    "H9-a-request-behind-a-foreign-origin": (
        handshake(("Origin", "https://evil.example")) + b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        403,
    ),
    "H11-a-foreign-origin-with-every-credential-there-is": (
        handshake(
            ("Origin", "https://evil.example"),
            ("Cookie", f"hubbub_admin={SECRET}; session={SECRET}"),
            ("Authorization", f"Bearer {SECRET}"),
        ),
        403,
    ),
    "H12-no-subprotocol-in-common": (handshake(("Sec-WebSocket-Protocol", "graphql-ws")), 400),
    "H12-a-token-instead-of-a-subprotocol": (handshake(("Sec-WebSocket-Protocol", f"bearer, {SECRET}")), 400),
}


@pytest.mark.parametrize(("request_", "status"), REFUSED.values(), ids=REFUSED)
async def test_what_is_no_handshake_is_refused_and_not_quoted(app, caplog, request_: bytes, status: int):
    with capture_logs() as logs, caplog.at_level("DEBUG", "aiohttp"):
        async with raw_socket(app.websocket, upgrade=False) as raw:
            await raw.send(request_)
            answer = await raw.rest()
    assert int(answer.split(b" ", 2)[1]) == status
    assert len(re.findall(rb"HTTP/\d\.\d \d{3} ", answer)) == 1, "one request, one answer"
    assert SECRET.encode() not in answer
    assert b"Traceback" not in answer
    assert b"aiohttp" not in answer
    assert SECRET not in repr(logs)
    assert SECRET not in caplog.text
    assert not app.running.process.engine.endpoint.open


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"], ids="H6-{}".format)
async def test_a_websocket_is_opened_with_get(app, method: str):
    async with raw_socket(app.websocket, upgrade=False) as raw:
        await raw.upgrade(line(f"{method} {PATH} HTTP/1.1"))
        assert raw.status == 405
        assert b"\r\nAllow: GET" in raw.head


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ((("Upgrade", "h2c"),), b"Upgrade: websocket"),
        ((("Sec-WebSocket-Version", "8"),), b"Sec-WebSocket-Version: 13"),
    ],
    ids=["H1-which-upgrade", "H4-which-version"],
)
async def test_a_refusal_says_what_is_wanted_instead(app, headers, told: bytes):
    async with raw_socket(app.websocket, upgrade=False) as raw:
        await raw.send(handshake(*headers))
        assert told in await raw.rest()


async def greeted(app, raw: RawSocket) -> bool:
    """Whether the socket takes a connect."""
    await raw.send(client_frame(TEXT, b'{"id":1,"connect":{"token":"%s"}}' % app.token("alice").encode()))
    _, payload = await raw.frame()
    return payload.startswith(b'{"id":1,"connect":{')


ACCEPTED = {
    "H1-names-in-any-case": (("Upgrade", "WebSocket"), ("Connection", "keep-alive, UPGRADE")),
    "H1-two-Connection-headers": (("Connection", "keep-alive"), ("Connection", "Upgrade")),
    "H8-a-body-of-no-length": (("Content-Length", "0"),),
    "H9-an-allowed-origin": (("Origin", "https://app.example"),),
    "H9-in-upper-case": (("Origin", "HTTPS://APP.EXAMPLE"),),
    "H9-with-the-scheme-s-own-port": (("Origin", "https://app.example:443"),),
    "H10-no-origin-is-a-native-app-and-brings-its-token": (),
    "H12-an-empty-subprotocol": (("Sec-WebSocket-Protocol", ""),),
    "H13-deflate": (("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"),),
    "H13-deflate-with-8-bits": (("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=8"),),
    "H13-deflate-with-99-bits": (("Sec-WebSocket-Extensions", "permessage-deflate; server_max_window_bits=99"),),
    "H13-deflate-twice": (
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Sec-WebSocket-Extensions", "permessage-deflate; server_no_context_takeover"),
    ),
    "W20-no-compression-for-secrets-beside-foreign-text": (("Sec-WebSocket-Extensions", "x-webkit-deflate-frame"),),
}


@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED)
async def test_an_unusual_handshake_is_served_uncompressed_and_without_a_subprotocol(app, headers):
    async with raw_socket(app.websocket, headers=headers) as raw:
        assert b"Sec-WebSocket-Extensions" not in raw.head
        assert b"Sec-WebSocket-Protocol" not in raw.head
        assert await greeted(app, raw)


@pytest.mark.parametrize("known", [JSON_SUBPROTOCOL, PROTOBUF_SUBPROTOCOL])
async def test_only_the_known_one_of_the_offered_subprotocols_is_echoed(app, caplog, known: str):
    """H12: what else is offered may be a token."""
    with caplog.at_level("DEBUG", "aiohttp"):
        async with raw_socket(app.websocket, headers=(("Sec-WebSocket-Protocol", f"{SECRET}, {known}"),)) as raw:
            assert f"Sec-WebSocket-Protocol: {known}\r\n".encode() in raw.head
            assert SECRET.encode() not in raw.head
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "headers",
    [(("Cookie", "token={token}"),), (("Authorization", "Bearer {token}"),)],
    ids=["H10-a-cookie-is-nobody", "H10-nor-is-a-header"],
)
async def test_only_the_token_in_the_first_command_says_who_it_is(app, headers):
    """H10, H11: so there is nothing that a browser could add by itself for a foreign page."""
    given = tuple((name, value.format(token=app.token("alice"))) for name, value in headers)
    async with raw_socket(app.websocket, headers=given) as raw:
        await raw.send(client_frame(TEXT, b'{"id":1,"connect":{}}'))
        assert await raw.closed() == 3500


async def test_a_token_in_the_address_is_nobody_and_in_no_log(app, caplog):
    """J28: only the first command carries a token."""
    token = app.token("alice")
    with capture_logs() as logs, caplog.at_level("DEBUG", "aiohttp"):
        for parameter in ("token", "access_token", "cf_connect"):
            async with raw_socket(app.websocket, upgrade=False) as raw:
                await raw.upgrade(handshake(line=f"GET {PATH}?{parameter}={token} HTTP/1.1"))
                assert raw.status == 101
                await raw.send(client_frame(TEXT, b'{"id":1,"connect":{}}'))
                assert await raw.closed() == 3500
        async with asyncio.timeout(10), raw_socket(app.websocket, upgrade=False) as raw:
            await raw.send(f"GET /v1/me?token={token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert (await raw.rest()).startswith(b"HTTP/1.1 401")
    assert token not in repr(logs)
    assert token not in caplog.text
