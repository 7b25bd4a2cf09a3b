"""The rows of jobs, and how they change: read and written by push_jobs.py. Pure."""

from datetime import UTC, datetime
from typing import Any, Final

from storage.model.push import NUMBER, DeadLetter, Doubt, Job, job_key
from storage.mongo.client import Document

KEPT_MS: Final = 7 * 24 * 3_600_000
"""How long a row is kept that has no job. As long as a log may be read again."""

_PENDING: Final[Document] = {"$ne": [{"$type": "$due"}, "missing"]}


def touched(due_at: int | Document, ends_at: int, now: int) -> list[Document]:
    """What is on the screen is not right any more: a job, for whoever does it to see that it is another one."""
    leased = {"$and": [_PENDING, {"$gt": [{"$ifNull": ["$lease", 0]}, now]}]}
    return [
        {
            "$set": {
                "touched": {"$add": [{"$ifNull": ["$touched", 0]}, 1]},
                **_due(leased, due_at),
                "ends": {"$max": ["$ends", ends_at]},
                "made": {"$cond": [_PENDING, "$made", now]},
            }
        },
        {"$unset": ["forget_at"]},
    ]


def taken(claim: str, leased_until: int) -> list[Document]:
    """A claim that is still there is that of somebody who never gave the job back."""
    left_behind = {"$ne": [{"$type": "$claim"}, "missing"]}
    resumed = {"$or": [{"$ifNull": ["$resumed", False]}, left_behind]}
    return [{"$set": {"resumed": resumed, "lease": leased_until, "claim": claim}}]


def doubted(doubt: Doubt, now: int) -> Document:
    """All fields of the row; those that stay as they are included, as nothing is written where nothing changes."""
    news = {"$gt": [doubt.upto, {"$ifNull": ["$covered", 0]}]}
    leased = {"$and": [_PENDING, {"$gt": [{"$ifNull": ["$lease", 0]}, now]}]}

    def new(value: Any, name: str) -> Document:
        return {"$cond": [news, value, f"${name}"]}

    due = _due(leased, doubt.due_at)
    since = {"$max": [doubt.since, {"$add": [{"$ifNull": ["$covered", 0]}, 1]}]}
    return {
        "device": {"$literal": doubt.device},
        "user": {"$literal": doubt.user},
        "conversation": {"$literal": doubt.conversation},
        "lane": new({"$literal": doubt.lane}, "lane"),
        "since": new({"$cond": [_PENDING, {"$min": ["$since", since]}, since]}, "since"),
        "upto": {"$max": [{"$ifNull": ["$upto", 0]}, doubt.upto]},
        "due": new(due["due"], "due"),
        "again": new(due["again"], "again"),
        "ends": new({"$max": ["$ends", doubt.ends_at]}, "ends"),
        "made": new({"$cond": [_PENDING, "$made", now]}, "made"),
        "forget_at": new("$$REMOVE", "forget_at"),
    }


def numbered(job: Job, badge: int, now: int, *, last: bool) -> tuple[Document, Document]:
    """The row of the device's number, and how it changes: it was told this one. There is such a row from then on.
    `last`: what the job has told is the last that waits for the device if it is away.
    """
    told = {
        "device": job.device,
        "user": job.user,
        "conversation": NUMBER,
        "lane": job.lane,
        "badge": badge,
        "forget_at": as_date(now + KEPT_MS),
        **({"last": job.conversation} if last else {}),
    }
    # One that is made anew has no ids that were used before.
    made = {"since": 0, "upto": 0, "touched": now}
    return {"_id": job_key(job.device, NUMBER)}, {"$set": told, "$setOnInsert": made}


def by_conversation(number: int, other: int) -> Document:
    """One of two, by whether it is the row of a number."""
    return {"$cond": [{"$eq": ["$conversation", NUMBER]}, number, other]}


def _due(leased: Document, due_at: int | Document) -> Document:
    """A job that somebody is doing is due again afterwards; one whose provider asked for time keeps to that."""
    earlier = {"$min": ["$due", due_at]}
    asked = {"$gt": [{"$ifNull": ["$attempts", 0]}, 0]}
    kept = {"$or": [leased, {"$and": [_PENDING, asked]}]}
    return {
        "due": {"$cond": [kept, "$due", earlier]},
        "again": {"$cond": [leased, {"$min": ["$again", due_at]}, "$$REMOVE"]},
    }


def as_date(at: int) -> datetime:
    # A date, as the server removes by dates only.
    return datetime.fromtimestamp(at / 1000, UTC)


def job_of(row: Document) -> Job:
    rang = row.get("rang")
    return Job(
        device=row["device"],
        user=row["user"],
        conversation=row["conversation"],
        lane=row["lane"],
        since=int(row["since"]),
        upto=int(row["upto"]),
        due_at=int(row["due"]),
        ends_at=int(row["ends"]),
        made_at=int(row["made"]),
        claim=row.get("claim", ""),
        leased_until=int(row.get("lease", 0)),
        attempts=int(row.get("attempts", 0)),
        waited=row.get("waited", ""),
        waited_until=int(row.get("waited_until", 0)),
        touched=int(row.get("touched", 0)),
        covered=int(row.get("covered", 0)),
        shown=int(row.get("shown", 0)),
        rang_at=None if rang is None else int(rang),
        resumed=bool(row.get("resumed")),
        badge=row.get("badge"),
        numbered_at=int(row.get("numbered", 0)),
    )


def dead_of(row: Document) -> DeadLetter:
    return DeadLetter(
        id=row["_id"],
        device=row["device"],
        user=row["user"],
        conversation=row["conversation"],
        lane=row["lane"],
        since=int(row["since"]),
        upto=int(row["upto"]),
        attempts=int(row["attempts"]),
        reason=row["reason"],
        at=int(row["at"]),
    )
