"""Credentials: two keys of an app, and a counter that tells of every change."""

import asyncio
from dataclasses import replace

import pytest

from storage.errors import LimitReached
from storage.model import PushApp
from storage.mongo.client import Database
from storage.mongo.push_apps import PushApps

KEY = PushApp("apns", "org.example.app", "KEY1", "1.k.sealed", {"team": "TEAM"}, 1)


async def test_a_key_is_kept_replaced_and_removed_and_each_is_counted(db: Database) -> None:
    apps = PushApps(db)
    assert await apps.revision() == 0
    assert await apps.put(KEY)
    assert not await apps.put(replace(KEY, sealed="1.k.other"))
    assert await apps.list() == [replace(KEY, sealed="1.k.other")]
    assert await apps.remove("apns", "org.example.app", "KEY1")
    assert not await apps.remove("apns", "org.example.app", "KEY1")
    assert await apps.list() == []
    assert await apps.revision() == 4


async def test_an_app_has_two_keys_and_the_newest_comes_first(db: Database) -> None:
    apps = PushApps(db)
    results = await asyncio.gather(
        *(apps.put(replace(KEY, name=f"K{number}", created_at=number)) for number in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, LimitReached) for one in results) == 2
    assert await apps.put(replace(KEY, provider="fcm"))
    names = [one.created_at for one in await apps.list() if one.provider == "apns"]
    assert names == sorted(names, reverse=True)


def test_what_is_sealed_is_not_shown() -> None:
    assert "sealed" not in repr(KEY).replace("sealed=", "")


@pytest.mark.parametrize("other", [("a", "bc"), ("ab", "c")])
async def test_keys_of_different_apps_differ(db: Database, other: tuple[str, str]) -> None:
    apps = PushApps(db)
    await apps.put(replace(KEY, app=other[0], name=other[1]))
    assert [(one.app, one.name) for one in await apps.list()] == [other]
