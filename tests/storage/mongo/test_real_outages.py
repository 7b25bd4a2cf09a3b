"""A real mongod killed or frozen under load: what was acknowledged is there, and nobody waits for long."""

import asyncio
import os
import signal

from storage.errors import StorageError, Unavailable
from storage.local.mongod import Mongod, mongod
from storage.model import Appended
from storage.mongo.client import connect
from storage.store import Store, migrate_database, open_store
from support.appending import whole_log
from support.conversing import a_group
from support.entries import message
from support.servers import short_directory
from support.waiting import eventually


async def test_a_kill_under_load_loses_nothing_that_was_acknowledged() -> None:
    acknowledged: dict[str, Appended] = {}
    with short_directory() as directory:
        async with mongod(directory) as server:
            await migrate_database(server.url, "test")
            async with open_store(server.url, "test") as store:
                conversation = (await a_group(store)).id
                senders = [
                    asyncio.create_task(keep_sending(store, conversation, f"user{i}", acknowledged)) for i in range(8)
                ]
                await eventually(lambda: len(acknowledged) > 100)
                await kill_and_start_again(server)
                before = len(acknowledged)
                await eventually(lambda: len(acknowledged) > before + 100)
                for sender in senders:
                    sender.cancel()
                await asyncio.gather(*senders, return_exceptions=True)
            async with connect(server.url, "test") as db:
                log = {entry.key: entry for entry in await whole_log(db, conversation)}
            assert {key: log[key] for key in acknowledged} == {key: one.entry for key, one in acknowledged.items()}


async def test_a_frozen_mongod_is_answered_for_in_time_and_then_at_once() -> None:
    loop = asyncio.get_running_loop()
    with short_directory() as directory:
        async with mongod(directory, ephemeral=True) as server:
            await migrate_database(server.url, "test")
            async with open_store(server.url, "test") as store:
                conversation = (await a_group(store)).id
                os.kill(server.pid, signal.SIGSTOP)
                try:
                    started = loop.time()
                    outcome = await asyncio.gather(store.appender.append(message(conversation)), return_exceptions=True)
                    assert isinstance(outcome[0], Unavailable)
                    assert loop.time() - started < 8
                    await eventually(lambda: not store.appender.available)
                    refused = loop.time()
                    assert await unavailable(store, conversation)
                    assert loop.time() - refused < 1
                finally:
                    os.kill(server.pid, signal.SIGCONT)
                await eventually(lambda: store.appender.available)
                assert (await store.appender.append(message(conversation))).entry.offset in {2, 3}


async def unavailable(store: Store, conversation: str) -> bool:
    try:
        await store.appender.append(message(conversation))
    except Unavailable:
        return True
    return False


async def kill_and_start_again(server: Mongod) -> None:
    os.kill(server.pid, signal.SIGKILL)
    await server.exited()
    await server.start()


async def keep_sending(store: Store, conversation: str, by: str, acknowledged: dict[str, Appended]) -> None:
    """As a client does: each message until it is acknowledged, then the next one."""
    number = 0
    while True:
        new = message(conversation, by=by, key=f"{by}-{number}")
        try:
            acknowledged[f"{by}-{number}"] = await store.appender.append(new)
            number += 1
        except StorageError:
            await asyncio.sleep(0.02)
