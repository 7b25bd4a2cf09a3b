"""The demo phones are registered, and those of an earlier start are not."""

from pathlib import Path

import pytest

from chat.cli.dev_phones import APP, demo_phones, registered
from chat.config import Config, load
from chat.push.apps import Apps
from chat.push.credentials import ApnsCredentials
from chat.push.lab.whereabouts import LAB_VARIABLE, whereabouts
from chat.push.sending import Provider
from chat.sealing import Sealer, new_key
from storage.store import open_store
from support import push_keys
from support.command_line import hubbub

USERS = ("alice", "bob", "carol")


@pytest.fixture
def config(empty_directory: Path, mongodb_url: str, database_name: str) -> Config:
    path = empty_directory / "config.toml"
    path.write_text(
        f'[mongodb]\nurl = "{mongodb_url}"\ndatabase = "{database_name}"\n[secrets]\nkeys = ["{new_key()}"]\n'
    )
    assert hubbub("migrate").code == 0
    return load(path, {}).config


async def kept(config: Config) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The addresses by install, and the keys by provider and app."""
    async with open_store(config.mongodb.url.reveal(), config.mongodb.database) as store:
        found = await store.devices.of_users(USERS)
        rows = await store.push_apps.list()
    return (
        {one.install: one.address for some in found.values() for one in some},
        sorted((row.provider, row.app) for row in rows),
    )


async def test_each_start_has_phones_of_its_own(config: Config, tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        async with demo_phones(config, tmp_path) as (lab, path):
            where = whereabouts({LAB_VARIABLE: str(path)})
            assert where == lab.whereabouts
            assert path.stat().st_mode & 0o777 == 0o600
            addresses, apps = await kept(config)
            assert addresses == {one.phone.id: one.address for one in lab.installed}
            assert apps == [("apns", APP), ("fcm", APP), ("webpush", APP)]
            seen.append(addresses)
    assert not set(seen[0].values()) & set(seen[1].values())


async def test_without_phones_those_of_before_are_forgotten_and_nobody_elses(config: Config, tmp_path: Path) -> None:
    async with demo_phones(config, tmp_path):
        pass
    async with open_store(config.mongodb.url.reveal(), config.mongodb.database) as store:
        apps = Apps(store, Sealer.from_config(config), clock_ms=lambda: 0)
        theirs = ApnsCredentials("TEAM000001", "KEY0000001", push_keys.TOPIC, push_keys.p8())
        await apps.add("theirs", theirs)
    await registered(config, None)
    assert await kept(config) == ({}, [(Provider.APNS.value, "theirs")])
