"""What hubs and workers find when they start: no servers, others of their kind, words of a newer version, an index that
is missing: F34 to F36, F38.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import aiohttp

from chaos.fault import Fault, Hub, Run
from chaos.faults.looking import counted, status_of
from chaos.faults.someone import someone
from storage.local.children import Child, ChildFailed


@asynccontextmanager
async def nothing_there_at_the_start(run: Run) -> AsyncIterator[None]:
    """A hub is started before its servers."""
    hub, redis, mongod = run.cluster.hubs[0], run.cluster.redises[0], run.cluster.mongods[0]
    await hub.kill()
    await redis.kill()
    started = time.monotonic()
    await hub.start()
    run.note("ready without Redis after", f"{time.monotonic() - started:.1f} s")
    status, body = await hub.readiness()
    run.require("without Redis it starts, degraded", status == 200 and "degraded" in body, f"{status} {body}")
    await redis.start()
    await hub.kill()
    await mongod.kill()
    starting = asyncio.create_task(hub.start())
    await run.until(lambda: _livez(hub), within_s=20, told="without MongoDB it lives")
    status, body = await hub.readiness()
    run.require("without MongoDB it is not ready", status == 503, f"{status} {body}")
    await asyncio.sleep(3.0)
    await run.until(lambda: _livez(hub), within_s=5, told="and lives on")
    yield
    await mongod.start()
    started = time.monotonic()
    await starting
    run.note("ready after MongoDB came", f"{time.monotonic() - started:.1f} s")


async def _livez(hub: Hub) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session,
            session.get(f"http://127.0.0.1:{hub.port}/livez") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


@asynccontextmanager
async def two_of_a_kind(run: Run) -> AsyncIterator[None]:
    """A second worker beside the first, and a hub of the same name beside the hub."""
    cluster: Any = run.cluster
    worker: Any = run.cluster.workers[0]
    second = replace(worker.command, name="worker-again", log=cluster.directory / "worker-again.log")
    child = await Child.start(second)
    try:
        await asyncio.sleep(6.0)
        holders = await _leaders(cluster)
        run.require("one of two workers follows", len(holders) == 1, f"{holders}")
        worker.freeze()
        try:

            async def taken_over() -> bool:
                now_leads = await _leaders(cluster)
                return bool(now_leads) and now_leads != holders

            took_s = await run.until(taken_over, within_s=30.0, told="the other one takes over from a frozen one")
            run.note("taken over after", f"{took_s:.1f} s")
        finally:
            worker.thaw()
        await asyncio.sleep(5.0)
        leading = await _leaders(cluster)
        run.require("the first one steps back", len(leading) == 1 and leading != holders, f"{leading}")
        yield
    finally:
        await child.stop(now=True)
    hub = run.cluster.hubs[0]
    server: Any = hub
    beside = replace(server.command, name="hub-again", log=cluster.directory / "hub-again.log")
    child = await Child.start(beside)
    try:
        async with asyncio.timeout(20):
            how = await child.exited()
        run.require("a hub whose port is taken ends, and says so", how.code not in (0, None), f"{how}")
    finally:
        await child.stop(now=True)
    run.require("the first one goes on", hub.running and await status_of(hub, 200), "it is ready")


async def _leaders(cluster: Any) -> list[str]:
    """Who holds the follower's lease."""
    from pymongo import AsyncMongoClient

    from chaos.configuring import DATABASE

    url = f"mongodb://127.0.0.1:{cluster.mongods[0].port}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=3000) as client:
        rows = [row async for row in client[DATABASE].meta.find({"_id": {"$regex": "follower"}})]
    return [str(row.get("owner")) for row in rows if row.get("owner")]


