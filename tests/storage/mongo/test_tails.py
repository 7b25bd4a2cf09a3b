"""Tails for many who ask at once."""

import asyncio
from collections.abc import Sequence

from storage.model import ORIGIN, Position
from storage.mongo.client import Database
from storage.mongo.log import Log
from storage.mongo.tails import Tails
from support.entries import message, write_log

A, B = "a" * 26, "b" * 26


class Counted(Log):
    """Notes what was read."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.reads: list[list[str]] = []

    async def tails(self, conversations: Sequence[str]) -> dict[str, Position]:
        self.reads.append(sorted(conversations))
        return await super().tails(conversations)


async def test_a_thousand_who_ask_for_the_same_cost_one_read(db: Database) -> None:
    await write_log(db, [message(A), message(A)])
    log = Counted(db)
    async with Tails(log) as tails:
        found = await asyncio.gather(*(tails.reaching({A: 2, B: 5}) for _ in range(1000)))
        assert found == [{A: Position(2, 2), B: ORIGIN}] * 1000
        assert log.reads == [[A, B]]


async def test_what_is_known_to_reach_far_enough_is_not_read_again_what_does_not_is(db: Database) -> None:
    await write_log(db, [message(A), message(A)])
    log = Counted(db)
    async with Tails(log) as tails:
        await tails.reaching({A: 2})
        await write_log(db, [message(A)], after=Position(2, 2))
        assert await tails.reaching({A: 1}) == {A: Position(2, 2)}
        assert len(log.reads) == 1
        assert await tails.reaching({A: 3}) == {A: Position(3, 3)}
        assert await tails.reaching({}) == {}
        assert len(log.reads) == 2
