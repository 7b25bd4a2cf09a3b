"""Behind a real nginx with the configuration that we hand out: sockets, addresses, two hubs, and nothing smuggled.

`NGINX` names the program where it is not on PATH; without one these tests are skipped.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from storage.local.ports import free_port
from support.certificates import Authority
from support.hub_process import HubProcess, ready_hub
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client

NGINX = os.environ.get("NGINX") or shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx.conf"

pytestmark = pytest.mark.skipif(NGINX is None, reason="there is no nginx here")

SMUGGLING = {
    "two lengths": b"POST /v1/sync HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 33\r\n\r\n%s",
    "length and chunks": (
        b"POST /v1/sync HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s"
    ),
    "chunks in disguise": (
        b"POST /v1/sync HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n%s"
    ),
    "an upgrade that is refused": (
        b"GET /connection/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n%s"
    ),
    "an upgrade to something else": (
        b"GET /v1/me HTTP/1.1\r\nHost: h\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n%s"
    ),
    "an upgrade with a body": (
        b"GET /connection/websocket HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nContent-Length: 40\r\n\r\n%s"
    ),
}
HIDDEN = b"GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n"


async def test_two_hubs_are_one_service_and_one_may_go(config, tmp_path):
    authority = Authority(tmp_path)
    async with (
        ready_hub(config, server__trusted_proxies=["127.0.0.1"]) as one,
        ready_hub(config, server__trusted_proxies=["127.0.0.1"]) as other,
        nginx(one, other, authority, tmp_path) as port,
        aiohttp.ClientSession(
            f"https://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {one.token('alice')}"},
            connector=aiohttp.TCPConnector(ssl=authority.trust),
        ) as web,
        wire_client(f"wss://127.0.0.1:{port}/connection/websocket", ssl=authority.trust) as alice,
        wire_client(f"wss://127.0.0.1:{port}/connection/websocket", ssl=authority.trust) as bob,
    ):
        await alice.connect(one.token("alice"))
        await bob.connect(one.token("bob"))
        room = await group(alice, "bob")
        await say(alice, room, "through nginx")
        await bob.until(lambda: created(bob, room) == ["through nginx"])
        for path in ("/metrics", "/readyz", "/livez"):
            async with web.get(path) as answer:
                assert answer.status == 404
        one.signal(signal.SIGINT)
        assert await one.ended() == 0
        for _ in range(10):
            async with web.get("/v1/me") as answer:
                assert answer.status == 200


@pytest.mark.parametrize("case", list(SMUGGLING))
async def test_nothing_is_smuggled_past_it(config, tmp_path, case):
    authority = Authority(tmp_path)
    async with ready_hub(config) as hub, nginx(hub, hub, authority, tmp_path) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=authority.trust)
        writer.write(SMUGGLING[case] % HIDDEN)
        answers = b""
        try:
            async with asyncio.timeout(3):
                while data := await reader.read(65536):
                    answers += data
        except TimeoutError:
            pass
        writer.close()
        assert b"hubbub_" not in answers, "the metrics, which are not for the world"
        assert b"python_info" not in answers
        # And whoever comes next by the same connection to the hub gets the answer to their own question.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=authority.trust)) as web:
            for _ in range(5):
                async with web.get(f"https://127.0.0.1:{port}/openapi.json") as answer:
                    assert answer.status == 200
                    assert (await answer.json())["openapi"].startswith("3.1")


@asynccontextmanager
async def nginx(one: HubProcess, other: HubProcess, authority: Authority, directory: Path) -> AsyncIterator[int]:
    """nginx with our configuration in front of two hubs; gives its port."""
    assert NGINX is not None
    files = authority.issue("nginx")
    port = free_port()
    text = CONFIGURATION.read_text()
    for old, new in (
        ("127.0.0.1:8001", f"127.0.0.1:{one.port}"),
        ("127.0.0.1:8002", f"127.0.0.1:{other.port}"),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/nginx/tls/chat.pem", str(files.certificate)),
        ("/etc/nginx/tls/chat-key.pem", str(files.key)),
    ):
        assert old in text
        text = text.replace(old, new)
    (directory / "site.conf").write_text(text)
    places = "".join(
        f"{name}_temp_path {directory}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = directory / "nginx.conf"
    whole.write_text(
        f"daemon off; pid {directory}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off;\n{places} include {directory}/site.conf; }}\n"
    )
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            NGINX, "-c", str(whole), "-p", str(directory), stdout=errors, stderr=errors
        )
        try:
            await eventually(lambda: _listens(port))
            yield port
        finally:
            process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
