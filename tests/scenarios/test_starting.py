"""The beginning of real processes: the port answers from the start, and only a wrong configuration ends one."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from storage.local.mongod import mongod
from storage.local.ports import free_port
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from storage.mongo.schema import KEY_INDEX, MESSAGES
from support.app import test_config
from support.hub_process import HubProcess, hub_process
from support.servers import short_directory
from support.waiting import eventually
from support.wire_client import wire_client


async def test_a_hub_that_is_there_before_its_mongodb_lives_is_not_ready_and_serves_when_it_comes(
    redis_url, redis_prefix
):
    with short_directory() as directory:
        # It was there once, and keeps its port and what it holds.
        async with mongod(directory) as server, connect(server.url, "late") as database:
            await migrate(database)
            port = server.port
        url = f"mongodb://127.0.0.1:{port}/?replicaSet=rs0&serverSelectionTimeoutMS=500&timeoutMS=1000"
        config = test_config(url, "late", redis_url, redis_prefix)
        async with hub_process(config, migrated=False) as hub:
            await hub.start()
            assert await eventually(lambda: _get(hub, "/livez")) == (200, {"status": "ok"})
            await eventually(lambda: hub.said("waiting_for_mongodb"))
            assert await _get(hub, "/readyz") == (
                503,
                {"status": "unavailable", "reasons": ["starting", "mongodb_unreachable"], "dependencies": {}},
            )
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{hub.http}/v1/me") as answer:
                    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(hub.websocket)
                assert refused.value.status == 503
            async with mongod(directory, ephemeral=True) as server:
                assert server.port == port
                await hub.ready()
                async with wire_client(hub.websocket) as alice:
                    await alice.connect(hub.token("alice"))


async def test_a_stop_that_comes_before_mongodb_ends_it_at_once(redis_url, redis_prefix):
    url = f"mongodb://127.0.0.1:{free_port()}/?replicaSet=rs0&serverSelectionTimeoutMS=500&timeoutMS=1000"
    async with hub_process(test_config(url, "never", redis_url, redis_prefix), migrated=False) as hub:
        await hub.start()
        await eventually(lambda: hub.said("waiting_for_mongodb"))
        hub.running.terminate()
        assert await hub.ended() == 0


async def test_redis_may_come_later(config):
    away = f"unix://{Path('/tmp') / 'hubbub-no-redis-there.sock'}"
    async with hub_process(config, redis__urls=[away]) as hub:
        await hub.start()
        await hub.ready()
        assert (await _get(hub, "/readyz"))[1]["status"] == "degraded"


async def test_a_database_that_was_not_migrated_is_refused_with_what_helps(
    mongodb_url, new_database_name, redis_url, redis_prefix
):
    config = test_config(mongodb_url, new_database_name, redis_url, redis_prefix)
    async with hub_process(config, migrated=False) as hub:
        await hub.start()
        assert await hub.ended() == 3
        assert "hubbub migrate" in hub.log.read_text()


async def test_without_a_unique_index_nothing_is_served(config):
    """Without it a repeated send would be stored twice."""
    async with hub_process(config) as hub:
        async with connect(config.mongodb.url.reveal(), config.mongodb.database) as database:
            await database[MESSAGES].drop_index(KEY_INDEX)
        await hub.start()
        assert await hub.ended() == 3
        assert f"index {KEY_INDEX} of {MESSAGES} is missing" in hub.log.read_text()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mongodb__url": "postgres://user:hunter2@db"}, "mongodb.url"),
        ({"redis__urls": ["http://user:hunter2@cache"]}, "redis.urls"),
        ({"server__prot": 8000}, "server.prot"),
    ],
)
async def test_what_can_never_work_ends_it_with_the_key_and_without_the_secret(config, wrong, says):
    async with hub_process(config, migrated=False) as hub:
        hub.rewrite(**wrong)
        await hub.start()
        assert await hub.ended() == 3
        log = hub.log.read_text()
        assert says in log
        assert "hunter2" not in log
        assert "Traceback" not in log


async def _get(hub: HubProcess, path: str) -> tuple[int, dict[str, object]]:
    async with asyncio.timeout(5), aiohttp.ClientSession() as session:
        try:
            async with session.get(hub.http + path) as answer:
                return answer.status, json.loads(await answer.text())
        except aiohttp.ClientConnectionError:
            assert hub.running.returncode is None, hub.log.read_text()
            raise AssertionError("not listening yet") from None
