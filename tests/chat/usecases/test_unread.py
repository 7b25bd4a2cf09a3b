"""Totals are what a recount of the logs comes to, whatever has happened."""

import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from chat.usecases.blocks import BlockLists
from chat.usecases.unread import Unreads
from chat.vocabulary.reading import ReadTotals, Totals, TotalsResult
from storage.model import Change, EntryKind, Marks, Preferences
from storage.mongo.client import connect
from storage.mongo.mentions import everyone
from storage.store import Store, open_store
from support.conversing import AT, a_group
from support.databases import laid_out
from support.entries import message

USERS = ("ada", "bob", "cy")
NOW = AT + 10_000


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as one:
        yield one


@dataclass
class World:
    """Does something random, again and again."""

    store: Store
    dice: random.Random
    conversations: list[str] = field(default_factory=list)

    async def step(self) -> None:
        user, conversation = self.dice.choice(USERS), self.dice.choice(self.conversations)
        actions = ("say", "read", "mark", "keep", "delete", "leave", "join", "block")
        match self.dice.choices(actions, (9, 4, 1, 2, 1, 1, 1, 1))[0]:
            case "say":
                all_of_it = everyone(conversation)
                meant = self.dice.choice(([], ["ada"], ["bob", "cy"], [all_of_it], ["ada", all_of_it]))
                body = {"text": "x", **({"meant": meant} if meant else {})}
                await self.store.appender.append(message(conversation, by=user, body=body))
            case "read":
                await self._mark(conversation, user, Marks(read=self.dice.randint(1, 40)))
            case "mark":
                await self._mark(conversation, user, Marks(unread_from=self.dice.randint(1, 10)))
            case "keep":
                await self._keep(conversation, user)
            case "delete":
                await self._delete(conversation, user)
            case "leave":
                await self.store.members.leave(conversation, user, at=NOW)
            case "join":
                await self.store.members.join(conversation, user, at=NOW)
            case "block":
                change = self.dice.choice((self.store.blocks.block, self.store.blocks.unblock))
                await change(user, self.dice.choice([other for other in USERS if other != user]), at=NOW)

    async def _mark(self, conversation: str, user: str, marks: Marks) -> None:
        member = await self.store.members.get(conversation, user)
        if member is not None and member.live:
            await self.store.reading.mark(conversation, user, marks)

    async def _keep(self, conversation: str, user: str) -> None:
        member = await self.store.members.get(conversation, user)
        if member is not None and member.live:
            archived_at = self.dice.choice((None, None, NOW))
            muted_until = self.dice.choice((None, NOW - 1, NOW, NOW + 1))
            wanted = Preferences(archived_at=archived_at, muted_until=muted_until)
            await self.store.preferring.change(conversation, user, lambda _: wanted, at=NOW)

    async def _delete(self, conversation: str, user: str) -> None:
        end = (await self.store.log.tail(conversation)).offset
        target = self.dice.randint(1, end)
        entry = await self.store.log.get(conversation, target)
        if entry is not None and entry.kind is EntryKind.MESSAGE_CREATED:
            new = message(conversation, by=user, kind=EntryKind.MESSAGE_DELETED)
            await self.store.amending.amend(new, target, lambda *_: Change({"target": target}, {"deleted_at": NOW}))


async def recount(store: Store, user: str, conversations: list[str]) -> TotalsResult:
    """By reading every log from its beginning."""
    loud, muted = [0, 0, 0], [0, 0, 0]
    blocked = (await store.blocks.of_users([user]))[user]
    for conversation in conversations:
        member = await store.members.get(conversation, user)
        if member is None or not member.live or member.preferences.archived_at is not None:
            continue
        log = (await store.log.range(conversation, 0, limit=1000)).entries
        later = [entry for entry in log if entry.kind.counts and entry.offset > member.read.offset]
        heard = [entry for entry in later if entry.by != user and entry.by not in blocked]
        mentions = [entry for entry in heard if {user, everyone(conversation)} & set(entry.body.get("meant", ()))]
        total = muted if (member.preferences.muted_until or 0) > NOW else loud
        total[0] += len(later)
        total[1] += len(mentions)
        total[2] += bool(later or member.unread_from is not None)
    return TotalsResult(loud[0], loud[1], loud[2], muted=Totals(*muted), threads=Totals(0, 0, 0))


@pytest.mark.parametrize("seed", range(4))
async def test_totals_are_what_a_recount_comes_to(store: Store, seed: int) -> None:
    world = World(store, random.Random(seed))
    world.conversations = [(await a_group(store, USERS)).id for _ in range(4)]
    some = 0
    for _ in range(3):
        for _ in range(40):
            await world.step()
        await store.summaries.flush()
        unreads = Unreads(store, BlockLists(store, time.monotonic), lambda: NOW)
        for user in USERS:
            totals = await unreads.totals(user, ReadTotals())
            assert totals == await recount(store, user, world.conversations)
            some += totals.mentions + totals.muted.mentions
    assert some


async def test_of_somebody_who_is_nowhere_nothing_is_unread(store: Store) -> None:
    unreads = Unreads(store, BlockLists(store, time.monotonic), lambda: NOW)
    nothing = Totals(0, 0, 0)
    assert await unreads.totals("nobody", ReadTotals()) == TotalsResult(0, 0, 0, muted=nothing, threads=nothing)
