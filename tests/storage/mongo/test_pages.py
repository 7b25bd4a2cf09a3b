"""Pages of messages for many who ask at the same time."""

import asyncio
from collections.abc import Sequence

from storage.mongo.client import Database
from storage.mongo.log import Log
from storage.mongo.page import LogPage, Wanted
from storage.mongo.pages import AT_ONCE, TOGETHER, Pages
from support.entries import message, write_log

A, B = "a" * 26, "b" * 26


class Gated(Log):
    """Counts the commands and the pages that are read; a command is answered when it is let."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.commands: list[int] = []
        self.go = asyncio.Event()
        self.go.set()

    async def pages(self, wanted: Sequence[Wanted]) -> list[LogPage]:
        self.commands.append(len(wanted))
        found = await super().pages(wanted)
        await self.go.wait()
        return found


async def test_a_page_that_a_thousand_ask_for_is_read_once(db: Database) -> None:
    await write_log(db, [message(A) for _ in range(20)])
    log = Gated(db)
    async with Pages(log) as pages:
        found = await asyncio.gather(*(pages.before(A, None, 10, max_bytes=1 << 20) for _ in range(1000)))
        assert {len(page.entries) for page in found} == {10}
        assert log.commands == [1]
        await asyncio.gather(*(pages.before(A, offset, 10, max_bytes=1 << 20) for offset in (5, 6, 5, 6)))
        assert log.commands == [1, 2]


async def test_what_is_asked_for_while_others_are_read_shares_a_command(db: Database) -> None:
    await write_log(db, [message(A) for _ in range(60)])
    log = Gated(db)
    log.go.clear()
    async with Pages(log) as pages:
        asked = []
        for offset in range(2, 2 + AT_ONCE + 2 * TOGETHER):
            asked.append(asyncio.create_task(pages.before(A, offset, 10, max_bytes=1 << 20)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        log.go.set()
        found = await asyncio.gather(*asked)
    assert [page.newest for page in found] == list(range(1, 1 + AT_ONCE + 2 * TOGETHER))
    assert log.commands == [1] * AT_ONCE + [TOGETHER] * 2


async def test_who_gives_up_takes_nothing_from_those_who_share_the_page(db: Database) -> None:
    await write_log(db, [message(A) for _ in range(3)])
    log = Gated(db)
    log.go.clear()
    async with Pages(log) as pages:
        impatient, patient = (asyncio.create_task(pages.before(A, None, 10, max_bytes=1 << 20)) for _ in range(2))
        while not log.commands:
            await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
        log.go.set()
        assert (await patient).newest == 3
    assert impatient.cancelled()
    assert log.commands == [1]


async def test_who_asks_after_a_write_does_not_get_a_page_that_was_read_before_it(db: Database) -> None:
    entries = await write_log(db, [message(A) for _ in range(3)])
    log = Gated(db)
    log.go.clear()
    async with Pages(log) as pages:
        before = asyncio.create_task(pages.before(A, None, 10, max_bytes=1 << 20))
        while not log.commands:
            await asyncio.sleep(0)
        (written,) = await write_log(db, [message(A)], after=entries[-1].position)
        after = [asyncio.create_task(pages.before(A, None, 10, max_bytes=1 << 20)) for _ in range(100)]
        await asyncio.sleep(0)
        log.go.set()
        assert (await before).newest in (3, 4)
        assert {(await page).newest for page in after} == {written.offset}
        assert log.commands == [1, 1]


async def test_the_same_as_the_log_gives(db: Database) -> None:
    await write_log(db, [message(A) for _ in range(20)])
    log = Log(db)
    async with Pages(log) as pages:
        assert await pages.before(A, 11, 5, max_bytes=1000) == await log.messages_before(A, 11, 5, max_bytes=1000)
        assert await pages.after(A, 0, 5, max_bytes=1000) == await log.messages_after(A, 0, 5, max_bytes=1000)
        assert await pages.after(B, 7, 5, max_bytes=1000) == await log.messages_after(B, 7, 5, max_bytes=1000)
