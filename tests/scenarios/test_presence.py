"""Coming and going: told once, in small conversations only, to those who may know; also when a hub is killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chat.config import Config
from support.app import SECRET, App, serve_app, test_config
from support.processes import Script
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

GRACE = "500ms"


@pytest.fixture
def config(mongodb_url: str, database_name: str, redis_url: str, redis_prefix: str) -> Config:
    return test_config(
        mongodb_url, database_name, redis_url, redis_prefix, limits__presence_grace=GRACE, limits__presence_members=3
    )


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with signed_in(app, "alice") as client:
        yield client


@asynccontextmanager
async def signed_in(app: App, user: str) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token(user))
        yield client


def told(client: WireClient, conversation: str, user: str) -> list[bool]:
    """What a client was told of a user in a conversation: online or not, in order."""
    events = [each["data"] for each in client.publications(f"conv:{conversation}")]
    return [event["online"] for event in events if event["type"] == "presence" and event["by"] == user]


async def online(client: WireClient, *users: str) -> set[str]:
    answer = await client.rpc("presence.get", users=list(users))
    return {one["user"] for one in answer["presence"] if one.get("online")}


async def marked(app: App, client: WireClient, conversation: str, user: str) -> None:
    """Wait until whatever was to be told before is told: somebody comes for the first time."""
    async with signed_in(app, user):
        await client.until(lambda: told(client, conversation, user))


async def test_the_first_connection_on_any_hub_is_told_and_the_last_one_s_end(apps: tuple[App, App]) -> None:
    one, two = apps
    async with signed_in(one, "alice") as alice:
        conversation = await group(alice, "bob")
        async with signed_in(two, "bob"):
            await alice.until(lambda: told(alice, conversation, "bob") == [True])
            async with signed_in(one, "bob"):
                pass
        await alice.until(lambda: told(alice, conversation, "bob") == [True, False])
        gone = alice.publications(f"conv:{conversation}")[-1]["data"]
        assert "offset" not in gone
        assert 0 <= gone["at"] - gone["last_seen_at"] < 30_000

        async def seen() -> bool:
            (bob,) = (await alice.rpc("presence.get", users=["bob"]))["presence"]
            return "online" not in bob and abs(bob.get("last_seen_at", 0) - gone["last_seen_at"]) < 5_000

        await eventually(seen)


async def test_who_comes_back_at_once_was_never_gone(
    mongodb_url: str, database_name: str, redis_url: str, redis_prefix: str
) -> None:
    config = test_config(
        mongodb_url,
        database_name,
        redis_url,
        redis_prefix,
        limits__presence_grace="60s",
        limits__presence_members=50,
    )
    async with serve_app(config) as one, serve_app(config) as two, signed_in(one, "alice") as alice:
        conversation = await group(alice, "bob", "carol")
        for app in (one, two, one):
            async with signed_in(app, "bob"):
                await alice.until(lambda: told(alice, conversation, "bob") == [True])
        await marked(two, alice, conversation, "carol")
        assert told(alice, conversation, "bob") == [True]


@pytest.mark.parametrize("members", [3, 4])
async def test_it_is_told_in_conversations_of_at_most_so_many_members(
    app: App, alice: WireClient, members: int
) -> None:
    pair = await group(alice, "bob")
    larger = await group(alice, "bob", *(f"member{number}" for number in range(members - 2)))
    async with signed_in(app, "bob"):
        await alice.until(lambda: told(alice, pair, "bob") == [True])
        await alice.until(lambda: bool(told(alice, larger, "bob")) is (members == 3))


async def test_it_is_told_in_the_newest_fifty_and_nowhere_else(app: App, alice: WireClient) -> None:
    conversations = [await group(alice, "bob") for _ in range(52)]
    foreign = await group(alice, "carol")
    for conversation in conversations[2:]:
        await say(alice, conversation, "newer")
    await app.running.process.store.summaries.flush()
    published = app.running.process.stats.bus_published
    async with signed_in(app, "bob"):
        await alice.until(lambda: all(told(alice, one, "bob") for one in conversations[2:]))
        assert not any(told(alice, one, "bob") for one in (*conversations[:2], foreign))
        assert app.running.process.stats.bus_published - published == 50


async def test_who_does_not_want_it_is_not_seen(app: App, alice: WireClient) -> None:
    conversation = await group(alice, "bob", "carol")
    async with signed_in(app, "bob") as bob:
        await alice.until(lambda: told(alice, conversation, "bob") == [True])
        assert await online(alice, "bob") == {"bob"}
        await bob.rpc("user.update", privacy={"presence": False})
        await alice.until(lambda: told(alice, conversation, "bob") == [True, False])
        hidden = alice.publications(f"conv:{conversation}")[-1]["data"]
        assert "last_seen_at" not in hidden
        assert (await alice.rpc("presence.get", users=["bob"]))["presence"] == [{"user": "bob"}]
        assert await online(bob, "bob", "alice") == {"bob", "alice"}
    await marked(app, alice, conversation, "carol")
    assert told(alice, conversation, "bob") == [True, False]
    assert "last_seen_at" not in (await alice.rpc("user.get", user="bob"))["user"]
    async with signed_in(app, "bob") as bob:
        await bob.rpc("user.update", privacy={"presence": True})
        await alice.until(lambda: told(alice, conversation, "bob") == [True, False, True])


async def test_strangers_and_the_blocked_look_offline(app: App, alice: WireClient) -> None:
    direct = (await alice.rpc("conversation.create", kind="direct", members=["bob"]))["conversation"]["id"]
    other = await group(alice, "carol", "bob")
    async with signed_in(app, "bob") as bob, signed_in(app, "dave") as dave:
        await alice.until(lambda: told(alice, direct, "bob") == [True])
        assert await online(alice, "bob", "dave", "alice") == {"bob", "alice"}
        assert await online(dave, "bob", "alice", "dave", "nobody") == {"dave"}
        await bob.rpc("user.block", user="alice")
        assert await online(alice, "bob") == await online(bob, "alice") == set()
    await alice.until(lambda: told(alice, other, "bob") == [True, False])
    assert told(alice, direct, "bob") == [True]


async def test_leaving_the_last_shared_conversation_ends_it(app: App, alice: WireClient) -> None:
    conversation = await group(alice, "bob")
    async with signed_in(app, "bob") as bob:
        assert await eventually(lambda: online(alice, "bob")) == {"bob"}
        await bob.rpc("conversation.leave", conversation=conversation)
        assert await online(alice, "bob") == await online(bob, "alice") == set()


async def test_a_killed_hub_s_users_are_seen_to_go(app: App, alice: WireClient, config: Config) -> None:
    conversation = await group(alice, "bob", "carol")
    environment = {
        "MONGODB_URL": config.mongodb.url.reveal(),
        "REDIS_URL": config.redis.urls[0].reveal(),
        "HUBBUB_MONGODB__DATABASE": config.mongodb.database,
        "HUBBUB_REDIS__PREFIX": config.redis.prefix,
        "HUBBUB_TOKEN__HMAC_SECRET_KEY": SECRET,
        "HUBBUB_LIMITS__PRESENCE_GRACE": GRACE,
        "HUBBUB_LIMITS__PRESENCE_MEMBERS": "3",
    }
    with Script.running(HUB, environment=environment) as hub:
        url = f"ws://127.0.0.1:{await asyncio.to_thread(hub.line)}/connection/websocket"
        async with signed_in_at(url, app.token("bob")), signed_in_at(url, app.token("carol")):
            await alice.until(lambda: told(alice, conversation, "bob") == told(alice, conversation, "carol") == [True])
            hub.kill()
        async with signed_in(app, "carol"):
            await alice.until(lambda: told(alice, conversation, "bob") == [True, False], within_s=20)
            assert told(alice, conversation, "carol") == [True]
    bob = await app.running.process.store.users.get("bob")
    assert bob is not None
    assert bob.last_seen_at


HUB = """
import asyncio, sys
import structlog, uvloop
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
from chat.config import load
from chat.server import listening
import os

async def main():
    config = load(None, os.environ, {"server.port": 0, "server.host": "127.0.0.1"}).config
    async with listening(config) as running:
        print(running.port, flush=True)
        await asyncio.sleep(600)

uvloop.run(main())
"""


@asynccontextmanager
async def signed_in_at(url: str, token: str) -> AsyncIterator[WireClient]:
    async with wire_client(url) as client:
        await client.connect(token)
        yield client


async def test_without_redis_nobody_is_said_to_be_offline(app: App, alice: WireClient) -> None:
    await group(alice, "bob")

    async def away(_: Any) -> set[str]:
        raise ConnectionError

    service = app.running.process.calls.service
    service.presence._online = type("Away", (), {"online": staticmethod(away)})()
    answer = await alice.rpc("presence.get", users=["bob"])
    assert answer["error"]["code"] == 1000
    assert answer["error"].get("temporary")
    async with app.rest("alice") as rest, rest.post("/v1/presence", json={"users": ["bob"]}) as response:
        assert response.status == 503
