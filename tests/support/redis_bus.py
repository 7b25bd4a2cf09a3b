"""Processes on a bus, what they hear, and numbers that suit tests."""

import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from msgspec import Raw

from realtime.ports import BusListener, Delivery
from realtime.protocol.messages import Publication
from realtime.redis.opening import OpenRedis, open_redis
from realtime.redis.settings import RedisSettings
from support.waiting import eventually

FAST = RedisSettings(
    heartbeat_interval_s=0.1,
    # On a busy machine a healthy server, or we, may be kept waiting for most of a second.
    dead_after_s=1.0,
    connect_timeout_s=1.0,
    call_timeout_s=10.0,
    backoff_most_s=0.2,
    lease_renewal_s=0.1,
    users_flush_s=0.01,
)


class Heard:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.controls: list[bytes] = []
        self.gaps: list[set[str] | None] = []

    def on_delivery(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)

    def on_control(self, payload: bytes) -> None:
        self.controls.append(payload)

    def on_gap(self, channels: Sequence[str] | None) -> None:
        self.gaps.append(None if channels is None else set(channels))

    def data(self, channel: str) -> list[bytes]:
        """The payloads heard on a channel, in order."""
        return [bytes(each.publication.data) for each in self.deliveries if each.channel == channel]


def pub(channel: str, data: bytes, offset: int = 0, epoch: str = "") -> Delivery:
    return Delivery(channel, "pub", Publication(Raw(data), offset=offset), epoch)


@asynccontextmanager
async def process(
    name: str, listener: BusListener, *urls: str, prefix: str = "t:", settings: RedisSettings = FAST
) -> AsyncIterator[OpenRedis]:
    """A process on these servers, with the prefix `t:`."""
    async with open_redis(urls, prefix=prefix, process=name, node="n1", listener=listener, settings=settings) as opened:
        yield opened


async def subscribed(opened: OpenRedis, *channels: str) -> None:
    """Subscribe and wait until it is so."""
    await eventually(lambda: opened.bus.alive)
    for channel in channels:
        opened.bus.subscribe(channel)
    assert await opened.bus.settled()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that hangs for as long as the block lasts: its kernel goes on to accept and to acknowledge."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
