"""What devices are known to have, over real sockets: whatever they say, and do not say."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

import pytest

from realtime.ports import Delivery, DeviceNews
from realtime.protocol.machine import ConnectionSettings
from realtime.protocol.messages import Payload, Publication
from realtime.settings import Settings
from support.engine import ListFeed, Served, SmallProduct, serve_engine
from support.raw_client import frame_of, messages_of, raw_client
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@dataclass
class Kept:
    """Keeps what it is told, of `log:` channels but `log:other`."""

    news: list[DeviceNews] = field(default_factory=list)

    def follows(self, channel: str) -> bool:
        return channel.startswith("log:") and channel != "log:other"

    def say(self, news: DeviceNews) -> None:
        self.news.append(news)

    @property
    def confirmed(self) -> dict[str, int]:
        return dict(self.news[-1].confirmed)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def product() -> SmallProduct:
    return SmallProduct(ListFeed(), server_side=["log:1", "log:other"], device="phone")


@pytest.fixture
async def served(redis_url: str, redis_prefix: str, product: SmallProduct, kept: Kept) -> AsyncIterator[Served]:
    """No regular ping comes within the time of a test."""
    settings = Settings(connection=ConnectionSettings(ping_interval_s=600.0))
    async with serve_engine(redis_url, redis_prefix, product, attendance=kept, settings=settings) as served:
        yield served


def append(served: Served, channel: str = "log:1", data: str = "1") -> int:
    publication = served.product.feed.append(channel, data)
    served.engine.hub.publish(Delivery(channel, "pub", publication, "e"))
    return publication.offset


@asynccontextmanager
async def phone(served: Served, *, answers: bool = True) -> AsyncIterator[WireClient]:
    async with wire_client(served.url) as client:
        client.answer_pings = answers
        await client.connect("ada")
        yield client


async def test_a_connection_tells_of_its_device_when_it_begins_and_when_it_ends(served: Served, kept: Kept) -> None:
    async with phone(served) as client:
        assert [(one.user, one.device, one.began, one.ended_at) for one in kept.news] == [("ada", "phone", True, None)]
        session = kept.news[0].session
        await client.socket.close()
        await eventually(lambda: kept.news[-1].ended_at is not None)
    assert {one.session for one in kept.news} == {session}
    assert sum(one.ended_at is not None for one in kept.news) == 1
    assert served.engine.hub.devices == 0


async def test_what_was_written_is_asked_about_before_any_regular_ping(served: Served, kept: Kept) -> None:
    async with phone(served) as client:
        offset = append(served)
        await eventually(lambda: kept.confirmed == {"log:1": offset})
        assert client.offsets("log:1") == [offset]
        offset = append(served)
        await eventually(lambda: kept.confirmed == {"log:1": offset})


async def test_a_ping_before_something_that_goes_out_in_the_same_turn_does_not_confirm_it(
    served: Served, kept: Kept
) -> None:
    async with phone(served) as client:
        await eventually(lambda: client.pings == 1)
        (session,) = served.engine.endpoint.open
        await eventually(lambda: len(kept.news) == 2)
        assert session.attending is not None
        session.attending.written("log:1", append(served))
        session.ask()
        await eventually(lambda: len(kept.news) == 3)
        assert kept.confirmed == {}
        await eventually(lambda: kept.confirmed == {"log:1": 1})


async def test_where_it_began_is_confirmed_too(served: Served, kept: Kept) -> None:
    offset = append(served)
    async with phone(served):
        await eventually(lambda: kept.confirmed == {"log:1": offset})


async def test_what_it_missed_is_confirmed_when_it_has_caught_up(served: Served, kept: Kept) -> None:
    for _ in range(300):
        served.product.feed.append("log:1", "1")
    served.product.max_missed = 1000
    async with wire_client(served.url) as client:
        await client.connect("ada", subs={"log:1": {"recover": True, "epoch": "e", "offset": 0}})
        await eventually(lambda: kept.confirmed == {"log:1": 300})
        assert client.offsets("log:1") == list(range(1, 301))


async def test_while_it_is_behind_nothing_of_that_channel_is_confirmed(served: Served, kept: Kept) -> None:
    for _ in range(3):
        served.product.feed.append("log:1", "1")
    async with wire_client(served.url) as client:
        served.product.feed.away = True
        await client.connect("ada", subs={"log:1": {"recover": True, "epoch": "e", "offset": 0}})
        await eventually(lambda: client.pings == 1 and len(kept.news) == 2)
        assert kept.confirmed == {}
        served.product.feed.away = False
        await eventually(lambda: kept.confirmed == {"log:1": 3})
        assert client.offsets("log:1") == [1, 2, 3]


async def test_a_pong_confirms_what_was_sent_before_its_ping_and_not_what_came_after(
    served: Served, kept: Kept
) -> None:
    async with phone(served, answers=False) as client:
        append(served)
        await client.until(lambda: client.offsets("log:1") == [1])
        await client.until(lambda: client.pings == 1)
        append(served)
        await client.until(lambda: client.offsets("log:1") == [1, 2])
        client.answer_pings = True
        await client.socket.send_str("{}")
        await eventually(lambda: bool(kept.confirmed))
        assert kept.confirmed == {"log:1": 1}
        await eventually(lambda: kept.confirmed == {"log:1": 2})


async def test_a_socket_that_is_read_but_answers_nothing_confirms_nothing_and_is_asked_once(
    served: Served, kept: Kept
) -> None:
    async with phone(served, answers=False) as client, phone(served) as other:
        append(served)
        await client.until(lambda: client.pings == 1)
        await eventually(lambda: other.pings >= 1)
        append(served)
        await eventually(lambda: other.pings >= 2)
        assert client.pings == 1
        silent = [one for one in kept.news if one.session == kept.news[0].session]
        assert [(one.began, dict(one.confirmed)) for one in silent] == [(True, {})]


async def test_what_the_device_says_itself_needs_no_ping(served: Served, kept: Kept) -> None:
    async with phone(served) as client, phone(served) as other:
        await eventually(lambda: client.pings >= 1 and other.pings >= 1)
        (session,) = (one for one in served.engine.endpoint.open if one.client == kept.news[0].session)
        before, others_before = client.pings, other.pings
        session.has("log:1", append(served))
        assert kept.confirmed == {"log:1": 1}
        session.has("log:other", 5)
        await eventually(lambda: other.pings > others_before)
        assert client.pings == before


async def test_what_is_not_followed_and_what_has_no_offset_is_not_asked_about(served: Served, kept: Kept) -> None:
    async with phone(served) as client:
        await eventually(lambda: client.pings == 1)
        append(served, "log:other")
        served.engine.hub.publish(Delivery("log:1", "pub", Publication(Payload(b"{}"))))
        await client.until(lambda: len(client.publications("log:1")) == 1 and client.offsets("log:other") == [1])
        await eventually(lambda: not served.engine.hub.moved)
        assert not served.engine.hub.unconfirmed
        assert client.pings == 1
        assert kept.confirmed == {}


async def test_a_connection_that_is_killed_has_ended(served: Served, kept: Kept) -> None:
    async with phone(served) as client:
        append(served)
        await eventually(lambda: kept.confirmed == {"log:1": 1})
        (session,) = served.engine.endpoint.open
        session.wire.reset()
        await eventually(lambda: kept.news[-1].ended_at is not None)
        assert kept.confirmed == {"log:1": 1}
        await client.closed()


async def test_connections_of_no_device_have_no_part_in_it(served: Served, kept: Kept) -> None:
    served.product.device = ""
    async with phone(served) as client:
        append(served)
        await client.until(lambda: client.offsets("log:1") == [1])
        (session,) = served.engine.endpoint.open
        assert session.attending is None
        session.has("log:1", 1)
        assert not served.engine.hub.moved
        assert not served.engine.hub.unconfirmed
    assert kept.news == []


async def test_regular_pings_confirm_as_well_and_keep_the_device_known(
    redis_url: str, redis_prefix: str, product: SmallProduct, kept: Kept
) -> None:
    settings = Settings(connection=ConnectionSettings(ping_interval_s=1.0, pong_timeout_s=30.0))
    async with (
        serve_engine(redis_url, redis_prefix, product, attendance=kept, settings=settings) as served,
        phone(served) as client,
    ):
        append(served)
        await eventually(lambda: kept.confirmed == {"log:1": 1})
        said = len(kept.news)
        await eventually(lambda: len(kept.news) >= said + 2)
        assert client.close_code is None


async def test_a_session_that_is_gone_while_it_is_asked_is_forgotten(served: Served) -> None:
    async with phone(served, answers=False):
        append(served)
        await eventually(lambda: bool(served.engine.hub.unconfirmed))
    await eventually(lambda: not served.engine.endpoint.open)
    await asyncio.sleep(0)
    assert not served.engine.hub.unconfirmed


async def test_a_ping_that_overtook_what_was_queued_does_not_confirm_it(
    redis_url: str, redis_prefix: str, product: SmallProduct, kept: Kept
) -> None:
    settings = Settings(connection=ConnectionSettings(ping_interval_s=1.0, pong_timeout_s=30.0))
    loop = asyncio.get_running_loop()
    async with serve_engine(redis_url, redis_prefix, product, attendance=kept, settings=settings) as served:
        raw = await raw_client(served.url, {"id": 1, "connect": {"token": "ada"}})
        with closing(raw):
            await eventually(lambda: len(kept.news) == 1)
            (session,) = served.engine.endpoint.open
            while session.wire.queued_bytes < 500_000:
                append(served, data='"%s"' % ("x" * 60_000))
                await asyncio.sleep(0)
            last = append(served)
            await eventually(lambda: not served.engine.hub.channels["log:1"].pending)
            assert session.wire.outbox is not None
            frames = served.engine.stats.frames_out
            session.ask()
            assert served.engine.stats.frames_out == frames
            # Nothing is read until the first regular ping waits in front of what is queued.
            await eventually(lambda: served.engine.stats.frames_out > frames)
            data, answered, order = b"", 0, list[int]()
            while kept.confirmed.get("log:1") != last:
                data += await loop.sock_recv(raw, 1 << 20)
                seen, pings = [0], list[int]()
                for message in messages_of(data):
                    if not message:
                        pings.append(seen[-1])
                    elif isinstance(push := message.get("push"), dict) and "offset" in push.get("pub", {}):
                        seen.append(push["pub"]["offset"])
                for before_ping in pings[answered:]:
                    assert kept.confirmed.get("log:1", 0) <= max(order, default=0)
                    order.append(before_ping)
                    await loop.sock_sendall(raw, frame_of({}))
                answered = len(pings)
                await asyncio.sleep(0)
            assert order[0] < last
            assert seen[-1] == last