@asynccontextmanager
async def version_skew(run: Run) -> AsyncIterator[None]:
    """What a newer version may say on the bus and write into documents: what is not known is left alone."""
    import msgspec

    from chaos.configuring import DATABASE

    cluster: Any = run.cluster
    hub, other = run.cluster.hubs[0], run.cluster.hubs[-1]
    bad = [await counted(one, "hubbub_bus_bad_total") for one in run.cluster.hubs]
    pack = msgspec.msgpack.Encoder()
    async with someone(run) as person, someone(run) as friend, friend.socket(other) as socket:
        conversation = await person.group(hub, friend.name)
        await run.until(lambda: socket.offsets(f"conv:{conversation}") == [1], within_s=5, told="joined")
        channel = f"chaos:c:conv:{conversation}"
        data = json.dumps({"type": "message.reimagined", "conversation": conversation, "offset": 2, "new": True})
        epoch = await _epoch(cluster)
        more = f"0:{epoch}::".encode() + pack.encode((1, "pub", data.encode(), None, {}, 0, "new", {"newer": 1}))
        await _publish(cluster, channel, more)
        await run.until(
            lambda: any("reimagined" in json.dumps(push) for push in socket.pushes),
            within_s=5,
            told="an event of a type that is not known yet is passed on",
        )
        await _publish(cluster, channel, f"0:{epoch}::".encode() + pack.encode((2, "pub", data.encode())))
        for odd in ({"type": "no_such_operation", "x": 1}, {"v": 99}, [1, 2]):
            await _publish(cluster, "chaos:all", pack.encode(odd))
            await _publish(cluster, "chaos:all", json.dumps(odd).encode())
        from pymongo import AsyncMongoClient

        url = f"mongodb://127.0.0.1:{cluster.mongods[0].port}/?directConnection=true"
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            for name, query in (
                ("messages", {"c": conversation}),
                ("conversations", {"_id": conversation}),
                ("members", {"conversation": conversation}),
                ("users", {"_id": person.name}),
            ):
                done = await client[DATABASE][name].update_many(query, {"$set": {"of_a_newer_version": {"a": [1]}}})
                run.require(f"{name} have a field more", done.matched_count > 0, f"{done.matched_count}")
        said = await person.say(hub, conversation, "after")
        run.require("a send is as before", said.ok, f"{said.status} {said.body}")
        page = await person.page(other, conversation)
        run.require("a page is as before", page.ok and len(page.body["items"]) == 1, f"{page.status} {page.body}")
        listed = await person.rpc(other, "conversation.list")
        run.require("the list is as before", listed.ok, f"{listed.status} {listed.body}")
        await run.until(
            lambda: 2 in socket.offsets(f"conv:{conversation}"), within_s=5, told="what is known is delivered as before"
        )
        yield
    more_bad = sum([await counted(one, "hubbub_bus_bad_total") for one in run.cluster.hubs]) - sum(bad)
    run.require("a version that is not known is counted and skipped", more_bad >= 1, f"{more_bad:.0f}")


async def _publish(cluster: Any, channel: str, message: bytes) -> None:
    from redis.asyncio import Redis

    async with Redis(port=cluster.redis_ports[0], socket_timeout=5.0) as client:
        await client.publish(channel, message)


async def _epoch(cluster: Any) -> str:
    from pymongo import AsyncMongoClient

    from chaos.configuring import DATABASE

    url = f"mongodb://127.0.0.1:{cluster.mongods[0].port}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        row = await client[DATABASE].meta.find_one({"_id": "schema"})
    return str(row["epoch"]) if row else ""


@asynccontextmanager
async def index_missing(run: Run) -> AsyncIterator[None]:
    """The index that makes sends happen once is gone: nobody may start without it."""
    from pymongo import AsyncMongoClient

    from chaos.configuring import DATABASE
    from storage.mongo.client import connect
    from storage.mongo.migrate import migrate

    cluster: Any = run.cluster
    for hub in run.cluster.hubs:
        await hub.end()
    url = f"mongodb://127.0.0.1:{cluster.mongods[0].port}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        await client[DATABASE].messages.drop_index("key")
    told = ""
    hub = run.cluster.hubs[0]
    server: Any = hub
    with server.may_end():
        try:
            async with asyncio.timeout(30):
                await hub.start()
        except ChildFailed as failed:
            told = f"{failed.reason} {' '.join(failed.last_lines[-6:])}"
        except TimeoutError:
            status, told = await hub.readiness()
            run.require("it is not ready", status == 503, f"{status}")
            await hub.kill()
    run.require("it refuses to serve, and names what is missing", "key of messages" in told, told[-300:])
    async with connect(url, DATABASE) as database:
        await migrate(database)
    for one in run.cluster.hubs:
        if not one.running:
            await one.start()
    yield


_AREA: Final = "hubs"
"""They happen to the same processes as those of hubs.py."""

FAULTS: Final = (
    Fault("34", "servers away when a hub starts", nothing_there_at_the_start, lasts_s=1.0, area=_AREA),
    Fault("35", "two workers, two hubs of one name", two_of_a_kind, lasts_s=1.0, area=_AREA),
    Fault("36", "words of a newer version", version_skew, lasts_s=1.0, area=_AREA),
    Fault("38", "a unique index is missing", index_missing, lasts_s=1.0, area=_AREA),
)
