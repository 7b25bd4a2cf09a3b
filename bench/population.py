"""Very many users in very many conversations, without the minutes that the API would take: one is made by the API, the
others are its rows under other names.
"""

import asyncio
import json
import os
import random
import secrets
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import aiohttp
from bson import Binary
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from storage.model import ids

ROWS_AT_ONCE: Final = 5_000
FOLLOWED_S: Final = 30.0

Row = dict[str, Any]


def groups_of(users: Sequence[str], each: int, members: int) -> dict[str, list[str]]:
    """Groups of so many members, so that every user is in `each` of them: the members by conversation."""
    groups: dict[str, list[str]] = {}
    for turn in range(each):
        # Other neighbours in every turn.
        order = list(users)
        random.Random(turn).shuffle(order)
        for start in range(0, len(order), members):
            groups[ids.conversation_id(secrets.token_bytes)] = order[start : start + members]
    return groups


def channels_of(groups: dict[str, list[str]]) -> dict[str, list[str]]:
    """The channels of each member."""
    found: dict[str, list[str]] = {}
    for conversation, members in groups.items():
        for user in members:
            found.setdefault(user, []).append(f"conv:{conversation}")
    return found


async def populate(http: aiohttp.ClientSession, url: str, database: str, groups: dict[str, list[str]]) -> None:
    """Make these conversations, with one message in each. `http` is a session with the key of the server API."""
    like = await _template(http)
    client: MongoClient[Row] = MongoClient(url)
    try:
        db = client[database]
        model = {
            "conversations": list(db["conversations"].find({"_id": like})),
            "members": list(db["members"].find({"conversation": like, "role": "member"})),
            "messages": list(db["messages"].find({"_id": {"$gte": f"{like}:", "$lt": f"{like};"}})),
            "users": list(db["users"].find({"_id": "template0"})),
        }
        users = dict.fromkeys(user for members in groups.values() for user in members)
        _insert(db["users"], ({**model["users"][0], "_id": user, "revision": 1} for user in users))
        _insert(db["conversations"], (_conversation(model["conversations"][0], *one) for one in groups.items()))
        _insert(db["members"], (row for one in groups.items() for row in _members(model["members"][0], *one)))
        _insert(db["messages"], (row for one in groups.items() for row in _entries(model["messages"], *one)))
        await _settled(db)
    finally:
        client.close()


async def _template(http: aiohttp.ClientSession) -> str:
    async def call(method: str, **params: Any) -> Any:
        asked = {"user": "template0", "method": method, "params": {**params, "idempotency_key": str(uuid4())}}
        async with http.post("/api/rpc", json=asked) as answer:
            return (await answer.json())["result"]["data"]

    made = await call("conversation.create", kind="group", members=["template1"])
    conversation = str(made["conversation"]["id"])
    await call("message.send", conversation=conversation, text="x" * 100)
    return conversation


async def _settled(db: Database[Row]) -> None:
    """The follower has seen them all, and nobody takes them for conversations in which something has just happened."""
    deadline = time.monotonic() + FOLLOWED_S
    while time.monotonic() < deadline and db["conversations"].find_one({"summary_at": {"$exists": False}}):
        await asyncio.sleep(0.5)
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    db["conversations"].update_many({}, {"$set": {"summary_at": hour_ago}})


def _conversation(like: Row, conversation: str, members: Sequence[str]) -> Row:
    changed = {"members_count": len(members), "created_by": members[0], "idempotency_key": str(uuid4())}
    # Nothing happened in the last seconds: no log is looked at because its summary may be late.
    past = {name: like[name] - 60_000 for name in ("created_at", "updated_at", "activity_at", "oldest_at")}
    return {**like, **changed, **past, "_id": conversation, "head": {"offset": 2, "n": 1}}


def _members(like: Row, conversation: str, members: Sequence[str]) -> Iterator[Row]:
    for user in members:
        yield {**like, "_id": f"{conversation}|{user}", "conversation": conversation, "user": user}


def _entries(like: Sequence[Row], conversation: str, members: Sequence[str]) -> Iterator[Row]:
    for entry in like:
        named = {**entry, "_id": conversation + entry["_id"][len(conversation) :], "c": conversation, "u": members[0]}
        named["k"] = Binary(os.urandom(16), 4)
        if "j" in entry:
            named["j"] = json.dumps({"members": [{"user": user, "role": "member"} for user in members]})
        yield named


def _insert(collection: Collection[Row], rows: Iterator[Row]) -> None:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            collection.insert_many(batch, ordered=False)
            batch = []
    if batch:
        collection.insert_many(batch, ordered=False)
