"""Senders by lane: one for each app and environment, by the present keys, which may change at any time."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from chat.push.apps import Apps
from chat.push.credentials import AppKey
from chat.push.senders import LaneSenders, Opener, Rotating, open_senders
from chat.push.sending import (
    Accepted,
    Address,
    CredentialsAtFault,
    Environment,
    Kind,
    Lane,
    Later,
    Notification,
    Provider,
    Push,
    Verdict,
)
from chat.push.vendors import VendorSettings, open_vendors
from chat.sealing import KEY_BYTES, Sealer
from storage.mongo.client import connect
from storage.store import Store, open_store
from support import push_keys
from support.databases import laid_out
from support.waiting import eventually

PUSH = Push(
    Address("d", Provider.APNS, "chat", "token", "ab" * 32), Notification(Kind.ALERT, "j", "c" * 32, "conv", 1), 1e12
)
CHAT = Lane(Provider.APNS, "chat")


@dataclass
class Said:
    """A sender that says what it is told to, and counts."""

    verdict: Verdict
    asked: int = 0
    open: bool = True

    async def send(self, push: Push) -> Verdict:
        del push
        return await self.check()

    async def check(self) -> Verdict:
        self.asked += 1
        await asyncio.sleep(0)
        return self.verdict


async def test_a_key_at_fault_gives_way_to_the_one_before_and_is_not_asked_again() -> None:
    bad, good = Said(CredentialsAtFault("InvalidProviderToken")), Said(Accepted("1"))
    sender = Rotating((bad, good))
    assert [await sender.send(PUSH) for _ in range(3)] == [Accepted("1")] * 3
    assert (bad.asked, good.asked) == (1, 3)


async def test_what_is_not_the_keys_fault_is_not_tried_with_the_other() -> None:
    newest, older = Said(Later("busy")), Said(Accepted())
    assert await Rotating((newest, older)).send(PUSH) == Later("busy")
    assert older.asked == 0


async def test_with_both_at_fault_it_says_so() -> None:
    sender = Rotating((Said(CredentialsAtFault("a")), Said(CredentialsAtFault("b"))))
    assert await sender.check() == CredentialsAtFault("b")


# --- by lane ---


@dataclass
class Opened:
    """What was opened, by names of keys and environment."""

    senders: dict[tuple[tuple[str, ...], Environment], Said] = field(default_factory=dict)

    @asynccontextmanager
    async def __call__(self, keys: tuple[AppKey, ...], environment: Environment) -> AsyncIterator[Said]:
        names = tuple(key.name for key in keys)
        if "KEY0000009" in names:
            raise ValueError("a key of no use")
        one = self.senders[names, environment] = Said(Accepted())
        try:
            yield one
        finally:
            one.open = False


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as one:
        yield one


@pytest.fixture
def apps(store: Store) -> Apps:
    times = iter(range(1000))
    return Apps(store, Sealer({"k": secrets.token_bytes(KEY_BYTES)}), clock_ms=lambda: next(times))


@asynccontextmanager
async def looked(apps: Apps, openers: Mapping[Provider, Opener]) -> AsyncIterator[LaneSenders]:
    await apps.look()
    async with open_senders(apps, openers, retire_s=0.0) as senders:
        yield senders


async def test_a_lane_has_a_sender_by_its_present_keys_and_the_old_one_is_closed(apps: Apps) -> None:
    opened = Opened()
    await apps.add("chat", push_keys.apns("KEY0000001"))
    async with looked(apps, {Provider.APNS: opened}) as senders:
        assert senders.lanes == [CHAT, Lane(Provider.APNS, "chat", "sandbox")]
        first = opened.senders[("KEY0000001",), "production"]
        assert senders.of(CHAT) is first
        await apps.add("chat", push_keys.apns("KEY0000002"))
        await apps.look()
        second = opened.senders[("KEY0000002", "KEY0000001"), "production"]
        assert senders.of(CHAT) is second
        await eventually(lambda: not first.open)
        assert second.open
        await apps.remove(Provider.APNS, "chat", "KEY0000001")
        await apps.remove(Provider.APNS, "chat", "KEY0000002")
        await apps.look()
        assert senders.of(CHAT) is None
        await eventually(lambda: not second.open)
    assert not any(one.open for one in opened.senders.values())


async def test_a_lane_whose_key_is_of_no_use_has_no_sender_and_the_others_have_theirs(apps: Apps) -> None:
    await apps.add("bad", push_keys.apns("KEY0000009"))
    await apps.add("chat", push_keys.apns())
    await apps.add("web", push_keys.web_push())
    async with looked(apps, {Provider.APNS: Opened()}) as senders:
        assert {lane.app for lane in senders.lanes} == {"chat"}
        assert senders.of(Lane(Provider.WEBPUSH, "web")) is None


async def test_every_provider_opens_what_was_added_for_it(apps: Apps) -> None:
    for number in (1, 2):
        await apps.add("chat", push_keys.apns(f"KEY000000{number}"))
    await apps.add("chat", push_keys.fcm())
    await apps.add("chat", push_keys.web_push("ntfy.example.org"))
    await apps.add("chat", push_keys.webhook())
    async with open_vendors(VendorSettings()) as vendors, looked(apps, vendors) as senders:
        assert {lane.provider for lane in senders.lanes} == set(Provider)
        # Of Web Push nobody has to be asked.
        web_push = senders.of(Lane(Provider.WEBPUSH, "chat"))
        assert web_push is not None
        assert await web_push.check() == Accepted()
