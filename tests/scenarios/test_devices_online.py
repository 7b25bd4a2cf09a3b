"""What a deployment knows of connected devices: whichever hub they are on, and whatever becomes of it."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from chat.config import Config
from chat.push.policy import DeviceState
from chat.push.states import ConnectedDevices
from realtime.protocol import codes
from support.app import App, serve_app, test_config
from support.servers import short_directory
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@asynccontextmanager
async def device(app: App, user: str, name: str, *, answers: bool = True, **fields: Any) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        client.answer_pings = answers
        connected = await client.connect(app.token(user), data={"device": name, **fields})
        assert "client" in connected
        yield client


async def known(app: App, conversation: str, user: str = "bob", name: str = "phone") -> DeviceState:
    devices = ConnectedDevices(app.running.process.redis.device_connections)
    return (await devices.of(user, conversation)).get(name, DeviceState())


@asynccontextmanager
async def talking(app: App) -> AsyncIterator[tuple[WireClient, str]]:
    """Alice, and her conversation with Bob."""
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        yield alice, await group(alice, "bob")


async def told(alice: WireClient, conversation: str) -> int:
    """Say something; returns its offset."""
    return int((await say(alice, conversation, "hello"))["message"]["offset"])


async def test_a_connected_device_has_what_it_answered_for_and_later_when_it_left(app: App) -> None:
    async with talking(app) as (alice, conversation):
        async with device(app, "bob", "phone"):
            offset = await told(alice, conversation)

            async def confirmed() -> bool:
                return await known(app, conversation) == DeviceState(connected=True, confirmed=offset)

            await eventually(confirmed)
            before = time.time() * 1000

        async def left() -> bool:
            state = await known(app, conversation)
            assert state.disconnected_at is not None
            assert before - 1_000 <= state.disconnected_at <= time.time() * 1000 + 1_000
            return state == DeviceState(disconnected_at=state.disconnected_at, confirmed=offset)

        await eventually(left)


async def test_a_device_that_answers_nothing_is_connected_and_has_nothing(app: App) -> None:
    async with talking(app) as (alice, conversation), device(app, "bob", "phone", answers=False) as phone:
        await told(alice, conversation)
        await phone.until(lambda: phone.pings == 1)
        state = await known(app, conversation)
        assert (state.connected, state.confirmed) == (True, 0)


@pytest.mark.parametrize("method", ["delivered.mark", "read.mark"])
async def test_what_a_device_marks_it_has_whatever_it_answers(app: App, method: str) -> None:
    async with (
        talking(app) as (alice, conversation),
        device(app, "bob", "phone", answers=False) as phone,
        device(app, "bob", "desk", answers=False),
    ):
        offset = await told(alice, conversation)
        assert "error" not in await phone.rpc(method, conversation=conversation, offset=offset + 100)

        async def marked() -> bool:
            return (await known(app, conversation)).confirmed == offset

        await eventually(marked)
        assert (await known(app, conversation, name="desk")).confirmed == 0


async def test_a_mark_of_another_device_is_none_of_this_one(app: App) -> None:
    async with (
        talking(app) as (alice, conversation),
        device(app, "bob", "phone", answers=False) as phone,
        device(app, "bob", "desk", answers=False) as desk,
    ):
        first, second = await told(alice, conversation), await told(alice, conversation)
        await desk.rpc("delivered.mark", conversation=conversation, offset=second)
        # It is answered with how far any device of his is.
        answer = await phone.rpc("delivered.mark", conversation=conversation, offset=first)
        assert answer["delivered"]["offset"] == second

        async def marked() -> bool:
            phone_has = (await known(app, conversation)).confirmed
            desk_has = (await known(app, conversation, name="desk")).confirmed
            return (phone_has, desk_has) == (first, second)

        await eventually(marked)


async def test_a_refused_mark_is_no_word_of_having_something(app: App) -> None:
    async with talking(app) as (alice, _), device(app, "carol", "phone", answers=False) as phone:
        foreign = await group(alice)
        assert "error" in await phone.rpc("delivered.mark", conversation=foreign, offset=1)

        async def connected() -> bool:
            return (await known(app, foreign, "carol")).connected

        await eventually(connected)
        assert (await known(app, foreign, "carol")).confirmed == 0


async def test_a_device_that_reconnected_elsewhere_stays_connected_when_its_old_connection_is_found_dead(
    apps: tuple[App, App],
) -> None:
    one, two = apps
    async with talking(one) as (alice, conversation), device(one, "bob", "phone", answers=False) as old:

        async def connected() -> bool:
            return (await known(one, conversation)).connected

        await eventually(connected)
        async with device(two, "bob", "phone"):
            offset = await told(alice, conversation)

            async def confirmed() -> bool:
                return (await known(one, conversation)).confirmed == offset

            await eventually(confirmed)
            (session,) = (each for each in one.running.process.engine.endpoint.open if each.user == "bob")
            session.end(codes.CLOSE_NO_PONG)
            await old.closed()
            await alice.rpc("sync")
            offset = await told(alice, conversation)
            await eventually(confirmed)
            assert (await known(one, conversation)).connected

        async def left() -> bool:
            return (await known(two, conversation)).disconnected_at is not None

        await eventually(left)


async def test_of_two_tabs_the_one_that_is_left_speaks_for_the_device_before_any_regular_ping(
    mongodb_url: str, database_name: str, redis_url: str, redis_prefix: str
) -> None:
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, client__ping_interval="5m")
    async with (
        serve_app(config) as app,
        talking(app) as (alice, conversation),
        device(app, "bob", "phone"),
    ):
        async with device(app, "bob", "phone"):
            offset = await told(alice, conversation)

            async def confirmed() -> bool:
                return await known(app, conversation) == DeviceState(connected=True, confirmed=offset)

            await eventually(confirmed)
        await eventually(lambda: app.running.process.engine.hub.devices == 1)
        await eventually(confirmed)


async def test_when_a_hub_ends_its_devices_have_left(config: Config) -> None:
    async with serve_app(config) as other, AsyncExitStack() as clients:
        async with serve_app(config) as app:
            phone = await clients.enter_async_context(device(app, "bob", "phone"))

            async def connected() -> bool:
                return (await known(other, "any")).connected

            await eventually(connected)
        assert await phone.closed() == 3001
        assert (await known(other, "any")).disconnected_at is not None


async def test_a_device_that_subscribes_itself_has_what_it_answered_for_too(app: App) -> None:
    async with talking(app) as (alice, conversation):
        first = await told(alice, conversation)
        async with device(app, "bob", "phone", conversations="none") as phone:
            await phone.call(subscribe={"channel": f"conv:{conversation}"})

            async def confirmed() -> bool:
                return (await known(app, conversation)).confirmed == first

            await eventually(confirmed)


async def test_devices_without_a_name_are_not_known(app: App) -> None:
    async with talking(app) as (alice, conversation):
        await told(alice, conversation)
        devices = ConnectedDevices(app.running.process.redis.device_connections)
        assert await devices.of("alice", conversation) == {}


async def test_without_redis_a_device_connects_and_hears_and_it_is_said_once(
    mongodb_url: str, database_name: str, redis_prefix: str
) -> None:
    with short_directory() as directory, capture_logs() as logs:
        config = test_config(mongodb_url, database_name, f"unix://{directory}/none.sock", redis_prefix)
        async with serve_app(config) as app, talking(app) as (alice, conversation):
            for _ in range(2):
                async with device(app, "bob", "phone") as phone:
                    offset = await told(alice, conversation)
                    await phone.until(lambda: phone.offsets(f"conv:{conversation}")[-1:] == [offset])  # noqa: B023 - at once
                    await eventually(lambda: any(one["event"] == "devices_not_told" for one in logs))
    assert sum(one["event"] == "devices_not_told" for one in logs) == 1
