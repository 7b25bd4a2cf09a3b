"""The credentials of apps: sealed at rest, seen by every process soon after they change."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from chat.push.apps import Apps, open_apps
from chat.push.sending import Provider
from chat.sealing import KEY_BYTES, Sealer, SealingError
from storage.errors import LimitReached
from storage.mongo.client import connect
from storage.mongo.schema import PUSH_APPS
from storage.store import Store, open_store
from support import push_keys
from support.databases import laid_out

OLD, NEW = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(KEY_BYTES)
AT = 4_000_000_000_000


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as one:
        yield one


def apps_of(store: Store, **keys: bytes) -> Apps:
    return Apps(store, Sealer(keys or {"old": OLD}), clock_ms=lambda: AT)


async def test_a_key_that_was_added_is_there_after_the_next_look_and_gone_when_removed(store: Store) -> None:
    apps, other = apps_of(store), apps_of(store)
    added = await apps.add("chat", push_keys.apns())
    await other.look()
    assert other.of(Provider.APNS, "chat") == (added,)
    assert other.of(Provider.FCM, "chat") == ()
    assert await apps.remove(Provider.APNS, "chat", added.name)
    assert not await apps.remove(Provider.APNS, "chat", added.name)
    await other.look()
    assert other.all() == []


async def test_nothing_of_it_can_be_read_in_the_database(store: Store, mongodb_url: str, database_name: str) -> None:
    for credentials in (push_keys.apns(), push_keys.fcm(), push_keys.web_push(), push_keys.webhook()):
        await apps_of(store).add("chat", credentials)
    async with connect(mongodb_url, database_name) as db:
        rows = str(await db[PUSH_APPS].find({}).to_list(None))
    for word in ("PRIVATE", push_keys.web_push().private, push_keys.webhook().secret, "a-secret-path"):
        assert word not in rows


async def test_the_newest_of_two_keys_comes_first_and_there_is_no_third(store: Store) -> None:
    times = iter(range(AT, AT + 10))
    apps = Apps(store, Sealer({"old": OLD}), clock_ms=lambda: next(times))
    for number in (1, 2):
        await apps.add("chat", push_keys.apns(f"KEY000000{number}"))
    await apps.look()
    assert [key.name for key in apps.of(Provider.APNS, "chat")] == ["KEY0000002", "KEY0000001"]
    with pytest.raises(LimitReached, match="remove one first"):
        await apps.add("chat", push_keys.apns("KEY0000003"))
    await apps.add("chat", push_keys.apns("KEY0000001"))


async def test_without_a_sealing_key_nothing_is_kept(store: Store) -> None:
    with pytest.raises(SealingError, match="hubbub keys"):
        await Apps(store, Sealer({}), clock_ms=lambda: AT).add("chat", push_keys.apns())
    assert await store.push_apps.list() == []


async def test_it_is_sealed_anew_by_the_present_key(store: Store) -> None:
    await apps_of(store).add("chat", push_keys.apns())
    rotating = apps_of(store, new=NEW, old=OLD)
    await rotating.look()
    after = apps_of(store, new=NEW)
    await after.look()
    assert after.all() == rotating.all()
    assert len(after.all()) == 1


async def test_one_that_cannot_be_opened_does_not_take_the_others_with_it(store: Store) -> None:
    await apps_of(store, lost=NEW).add("chat", push_keys.fcm())
    await apps_of(store).add("chat", push_keys.apns())
    apps = apps_of(store)
    with capture_logs() as logs:
        await apps.look()
    assert [key.provider for key in apps.all()] == [Provider.APNS]
    (warning,) = [line for line in logs if line["event"] == "push_app_not_opened"]
    assert "'lost' is missing" in warning["error"]


async def test_a_running_process_hears_of_what_another_one_changes(store: Store) -> None:
    heard: asyncio.Queue[frozenset[tuple[Provider, str]]] = asyncio.Queue()
    async with open_apps(store, Sealer({"old": OLD}), clock_ms=lambda: AT, every_s=0.01) as apps:
        apps.on_changed = heard.put
        await apps_of(store).add("chat", push_keys.apns())
        async with asyncio.timeout(10):
            assert await heard.get() == {(Provider.APNS, "chat")}
        assert len(apps.of(Provider.APNS, "chat")) == 1
