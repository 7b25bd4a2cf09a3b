"""Who is out of a conversation, or less in it than before, is so on every process: at once with Redis up, within the
re-check interval while it is frozen. The others decide on one hub, it is about somebody who is connected to another.
"""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from storage.local.redis_server import redis_server
from support.app import App, serve_app, test_config
from support.servers import frozen, short_directory
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

AT_ONCE_S = 1.0
RECHECKED_S = 5.0
"""The summary is written within a second, looked at every second, and the machine is busy."""


class Hubs:
    def __init__(self, one: App, two: App, redis: int | None) -> None:
        self.one, self.two, self._redis = one, two, redis
        self.bound_s = AT_ONCE_S if redis is None else RECHECKED_S

    @asynccontextmanager
    async def trouble(self) -> AsyncIterator[None]:
        """Redis is frozen inside, and both hubs know it: if this is what is tested."""
        if self._redis is None:
            yield
            return
        with frozen(self._redis):
            for app in (self.one, self.two):
                await eventually(lambda app=app: not app.running.process.redis.bus.alive)
            yield


@pytest.fixture(params=["Redis up", "Redis frozen"])
async def redis_trouble(request) -> str:
    return str(request.param)


@pytest.fixture
async def make_hubs(redis_trouble, mongodb_url, database_name, redis_prefix):
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(short_directory())
        redis = await stack.enter_async_context(redis_server(directory, ephemeral=True))

        async def make(**options: Any) -> Hubs:
            config = test_config(
                mongodb_url, database_name, redis.url, redis_prefix, client__access_check_interval="1s", **options
            )
            one = await stack.enter_async_context(serve_app(config))
            two = await stack.enter_async_context(serve_app(config))
            return Hubs(one, two, redis.pid if redis_trouble == "Redis frozen" else None)

        yield make


@asynccontextmanager
async def people(hubs: Hubs, **connect: Any) -> AsyncIterator[tuple[WireClient, WireClient, WireClient, str]]:
    """Alice, the owner, on the first hub; bob and carol on the second; the conversation of the three."""
    async with AsyncExitStack() as stack:
        alice = await stack.enter_async_context(wire_client(hubs.one.websocket))
        await alice.connect(hubs.one.token("alice"))
        conversation = await group(alice, "bob", "carol")
        await say(alice, conversation, "hello")
        clients = []
        for user in ("bob", "carol"):
            client = await stack.enter_async_context(wire_client(hubs.two.websocket))
            assert (await client.connect(hubs.two.token(user), **connect))["client"]
            clients.append(client)
        yield alice, *clients, conversation


def unsubscribed(client: WireClient, channel: str) -> bool:
    return any(push.get("channel") == channel and "unsubscribe" in push for push in client.pushes)


@pytest.mark.parametrize("how", ["conversation.remove_member", "conversation.ban"])
async def test_who_is_put_out_neither_hears_nor_says_anything_any_more(make_hubs, how: str) -> None:
    hubs = await make_hubs()
    async with people(hubs) as (alice, bob, carol, conversation):
        assert "message" in await say(bob, conversation, "while I may")
        async with hubs.trouble():
            assert "error" not in await alice.rpc(how, conversation=conversation, user="bob")
            since = time.monotonic()
            # Not even before the other hub has heard of it: a send is decided at its place in the log.
            assert (await say(bob, conversation, "too late"))["error"]["code"] == 103
            await bob.until(lambda: unsubscribed(bob, f"conv:{conversation}"))
            assert time.monotonic() - since < hubs.bound_s, time.monotonic() - since
            for client in (carol, alice):
                assert "message" in await say(client, conversation, "among us")
            await carol.until(lambda: created(carol, conversation).count("among us") == 2)
            assert "among us" not in created(bob, conversation)
            assert (await bob.rpc("history.page", conversation=conversation))["error"]["code"] == 103
            async with hubs.two.rest("bob") as rest:
                assert (await rest.get(f"/v1/conversations/{conversation}/messages")).status == 404
            assert (await bob.call(subscribe={"channel": f"conv:{conversation}"}))["error"]["code"] == 103


async def test_pages_are_refused_within_the_bound_where_nobody_is_connected(make_hubs) -> None:
    """No socket of the conversation is at that hub, so it follows nothing that happens there."""
    hubs = await make_hubs()
    async with wire_client(hubs.one.websocket) as alice, hubs.two.rest("dave") as rest:
        await alice.connect(hubs.one.token("alice"))
        conversation = await group(alice, "dave")

        async def status() -> int:
            async with rest.get(f"/v1/conversations/{conversation}/messages") as response:
                return response.status

        async def is_refused() -> bool:
            return await status() == 404

        assert await status() == 200
        async with hubs.trouble():
            assert await status() == 200
            await alice.rpc("conversation.remove_member", conversation=conversation, user="dave")
            await eventually(is_refused, within_s=hubs.bound_s)


