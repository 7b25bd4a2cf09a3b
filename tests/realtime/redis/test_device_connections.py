"""Which devices are connected, and what they have: seen by every process, whichever hub a device is on."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import redis.asyncio

from realtime.confirming import MAX_CONFIRMED
from realtime.ports import DeviceConnection, DeviceNews
from realtime.redis.client_states import MAX_DEVICES
from realtime.redis.opening import OpenRedis
from realtime.redis.settings import RedisSettings
from support.redis_bus import Heard, process
from support.waiting import eventually

NOTHING: Mapping[str, int] = {}


def came(session: str, /, *, device: str = "phone", **confirmed: int) -> DeviceNews:
    return DeviceNews("ada", device, session, began=True, confirmed=confirmed)


def there(session: str, **confirmed: int) -> DeviceNews:
    return DeviceNews("ada", "phone", session, confirmed=confirmed)


def ended(session: str, at: int, **confirmed: int) -> DeviceNews:
    return DeviceNews("ada", "phone", session, ended_at=at, confirmed=confirmed)


async def after(opened: OpenRedis, *news: DeviceNews) -> DeviceConnection | None:
    """What is known of Ada's phone then."""
    assert await opened.device_connections.put(news, ttl_s=60) == []
    return (await opened.device_connections.of_users(["ada"]))["ada"].get("phone")


async def test_what_one_process_wrote_every_process_sees(opened: OpenRedis, redis_url: str, redis_prefix: str) -> None:
    await after(opened, came("s1", here=7), came("s2", device="desk"))
    settings = RedisSettings(call_timeout_s=10.0)
    async with process("p2", Heard(), redis_url, prefix=f"{redis_prefix}:", settings=settings) as other:
        assert await other.device_connections.of_users(["ada", "bob"]) == {
            "ada": {"phone": DeviceConnection(None, {"here": 7}), "desk": DeviceConnection(None, NOTHING)},
            "bob": {},
        }


async def test_the_end_of_a_connection_keeps_what_was_confirmed(opened: OpenRedis) -> None:
    known = await after(opened, came("s1", here=7), ended("s1", 1_700_000_000_123, here=8, there=2**53 // 100))
    assert known == DeviceConnection(1_700_000_000_123, {"here": 8, "there": 2**53 // 100})


async def test_after_a_reconnect_the_end_of_the_old_connection_means_nothing(opened: OpenRedis) -> None:
    known = await after(opened, came("old", here=7), came("new"), ended("old", 5, here=8))
    assert known == DeviceConnection(None, {"here": 8})
    assert await after(opened, ended("new", 9)) == DeviceConnection(9, {"here": 8})
    assert await after(opened, ended("old", 5)) == DeviceConnection(9, {"here": 8})


async def test_of_two_connections_of_a_device_the_one_that_is_left_speaks_for_it(opened: OpenRedis) -> None:
    known = await after(opened, came("first"), came("second"), ended("second", 5), there("first", here=1))
    assert known == DeviceConnection(None, {"here": 1})


async def test_what_arrives_after_the_end_of_its_connection_does_not_bring_it_back(opened: OpenRedis) -> None:
    known = await after(opened, came("s1"), ended("s1", 5), there("s1", here=1), came("s1"))
    assert known == DeviceConnection(5, {"here": 1})


async def test_it_is_over_when_its_time_is_and_then_anybody_may_speak(opened: OpenRedis) -> None:
    await opened.device_connections.put([came("new", here=7)], ttl_s=0.05)

    async def over() -> bool:
        return (await opened.device_connections.of_users(["ada"])) == {"ada": {}}

    await eventually(over)
    assert await after(opened, there("old")) == DeviceConnection(None, NOTHING)


async def test_an_older_connection_does_not_lengthen_the_time_of_a_newer_one(opened: OpenRedis) -> None:
    await after(opened, came("old"))
    await opened.device_connections.put([came("new")], ttl_s=0.05)

    async def over() -> bool:
        return await after(opened, ended("old", 5)) == DeviceConnection(5, NOTHING)

    await eventually(over)


@pytest.mark.parametrize("more", [0, 1])
async def test_of_too_many_channels_those_confirmed_last_are_kept(opened: OpenRedis, more: int) -> None:
    names = [f"c{number}" for number in range(MAX_CONFIRMED)]
    await after(opened, came("s1", **dict.fromkeys(names, 1)))
    known = await after(opened, there("s1", c0=2), there("s1", **{f"x{number}": 1 for number in range(more)}))
    assert known is not None
    assert len(known.confirmed) == MAX_CONFIRMED
    assert known.confirmed["c0"] == 2
    assert ("c1" in known.confirmed) == (more == 0)


@pytest.mark.parametrize("more", [0, 1])
async def test_of_too_many_devices_that_goes_which_would_be_over_first(opened: OpenRedis, more: int) -> None:
    await opened.device_connections.put([came("s", device="first")], ttl_s=50)
    await opened.device_connections.put([came("s", device=f"d{n}") for n in range(MAX_DEVICES - 1 + more)], ttl_s=60)
    known = (await opened.device_connections.of_users(["ada"]))["ada"]
    assert len(known) == MAX_DEVICES
    assert ("first" in known) == (more == 0)


@pytest.mark.parametrize(
    "json", ["x", "7", '{"session":"s","confirmed":["a"]}', '{"session":"s","confirmed":["a","b"]}', '{"confirmed":7}']
)
async def test_what_another_version_has_left_behind_is_no_device_until_its_next_word(
    opened: OpenRedis, redis_url: str, redis_prefix: str, json: str
) -> None:
    stored = dict.fromkeys(("phone", "desk"), f"{2**43} {json}")
    async with redis.asyncio.from_url(redis_url, protocol=2) as client:
        await client.hset(f"{redis_prefix}:devices:ada", mapping=stored)
    assert await opened.device_connections.of_users(["ada"]) == {"ada": {}}
    assert await after(opened, came("s1"), there("s1", here=7)) == DeviceConnection(None, {"here": 7})


async def test_without_a_server_nothing_is_written_and_nothing_known(heard: Heard, unused_socket: Path) -> None:
    async with process("p1", heard, f"unix://{unused_socket}", prefix="x:") as opened:
        news = [came("s1"), came("s2", device="desk")]
        assert await opened.device_connections.put(news, ttl_s=60) == news
        assert await opened.device_connections.put([], ttl_s=60) == []
        with pytest.raises(ConnectionError):
            await opened.device_connections.of_users(["ada"])
