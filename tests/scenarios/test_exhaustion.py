"""What one client, or many, can use up of a hub: bounded while it lasts, given back after it, nobody else put out.

A real process, whose memory and descriptors are read from the kernel. Sizes are for every day;
`HUBBUB_ATTACK_SCALE=50 pytest tests/scenarios/test_exhaustion.py` has those of the catalogue (it needs descriptors:
`ulimit -n 100000`).
"""

import asyncio
import os
import resource
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from support.app import test_config
from support.footprint import MIB, descriptors, rss_bytes, series
from support.hub_process import HubProcess, ready_hub
from support.raw_client import raw_client
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCALE = int(os.environ.get("HUBBUB_ATTACK_SCALE", "1"))
SOCKETS = 300 * SCALE
PER_SOCKET_BYTES = 64 * 1024
SLACK_BYTES = 16 * MIB
"""What an allocator keeps and a busy moment needs, whatever the size of an attack."""
STALE_S = 4.0
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(_mongodb: Any, _redis: Any, mongodb_url: str, redis_url: str) -> AsyncIterator[HubProcess]:
    name = f"test_{secrets.token_hex(6)}"
    config = test_config(mongodb_url, name, redis_url, name)
    async with ready_hub(config, client__stale_close_delay=f"{STALE_S}s") as hub:
        yield hub
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


@asynccontextmanager
async def others_served(hub: HubProcess) -> AsyncIterator[WireClient]:
    """Two people who talk before, during and after whatever the block does."""
    async with wire_client(hub.websocket) as alice, wire_client(hub.websocket) as bob:
        await alice.connect(hub.token("alice"))
        await bob.connect(hub.token("bob"))
        room = await group(alice, "bob")

        async def talk(text: str) -> None:
            assert "message" in await say(alice, room, text)
            await bob.until(lambda: text in created(bob, room))

        await talk("before")
        yield alice
        await talk("after")
        async with wire_client(hub.websocket) as somebody_new:
            assert "client" in await somebody_new.connect(hub.token("carol"))
        assert (alice.close_code, bob.close_code) == (None, None)


async def given_back(hub: HubProcess, before: int) -> None:
    """Wait until the process has no more descriptors than before (a few come and go with pools)."""
    await eventually(lambda: descriptors(hub.running.pid) <= before + 5)


@pytest.mark.parametrize("count", [pytest.param(SOCKETS, id="D1-sockets-that-never-say-who-they-are")])
async def test_sockets_without_a_connect_cost_little_and_end(hub: HubProcess, count: int) -> None:
    pid = hub.running.pid
    async with others_served(hub):
        before, memory = descriptors(pid), rss_bytes(pid)
        async with AsyncExitStack() as stack:
            for _ in range(count):
                raw = await raw_client(hub.websocket)
                stack.callback(raw.close)
            await eventually(lambda: descriptors(pid) >= before + count * 0.9)
            assert rss_bytes(pid) - memory < count * PER_SOCKET_BYTES + SLACK_BYTES
            # Nobody closes them but the server.
            await eventually(lambda: descriptors(pid) <= before + 5, within_s=STALE_S + 30)


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"", id="D2-connections-that-say-nothing"),
        pytest.param(b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgr", id="D2-half-a-handshake"),
        pytest.param(b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", id="D2-half-a-body"),
    ],
)
async def test_who_begins_and_does_not_go_on_is_let_go(hub: HubProcess, begun: bytes) -> None:
    pid = hub.running.pid
    loop = asyncio.get_running_loop()
    async with others_served(hub):
        before, memory = descriptors(pid), rss_bytes(pid)
        async with AsyncExitStack() as stack:
            for _ in range(SOCKETS):
                raw = socket.socket()
                raw.setblocking(False)
                stack.callback(raw.close)
                await loop.sock_connect(raw, ("127.0.0.1", hub.port))
                await loop.sock_sendall(raw, begun)
            assert rss_bytes(pid) - memory < SOCKETS * PER_SOCKET_BYTES + SLACK_BYTES
            await eventually(lambda: descriptors(pid) <= before + 5, within_s=60)


@pytest.mark.parametrize("count", [pytest.param(200 * SCALE, id="D8-a-client-that-reconnects-all-the-time")])
async def test_who_connects_again_and_again_leaves_nothing(hub: HubProcess, count: int) -> None:
    pid = hub.running.pid

    async def again() -> None:
        for _ in range(count):
            async with wire_client(hub.websocket) as client:
                await client.connect(hub.token("flapping"))

    await again()
    before, memory = descriptors(pid), rss_bytes(pid)
    async with others_served(hub):
        await again()
        await given_back(hub, before + 2)
        assert rss_bytes(pid) - memory < SLACK_BYTES


@pytest.mark.parametrize("room", [pytest.param(30, id="D9-no-descriptors-left")])
async def test_without_descriptors_it_serves_who_is_there_and_then_everybody_again(hub: HubProcess, room: int) -> None:
    pid = hub.running.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    async with others_served(hub) as alice:
        before, said = descriptors(pid), hub.log.stat().st_size
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + room, limits[1]))
        loop = asyncio.get_running_loop()
        try:
            async with AsyncExitStack() as stack:
                for _ in range(3 * room):
                    raw = socket.socket()
                    raw.setblocking(False)
                    stack.callback(raw.close)
                    await loop.sock_connect(raw, ("127.0.0.1", hub.port))
                await eventually(lambda: descriptors(pid) >= before + room - 5)
                for _ in range(5):
                    assert "error" not in await alice.rpc("conversation.list")
            await given_back(hub, before)
        finally:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        assert hub.running.returncode is None
        assert hub.log.stat().st_size - said < 100_000, "a flood of lines"


