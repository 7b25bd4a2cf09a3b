"""A mongod of one's own: ready when it takes writes, on the same data and port after whatever happened."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from storage.local.children import ChildFailed
from storage.local.mongod import Mongod, mongod, readable

MAJORITY = {"writeConcern": {"w": "majority", "j": True}}


async def insert(server: Mongod, number: int) -> None:
    async with AsyncMongoClient[dict[str, Any]](server.url) as client:
        await client.test.command("insert", "numbers", documents=[{"_id": number}], **MAJORITY)


async def numbers(server: Mongod) -> list[int]:
    async with AsyncMongoClient[dict[str, Any]](server.url) as client:
        return [row["_id"] async for row in client.test.numbers.find().sort("_id")]


async def test_it_takes_writes_at_once_and_after_every_kind_of_end(tmp_path: Path) -> None:
    async with mongod(tmp_path) as server:
        url = server.url
        await insert(server, 1)
        os.kill(server.pid, signal.SIGKILL)
        await server.exited()
        await server.start()
        await insert(server, 2)
        await server.stop()
        await server.start()
        await insert(server, 3)
        assert server.url == url
    async with mongod(tmp_path) as server:
        assert server.url == url
        assert await numbers(server) == [1, 2, 3]


async def test_it_moves_to_another_port_when_its_own_is_taken(tmp_path: Path) -> None:
    async with mongod(tmp_path) as server:
        await insert(server, 1)
        port = server.port
    async with (
        await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port),
        mongod(tmp_path) as server,
    ):
        assert server.port != port
        await insert(server, 2)
        assert await numbers(server) == [1, 2]


async def test_a_frozen_one_goes_on_after_sigcont(tmp_path: Path) -> None:
    async with mongod(tmp_path, ephemeral=True) as server:
        os.kill(server.pid, signal.SIGSTOP)
        inserted = asyncio.create_task(insert(server, 1))
        done, _ = await asyncio.wait([inserted], timeout=0.2)
        assert not done
        os.kill(server.pid, signal.SIGCONT)
        await inserted


async def test_two_cannot_share_their_data_and_the_message_says_so(tmp_path: Path) -> None:
    async with mongod(tmp_path, ephemeral=True):
        with pytest.raises(ChildFailed, match=r"^mongod: ended before it was ready, exit code 100$") as failure:
            async with mongod(tmp_path):
                pass
    assert any("mongod.lock" in line for line in failure.value.last_lines)


async def test_test_commands_are_off_unless_asked_for(tmp_path: Path) -> None:
    command = {"configureFailPoint": "failCommand", "mode": "off"}
    async with mongod(tmp_path, ephemeral=True) as server, AsyncMongoClient[dict[str, Any]](server.url) as client:
        with pytest.raises(OperationFailure, match="no such command"):
            await client.admin.command(command)


async def test_fail_points_work_in_the_tests_own_server(mongodb_url: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongodb_url) as client:
        await client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})


async def test_it_listens_on_loopback_only_and_makes_no_socket_file(tmp_path: Path) -> None:
    async with mongod(tmp_path, ephemeral=True) as server, AsyncMongoClient[dict[str, Any]](server.url) as client:
        options = (await client.admin.command("getCmdLineOpts"))["parsed"]
        assert options["net"]["bindIp"] == "127.0.0.1"
        assert not Path(f"/tmp/mongodb-{server.port}.sock").exists()


async def test_change_streams_work(mongodb_url: str, database_name: str) -> None:
    async with AsyncMongoClient[dict[str, Any]](mongodb_url) as client:
        things = client[database_name].things
        async with await things.watch() as stream:
            await things.insert_one({"_id": 1})
            assert (await stream.next())["fullDocument"] == {"_id": 1}


def test_log_lines_are_made_readable() -> None:
    lines = (
        '{"s":"I","msg":"Starting","attr":{"port":1}}',
        '{"s":"E","msg":"No space","attr":{"path":"/x"}}',
        '{"s":"I","msg":"Bye"}',
    )
    assert readable(lines) == ('No space {"path": "/x"}',)
    assert readable((lines[0], lines[2])) == ('Starting {"port": 1}', "Bye")
    assert readable((lines[0], "Segmentation fault")) == ("Segmentation fault",)
