"""The three mongods of the chaos tests."""

from typing import Any

import pytest
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.errors import PyMongoError

from chaos.replica_set import open_replica_set, primary_of
from support.servers import short_directory
from support.waiting import eventually


@pytest.mark.slow  # two elections
async def test_an_isolated_primary_confirms_nothing_and_what_it_took_is_rolled_back():
    told: list[tuple[str, str]] = []
    with short_directory() as directory:
        async with open_replica_set(3, directory, directory, lambda *what: told.append(what)) as members:
            old = await primary_of(members)
            with old.isolated():
                async with client_of(old.port) as client:
                    with pytest.raises(PyMongoError):
                        await client.a.b.insert_one({"_id": "lost"})
                new = await primary_of(members, besides=old)
                async with client_of(new.port) as client:
                    await client.a.b.insert_one({"_id": "kept"})

            async def has_the_same() -> bool:
                async with client_of(old.port) as client:
                    kept = client.a.b.with_options(read_preference=ReadPreference.SECONDARY_PREFERRED)
                    return [row["_id"] async for row in kept.find()] == ["kept"]

            await eventually(has_the_same, within_s=60)
            await new.kill()
            assert await primary_of(members, besides=new) in members
            await new.start()


def client_of(port: int) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(
        f"mongodb://127.0.0.1:{port}/?directConnection=true", w="majority", timeoutMS=60_000, retryWrites=False
    )
