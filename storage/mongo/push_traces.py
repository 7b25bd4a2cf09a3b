"""What became of every message on its way to every device, for 72 hours: why a phone rang, and why another did not.

Best effort: traces are written behind what they tell of, and a killed worker loses the last ones.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import BulkWriteError

from storage.model.push import Step, Trace
from storage.mongo.client import Database, Document, translated
from storage.mongo.schema import PUSH_TRACES

KEPT_MS: Final = 72 * 3_600_000
MAX_LIMIT: Final = 1000
_DUPLICATE: Final = 11000


class PushTraces:
    """Every method may raise Unavailable. Each answer has at most `MAX_LIMIT` traces."""

    def __init__(self, db: Database) -> None:
        self._traces = db[PUSH_TRACES]

    async def write(self, traces: Sequence[Trace]) -> None:
        """Keep them. What was planned is kept once, however often the log is read, and what a device confirmed too."""
        if not traces:
            return
        with translated():
            try:
                await self._traces.insert_many([_row_of(trace) for trace in traces], ordered=False)
            except BulkWriteError as error:
                failures = (error.details or {}).get("writeErrors", [])
                if not failures or any(one.get("code") != _DUPLICATE for one in failures):
                    raise

    async def of_message(
        self, conversation: str, offset: int, *, user: str = "", device: str = "", limit: int = MAX_LIMIT
    ) -> list[Trace]:
        """Everything about one message, in the order of time; of one user or device, if they are given, which includes
        what is about everybody. What devices have confirmed comes beside the limit.
        """
        # Whatever covers it ends there or later, and more than a hundred messages are never told of at once.
        query: Document = {"conversation": conversation, "upto": {"$gte": offset}, "since": {"$lte": offset}}
        if user:
            query["user"] = {"$in": [user, ""]}
        if device:
            query["device"] = {"$in": [device, ""]}
        found = await self._find(query, ASCENDING, limit)
        return sorted([*found, *await self._confirmed(found)], key=lambda one: one.at)

    async def of_user(self, user: str, *, before: int | None = None, limit: int = 100) -> list[Trace]:
        """The newest first; those before that time (ms UTC), if it is given."""
        return await self._find({"user": user, **_before(before)}, DESCENDING, limit)

    async def of_device(self, device: str, *, before: int | None = None, limit: int = 100) -> list[Trace]:
        """As `of_user`."""
        return await self._find({"device": device, **_before(before)}, DESCENDING, limit)

    async def _confirmed(self, traces: Sequence[Trace]) -> list[Trace]:
        """A device confirms a job, and need not say what it told of: that is known from the answer to it."""
        answers = {_confirmation(one.device, one.job): one for one in traces if one.job}
        if not answers:
            return []
        with translated():
            rows = self._traces.find({"_id": {"$in": list(answers)}}, batch_size=len(answers) + 1)
            return [_told_of(_trace_of(row), answers[row["_id"]]) for row in await rows.to_list(len(answers))]

    async def _find(self, query: Document, order: int, limit: int) -> list[Trace]:
        limit = min(limit, MAX_LIMIT)
        with translated():
            found = self._traces.find(query, sort=[("at", order)], limit=limit, batch_size=limit + 1)
            return [_trace_of(row) for row in await found.to_list(limit)]


def _before(at: int | None) -> Document:
    return {} if at is None else {"at": {"$lt": at}}


def _row_of(trace: Trace) -> Document:
    row: Document = {
        "at": trace.at,
        "step": trace.step.value,
        "conversation": trace.conversation,
        "since": trace.since,
        "upto": trace.upto,
        "outcome": trace.outcome,
        "user": trace.user,
        "device": trace.device,
        # A date, as the server removes by dates only.
        "forget_at": datetime.fromtimestamp((trace.at + KEPT_MS) / 1000, UTC),
    }
    if trace.step is Step.PLANNED:
        row["_id"] = f"{trace.conversation}|{trace.upto}|{len(trace.user)}:{trace.user}{trace.device}"
    if trace.step is Step.CONFIRMED:
        row["_id"] = _confirmation(trace.device, trace.job)
    optional = {
        "reason": trace.reason,
        "lane": trace.lane,
        "until": trace.until,
        "attempt": trace.attempt,
        "job": trace.job,
        "provider_id": trace.provider_id,
    }
    return row | {name: value for name, value in optional.items() if value}


def _confirmation(device: str, job: str) -> str:
    return f"{Step.CONFIRMED}|{device}|{job}"


def _told_of(confirmed: Trace, answer: Trace) -> Trace:
    return replace(confirmed, conversation=answer.conversation, since=answer.since, upto=answer.upto, lane=answer.lane)


def _trace_of(row: Document) -> Trace:
    until = row.get("until")
    return Trace(
        at=int(row["at"]),
        step=Step(row["step"]),
        conversation=row["conversation"],
        since=int(row["since"]),
        upto=int(row["upto"]),
        outcome=row["outcome"],
        reason=row.get("reason", ""),
        user=row["user"],
        device=row["device"],
        lane=row.get("lane", ""),
        until=None if until is None else int(until),
        attempt=int(row.get("attempt", 0)),
        job=row.get("job", ""),
        provider_id=row.get("provider_id", ""),
    )
