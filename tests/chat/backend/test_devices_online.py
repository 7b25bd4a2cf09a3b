"""What is told of devices is written in batches, an end at once; what cannot be written waits, within bounds."""

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from chat.backend import devices_online
from chat.backend.devices_online import MAX_WAITING, DevicesOnline, open_devices_online, ttl_s
from realtime.ports import DeviceNews
from support.waiting import eventually


class Connections:
    def __init__(self) -> None:
        self.written: list[list[DeviceNews]] = []
        self.ttl_s = 0.0
        self.away = False
        self.broken = False

    async def put(self, news: Sequence[DeviceNews], *, ttl_s: float) -> Sequence[DeviceNews]:
        self.ttl_s = ttl_s
        self.written.append(list(news))
        if self.broken:
            raise ValueError("a fault of ours")
        return news if self.away else []


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def online(connections: Connections) -> DevicesOnline:
    return DevicesOnline(connections, ttl_s=60, clock_ms=lambda: 1_000)


def news(session: str = "s", *, began: bool = False, ended_at: int | None = None, **confirmed: int) -> DeviceNews:
    named = {f"conv:{name}": offset for name, offset in confirmed.items()}
    return DeviceNews("ada", "phone", session, began, ended_at, named)


async def test_what_is_said_meanwhile_is_written_once_and_the_beginning_is_not_lost(
    online: DevicesOnline, connections: Connections
) -> None:
    online.say(news(began=True))
    online.say(news("other"))
    online.say(news(a=1))
    online.say(news(a=2))
    await online.write()
    await online.write()
    assert connections.written == [
        [DeviceNews("ada", "phone", "s", True, None, {"a": 2}), DeviceNews("ada", "phone", "other")]
    ]


async def test_an_end_is_written_after_what_was_said_before_it(online: DevicesOnline, connections: Connections) -> None:
    online.say(news(began=True))
    online.say(news(ended_at=7, a=1))
    await online.write()
    assert [(one.began, one.ended_at) for one in connections.written[0]] == [(True, None), (False, 7)]


async def test_an_end_is_written_at_once_and_the_rest_in_its_time(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices_online, "INTERVAL_S", 3600.0)
    async with open_devices_online(connections, ttl_s=61.0, clock_ms=lambda: 1_000) as online:
        online.say(news("other", began=True))
        await asyncio.sleep(0)
        assert connections.written == []
        online.say(news(ended_at=7))
        await eventually(lambda: len(connections.written) == 1)
        assert connections.ttl_s == 61.0
        online.say(news("last"))
    assert [one.session for one in connections.written[1]] == ["last"]


async def test_it_goes_on_in_its_time_without_an_end(connections: Connections) -> None:
    async with open_devices_online(connections, ttl_s=60, clock_ms=lambda: 1_000) as online:
        for number in (1, 2):
            online.say(news())
            await eventually(lambda number=number: len(connections.written) == number)


async def test_beyond_the_bound_further_sessions_are_left_out_but_not_further_news(
    online: DevicesOnline, connections: Connections
) -> None:
    for number in range(MAX_WAITING):
        online.say(news(f"s{number}"))
    with capture_logs() as logs:
        online.say(news("one more"))
        online.say(news("and one"))
        online.say(news("s0", a=1))
    assert [one["event"] for one in logs] == ["devices_not_told"]
    await online.write()
    assert len(connections.written[0]) == MAX_WAITING
    assert connections.written[0][0].confirmed == {"a": 1}


async def test_what_redis_is_away_for_waits_until_it_is_back_and_is_said_once(
    online: DevicesOnline, connections: Connections
) -> None:
    connections.away = True
    with capture_logs() as logs:
        online.say(news(began=True, a=1))
        await online.write()
        online.say(news("other"))
        await online.write()
        online.say(news(a=2))
        online.say(news(ended_at=1_000))
        connections.away = False
        await online.write()
        await online.write()
    assert [one["event"] for one in logs] == ["devices_not_told", "devices_told_again"]
    assert [(one.session, one.began, one.ended_at, one.confirmed) for one in connections.written[2]] == [
        ("s", True, None, {"a": 2}),
        ("other", False, None, {}),
        ("s", False, 1_000, {}),
    ]
    assert len(connections.written) == 3


async def test_what_would_be_forgotten_by_now_waits_no_longer(connections: Connections) -> None:
    online = DevicesOnline(connections, ttl_s=60, clock_ms=lambda: 60_500)
    connections.away = True
    online.say(news("long ago", ended_at=500))
    online.say(news("lately", ended_at=501))
    await online.write()
    connections.away = False
    await online.write()
    assert [one.session for one in connections.written[1]] == ["lately"]


async def test_beyond_the_bound_what_could_not_be_written_comes_before_what_is_new(
    online: DevicesOnline, connections: Connections
) -> None:
    connections.away = True
    for number in range(MAX_WAITING):
        online.say(news(f"s{number}"))
    await online.write()
    online.say(news("one more"))
    connections.away = False
    await online.write()
    assert (len(connections.written[1]), connections.written[1][-1].session) == (MAX_WAITING, f"s{MAX_WAITING - 1}")


async def test_a_fault_of_ours_is_logged_and_does_not_end_it(connections: Connections) -> None:
    connections.broken = True
    with capture_logs() as logs:
        async with open_devices_online(connections, ttl_s=60, clock_ms=lambda: 1_000) as online:
            online.say(news(ended_at=7))
            await eventually(lambda: len(connections.written) == 1)
            connections.broken = False
            online.say(news(ended_at=8))
            await eventually(lambda: len(connections.written) == 2)
    assert [one["log_level"] for one in logs if one["event"] == "devices_not_told"] == ["error"]


def test_a_device_is_known_for_longer_than_its_pongs_are_apart() -> None:
    assert ttl_s(25, 10) == 60
    assert ttl_s(600, 10) > 610


def test_only_conversations_are_followed(online: DevicesOnline) -> None:
    assert online.follows("conv:01JAB")
    assert not online.follows("news:1")
    assert not online.follows("user:ada")
