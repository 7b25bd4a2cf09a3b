"""The servers that all other tests use."""

import redis.asyncio
from pymongo import AsyncMongoClient


async def test_mongodb_has_transactions(mongodb_url: str, database_name: str) -> None:
    async with AsyncMongoClient(mongodb_url) as client, client.start_session() as session:
        async with await session.start_transaction():
            await client[database_name].things.insert_one({"_id": 1}, session=session)
        assert await client[database_name].things.count_documents({}) == 1


async def test_redis_stores(redis_url: str, redis_prefix: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.set(f"{redis_prefix}:a", 1)
        assert await client.get(f"{redis_prefix}:a") == b"1"
