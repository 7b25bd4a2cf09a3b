"""Messages that delete themselves. Pure.

From its `expires_at` on, a message reads as deleted at that time, whether or not somebody has deleted its row by then.
"""

from dataclasses import replace
from typing import Any

from storage.model.changes import remains
from storage.model.entry import Entry, EntryKind


def as_of(entry: Entry, now: int) -> Entry:
    """What an entry of the log says to somebody who reads it at `now` (ms UTC)."""
    match entry.kind:
        case EntryKind.MESSAGE_CREATED if _over(entry.body, now):
            return replace(entry, body=remains(entry.body, entry.body["expires_at"]))
        case EntryKind.MESSAGE_EDITED if _over(entry.body["message"]["body"], now):
            image = entry.body["message"]
            over = {**image, "body": remains(image["body"], image["body"]["expires_at"])}
            return replace(entry, body={**entry.body, "message": over})
        case _:
            return entry


def _over(body: Any, now: int) -> bool:
    return "expires_at" in body and "deleted_at" not in body and body["expires_at"] <= now
