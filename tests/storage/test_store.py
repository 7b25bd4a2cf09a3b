"""A store opens on a migrated database only, and tells how it is."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from storage.errors import NotMigrated, Unavailable
from storage.store import migrate_database, open_store
from support.conversing import a_group, say


async def test_a_database_that_is_not_migrated_is_refused(mongodb_url: str, new_database_name: str) -> None:
    with pytest.raises(NotMigrated):
        async with open_store(mongodb_url, new_database_name):
            pass
    epoch = await migrate_database(mongodb_url, new_database_name)
    async with open_store(mongodb_url, new_database_name) as store:
        assert store.epoch == epoch
        assert await store.ping_ms() > 0


async def test_a_server_that_is_not_there_is_unavailable(database_name: str) -> None:
    with pytest.raises(Unavailable):
        async with open_store("mongodb://127.0.0.1:1/?timeoutMS=100", database_name):
            pass


async def test_what_was_counted_is_on_the_registry(mongodb_url: str, database_name: str) -> None:
    registry = CollectorRegistry()
    await migrate_database(mongodb_url, database_name)
    async with open_store(mongodb_url, database_name, registry=registry) as store:
        await say(store, (await a_group(store)).id, "ada", ["1", "2"])
    exposed = generate_latest(registry).decode()
    assert "hubbub_log_appended_total 3.0" in exposed
    assert "hubbub_log_queued 0.0" in exposed
    assert "hubbub_log_commit_duration_seconds_count 2.0" in exposed
