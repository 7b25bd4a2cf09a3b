"""Whatever many users do at once on two hubs: counts, rows and log say the same in the end."""

import asyncio
import random

import pytest

from storage.model import EntryKind, NewEntry
from storage.mongo.client import Database
from storage.mongo.schema import DUE, REACTIONS
from storage.store import Store
from support.appending import whole_log
from support.conversing import AT, a_group, say
from support.waiting import eventually

USERS, REACTIONS_USED, STEPS = 6, 3, 60


@pytest.mark.parametrize("seed", range(3))
async def test_counts_are_the_rows_after_any_history(db: Database, store: Store, other_store: Store, seed: int) -> None:
    dice = random.Random(seed)
    group = (await a_group(store)).id
    offsets = [one.entry.offset for one in await say(store, group, "ada", ["a", "b"])]
    # What each user has done last to each message holds in the end; a user does one thing after the other.
    wanted: set[tuple[int, str, str]] = set()

    async def act(user: str, steps: list[tuple[Store, int, str, bool]]) -> None:
        for hub, offset, reaction, add in steps:
            change = hub.reactions.add if add else hub.reactions.remove
            seen = await change(group, offset, user, reaction, at=AT)
            assert (reaction in seen.own) is add
            (wanted.add if add else wanted.discard)((offset, user, reaction))

    plans = {
        f"user{number}": [
            (
                dice.choice((store, other_store)),
                dice.choice(offsets),
                f"r{dice.randrange(REACTIONS_USED)}",
                dice.random() < 0.6,
            )
            for _ in range(STEPS)
        ]
        for number in range(USERS)
    }
    writing = (
        store.appender.append(NewEntry(group, EntryKind.MESSAGE_CREATED, "bob", AT, None, {"text": str(number)}))
        for number in range(50)
    )
    await asyncio.gather(*(act(user, steps) for user, steps in plans.items()), *writing)

    async def told() -> bool:
        return await db[DUE].count_documents({}) == 0

    await eventually(told)
    rows = {(row["_id"], row["message"]) for row in await db[REACTIONS].find({}).to_list(None)}
    assert len(rows) == len(wanted)
    log = await whole_log(db, group)
    for offset in offsets:
        counts: dict[str, int] = {}
        for place, _, reaction in wanted:
            if place == offset:
                counts[reaction] = counts.get(reaction, 0) + 1
        message = await store.log.get(group, offset)
        assert message is not None
        assert message.body.get("reactions", {}) == counts
        last = [one for one in log if one.kind is EntryKind.REACTION_CHANGED and one.body["target"] == offset][-1]
        assert last.body["reactions"] == counts
