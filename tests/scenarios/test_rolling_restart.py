"""All hubs are replaced one after the other while people write: nothing is lost, nothing comes twice."""

import asyncio
import logging
import random
import signal
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import aiohttp
from centrifuge import (
    Client,
    ClientDisconnectedError,
    ClientEventHandler,
    DisconnectedContext,
    OperationTimeoutError,
    ReplyError,
    ServerPublicationContext,
    ServerSubscribedContext,
)

from support.balancer import Balancer, balanced
from support.hub_process import HubProcess, ready_hub
from support.waiting import eventually
from support.wire_client import wire_client

log = logging.getLogger(__name__)

PEOPLE = 20
ROOMS = 2
HUBS = 2


@dataclass
class Person(ClientEventHandler):
    """Writes into a room through the real SDK, again with the same key as apps do, and keeps what it sees."""

    name: str
    room: str
    acked: dict[str, int] = field(default_factory=dict)
    """Offsets by key."""
    seen: list[int] = field(default_factory=list)
    started: list[tuple[bool, bool]] = field(default_factory=list)
    """Of each subscription: was recovering, recovered."""
    faults: list[str] = field(default_factory=list)
    """What an SDK does not get over by itself."""
    repeats: Counter[str] = field(default_factory=Counter)

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        if ctx.channel == f"conv:{self.room}" and ctx.pub.data["type"] == "message.created":
            self.seen.append(ctx.pub.offset)

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        if ctx.channel == f"conv:{self.room}":
            self.started.append((ctx.was_recovering, ctx.recovered))

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        if ctx.code:
            self.faults.append(f"disconnected for good: {ctx.code} {ctx.reason}")

    async def write(self, client: Client, until: asyncio.Event) -> None:
        while not until.is_set():
            key = str(uuid4())
            while key not in self.acked and not self.faults:
                await self._send(client, key)
            await asyncio.sleep(random.uniform(0.1, 0.5))

    async def _send(self, client: Client, key: str) -> None:
        data = {"conversation": self.room, "idempotency_key": key, "text": f"{self.name} {key}"}
        try:
            result = await client.rpc("message.send", data)
        except (ClientDisconnectedError, OperationTimeoutError) as error:
            self.repeats[type(error).__name__] += 1
            await asyncio.sleep(0.1)
        except ReplyError as error:
            if not error.temporary:
                self.faults.append(f"refused: {error}")
            self.repeats[str(error.code)] += 1
            await asyncio.sleep(0.1)
        else:
            self.acked[key] = result.data["message"]["offset"]


async def test_all_hubs_one_by_one_under_load(config):
    settings: dict[str, object] = {"server__termination_delay": "1s", "server__shutdown_timeout": "15s"}
    async with AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(ready_hub(config, **settings)) for _ in range(HUBS)]
        balancer = await stack.enter_async_context(balanced(hubs))
        await eventually(lambda: len(balancer.ready) == HUBS)
        names = [f"person{number}" for number in range(PEOPLE)]
        rooms = [await _room(hubs[0], names[index::ROOMS]) for index in range(ROOMS)]
        people = [Person(name, rooms[index % ROOMS]) for index, name in enumerate(names)]
        done = asyncio.Event()
        clients = [
            Client(balancer.websocket, token=hubs[0].token(person.name), events=person, timeout=10.0)
            for person in people
        ]
        for client in clients:
            await client.connect()
            stack.push_async_callback(client.disconnect)
        await eventually(lambda: all(person.started for person in people))
        writing = [
            asyncio.create_task(person.write(client, done)) for person, client in zip(people, clients, strict=True)
        ]
        waves = [await _replace(hub, balancer) for hub in hubs]
        done.set()
        await asyncio.gather(*writing)

        assert not [fault for person in people for fault in person.faults]
        assert balancer.refused == 0
        for room in rooms:
            await _check(hubs[0], room, [person for person in people if person.room == room])
        assert all(waves), "nobody had to go"
        acked = sum(len(person.acked) for person in people)
        repeats = sum((person.repeats for person in people), Counter[str]())
        log.info("acked %d, repeated %s, arrivals after the close %s", acked, dict(repeats), waves)
        assert acked > 100


async def test_many_connections_of_one_hub_end_spread_over_time(config):
    """The server's part of it, without the jitter of an SDK: 400 connections at 200 a second."""
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(ready_hub(config, server__shutdown_timeout="25s"))
        clients = [await stack.enter_async_context(wire_client(hub.websocket)) for _ in range(400)]
        loop = asyncio.get_running_loop()

        async def closed_at(client: Any) -> float:
            assert await client.closed() == 3001
            return loop.time()

        hub.signal(signal.SIGINT)
        times = sorted(await asyncio.gather(*(closed_at(client) for client in clients)))
        assert await hub.ended() == 0
        waves = Counter(int((at - times[0]) / 0.25) for at in times)
        log.info("closed per quarter of a second: %s", [waves[number] for number in range(max(waves) + 1)])
        assert 1.5 < times[-1] - times[0] < 8
        assert max(waves.values()) <= 160


async def _replace(hub: HubProcess, balancer: Balancer) -> list[float]:
    """Restart a hub; returns when others took over its connections, in seconds since it began to close them."""
    loop = asyncio.get_running_loop()
    hub.signal(signal.SIGTERM)
    await eventually(lambda: hub.port not in balancer.ready)
    before, began = len(balancer.arrivals), loop.time()
    assert await hub.ended() == 0, hub.log.read_text()
    assert not hub.said("ended_by_force")
    await hub.start()
    await hub.ready()
    await eventually(lambda: hub.port in balancer.ready)
    return [round(at - began, 2) for at, _ in balancer.arrivals[before:]]


async def _check(hub: HubProcess, room: str, people: list[Person]) -> None:
    """All that was acknowledged is there once, and everybody saw all that is there, once and in order."""
    stored = await _history(hub, room, people[0].name)
    assert max(Counter(stored.values()).values()) == 1, "twice"
    for person in people:
        assert all(stored.get(offset) == key for key, offset in person.acked.items()), "lost"
        await eventually(partial(_at, person, max(stored)))
        assert person.seen == sorted(stored), "not all of it, once, and in order"
        assert all(recovered for was_recovering, recovered in person.started if was_recovering)


def _at(person: Person, offset: int) -> bool:
    return bool(person.seen) and max(person.seen) == offset


async def _room(hub: HubProcess, names: list[str]) -> str:
    async with (
        aiohttp.ClientSession(hub.http, headers={"Authorization": f"Bearer {hub.token(names[0])}"}) as rest,
        rest.post("/v1/conversations", json={"kind": "group", "members": names, "title": "room"}) as answer,
    ):
        return str((await answer.json())["conversation"]["id"])


async def _history(hub: HubProcess, room: str, name: str) -> dict[int, str]:
    """The key of every message, by offset."""
    stored: dict[int, str] = {}
    async with aiohttp.ClientSession(hub.http, headers={"Authorization": f"Bearer {hub.token(name)}"}) as rest:
        after = 0
        while True:
            async with rest.get(f"/v1/conversations/{room}/messages", params={"after": after, "limit": 200}) as answer:
                page = await answer.json()
            for item in page["items"]:
                stored[item["offset"]] = item["idempotency_key"]
            if not page["page"]["has_after"]:
                return stored
            after = page["page"]["newest"]
