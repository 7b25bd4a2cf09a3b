"""Messages that delete themselves. Pure.

From its `expires_at` on, a message reads as deleted at that time, whether or not somebody has deleted its row by then.
"""

from collections.abc import Iterable
from typing import Any

from storage.model.changes import remains
from storage.model.entry import Entry, EntryKind


def as_of(entry: Entry, now: int) -> Entry:
    """What an entry of the log says to somebody who reads it at `now` (ms UTC)."""
    match entry.kind:
        case EntryKind.MESSAGE_CREATED if _over(entry.body, now):
            return entry.with_body(_left(entry.body))
        case EntryKind.MESSAGE_EDITED if _over(entry.body["message"]["body"], now):
            image = entry.body["message"]
            over = {**image, "body": _left(image["body"])}
            # As a deletion leaves it: without what was said originally either.
            return entry.with_body({"target": entry.body["target"], "message": over})
        case _:
            return entry


def expires_next(entries: Iterable[Entry]) -> int | None:
    """When (ms UTC) one of them reads differently for the first time from now on; None: never by itself."""
    times = [
        body["expires_at"]
        for entry in entries
        if (body := _message(entry)) is not None and "expires_at" in body and "deleted_at" not in body
    ]
    return min(times, default=None)


def _message(entry: Entry) -> Any:
    match entry.kind:
        case EntryKind.MESSAGE_CREATED:
            return entry.body
        case EntryKind.MESSAGE_EDITED:
            return entry.body["message"]["body"]
        case _:
            return None


def _over(body: Any, now: int) -> bool:
    return "expires_at" in body and "deleted_at" not in body and body["expires_at"] <= now


def _left(body: Any) -> dict[str, Any]:
    return remains(body, body["expires_at"])
