"""What it costs a process to take a delivery from the bus: a real Redis, a publisher in a process of its own.

`python -m bench.hearing URL COUNT` is the publisher: so many messages on one channel, in pipelined bursts.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Raw
from redis import Redis

from realtime.ports import Delivery
from realtime.protocol.messages import Publication
from realtime.redis import envelope
from realtime.redis.keys import Keys
from realtime.redis.opening import open_redis

PREFIX: Final = "heard:"
CHANNEL: Final = "conv:" + "a" * 26
BURST: Final = 20
MESSAGE: Final = Raw(b'{"type":"message.created","message":{"text":"' + b"x" * 300 + b'"}}')


class Counting:
    """Counts, and hands nothing on."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.all_heard = asyncio.Event()

    def on_delivery(self, delivery: Delivery) -> None:
        self._left -= 1
        if not self._left:
            self.all_heard.set()

    def on_control(self, payload: bytes) -> None:
        pass

    def on_gap(self, channels: Sequence[str] | None) -> None:
        pass


async def heard_us(redis_url: str, count: int) -> float:
    """CPU of this process for each, decoded, in µs; reading from the socket included."""
    listener = Counting(count)
    process = secrets.token_hex(8)
    async with open_redis([redis_url], prefix=PREFIX, process=process, node="bench", listener=listener) as redis:
        redis.bus.subscribe(CHANNEL)
        async with asyncio.timeout(10):
            while not (redis.bus.alive and await redis.bus.settled()):
                await asyncio.sleep(0.05)
        command = [sys.executable, "-m", "bench.hearing", redis_url, str(count)]
        publisher = await asyncio.create_subprocess_exec(*command)
        used = time.process_time()
        async with asyncio.timeout(60):
            await listener.all_heard.wait()
        used = time.process_time() - used
        await publisher.wait()
    return used / count * 1e6


def publish(redis_url: str, count: int) -> None:
    client = Redis.from_url(redis_url)
    channel = Keys(PREFIX).channel(CHANNEL)
    for first in range(1, count + 1, BURST):
        burst = client.pipeline(transaction=False)
        for offset in range(first, min(first + BURST, count + 1)):
            delivery = Delivery(CHANNEL, "pub", Publication(MESSAGE, offset=offset), "e")
            burst.publish(channel.decode(), envelope.encode(delivery, holder="another"))
        burst.execute()


if __name__ == "__main__":
    publish(sys.argv[1], int(sys.argv[2]))