@pytest.mark.parametrize("count", [pytest.param(500 * SCALE, id="D10-a-line-for-every-refusal")])
async def test_strangers_do_not_fill_the_log(hub: HubProcess, count: int) -> None:
    said = hub.log.stat().st_size
    async with others_served(hub), aiohttp.ClientSession(hub.http) as session:
        for number in range(count):
            headers = {"Origin": f"https://evil{number}.example", "User-Agent": "x" * 4000}
            async with session.get("/connection/websocket", headers={**HANDSHAKE, **headers}) as response:
                assert response.status in (403, 429)
            async with session.get("/v1/me", headers={**headers, "Authorization": f"Bearer {number}"}) as response:
                assert response.status in (401, 429)
    assert hub.log.stat().st_size - said < 200_000


@pytest.mark.parametrize("count", [pytest.param(200 * SCALE, id="A11-paths-and-agents-that-nobody-has")])
async def test_paths_agents_and_methods_that_there_are_not_leave_nothing(hub: HubProcess, count: int) -> None:
    pid = hub.running.pid

    async def ask(of: str) -> None:
        async with aiohttp.ClientSession(
            hub.http, headers={"Authorization": f"Bearer {hub.token('alice')}"}
        ) as session:
            for number in range(count):
                headers = {"User-Agent": f"{of}/{number}", "X-Request-Id": f"{of}-{number}"}
                async with session.get(f"/{of}/{number}", headers=headers) as response:
                    assert response.status == 404
                async with session.post(f"/v1/rpc/{of}.{number}", json={}, headers=headers) as response:
                    assert response.status in (404, 429)
        async with wire_client(hub.websocket) as client:
            await client.connect(hub.token("alice"), name=f"{of}-client", version=of)
            for number in range(50):
                await client.rpc(f"{of}.{number}")

    await ask("first")
    shown, memory = await series(hub.http), rss_bytes(pid)
    await ask("second")
    assert abs(await series(hub.http) - shown) <= 2
    assert rss_bytes(pid) - memory < SLACK_BYTES / 2


@pytest.mark.parametrize("count", [pytest.param(80 * min(SCALE, 10), id="D4-a-conversation-of-many-who-listen")])
async def test_a_message_to_many_reaches_all_and_holds_up_nobody(hub: HubProcess, count: int) -> None:
    async with others_served(hub) as alice, AsyncExitStack() as stack:
        members = [f"listener{number}" for number in range(count)]
        room = await group(alice, *members)
        clients = [await stack.enter_async_context(wire_client(hub.websocket)) for _ in members]
        await asyncio.gather(*(client.connect(hub.token(user)) for client, user in zip(clients, members, strict=True)))
        texts = [f"message {number}" for number in range(10)]
        for text in texts:
            assert "message" in await say(alice, room, text)
        for client in clients:
            await client.until(lambda client=client: created(client, room) == texts)
        # Who types before so many is seen by nobody: that would be as many times as many.
        for client in clients[:5]:
            await client.rpc("typing.start", conversation=room)
        await say(alice, room, "end")
        await clients[-1].until(lambda: created(clients[-1], room)[-1:] == ["end"])


@pytest.mark.parametrize("count", [pytest.param(30, id="D7-presence-that-flaps")])
async def test_who_comes_and_goes_all_the_time_is_told_of_once(hub: HubProcess, count: int) -> None:
    async with wire_client(hub.websocket) as alice:
        await alice.connect(hub.token("watcher"))
        room = await group(alice, "flapper")
        for _ in range(count):
            async with wire_client(hub.websocket) as flapper:
                await flapper.connect(hub.token("flapper"))
        await say(alice, room, "done")
        await alice.until(lambda: created(alice, room) == ["done"])
        told = [pub["data"] for pub in alice.publications(f"conv:{room}") if pub["data"]["type"] == "presence"]
        assert len(told) <= 3


@pytest.mark.parametrize("count", [pytest.param(250 * SCALE, id="D3-one-user-in-very-many-conversations")])
async def test_a_user_of_very_many_conversations_connects_with_some(hub: HubProcess, count: int) -> None:
    """More than come with the reply: the rest is told as a number, and the reply keeps its size."""
    pid = hub.running.pid
    async with wire_client(hub.websocket) as alice:
        await alice.connect(hub.token("maker"))
        for _ in range(count):
            await alice.rpc("conversation.create", kind="group", members=["busy"])
    memory = rss_bytes(pid)
    async with others_served(hub), wire_client(hub.websocket) as busy:
        result = await busy.connect(hub.token("busy"))
        subscribed = [name for name in result["subs"] if name.startswith("conv:")]
        assert len(subscribed) == 200
        assert result["data"]["left_out"] == count - 200
        assert rss_bytes(pid) - memory < SLACK_BYTES
