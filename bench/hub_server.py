"""The engine under test, on a real Redis: everyone who connects is in one channel. Same dialogue as send_loop.c.

`N` publishes N messages one by one; `N/B` publishes them in bursts of B that arrive together.
"""

import asyncio
import sys
import time
from pathlib import Path

import uvloop

from realtime.ports import Delivery
from realtime.protocol.machine import ConnectionSettings
from realtime.protocol.messages import Payload, Publication
from realtime.settings import Settings
from storage.local.redis_server import redis_server

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.engine import ListFeed, SmallProduct, serve_engine

# The receivers read and say nothing: they answer no pings.
QUIET = Settings(connection=ConnectionSettings(ping_interval_s=3600))

CHANNEL = "log:aaaaaaaaaaaaaaaaaaaaaaaaaa"


async def main(receivers: int, size: int, directory: Path) -> None:
    product = SmallProduct(ListFeed(), server_side=[CHANNEL])
    async with (
        redis_server(directory, ephemeral=True) as redis,
        serve_engine(redis.url, "bench", product, settings=QUIET) as served,
    ):
        hub = served.engine.hub
        print(f"listening {served.url}", flush=True)
        while len(hub.sessions) < receivers:
            await asyncio.sleep(0.05)
        print("ready", flush=True)
        # What the push adds around the data, so that a frame on the wire has the asked size.
        data = Payload(b'"' + b"x" * (size - 4 - 71 - len(CHANNEL)) + b'"')
        loop = asyncio.get_running_loop()
        offset = 0
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            count, _, burst = line.strip().partition("/")
            before = time.process_time()
            for first in range(0, int(count), int(burst or 1)):
                for _ in range(first, min(int(count), first + int(burst or 1))):
                    offset += 1
                    hub.publish(Delivery(CHANNEL, "pub", Publication(data, offset=offset), "e"))
                await asyncio.sleep(0.002)
            print(round((time.process_time() - before) * 1e6), flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])))
