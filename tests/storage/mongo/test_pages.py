"""Pages of messages for many who ask for the same one."""

import asyncio

from storage.mongo.client import Database
from storage.mongo.log import Log, LogPage
from storage.mongo.pages import Pages
from support.entries import message, write_log

A, B = "a" * 26, "b" * 26


class Gated(Log):
    """Counts the pages that are read; a read is answered when it is let."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.reads = 0
        self.go = asyncio.Event()
        self.go.set()

    async def messages_before(self, conversation: str, before: int | None, limit: int, *, max_bytes: int) -> LogPage:
        self.reads += 1
        page = await super().messages_before(conversation, before, limit, max_bytes=max_bytes)
        await self.go.wait()
        return page


async def test_a_page_that_a_thousand_ask_for_is_read_once(db: Database) -> None:
    await write_log(db, [message(A) for _ in range(20)])
    log = Gated(db)
    async with Pages(log) as pages:
        found = await asyncio.gather(*(pages.before(A, None, 10, max_bytes=1 << 20) for _ in range(1000)))
        assert {len(page.entries) for page in found} == {10}
        assert log.reads == 1
        await asyncio.gather(*(pages.before(A, offset, 10, max_bytes=1 << 20) for offset in (5, 6, 5, 6)))
        assert log.reads == 3


async def test_who_asks_after_a_write_does_not_get_a_page_that_was_read_before_it(db: Database) -> None:
    entries = await write_log(db, [message(A) for _ in range(3)])
    log = Gated(db)
    log.go.clear()
    async with Pages(log) as pages:
        before = asyncio.create_task(pages.before(A, None, 10, max_bytes=1 << 20))
        while not log.reads:
            await asyncio.sleep(0)
        (written,) = await write_log(db, [message(A)], after=entries[-1].position)
        after = [asyncio.create_task(pages.before(A, None, 10, max_bytes=1 << 20)) for _ in range(100)]
        await asyncio.sleep(0)
        log.go.set()
        assert (await before).newest in (3, 4)
        assert {(await page).newest for page in after} == {written.offset}
        assert log.reads == 2


async def test_the_same_as_the_log_gives(db: Database) -> None:
    await write_log(db, [message(A) for _ in range(20)])
    log = Log(db)
    async with Pages(log) as pages:
        assert await pages.before(A, 11, 5, max_bytes=1000) == await log.messages_before(A, 11, 5, max_bytes=1000)
        assert await pages.after(A, 0, 5, max_bytes=1000) == await log.messages_after(A, 0, 5, max_bytes=1000)
        assert await pages.after(B, 7, 5, max_bytes=1000) == await log.messages_after(B, 7, 5, max_bytes=1000)
