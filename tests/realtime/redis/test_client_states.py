"""What a device says of itself is seen by every process, until its time is over."""

import asyncio

import pytest

from realtime.redis.client_states import MAX_DEVICES
from realtime.redis.opening import OpenRedis
from support.redis_bus import Heard, process
from support.waiting import eventually


async def test_what_was_put_is_seen_by_every_process(opened: OpenRedis, redis_url: str, redis_prefix: str) -> None:
    async with process("p2", Heard(), redis_url, prefix=f"{redis_prefix}:") as other:
        await opened.client_states.put("ada", "phone", b"one", ttl_s=60)
        await opened.client_states.put("ada", "phone", b"two words", ttl_s=60)
        await other.client_states.put("ada", "web", b"", ttl_s=60)
        expected = {"ada": {"phone": b"two words", "web": b""}, "bob": {}}
        assert await other.client_states.of_users(["ada", "bob"]) == expected
        await other.client_states.drop("ada", "phone")
        assert await opened.client_states.of_users(["ada"]) == {"ada": {"web": b""}}


async def test_it_is_over_when_its_time_is_also_where_others_go_on(opened: OpenRedis) -> None:
    await opened.client_states.put("ada", "web", b"x", ttl_s=60)
    await opened.client_states.put("ada", "phone", b"x", ttl_s=0.05)
    await opened.client_states.put("ada", "web", b"x", ttl_s=60)

    async def over() -> bool:
        return (await opened.client_states.of_users(["ada"]))["ada"] == {"web": b"x"}

    await eventually(over)


async def test_of_too_many_devices_that_goes_which_would_be_over_first(opened: OpenRedis) -> None:
    await opened.client_states.put("ada", "first", b"x", ttl_s=50)
    await asyncio.gather(
        *(opened.client_states.put("ada", f"d{number}", b"x", ttl_s=60) for number in range(MAX_DEVICES))
    )
    states = (await opened.client_states.of_users(["ada"]))["ada"]
    assert len(states) == MAX_DEVICES
    assert "first" not in states


async def test_without_a_server_it_says_so(heard: Heard, unused_socket) -> None:
    async with process("p1", heard, f"unix://{unused_socket}", prefix="x:") as opened:
        with pytest.raises(ConnectionError):
            await opened.client_states.of_users(["ada"])
        with pytest.raises(ConnectionError):
            await opened.client_states.put("ada", "phone", b"", ttl_s=60)
