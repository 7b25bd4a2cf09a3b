"""The layout is made once, whoever asks and however often, and its absence is told in sentences."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from storage.errors import NotMigrated, Unavailable
from storage.mongo.client import Database, connect
from storage.mongo.migrate import migrate, verify
from storage.mongo.schema import KEY_INDEX, LAYOUTS, MESSAGES, META, SCHEMA_VERSION
from support.fail_points import failing


@pytest.fixture
async def bare(mongodb_url: str, new_database_name: str) -> AsyncIterator[Database]:
    async with connect(mongodb_url, new_database_name) as database:
        yield database


async def test_an_empty_database_is_told_apart_from_a_migrated_one(bare: Database) -> None:
    with pytest.raises(NotMigrated) as raised:
        await verify(bare)
    assert {f"collection {layout.name} is missing" for layout in LAYOUTS} <= set(raised.value.missing)
    epoch = await migrate(bare)
    assert await verify(bare) == epoch


async def test_migrating_again_keeps_the_epoch_and_what_is_there(bare: Database) -> None:
    epoch = await migrate(bare)
    await bare[MESSAGES].insert_one({"_id": "a:00000000001", "c": "a", "u": "ada", "k": "1", "n": 1, "t": 0})
    assert await migrate(bare) == epoch
    assert await bare[MESSAGES].count_documents({}) == 1


async def test_several_processes_may_migrate_at_once(bare: Database) -> None:
    epochs = await asyncio.gather(*(migrate(bare) for _ in range(4)))
    assert len(set(epochs)) == 1


async def test_two_databases_have_two_epochs(bare: Database, mongodb_url: str) -> None:
    async with connect(mongodb_url, f"{bare.name}_other") as other:
        try:
            assert await migrate(bare) != await migrate(other)
        finally:
            await other.client.drop_database(other.name)


async def test_messages_are_stored_in_the_order_of_their_keys_and_compressed(bare: Database) -> None:
    await migrate(bare)
    stats = await bare.command("collStats", MESSAGES)
    assert "_id_" not in stats["indexSizes"]
    assert "block_compressor=zstd" in stats["wiredTiger"]["creationString"]
    assert "block_compressor=zstd" in stats["indexDetails"][KEY_INDEX]["creationString"]


async def test_a_collection_of_messages_that_is_not_clustered_is_refused(bare: Database) -> None:
    await bare.create_collection(MESSAGES)
    with pytest.raises(NotMigrated, match="messages is not clustered"):
        await migrate(bare)


async def test_a_missing_index_and_another_version_are_told(bare: Database) -> None:
    await migrate(bare)
    await bare[MESSAGES].drop_index(KEY_INDEX)
    await bare[META].update_one({"_id": "schema"}, {"$set": {"version": 999}})
    with pytest.raises(NotMigrated) as raised:
        await verify(bare)
    assert raised.value.missing == [
        f"index {KEY_INDEX} of {MESSAGES} is missing",
        f"the schema is version 999, this is made for {SCHEMA_VERSION}",
    ]


async def test_an_index_of_the_right_name_and_another_form_is_told(bare: Database) -> None:
    await migrate(bare)
    await bare[MESSAGES].drop_index(KEY_INDEX)
    await bare[MESSAGES].create_index([("c", 1), ("u", 1), ("k", 1)], name=KEY_INDEX)
    with pytest.raises(NotMigrated, match="has another form"):
        await verify(bare)


async def test_building_an_index_may_take_longer_than_any_other_operation(mongodb_url: str, bare: Database) -> None:
    async with connect(f"{mongodb_url}&timeoutMS=1000", bare.name, app_name=bare.name) as database:
        building = ["create", "createIndexes"]
        async with failing(mongodb_url, bare.name, building, times=2, blockConnection=True, blockTimeMS=1500):
            await migrate(database)


@pytest.mark.parametrize("operation", [migrate, verify])
async def test_a_server_that_is_not_there_is_unavailable(operation: Callable[[Database], Awaitable[str]]) -> None:
    async with connect("mongodb://127.0.0.1:1/?timeoutMS=100", "test") as database:
        with pytest.raises(Unavailable):
            await operation(database)


async def test_what_bears_on_durability_holds_whatever_the_url_says() -> None:
    async with connect(
        "mongodb://127.0.0.1:1/?w=1&journal=false&readConcernLevel=local&maxPoolSize=3", "test"
    ) as database:
        assert database.write_concern.document == {"w": "majority", "j": True}
        assert database.read_concern.document == {"level": "majority"}
        assert database.client.options.pool_options.max_pool_size == 3


@pytest.mark.parametrize("url", ["http://127.0.0.1", "mongodb://"])
async def test_what_is_not_a_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="not a MongoDB URL"):
        async with connect(url, "test"):
            pass
