"""Devices: an address has one owner, whoever registers it last; what a provider says of it is taken with care."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from storage.model import Device, DeviceKeys, DeviceState
from storage.mongo.client import Database
from storage.mongo.devices import KEPT_MS, MAX_ACTIVE, MAX_ENDED, DeviceQuery, Devices
from storage.mongo.schema import DEVICES

AT = 4_000_000_000_000
"""In the future: the server removes what is over."""


def phone(user: str = "ada", install: str = "i1", address: str = "token-1", *, at: int = AT) -> Device:
    return Device(user, install, "apns", "org.example.app", address, "token", at, at)


@pytest.fixture
def devices(db: Database) -> Devices:
    return Devices(db)


async def test_what_was_registered_is_there_and_registering_again_changes_nothing(devices: Devices) -> None:
    device = replace(
        phone(),
        keys=DeviceKeys(b"\x04" * 65, b"s" * 16),
        content_keys=DeviceKeys(b"\x04" * 65, b"t" * 16),
        locale="de",
        time_zone="Europe/Berlin",
        caps=("reply",),
        meta=(("model", "x"),),
        platform="ios",
        vapid_key="v",
    )
    assert (await devices.register(device)).device == device
    again = await devices.register(replace(device, confirmed_at=AT + 5, created_at=AT + 5))
    assert again.device == replace(device, confirmed_at=AT + 5)
    assert await devices.of_user("ada") == [again.device]


async def test_a_registration_is_the_whole_state(devices: Devices) -> None:
    await devices.register(replace(phone(), locale="de", caps=("reply",), keys=DeviceKeys(b"k", b"a")))
    await devices.register(phone(at=AT + 1))
    assert await devices.of_user("ada") == [replace(phone(), confirmed_at=AT + 1)]


async def test_an_address_moves_to_who_registers_it_last(devices: Devices) -> None:
    await devices.register(phone("ada"))
    moved = await devices.register(phone("bob"))
    assert moved.taken_from == "ada"
    assert await devices.of_users(["ada", "bob"]) == {"ada": [], "bob": [phone("bob")]}
    # A new name for the same install of the same user is no switch.
    assert (await devices.register(phone("bob", "i2"))).taken_from is None
    assert [one.install for one in await devices.of_user("bob")] == ["i2"]


async def test_the_same_address_of_another_app_is_another_one(devices: Devices) -> None:
    await devices.register(phone("ada"))
    await devices.register(replace(phone("bob"), app="org.example.other"))
    assert {user: len(found) for user, found in (await devices.of_users(["ada", "bob"])).items()} == {
        "ada": 1,
        "bob": 1,
    }


async def test_of_many_who_register_one_address_at_once_one_has_it(db: Database) -> None:
    users = [f"u{number}" for number in range(6)]
    await asyncio.gather(*(Devices(db).register(phone(user)) for user in users))
    assert await db[DEVICES].count_documents({}) == 1


async def test_of_too_many_the_one_confirmed_the_longest_ago_goes(devices: Devices) -> None:
    for number in range(MAX_ACTIVE):
        await devices.register(phone("ada", f"i{number}", f"t{number}", at=AT + number))
    await devices.register(phone("ada", "i0", "t0", at=AT + 100))
    await devices.register(phone("ada", "new", "new", at=AT + 101))
    installs = {one.install for one in await devices.of_user("ada")}
    assert len(installs) == MAX_ACTIVE
    assert {"new", "i0"} <= installs
    assert "i1" not in installs


async def test_devices_of_a_user_that_register_at_once_are_not_too_many(db: Database) -> None:
    for number in range(MAX_ACTIVE):
        await Devices(db).register(phone("ada", f"i{number}", f"t{number}", at=AT + number))
    await asyncio.gather(*(Devices(db).register(phone("ada", f"n{n}", f"n{n}", at=AT + 100)) for n in range(4)))
    assert len(await Devices(db).of_user("ada")) == MAX_ACTIVE


async def test_tombstones_of_a_user_are_bounded(devices: Devices) -> None:
    for number in range(MAX_ENDED + 3):
        device = phone("ada", f"i{number}", f"t{number}", at=AT + number)
        await devices.register(device)
        assert await devices.tombstone(device, reason="unregistered", at=AT + number)
    await devices.register(phone("ada", "new", "new", at=AT + 100))
    assert await devices.get(phone("ada", "i0").id) is None
    assert await devices.get(phone("ada", "i5").id) is not None


async def test_a_removed_device_is_gone_at_once_and_another_users_is_not_touched(devices: Devices) -> None:
    await devices.register(phone("ada"))
    assert await devices.remove("bob", ["i1"]) == 0
    assert await devices.remove("ada", ["i1"]) == 1
    assert await devices.of_user("ada") == []


# --- tombstones ---


async def test_a_tombstone_is_sent_nothing_and_kept_for_a_week(devices: Devices, db: Database) -> None:
    await devices.register(phone())
    assert await devices.tombstone(phone(), reason="unregistered", at=AT + 10)
    assert await devices.of_user("ada") == []
    ended = await devices.get(phone().id)
    assert ended is not None
    assert (ended.state, ended.reason, ended.ended_at) == (DeviceState.TOMBSTONE, "unregistered", AT + 10)
    row = await db[DEVICES].find_one({})
    assert row is not None
    assert round((row["forget_at"]).timestamp() * 1000) % 1000 == (AT + 10 + KEPT_MS) % 1000
    assert (await db[DEVICES].index_information())["forget_at"]["expireAfterSeconds"] == 0


async def test_registering_again_restores_a_tombstone(devices: Devices) -> None:
    await devices.register(phone())
    await devices.tombstone(phone(), reason="unregistered", at=AT + 10)
    assert (await devices.register(phone(at=AT + 20))).device == replace(phone(), confirmed_at=AT + 20)
    assert [one.state for one in await devices.of_user("ada")] == [DeviceState.ACTIVE]


@pytest.mark.parametrize(
    ("confirmed_at", "since", "ends"),
    [
        (AT, None, True),
        (AT + 1, None, False),  # registered again after this was sent
        (AT + 1, AT + 2, True),  # and still it has been gone since
        (AT + 2, AT + 2, False),
        (AT, AT - 1, False),  # the provider speaks of an install before this one
    ],
)
async def test_who_registers_again_wins_over_a_verdict(
    devices: Devices, confirmed_at: int, since: int | None, ends: bool
) -> None:
    sent = phone()
    await devices.register(sent)
    if confirmed_at != AT:
        await devices.register(phone(at=confirmed_at))
    assert await devices.tombstone(sent, reason="unregistered", at=AT + 9, since=since) is ends
    assert len(await devices.of_user("ada")) == (0 if ends else 1)


async def test_a_verdict_about_an_old_address_does_not_end_the_new_one(devices: Devices) -> None:
    await devices.register(phone(address="old"))
    await devices.register(phone(address="new"))
    assert not await devices.tombstone(phone(address="old"), reason="unregistered", at=AT + 9, since=AT + 8)
    assert not await devices.flip(phone(address="old"), "sandbox")
    assert await devices.failed(phone(address="old")) == 0
    assert [one.address for one in await devices.of_user("ada")] == ["new"]


async def test_many_tombstones_are_undone_at_once(devices: Devices) -> None:
    for number, app in enumerate(["a", "a", "a", "b"]):
        device = replace(phone("ada", f"i{number}", f"t{number}"), app=app)
        await devices.register(device)
        await devices.tombstone(device, reason="bad_token", at=AT + number)
    # Somebody else has the address of one of them by now.
    await devices.register(replace(phone("bob", "i9", "t1"), app="a"))

    async def undo(until: int, **how: Any) -> list[str]:
        found = await devices.undo(provider="apns", app="a", since=AT, until=until, **{"limit": 10, **how})
        return [one.install for one in found]

    assert await undo(AT + 2) == ["i0"]
    assert await undo(AT + 9, reason="other") == []
    assert await undo(AT + 9, reason="bad_token") == ["i2"]
    assert {one.install for one in await devices.of_user("ada")} == {"i0", "i2"}
    assert await devices.restore(phone("ada", "i3").id)
    assert not await devices.restore(phone("ada", "i3").id)


async def test_only_what_a_provider_said_in_one_environment_is_undone(devices: Devices) -> None:
    for install, environment in (("p", "production"), ("s", "sandbox")):
        device = replace(phone("ada", install, install), app="a", environment=environment)
        await devices.register(device)
        await devices.tombstone(device, reason="bad_token", at=AT)
    await devices.register(replace(phone("ada", "old", "old", at=AT - 100), app="a"))
    await devices.tombstone_stale(confirmed_before=AT, at=AT, limit=1)
    sandbox = await devices.undo(provider="apns", app="a", since=AT, until=AT + 1, limit=1, environment="sandbox")
    assert [one.install for one in sandbox] == ["s"]
    assert [one.install for one in await devices.of_user("ada")] == ["s"]
    assert len(await devices.undo(provider="apns", app="a", since=AT, until=AT + 1, limit=10)) == 1
    assert {one.install for one in await devices.of_user("ada")} == {"p", "s"}


async def test_the_environment_is_remembered_and_failures_are_counted_in_a_row(devices: Devices) -> None:
    await devices.register(phone())
    assert await devices.flip(phone(), "sandbox")
    assert [await devices.failed(phone()), await devices.failed(phone())] == [1, 2]
    (device,) = await devices.of_user("ada")
    assert (device.environment, device.failures) == ("sandbox", 2)
    await devices.succeeded(device)
    assert [one.failures for one in await devices.of_user("ada")] == [0]


async def test_what_has_not_registered_for_long_ends(devices: Devices) -> None:
    await devices.register(phone("ada", "old", "t1", at=AT))
    await devices.register(phone("ada", "young", "t2", at=AT + 100))
    assert await devices.tombstone_stale(confirmed_before=AT + 50, at=AT + 200, limit=10) == 1
    assert [one.install for one in await devices.of_user("ada")] == ["young"]


# --- for the application ---


async def test_devices_are_listed_changed_and_removed_by_what_is_known_of_them(devices: Devices) -> None:
    ids = []
    for number in range(5):
        user = "ada" if number % 2 else "bob"
        await devices.register(replace(phone(user, f"i{number}", f"t{number}"), platform="ios" if number else "web"))
        ids.append(phone(user, f"i{number}").id)
    everything = DeviceQuery()
    first = await devices.page(everything, limit=3)
    rest = await devices.page(everything, after=first[-1].id, limit=3)
    assert [one.id for one in first + rest] == sorted(ids)
    assert await devices.count(DeviceQuery(users=("ada",))) == 2
    assert await devices.count(DeviceQuery(platforms=("web",), providers=("apns",))) == 1
    assert await devices.patch(DeviceQuery(users=("ada",)), time_zone="Asia/Tokyo", meta=[("a", "b")]) == 2
    assert {(one.time_zone, one.meta) for one in await devices.of_user("ada")} == {("Asia/Tokyo", (("a", "b"),))}
    assert await devices.remove_ids([ids[0], "no such one"]) == 1
    assert await devices.remove_all(["ada", "carol"]) == 2
    assert await devices.count(everything) == 2


async def test_an_address_is_in_no_index_no_repr_and_no_error(devices: Devices, db: Database) -> None:
    secret = replace(phone(address="the-secret"), keys=DeviceKeys(b"p", b"the-auth"))
    assert "the-secret" not in repr(secret)
    assert "the-auth" not in repr(secret)
    indexed = {field for index in (await db[DEVICES].index_information()).values() for field, _ in index["key"]}
    assert not indexed & {"address", "keys"}
