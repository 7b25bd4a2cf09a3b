import asyncio
import secrets
from dataclasses import dataclass, field

import pytest
import redis.asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from realtime.ports import Delivery, StreamOptions
from realtime.protocol.messages import ClientInfo, Publication
from realtime.protocol.recovery import Position
from realtime.redis.opening import OpenRedis
from support.redis_bus import Heard, pub, subscribed
from support.waiting import eventually

OPTIONS = StreamOptions(size=100, ttl_s=60)


def numbered(number: int) -> Publication:
    return Publication(Raw(b"%d" % number))


async def offsets(
    opened: OpenRedis, *, since: Position | None = None, limit: int = -1, reverse: bool = False
) -> list[int]:
    page = await opened.streams.read("news", OPTIONS, since=since, limit=limit, reverse=reverse)
    return [publication.offset for publication in page.publications]


async def test_each_publication_gets_the_next_offset_and_comes_back_whole(opened: OpenRedis) -> None:
    info = ClientInfo("ann", "c1", Raw(b'{"name":"Ann"}'))
    first = await opened.streams.publish("news", Publication(Raw(b'{"a":1}'), info, tags={"k": "v"}, time=5), OPTIONS)
    second = await opened.streams.publish("news", numbered(2), OPTIONS)

    page = await opened.streams.read("news", OPTIONS, since=None, limit=-1, reverse=False)

    assert (first.offset, second.offset) == (1, 2)
    assert first.epoch == second.epoch != ""
    assert page.position == second
    assert page.publications == [
        Publication(Raw(b'{"a":1}'), info, 1, {"k": "v"}, 5),
        Publication(Raw(b"2"), offset=2),
    ]


async def test_what_is_appended_is_published_with_its_position(opened: OpenRedis, heard: Heard) -> None:
    await subscribed(opened, "news")

    position = await opened.streams.publish("news", numbered(1), OPTIONS)

    await eventually(lambda: heard.deliveries)
    assert heard.deliveries == [pub("news", b"1", 1, position.epoch)]


async def test_a_stream_that_never_existed_gets_an_epoch_and_keeps_it(opened: OpenRedis) -> None:
    page = await opened.streams.read("news", OPTIONS, since=None, limit=0, reverse=False)

    assert page.publications == []
    assert page.position.offset == 0
    assert page.position.epoch not in ("", "_")
    assert await opened.streams.publish("news", numbered(1), OPTIONS) == Position(page.position.epoch, 1)


async def test_history_is_read_from_either_end_after_a_position_and_up_to_a_limit(opened: OpenRedis) -> None:
    positions = [await opened.streams.publish("news", numbered(number), OPTIONS) for number in range(5)]
    epoch = positions[0].epoch

    assert await offsets(opened, limit=0) == []
    assert await offsets(opened) == [1, 2, 3, 4, 5]
    assert await offsets(opened, limit=2) == [1, 2]
    assert await offsets(opened, limit=2, reverse=True) == [5, 4]
    assert await offsets(opened, since=Position(epoch, 2)) == [3, 4, 5]
    assert await offsets(opened, since=Position(epoch, 2), limit=1) == [3]
    assert await offsets(opened, since=Position(epoch, 2), reverse=True) == [1]
    assert await offsets(opened, since=Position(epoch, 0), reverse=True) == []
    assert await offsets(opened, since=Position(epoch, 5)) == []
    assert await offsets(opened, since=Position(epoch, 2**64)) == []
    assert await offsets(opened, since=Position("", 4)) == [5]
    assert await offsets(opened, since=Position("another", 2)) == []


async def test_only_the_newest_publications_are_kept(opened: OpenRedis) -> None:
    options = StreamOptions(size=2, ttl_s=60)
    for number in range(5):
        await opened.streams.publish("news", numbered(number), options)

    assert await offsets(opened) == [4, 5]


async def test_a_forgotten_stream_keeps_its_position(opened: OpenRedis) -> None:
    before = await opened.streams.publish("news", numbered(1), OPTIONS)

    await opened.streams.remove("news")

    page = await opened.streams.read("news", OPTIONS, since=None, limit=-1, reverse=False)
    assert (page.publications, page.position) == ([], before)
    assert await opened.streams.publish("news", numbered(2), OPTIONS) == Position(before.epoch, 2)
    assert await offsets(opened) == [2]


async def test_a_repeated_publish_is_answered_with_the_first_position_and_published_once(
    opened: OpenRedis, heard: Heard
) -> None:
    await subscribed(opened, "news")

    first, *others = await asyncio.gather(
        *(opened.streams.publish("news", numbered(n), OPTIONS, idempotency_key="k") for n in range(10))
    )
    after = await opened.streams.publish("news", numbered(99), OPTIONS, idempotency_key="another")

    assert set(others) == {first}
    assert after.offset == 2
    await eventually(lambda: b"99" in heard.data("news"))
    assert len(heard.deliveries) == 2


async def test_an_idempotency_key_belongs_to_its_channel(opened: OpenRedis) -> None:
    await opened.streams.publish("a:b", numbered(1), OPTIONS, idempotency_key="c")

    assert (await opened.streams.publish("a", numbered(1), OPTIONS, idempotency_key="b:c")).offset == 1
    assert await opened.streams.publish_once(pub("a:b", b"1"), idempotency_key="c") is False
    assert await opened.streams.publish_once(pub("c", b"1"), idempotency_key="c") is True


