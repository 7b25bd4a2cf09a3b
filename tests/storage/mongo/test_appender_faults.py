"""Appending when MongoDB loses answers, hangs, or goes away: nothing is guessed, nothing is there twice."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.errors import Unavailable
from storage.mongo.client import Database
from support.appending import Hub, a_hub, whole_log
from support.entries import message
from support.fail_points import failing
from support.waiting import eventually

A = "a" * 26
NOT_PRIMARY = 10107
SHUTTING_DOWN = 91


@pytest.fixture
def app_name() -> str:
    return f"hub-{secrets.token_hex(4)}"


@pytest.fixture
async def hub(mongodb_url: str, db: Database, app_name: str) -> AsyncIterator[Hub]:
    async with a_hub(mongodb_url, db.name, app_name=app_name) as one:
        await one.appender.append(message(A, by="first"))
        yield one


REPEATED_BY_THE_DRIVER: dict[str, dict[str, Any]] = {
    "connection closed": {"closeConnection": True, "times": 2},
    "no longer primary": {"errorCode": NOT_PRIMARY, "times": 2},
}
LOST: dict[str, dict[str, Any]] = {
    "not confirmed by a majority": {"writeConcernError": {"code": 64, "errmsg": "timed out"}, "times": 1},
    "not confirmed again and again": {"writeConcernError": {"code": 64, "errmsg": "timed out"}, "times": 3},
    "an error nobody expects": {"errorCode": 8, "times": 1},
    "given up": {"blockConnection": True, "blockTimeMS": 450, "times": 1},
    "given up twice": {"blockConnection": True, "blockTimeMS": 450, "times": 2},
}


@pytest.mark.parametrize("how", [*LOST, *REPEATED_BY_THE_DRIVER])
@pytest.mark.parametrize("entries", [1, 7])
async def test_a_lost_outcome_is_found_out(
    mongodb_url: str, db: Database, app_name: str, how: str, entries: int
) -> None:
    url = f"{mongodb_url}&timeoutMS=400" if how in LOST else mongodb_url
    async with a_hub(url, db.name, app_name=app_name) as hub:
        await hub.appender.append(message(A, by="first"))
        async with failing(mongodb_url, app_name, ["insert"], **(LOST | REPEATED_BY_THE_DRIVER)[how]):
            futures = [hub.appender.append(message(A, text=str(i))) for i in range(entries)]
            appended = await asyncio.gather(*futures)
        assert [one.entry.offset for one in appended] == list(range(2, entries + 2))
        assert not any(one.duplicate for one in appended)
        log = await whole_log(db, A)
        assert [entry.body.get("text") for entry in log[1:]] == [str(i) for i in range(entries)]
        assert [one.entry for one in hub.committed] == log
        assert (hub.stats.unknown_outcomes > 0) is (how in LOST)


async def test_an_answer_comes_before_the_deadline_and_the_late_write_is_found_by_the_repeat(
    mongodb_url: str, db: Database, app_name: str
) -> None:
    loop = asyncio.get_running_loop()
    async with a_hub(mongodb_url, db.name, app_name=app_name, deadline_s=1.0) as hub:
        await hub.appender.append(message(A))
        async with failing(mongodb_url, app_name, ["insert"], times=1, blockConnection=True, blockTimeMS=2800):
            started = loop.time()
            with pytest.raises(Unavailable):
                await hub.appender.append(message(A, key="late"))
            assert loop.time() - started < 2.6
        # Nobody waits for it any more, but it arrives, and whoever listens to the log is told.
        await eventually(lambda: len(hub.committed) == 2)
        again = await hub.appender.append(message(A, key="late"))
    assert again.duplicate
    assert [entry.key for entry in await whole_log(db, A)][1:] == ["late"]


async def test_sends_are_refused_at_once_while_mongodb_is_away_and_accepted_when_it_is_back(
    hub: Hub, db: Database, mongodb_url: str, app_name: str
) -> None:
    everything = ["insert", "find", "ping", "hello", "aggregate"]
    async with failing(mongodb_url, app_name, everything, errorCode=SHUTTING_DOWN):
        with pytest.raises(Unavailable):
            await hub.appender.append(message(A, key="kept"))
        await eventually(lambda: not hub.appender.available)
        with pytest.raises(Unavailable):
            hub.appender.append(message(A))
        assert hub.stats.available == 0
    await eventually(lambda: hub.appender.available)
    assert not (await hub.appender.append(message(A, key="kept"))).duplicate
    assert len(await whole_log(db, A)) == 2


async def test_a_read_that_fails_on_the_way_is_repeated(
    hub: Hub, db: Database, mongodb_url: str, app_name: str
) -> None:
    async with failing(mongodb_url, app_name, ["find"], times=2, errorCode=NOT_PRIMARY):
        appended = await hub.appender.append(message("b" * 26))
    assert appended.entry.offset == 1


async def test_leaving_waits_no_longer_than_the_deadline_for_a_mongodb_that_hangs(
    mongodb_url: str, db: Database, app_name: str
) -> None:
    async with failing(mongodb_url, app_name, ["insert"], times=1, blockConnection=True, blockTimeMS=3500):
        async with a_hub(f"{mongodb_url}&timeoutMS=900", db.name, app_name=app_name, deadline_s=0.5) as hub:
            future = hub.appender.append(message(A))
            await eventually(lambda: "insert" in hub.commands.names)
            left_at = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - left_at < 3
        with pytest.raises(Unavailable):
            future.result()
