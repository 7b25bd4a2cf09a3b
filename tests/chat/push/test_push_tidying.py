"""Devices that have not registered for long are ended, a bounded number at a time, and nobody else."""

from collections.abc import AsyncIterator

import pytest

from chat.push.tidying import DAY_MS, TidyingSettings, open_tidying, tidy
from storage.errors import Unavailable
from storage.model.device import Device
from storage.store import Store, migrate_database, open_store
from support.pushing import START, a_device
from support.waiting import eventually

OLD = START - 271 * DAY_MS


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    await migrate_database(mongodb_url, database_name)
    async with open_store(mongodb_url, database_name) as one:
        yield one


async def registered(store: Store, *confirmed_at: int) -> list[Device]:
    made = [a_device(install=f"phone{number}", confirmed_at=at) for number, at in enumerate(confirmed_at)]
    return [(await store.devices.register(device)).device for device in made]


async def active(store: Store) -> set[str]:
    return {device.install for device in await store.devices.of_user("ada")}


async def test_only_who_has_not_registered_for_long_is_ended_and_registering_brings_them_back(store: Store) -> None:
    old, _, _ = await registered(store, OLD, START - 269 * DAY_MS, START)
    assert await tidy(store, TidyingSettings(), now=START) == 1
    assert await active(store) == {"phone1", "phone2"}
    ended = await store.devices.get(old.id)
    assert ended is not None
    assert (ended.active, ended.reason, ended.ended_at) == (False, "stale", START)
    assert await tidy(store, TidyingSettings(), now=START) == 0
    await store.devices.register(a_device(install="phone0", confirmed_at=START))
    assert await active(store) == {"phone0", "phone1", "phone2"}


async def test_a_round_ends_no_more_than_so_many(store: Store) -> None:
    await registered(store, *[OLD] * 7)
    settings = TidyingSettings(batch=2, most=5)
    assert await tidy(store, settings, now=START) == 5
    assert await tidy(store, settings, now=START) == 2


async def test_it_is_done_again_and_again_also_after_the_store_was_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = await registered(store, OLD)
    tombstone_stale = store.devices.tombstone_stale
    asked = 0

    async def away_at_first(**limits: int) -> int:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise Unavailable("away")
        if asked == 2:
            raise ZeroDivisionError
        return await tombstone_stale(**limits)

    monkeypatch.setattr(store.devices, "tombstone_stale", away_at_first)

    async def is_ended() -> bool:
        device = await store.devices.get(old.id)
        return device is not None and not device.active

    async with open_tidying(store, lambda: START, settings=TidyingSettings(every_s=0.01)):
        await eventually(is_ended, within_s=30)
        await eventually(lambda: asked > 4, within_s=30)