async def test_who_only_watches_a_conversation_is_not_woken_by_it_any_more(make_hubs) -> None:
    """Beyond the conversations of the connect reply one is subscribed with the next message there: not to that one."""
    hubs = await make_hubs(client__conversations_on_connect=0)
    async with people(hubs) as (alice, bob, carol, conversation), hubs.trouble():
        await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
        if hubs.bound_s == AT_ONCE_S:
            watching = hubs.two.running.process.engine.hub.users["bob"]
            await eventually(lambda: not any(session.watched for session in watching), within_s=hubs.bound_s)
        assert "message" in await say(carol, conversation, "among us")
        await carol.until(lambda: "among us" in created(carol, conversation))
        # An answer to bob comes after whatever would have been sent to him.
        await bob.rpc("user.get", user="bob")
        assert "among us" not in created(bob, conversation)


async def test_who_only_watches_is_out_when_redis_comes_back(make_hubs, redis_trouble) -> None:
    if redis_trouble == "Redis up":
        pytest.skip("there is nothing to come back")
    hubs = await make_hubs(client__conversations_on_connect=0)
    async with people(hubs) as (alice, bob, _carol, conversation):
        watching = hubs.two.running.process.engine.hub.users["bob"]
        assert any(session.watched for session in watching)
        async with hubs.trouble():
            await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
            await eventually(lambda: not any(session.watched for session in watching), within_s=hubs.bound_s)
        await eventually(lambda: hubs.one.running.process.redis.bus.alive)
        await say(alice, conversation, "among us")
        await bob.rpc("user.get", user="bob")
        assert "among us" not in created(bob, conversation)


async def test_who_hears_only_a_thread_is_out_of_it_with_its_conversation(make_hubs) -> None:
    hubs = await make_hubs()
    async with people(hubs, data={"conversations": "none"}) as (alice, bob, carol, conversation):
        thread = f"{conversation}~2"
        assert "message" in await say(carol, thread, "a reply")
        assert "error" not in await bob.call(subscribe={"channel": f"conv:{thread}"})
        async with hubs.trouble():
            await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
            since = time.monotonic()
            await bob.until(lambda: unsubscribed(bob, f"conv:{thread}"))
            assert time.monotonic() - since < hubs.bound_s
            assert (await say(bob, thread, "too late"))["error"]["code"] == 103
            await say(carol, thread, "among us")
            await bob.rpc("user.get", user="bob")
            assert "among us" not in created(bob, thread)


async def test_who_is_less_than_before_may_do_no_more_than_that(make_hubs) -> None:
    hubs = await make_hubs()
    async with people(hubs) as (alice, bob, _carol, conversation):
        await alice.rpc("conversation.set_role", conversation=conversation, user="bob", role="admin")

        async def is_admin() -> bool:
            return "error" not in await bob.rpc("conversation.update", conversation=conversation, title="Bob's")

        await eventually(is_admin)
        async with hubs.trouble():
            await alice.rpc("conversation.set_role", conversation=conversation, user="bob", role="member")
            refused = await bob.rpc("conversation.update", conversation=conversation, title="Still Bob's")
            assert refused["error"]["code"] == 103
            assert (await bob.rpc("conversation.remove_member", conversation=conversation, user="carol"))["error"]


async def test_who_is_muted_says_nothing_after_the_bound(make_hubs) -> None:
    hubs = await make_hubs()
    async with people(hubs) as (alice, bob, _carol, conversation):
        assert "message" in await say(bob, conversation, "while I may")

        async def is_refused() -> bool:
            return "error" in await say(bob, conversation, "hm")

        async with hubs.trouble():
            muted = await alice.rpc("conversation.mute", conversation=conversation, user="bob")
            assert "error" not in muted, muted
            await eventually(is_refused, within_s=hubs.bound_s)


async def test_an_entry_puts_out_where_its_notice_was_lost(make_hubs, redis_trouble) -> None:
    """Notices and entries take different ways, to different servers even."""
    if redis_trouble == "Redis frozen":
        pytest.skip("then neither comes")
    hubs = await make_hubs()
    async with people(hubs) as (alice, bob, _carol, conversation):
        hubs.one.running.process.engine.operations.notify = lambda *_: None  # type: ignore[method-assign]  # lost
        await alice.rpc("conversation.remove_member", conversation=conversation, user="bob")
        await bob.until(lambda: unsubscribed(bob, f"conv:{conversation}"), AT_ONCE_S)
