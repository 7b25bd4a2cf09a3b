"""Jobs of push: one row for each device and conversation, so that a second message adds nothing to the queue.

A row stays when its job is done, for it knows up to where everything was decided: whoever reads the log again makes no
second job of it, and what is shown on the device can be taken away. The server removes it when nothing has come for
long. One more row of a device is for the number on its icon: which one it was told, and a job when that is not right.

A job is done by who holds its lease. A lease that ends is anybody's, so a killed worker costs that time and nothing
else. What comes while a job is leased is not lost: `done` compares, and the job is due again for what it did not cover.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from pymongo import ASCENDING, UpdateMany, UpdateOne

from storage.model.push import NUMBER, DeadLetter, Doubt, Job, job_key
from storage.mongo.client import Database, Document, translated
from storage.mongo.push_rows import (
    KEPT_MS,
    as_date,
    by_conversation,
    dead_of,
    doubted,
    job_of,
    numbered,
    taken,
    touched,
)
from storage.mongo.schema import PUSH_DEAD, PUSH_JOBS
from storage.mongo.together import Together

MAX_AT_ONCE: Final = 1000
PUT_TOGETHER: Final = 250
"""Each is an update of its own: of more, one command might take longer than it is waited for."""

MAX_COUNTED: Final = 10_000
DEAD_KEPT_MS: Final = 14 * 24 * 3_600_000

_TOKEN_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lane's jobs: when the first is or was due, and how many there are, as far as they were counted."""

    lane: str
    due_at: int
    count: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What was claimed, and when the next job of the lane is due that nobody is at; None: there is none."""

    jobs: list[Job]
    next_due: int | None


class PushJobs:
    """Every method may raise Unavailable. Times are given by the caller: ms UTC.

    Whoever does many jobs side by side enters it as an async context manager: what is written or asked at the same time
    by `put`, `wait`, `done` and `rang` goes together then.

    `wait`, `done` and `bury` give a job back. They change nothing if it is somebody else's by now, who does it again.
    """

    def __init__(self, db: Database, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._jobs = db[PUSH_JOBS]
        self._dead = db[PUSH_DEAD]
        self._random = random
        self._putting: Together[UpdateOne, None] = Together(self._write, batch=PUT_TOGETHER, at_once=4, shared=False)
        self._giving_back: Together[UpdateOne, None] = Together(self._write, shared=False)
        self._ringing: Together[tuple[str, int, int], list[int]] = Together(self._rang)

    async def __aenter__(self) -> Self:
        for each in (self._putting, self._giving_back, self._ringing):
            await each.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each in (self._putting, self._giving_back, self._ringing):
            await each.__aexit__(kind, error, traceback)

    # --- making jobs ---

    async def put(self, doubts: Sequence[Doubt], *, now: int) -> None:
        """Make jobs, or have those that there are look at more. May be repeated.

        Of two due times the earlier one counts, but not while the device's provider has asked for time: then the job
        is due when it was. What was decided already makes no job.
        """
        for start in range(0, len(doubts), MAX_AT_ONCE):
            writes = [
                UpdateOne({"_id": doubt.key}, [{"$set": doubted(doubt, now)}], upsert=True)
                for doubt in doubts[start : start + MAX_AT_ONCE]
            ]
            await self._putting.ask_all(writes)

    async def changed(self, conversation: str, offset: int, *, due_at: int, ends_at: int, now: int) -> int:
        """A message was edited or deleted: look at every device that shows it, or a later one, or is just being told of
        it. How many.
        """
        where: Document = {"conversation": conversation}
        query = {"$or": [{**where, "shown": {"$gte": offset}}, {**where, "lease": {"$gt": now}}]}
        with translated():
            return (await self._jobs.update_many(query, touched(due_at, ends_at, now))).matched_count

    async def read(
        self,
        reads: Mapping[tuple[str, str], int],
        *,
        due_at: int,
        ends_at: int,
        now: int,
        number_due_at: int,
    ) -> int:
        """How far users have read, by user and conversation: look at each of their devices that shows no more than
        that, or is just being told of it; and, at `number_due_at`, at the number on the icon of each that has one. How
        many rows.
        """
        update = touched(by_conversation(number_due_at, due_at), ends_at, now)
        writes = []
        for (user, conversation), offset in reads.items():
            wrong = [{"shown": {"$gt": 0, "$lte": offset}}, {"badge": {"$gt": 0}}, {"lease": {"$gt": now}}]
            query = {"user": user, "conversation": {"$in": [conversation, NUMBER]}, "$or": wrong}
            writes.append(UpdateMany(query, update))
        found = 0
        for start in range(0, len(writes), MAX_AT_ONCE):
            with translated():
                result = await self._jobs.bulk_write(writes[start : start + MAX_AT_ONCE], ordered=False)
            found += result.matched_count
        return found

    async def forget(self, device: str) -> int:
        """Drop everything of a device. How many rows there were."""
        with translated():
            return (await self._jobs.delete_many({"device": device})).deleted_count

    # --- doing them ---

    async def claim(self, lane: str, limit: int, *, now: int, lease_ms: int) -> list[Job]:
        """Take what is due in a lane, at most so many, the longest due first. Nobody else has it before `lease_ms`."""
        return (await self.take(lane, limit, now=now, lease_ms=lease_ms)).jobs

    async def take(self, lane: str, limit: int, *, now: int, lease_ms: int) -> Taken:
        """`claim`, and when the first of those is due that were not taken."""
        # `$gt` is what lets it use an index that only rows with a job are in.
        free: Document = {"lane": lane, "due": {"$gt": 0}, "lease": {"$not": {"$gt": now}}}
        fields, most = {"due": 1}, limit + 1
        with translated():
            found = self._jobs.find(free, fields, sort=[("due", ASCENDING)], limit=most, batch_size=most + 1)
            rows = await found.to_list(most)
            ids = [row["_id"] for row in rows[:limit] if row["due"] <= now]
            next_due = int(rows[len(ids)]["due"]) if len(rows) > len(ids) else None
            if not ids:
                return Taken([], next_due)
            claim = self._random(_TOKEN_BYTES).hex()
            await self._jobs.update_many(
                {"_id": {"$in": ids}, **free, "due": {"$gt": 0, "$lte": now}}, taken(claim, now + lease_ms)
            )
            mine = self._jobs.find({"_id": {"$in": ids}, "claim": claim}, batch_size=limit + 1)
            rows = await mine.to_list(limit)
        return Taken([job_of(row) for row in sorted(rows, key=lambda row: int(row["due"]))], next_due)

    async def wait(
        self,
        job: Job,
        until: int,
        *,
        now: int,
        reason: str = "",
        ends_at: int | None = None,
        attempts: int | None = None,
        lane: str | None = None,
    ) -> None:
        """Give it back, to be due at `until`, or earlier if something came meanwhile that says so. What is not given
        stays.
        """
        changes: Document = {
            "due": {"$min": [until, {"$ifNull": ["$again", until]}]} if not attempts else until,
            "waited": {"$literal": reason} if reason else {"$ifNull": ["$waited", ""]},
            "waited_until": until if reason else {"$ifNull": ["$waited_until", 0]},
            "lease": 0,
        }
        if ends_at is not None:
            changes["ends"] = {"$max": ["$ends", ends_at]}
        if attempts is not None:
            changes["attempts"] = attempts
        if lane is not None:
            changes["lane"] = {"$literal": lane}
        await self._give_back(job, [{"$set": changes}, {"$unset": ["claim", "again"]}])

    async def done(
        self,
        job: Job,
        *,
        now: int,
        covered: int | None = None,
        shown: int | None = None,
        rang_at: int | None = None,
        badge: int | None = None,
        last: bool = True,
    ) -> None:
        """It was decided about everything up to `covered` (the job's `upto` if not given).

        `shown`: what is on the screen now, 0 for nothing; None leaves it. `badge`: the number that the device was told;
        `last`: with what is the last that is kept for it, should it be away.

        If more has come, or what is shown has changed since it was claimed, it is due again for that.
        """
        upto = job.upto if covered is None else covered
        more = {"$or": [{"$gt": ["$upto", upto]}, {"$gt": [{"$ifNull": ["$touched", 0]}, job.touched]}]}
        changes: Document = {
            "covered": {"$max": [{"$ifNull": ["$covered", 0]}, upto]},
            "due": {"$cond": [more, {"$ifNull": ["$again", now]}, "$$REMOVE"]},
            "since": {"$cond": [more, {"$max": ["$since", upto + 1]}, "$since"]},
            "made": {"$cond": [more, now, "$made"]},
            "forget_at": {"$cond": [more, "$$REMOVE", as_date(now + KEPT_MS)]},
            "attempts": 0,
            "lease": 0,
        }
        if shown is not None:
            changes["shown"] = shown or "$$REMOVE"
        if rang_at is not None:
            changes["rang"] = rang_at
        beside: list[UpdateOne] = []
        if badge is not None and job.is_number:
            changes |= {"badge": badge, "numbered": now}
        elif badge is not None:
            beside.append(UpdateOne(*numbered(job, badge, now, last=last), upsert=True))
        gone = ["claim", "again", "resumed", "waited", "waited_until"]
        await self._give_back(job, [{"$set": changes}, {"$unset": gone}], *beside)

    async def shelve(self, job: Job, *, now: int) -> None:
        """Nobody is there to be told. Nothing was decided, so what comes back is told, if somebody asks again."""
        gone = ["due", "shown", "claim", "again", "resumed", "waited", "waited_until"]
        kept = {"attempts": 0, "lease": 0, "forget_at": as_date(now + KEPT_MS)}
        await self._give_back(job, [{"$set": kept}, {"$unset": gone}])

    async def hurry(self, lane: str, *, now: int) -> int:
        """Whatever held a lane up is over: what would be due later is due now. How many jobs.

        Not those that wait for another reason: by the rules, for the answer to an attempt, or for who has leased them.
        """
        query: Document = {
            "lane": lane,
            "due": {"$gt": now},
            **{
                name: {"$not": {"$gt": bound}}
                for name, bound in (("lease", now), ("waited_until", now), ("attempts", 0))
            },
        }
        with translated():
            return (await self._jobs.update_many(query, {"$set": {"due": now}})).modified_count

    async def reconsider(self, user: str, *, now: int) -> int:
        """The user wants to be told of other things, or at other times: what waits by the rules is decided anew. How
        many jobs.
        """
        query: Document = {
            "user": user,
            "due": {"$gt": now},
            "waited_until": {"$gt": now},
            "lease": {"$not": {"$gt": now}},
        }
        with translated():
            return (await self._jobs.update_many(query, {"$set": {"due": now}})).modified_count

    # --- what could not be done ---

    async def bury(self, job: Job, reason: str, *, now: int, shown: int | None = None) -> None:
        """Give a job up and keep it as a dead letter. As `done`."""
        row: Document = {
            "device": job.device,
            "user": job.user,
            "conversation": job.conversation,
            "lane": job.lane,
            "since": job.since,
            "upto": job.upto,
            "attempts": job.attempts,
            "reason": reason,
            "at": now,
            "forget_at": as_date(now + DEAD_KEPT_MS),
        }
        with translated():
            # Before it is done: if this process ends between the two, it is buried again under the same id.
            await self._dead.replace_one({"_id": f"{job.key}|{job.upto}"}, row, upsert=True)
        await self.done(job, shown=shown, now=now)

    async def dead(self, *, lane: str = "", after: str = "", limit: int) -> list[DeadLetter]:
        """Dead letters by id, those above `after`; of one lane, or of all."""
        query: Document = {"_id": {"$gt": after}, **({"lane": lane} if lane else {})}
        with translated():
            found = self._dead.find(query, sort=[("_id", ASCENDING)], limit=limit, batch_size=limit + 1)
            return [dead_of(row) for row in await found.to_list(limit)]

    async def replay(self, letter: str, *, now: int, life_ms: int) -> bool:
        """Make a job of a dead letter again, due at once. False: there is none."""
        with translated():
            row = await self._dead.find_one({"_id": letter})
            if row is None:
                return False
            # It had been decided about; not any more.
            await self._jobs.update_one(
                {"_id": job_key(row["device"], row["conversation"])}, {"$min": {"covered": int(row["since"]) - 1}}
            )
        dead = dead_of(row)
        doubt = Doubt(
            dead.device, dead.user, dead.conversation, dead.lane, dead.since, dead.upto, now, ends_at=now + life_ms
        )
        await self.put([doubt], now=now)
        return await self.discard(letter)

    async def discard(self, letter: str) -> bool:
        """Forget a dead letter. False: there is none."""
        with translated():
            return (await self._dead.delete_one({"_id": letter})).deleted_count == 1

    # --- how it stands ---

    async def lanes(self) -> list[Waiting]:
        """Every lane that has jobs, with the time at which its first one is or was due; not counted."""
        stages: list[Document] = [
            {"$match": {"due": {"$gt": 0}}},
            {"$sort": {"lane": 1, "due": 1}},
            {"$group": {"_id": "$lane", "due": {"$first": "$due"}}},
        ]
        with translated():
            rows = await self._jobs.aggregate(stages).to_list(None)
        return sorted((Waiting(row["_id"], int(row["due"])) for row in rows), key=lambda one: one.due_at)

    async def count(self, lane: str, *, due_before: int) -> int:
        """How many jobs of a lane are due by then, at most `MAX_COUNTED`."""
        query = {"lane": lane, "due": {"$gt": 0, "$lte": due_before}}
        with translated():
            return int(await self._jobs.count_documents(query, limit=MAX_COUNTED))

    async def rang(self, device: str, *, since: int, limit: int = 100) -> list[int]:
        """When the device last rang for each conversation that it did for since then; at most so many."""
        return await self._ringing.ask((device, since, limit))

    async def last_told(self, device: str) -> str:
        """Of which conversation a device was told last; empty if that is not known."""
        with translated():
            row = await self._jobs.find_one({"_id": job_key(device, NUMBER)}, {"last": 1})
        return "" if row is None else str(row.get("last", ""))

    async def get(self, device: str, conversation: str) -> Job | None:
        """The job as it stands, claimed or not. None: there is nothing to do."""
        with translated():
            row = await self._jobs.find_one({"_id": job_key(device, conversation), "due": {"$exists": True}})
        return job_of(row) if row else None

    async def shown(self, device: str) -> dict[str, int]:
        """What is on a device's screen: up to where it tells of each conversation."""
        query = {"device": device, "shown": {"$gt": 0}}
        with translated():
            found = self._jobs.find(query, {"conversation": 1, "shown": 1}, limit=MAX_AT_ONCE)
            return {row["conversation"]: int(row["shown"]) for row in await found.to_list(MAX_AT_ONCE)}

    async def _give_back(self, job: Job, update: Sequence[Document], *beside: UpdateOne) -> None:
        await self._giving_back.ask_all([UpdateOne({"_id": job.key, "claim": job.claim}, list(update)), *beside])

    async def _write(self, writes: Sequence[UpdateOne]) -> list[None]:
        with translated():
            await self._jobs.bulk_write(list(writes), ordered=False)
        return [None] * len(writes)

    async def _rang(self, asked: Sequence[tuple[str, int, int]]) -> list[list[int]]:
        rang: dict[str, list[int]] = {device: [] for device, _, _ in asked}
        query = {"device": {"$in": list(rang)}, "rang": {"$gte": min(since for _, since, _ in asked)}}
        most = sum(limit for _, _, limit in asked)
        with translated():
            found = self._jobs.find(query, {"device": 1, "rang": 1}, limit=most, batch_size=most + 1)
            for row in await found.to_list(most):
                rang[row["device"]].append(int(row["rang"]))
        return [[at for at in rang[device] if at >= since][:limit] for device, since, limit in asked]