async def test_publishing_once_publishes_once(opened: OpenRedis, heard: Heard) -> None:
    await subscribed(opened, "news")
    join = Delivery("news", "join", Publication(info=ClientInfo("ann", "c1")))

    assert await opened.streams.publish_once(join, idempotency_key="k") is True
    assert await opened.streams.publish_once(join, idempotency_key="k") is False
    assert await opened.streams.publish_once(pub("news", b"2"), idempotency_key="another") is True

    await eventually(lambda: len(heard.deliveries) >= 2)
    assert heard.deliveries == [join, pub("news", b"2")]


async def test_everything_kept_has_an_end(opened: OpenRedis, redis_url: str, redis_prefix: str) -> None:
    await opened.streams.publish("news", numbered(1), StreamOptions(3, 60, 3_600), idempotency_key="k")
    await opened.streams.read("quiet", StreamOptions(3, 60, 3_600), since=None, limit=0, reverse=False)

    async with redis.asyncio.from_url(redis_url, protocol=2) as client:
        ends = {key: await client.ttl(key) async for key in client.scan_iter(f"{redis_prefix}*")}

    suffixes = {key.decode().removeprefix(f"{redis_prefix}:"): ttl for key, ttl in ends.items()}
    assert 3_590 <= suffixes["stream_meta:news"] <= 3_600
    assert 3_590 <= suffixes["stream_meta:quiet"] <= 3_600
    assert 50 <= suffixes["stream:news"] <= 60
    assert 290 <= suffixes["once:4:news:k"] <= 300


async def test_offsets_are_exact_where_lua_would_write_them_with_an_exponent(
    opened: OpenRedis, redis_url: str, redis_prefix: str
) -> None:
    await opened.streams.publish("news", numbered(1), OPTIONS)
    async with redis.asyncio.from_url(redis_url, protocol=2) as client:
        await client.hset(f"{redis_prefix}:stream_meta:news", "offset", str(10**15))

    assert (await opened.streams.publish("news", numbered(2), OPTIONS)).offset == 10**15 + 1
    assert await offsets(opened) == [1, 10**15 + 1]


async def test_a_stream_that_outlived_its_position_is_begun_anew(
    opened: OpenRedis, redis_url: str, redis_prefix: str
) -> None:
    before = await opened.streams.publish("news", numbered(1), OPTIONS)
    await opened.streams.publish("news", numbered(2), OPTIONS)
    async with redis.asyncio.from_url(redis_url, protocol=2) as client:
        await client.delete(f"{redis_prefix}:stream_meta:news")

    after = await opened.streams.publish("news", numbered(3), OPTIONS)

    assert after.offset == 1
    assert after.epoch != before.epoch
    assert await offsets(opened) == [1]


async def test_an_entry_that_cannot_be_read_is_left_out(opened: OpenRedis, redis_url: str, redis_prefix: str) -> None:
    await opened.streams.publish("news", numbered(1), OPTIONS)
    async with redis.asyncio.from_url(redis_url, protocol=2) as client:
        await client.xadd(f"{redis_prefix}:stream:news", {"b": "junk"}, id="2-0")
        await client.hset(f"{redis_prefix}:stream_meta:news", "offset", "2")
    await opened.streams.publish("news", numbered(3), OPTIONS)

    assert await offsets(opened) == [1, 3]


async def test_scripts_that_the_server_forgot_are_sent_again(opened: OpenRedis, redis_url: str) -> None:
    await opened.streams.publish("news", numbered(1), OPTIONS)
    async with redis.asyncio.from_url(redis_url, protocol=2) as client:
        await client.script_flush()

    assert (await opened.streams.publish("news", numbered(2), OPTIONS)).offset == 2


@pytest.mark.parametrize("options", [StreamOptions(0, 60), StreamOptions(1, 0), StreamOptions(1, 60, 59)])
async def test_options_that_keep_nothing_are_a_mistake(opened: OpenRedis, options: StreamOptions) -> None:
    with pytest.raises(ValueError):
        await opened.streams.publish("news", numbered(1), options)


@dataclass
class ListModel:
    """What a stream is: a list of which the last `size` can be read."""

    size: int
    head: int = 0
    kept: list[int] = field(default_factory=list)
    by_key: dict[str, int] = field(default_factory=dict)

    def publish(self, key: str) -> int:
        if key and key in self.by_key:
            return self.by_key[key]
        self.head += 1
        self.kept = [*self.kept, self.head][-self.size :]
        if key:
            self.by_key[key] = self.head
        return self.head

    def read(self, since: int | None, limit: int, reverse: bool) -> list[int]:
        found = [each for each in self.kept if since is None or (each < since if reverse else each > since)]
        found = found[::-1] if reverse else found
        return found if limit < 0 else found[:limit]


steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(["", "", "k1", "k2"])),
    st.tuples(st.just("read"), st.none() | st.integers(0, 15), st.integers(-1, 5), st.booleans()),
    st.tuples(st.just("remove")),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 6), script=st.lists(steps, max_size=25))
async def test_a_stream_behaves_like_a_list(opened: OpenRedis, size: int, script: list[tuple[object, ...]]) -> None:
    channel = f"model:{secrets.token_hex(4)}"
    options, model = StreamOptions(size, 60), ListModel(size)
    for step in script:
        match step:
            case ("publish", str(key)):
                position = await opened.streams.publish(channel, numbered(0), options, idempotency_key=key)
                assert position.offset == model.publish(key)
            case ("read", since, int(limit), bool(reverse)):
                after = since if isinstance(since, int) else None
                asked = None if after is None else Position("", after)
                page = await opened.streams.read(channel, options, since=asked, limit=limit, reverse=reverse)
                assert [each.offset for each in page.publications] == model.read(after, limit, reverse)
                assert page.position.offset == model.head
            case _:
                await opened.streams.remove(channel)
                model.kept = []
