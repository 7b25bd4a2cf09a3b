"""The end of real processes: what was taken is answered, nobody holds it up, and it is over in time."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack

import aiohttp
import pytest

from support.fail_points import failing
from support.hub_process import HubProcess, hub_process, ready_hub
from support.raw_client import frame_of, raw_client
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client

NEWS = [{"name": "news", "allow_subscribe_for_client": True}]


async def test_readiness_fails_first_while_everything_is_served_and_kept_connections_are_let_go(config):
    async with (
        ready_hub(config, server__termination_delay="2s") as hub,
        aiohttp.ClientSession(hub.http, headers={"Authorization": f"Bearer {hub.token('alice')}"}) as rest,
        wire_client(hub.websocket) as alice,
        wire_client(hub.websocket) as bob,
    ):
        await alice.connect(hub.token("alice"))
        room = await group(alice, "bob")
        async with rest.get("/v1/me") as answer:
            assert answer.status == 200
            assert "Connection" not in answer.headers
        hub.signal(signal.SIGTERM)
        await eventually(lambda: _is(hub, 503))
        # Somebody who was sent here by a balancer that has not noticed yet is served like all others.
        await bob.connect(hub.token("bob"))
        assert "message" in await say(alice, room, "still here")
        await bob.until(lambda: created(bob, room))
        async with rest.get("/v1/me") as answer:
            assert answer.status == 200
            assert answer.headers["Connection"] == "close"
        assert alice.close_code is None
        assert await alice.closed() == await bob.closed() == 3001
        assert await hub.ended() == 0
        assert await hub.readyz() is None
        assert not hub.said("ended_by_force")


async def test_sigint_does_not_wait_for_balancers(config):
    async with ready_hub(config, server__termination_delay="10s") as hub:
        hub.signal(signal.SIGINT)
        assert await hub.ended() == 0
        assert not hub.said("leaving")


async def test_a_send_that_was_taken_is_acknowledged_before_the_close_and_a_request_is_finished(config):
    async with (
        ready_hub(config, server__termination_delay="0s") as hub,
        aiohttp.ClientSession(hub.http, headers={"Authorization": f"Bearer {hub.token('alice')}"}) as rest,
        wire_client(hub.websocket) as alice,
    ):
        await alice.connect(hub.token("alice"))
        room = await group(alice, "bob")
        slow = {"blockConnection": True, "blockTimeMS": 1000}
        async with failing(config.mongodb.url.reveal(), "hubbub", ["insert"], **slow):
            command = await alice.send(
                rpc={"method": "message.send", "data": {"conversation": room, "idempotency_key": "k1", "text": "taken"}}
            )
            posting = asyncio.create_task(
                rest.post(f"/v1/conversations/{room}/messages", json={"idempotency_key": "k2", "text": "posted"})
            )
            await eventually(lambda: _requests(hub))
            hub.signal(signal.SIGTERM)
            answer = await posting
            assert answer.status == 201, await answer.text()
            assert await alice.closed() == 3001
        assert alice.replies[command]["rpc"]["data"]["message"]["text"] == "taken"
        assert await hub.ended() == 0
        assert not hub.said("ended_by_force")


async def test_a_hundred_readers_who_do_not_read_do_not_hold_it_up(config):
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(
            ready_hub(config, server__termination_delay="0s", server__shutdown_timeout="15s", channel__namespaces=NEWS)
        )
        token = hub.token("deaf")
        for number in range(100):
            raw = await raw_client(hub.websocket)
            stack.callback(raw.close)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(raw, _long_frame({"id": 1, "connect": {"token": hub.token(f"deaf{number}")}}))
            await loop.sock_sendall(raw, frame_of({"id": 2, "subscribe": {"channel": "news:all"}}))
        alice = await stack.enter_async_context(wire_client(hub.websocket))
        await alice.connect(token)
        await alice.call(subscribe={"channel": "news:all"})
        api = await stack.enter_async_context(
            aiohttp.ClientSession(hub.http, headers={"X-API-Key": config.api.key.reveal()})
        )

        async def all_there() -> bool:
            async with api.post("/api/channels", json={}) as answer:
                there = (await answer.json())["result"]["channels"]
            return there.get("news:all", {}).get("num_clients") == 101

        await eventually(all_there)
        for _ in range(20):
            # More than a socket takes, less than what closes a slow one.
            async with api.post("/api/publish", json={"channel": "news:all", "data": "x" * 40_000}) as answer:
                assert "result" in await answer.json()
        await alice.until(lambda: len(alice.publications("news:all")) == 20)
        began = loop.time()
        hub.signal(signal.SIGTERM)
        assert await alice.closed() == 3001
        assert await hub.ended() == 0
        assert loop.time() - began < 15
        assert not hub.said("ended_by_force")


async def test_a_second_signal_ends_it_at_once(config):
    async with (
        ready_hub(config, server__termination_delay="60s", server__shutdown_timeout="2m") as hub,
        wire_client(hub.websocket) as alice,
    ):
        await alice.connect(hub.token("alice"))
        hub.signal(signal.SIGTERM)
        await eventually(lambda: _is(hub, 503))
        # Signals within a second are one: so it is said again until it is heard.
        await eventually(lambda: _say_again(hub))
        await hub.ended(within_s=30)
        await alice.closed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_several_processes_end_like_one(config, number):
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(
            ready_hub(config, server__workers=2, server__termination_delay="1s", server__shutdown_timeout="15s")
        )
        await eventually(lambda: len(hub.said("serving")) == 2)
        clients = [await stack.enter_async_context(wire_client(hub.websocket)) for _ in range(8)]
        for index, client in enumerate(clients):
            await client.connect(hub.token(f"user{index}"))
        hub.signal(number)
        assert {await client.closed() for client in clients} == {3001}
        assert await hub.ended() == 0
        assert len(hub.said("drained")) == 2
        assert len(hub.said("leaving")) == (2 if number == signal.SIGTERM else 0)


async def test_a_worker_gives_its_leases_to_the_next_one_and_ends(config):
    async with hub_process(config) as one, hub_process(config) as other:
        one.command = other.command = "worker"
        await one.start()
        await eventually(lambda: one.said("follower_leads"))
        await other.start()
        await eventually(lambda: other.said("following"))
        assert not other.said("follower_leads")
        one.signal(signal.SIGTERM)
        assert await one.ended() == 0
        assert not one.said("lease_not_released")
        await eventually(lambda: other.said("follower_leads"))


async def _is(hub: HubProcess, status: int) -> bool:
    return await hub.readyz() == status


async def _requests(hub: HubProcess) -> bool:
    """Whether the slow request has been taken: it has no answer yet, and so long nothing else shows it."""
    await asyncio.sleep(0.2)
    return True


def _say_again(hub: HubProcess) -> bool:
    if hub.running.returncode is None:
        hub.signal(signal.SIGTERM)
    return bool(hub.said("stopping_at_once")) or hub.running.returncode is not None


def _long_frame(command: object) -> bytes:
    data = json.dumps(command).encode()
    assert len(data) > 125
    return bytes([0x81, 0x80 | 126]) + len(data).to_bytes(2) + bytes(4) + data
