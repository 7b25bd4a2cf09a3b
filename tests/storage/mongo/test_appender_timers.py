"""The appender's timer on the event loop of production."""

import asyncio
from typing import Any

import uvloop

from storage.errors import Unavailable
from storage.model import Appended
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from support.appending import a_hub
from support.entries import message


def test_what_is_due_within_half_a_millisecond_is_no_fault(mongodb_url: str, database_name: str) -> None:
    """uvloop gives a plain handle for it, which cannot say when it is due."""
    faults: list[dict[str, Any]] = []

    async def main() -> list[BaseException | Appended]:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        async with connect(mongodb_url, database_name) as database:
            await migrate(database)
        async with a_hub(mongodb_url, database_name, deadline_s=0.0004) as hub:
            queued = [hub.appender.append(message())]
            # A turn later, so that the timer of the first is set when the second one comes.
            loop.call_soon(lambda: queued.append(hub.appender.append(message())))
            await asyncio.sleep(0)
            return await asyncio.gather(*queued, return_exceptions=True)

    answers = uvloop.run(main())
    assert not faults
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
