"""What is noted is told: soon, not too often, and of one conversation one message at a time."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from storage.errors import Unavailable
from storage.model import EntryKind, NewEntry
from storage.model.due import Due, DueKind
from storage.mongo.client import Database
from storage.mongo.flusher import Flusher
from storage.store import Store
from support.appending import whole_log
from support.conversing import AT, a_group, say
from support.waiting import eventually


class Telling:
    """Notes what it is asked to tell, and how many at once."""

    def __init__(self) -> None:
        self.told: list[Due] = []
        self.running: list[Due] = []
        self.most = 0
        self.fails = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def tell(self, due: Due, *, at_once: bool = False) -> int:
        del at_once
        self.running.append(due)
        assert len({one.conversation for one in self.running}) == len(self.running)
        self.most = max(self.most, len(self.running))
        await self.gate.wait()
        self.running.remove(due)
        if self.fails:
            self.fails -= 1
            raise Unavailable("away")
        self.told.append(due)
        return 0


@asynccontextmanager
async def flushing(telling: Telling):
    async with Flusher(telling) as flusher:  # type: ignore[arg-type]  # all that it needs of one
        yield flusher


async def test_messages_of_one_conversation_wait_for_one_another_and_others_do_not() -> None:
    telling = Telling()
    telling.gate.clear()
    async with flushing(telling) as flusher:
        of_one = [Due(DueKind.REACTIONS, "one", offset) for offset in range(50)]
        others = [Due(DueKind.REACTIONS, f"other{number}", 1) for number in range(10)]
        for due in (*of_one, *others):
            flusher.note(due)
        await eventually(lambda: telling.most == 4)
        telling.gate.set()
        await eventually(lambda: len(telling.told) == 60)
    assert [due for due in telling.told if due.conversation == "one"] == of_one
    assert set(telling.told) == {*of_one, *others}


async def test_what_failed_is_told_later_and_what_changes_meanwhile_again() -> None:
    telling, due = Telling(), Due(DueKind.THREAD, "one", 1)
    telling.fails = 1
    async with flushing(telling) as flusher:
        flusher.note(due)
        await eventually(lambda: telling.told == [due])
        flusher.note(due)
        flusher.note(due)
        await eventually(lambda: telling.told == [due, due])


async def test_what_is_pending_at_the_end_is_told() -> None:
    telling, due = Telling(), Due(DueKind.THREAD, "one", 1)
    async with flushing(telling) as flusher:
        flusher.note(due)
        await eventually(lambda: telling.told == [due])
        flusher.note(due)
    assert telling.told == [due, due]


@pytest.mark.parametrize("messages", [30])
async def test_many_messages_of_one_conversation_are_told_while_people_write_there(
    db: Database, store: Store, messages: int
) -> None:
    group = (await a_group(store)).id
    said = await say(store, group, "ada", [str(number) for number in range(messages)])
    reacting = [store.reactions.add(group, one.entry.offset, "bob", "👍", at=AT) for one in said]
    sending = [
        store.appender.append(NewEntry(group, EntryKind.MESSAGE_CREATED, "bob", AT, None, {"text": str(number)}))
        for number in range(100)
    ]
    await asyncio.gather(*reacting, *sending)

    async def told() -> bool:
        entries = await whole_log(db, group)
        return sum(entry.kind is EntryKind.REACTION_CHANGED for entry in entries) == messages

    await eventually(told)
