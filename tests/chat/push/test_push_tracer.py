"""Traces are written behind, a bounded number of them, and their loss stops nothing."""

from dataclasses import replace

from chat.push.tracing import Tracer
from storage.errors import Unavailable
from storage.model.push import Step, Trace
from storage.mongo.client import Database
from storage.mongo.push_traces import PushTraces
from support.pushing import START
from support.waiting import eventually

TRACE = Trace(START, Step.DECIDED, "c" * 26, 1, 1, "send", "offline", "ada", "phone")


async def test_they_are_written_without_anybody_waiting_and_at_the_end(db: Database) -> None:
    traces = PushTraces(db)
    async with Tracer(traces) as tracer:
        tracer.add(TRACE)
        assert await eventually(lambda: traces.of_user("ada")) == [TRACE]
        tracer.add(replace(TRACE, at=START + 1))
    assert len(await traces.of_user("ada")) == 2


async def test_of_too_many_the_oldest_are_lost_and_counted(db: Database) -> None:
    tracer = Tracer(PushTraces(db), limit=2)
    for n in range(5):
        tracer.add(replace(TRACE, at=START + n))
    await tracer.flush()
    assert [one.at - START for one in await PushTraces(db).of_user("ada")] == [4, 3]
    assert tracer.lost == 3


async def test_a_database_that_is_away_loses_them_and_nothing_else(db: Database) -> None:
    class Away(PushTraces):
        async def write(self, traces: object) -> None:
            raise Unavailable("away")

    tracer = Tracer(Away(db))
    tracer.add(TRACE)
    await tracer.flush()
    assert tracer.lost == 1
