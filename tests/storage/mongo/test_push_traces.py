"""Traces of push: found by message, by user and by device, in order, and forgotten after 72 hours."""

from dataclasses import replace
from datetime import UTC

import pytest

from storage.model.push import Step, Trace
from storage.mongo.client import Database
from storage.mongo.push_traces import KEPT_MS, PushTraces
from storage.mongo.schema import PUSH_TRACES

C = "c" * 26
PLANNED = Trace(1_000, Step.PLANNED, C, 5, 5, "put", user="ada", device="phone", lane="apns|production|app")
DECIDED = Trace(2_000, Step.DECIDED, C, 4, 6, "wait", "do_not_disturb", user="ada", device="phone", until=9_000)
ANSWERED = Trace(9_000, Step.ANSWERED, C, 4, 6, "accepted", user="ada", device="phone", attempt=1, provider_id="id")


@pytest.fixture
async def traces(db: Database) -> PushTraces:
    # The times here are small numbers: without this the server would now and then remove what is so long past.
    await db[PUSH_TRACES].drop_index("forget_at")
    return PushTraces(db)


async def test_everything_about_a_message_is_found_in_order(traces: PushTraces) -> None:
    everybody = Trace(500, Step.PLANNED, C, 5, 5, "suppress", "large_group")
    other = replace(PLANNED, user="bob", device="tablet")
    await traces.write([ANSWERED, DECIDED, PLANNED, everybody, other, replace(DECIDED, conversation="d" * 26)])
    assert await traces.of_message(C, 5, user="ada") == [everybody, PLANNED, DECIDED, ANSWERED]
    assert await traces.of_message(C, 5, user="bob") == [everybody, other]
    assert await traces.of_message(C, 6, device="phone") == [DECIDED, ANSWERED]
    assert await traces.of_message(C, 7) == []
    assert len(await traces.of_message(C, 5, limit=2)) == 2


async def test_users_and_devices_see_the_newest_first(traces: PushTraces) -> None:
    await traces.write([PLANNED, DECIDED, ANSWERED, replace(PLANNED, user="bob", device="tablet")])
    assert await traces.of_user("ada") == [ANSWERED, DECIDED, PLANNED]
    assert await traces.of_device("phone", before=9_000, limit=1) == [DECIDED]


async def test_what_was_planned_is_kept_once(traces: PushTraces) -> None:
    await traces.write([PLANNED])
    await traces.write([replace(PLANNED, at=3_000), replace(PLANNED, device="tablet"), DECIDED])
    assert (await traces.of_message(C, 5, device="phone")) == [PLANNED, DECIDED]
    await traces.write([])


async def test_the_server_forgets_them(db: Database) -> None:
    assert (await db[PUSH_TRACES].index_information())["forget_at"]["expireAfterSeconds"] == 0
    await PushTraces(db).write([replace(DECIDED, at=4_000_000_000_000)])
    row = await db[PUSH_TRACES].find_one({})
    assert row is not None
    assert row["forget_at"].replace(tzinfo=UTC).timestamp() * 1000 == 4_000_000_000_000 + 72 * 3_600_000
    assert KEPT_MS == 72 * 3_600_000


async def test_what_a_device_confirms_is_found_with_the_message_however_often_and_whenever_it_does(
    traces: PushTraces,
) -> None:
    confirmed = Trace(9_500, Step.CONFIRMED, "", 0, 0, "shown", user="ada", device="phone", job="job")
    foreign = replace(confirmed, user="bob", device="tablet")
    await traces.write([confirmed])
    answered = replace(ANSWERED, job="job", lane="apns|production|app")
    await traces.write([answered, foreign, replace(confirmed, at=9_900)])
    told = replace(confirmed, conversation=C, since=4, upto=6, lane="apns|production|app")
    assert await traces.of_message(C, 5, user="ada") == [answered, told]
    assert (await traces.of_device("phone"))[0] == confirmed
