"""The end of a connection to a MongoDB that is gone: short, and without stopping everything else."""

import asyncio
import os
import signal

from storage.local.mongod import mongod
from storage.mongo.client import connect
from support.servers import short_directory


async def test_a_server_that_is_gone_does_not_hold_up_the_close_nor_the_event_loop() -> None:
    loop = asyncio.get_running_loop()
    lags: list[float] = []

    async def watch() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.05)
            lags.append(loop.time() - before)

    with short_directory() as directory:
        async with mongod(directory, ephemeral=True) as server:
            async with connect(f"{server.url}&serverSelectionTimeoutMS=20000&timeoutMS=20000", "gone") as database:
                await database["things"].insert_one({"_id": 1})
                os.kill(server.pid, signal.SIGKILL)
                await server.exited()
                watching = asyncio.create_task(watch())
                await asyncio.sleep(0)
                began = loop.time()
            took_s = loop.time() - began
            watching.cancel()
    assert took_s < 8, "the driver looks for a server for 20"
    assert max(lags) < 5
