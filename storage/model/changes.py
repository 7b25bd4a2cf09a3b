"""What a later entry does to a message. Pure.

A message's row holds its present state. A change is one transaction: the row gets its new state, and an entry that
tells of it is appended. Whoever replays the log from anywhere so comes to the state that a reader finds now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from storage.model.entry import Entry, EntryKind

SAID: Final = ("text", "content", "mentions", "mentions_group", "attachments", "custom")
"""What an edit may change, and a version is."""

_UNSEEN: Final = frozenset({"edits", "meant", "told"})
"""What the row keeps for itself: who replays the log has no use for it."""

_OUTLIVES: Final = ("thread", "told")
"""What stays of a deleted message: the replies below it are others'."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be written. `message`: the message's new body; None leaves it. `entry`: the body of the entry that
    tells of it. `others`: new bodies of earlier entries of the log, by offset, to erase what they hold of the message.
    """

    entry: Mapping[str, Any]
    message: Mapping[str, Any] | None = None
    others: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)


def image(message: Entry) -> dict[str, Any]:
    """A message as it stands, to be carried in the body of another entry."""
    body = {name: value for name, value in message.body.items() if name not in _UNSEEN}
    return {"n": message.n, "by": message.by, "at": message.at, "key": message.key, "body": body}


def imaged(conversation: str, offset: int, image: Mapping[str, Any]) -> Entry:
    """The message that an `image` was made of."""
    return Entry(
        conversation=conversation,
        offset=offset,
        n=image["n"],
        kind=EntryKind.MESSAGE_CREATED,
        by=image["by"],
        at=image["at"],
        key=image["key"],
        body=image["body"],
    )


def left_by(entry: Entry) -> Entry | None:
    """The message as this entry leaves it; None where it does not tell of the whole of one."""
    if entry.kind is EntryKind.MESSAGE_CREATED:
        return entry
    if entry.kind in (EntryKind.MESSAGE_EDITED, EntryKind.MESSAGE_DELETED):
        return imaged(entry.conversation, entry.body["target"], entry.body["message"])
    return None


def edited(message: Entry, entry: Entry, fields: Mapping[str, Any]) -> Change | None:
    """The message says something else from now on; a field that is None goes. None: it says that already.

    The first edit's entry keeps what was said originally. Each later version is the image in its edit's entry.
    """
    body = {name: value for name, value in {**message.body, **fields}.items() if value is not None}
    if body == message.body:
        return None
    edits = [*message.body.get("edits", ()), entry.offset]
    body |= {"edits": edits, "version": message.body.get("version", 0) + 1, "edited_at": entry.at}
    tells: dict[str, Any] = {"target": message.offset, "message": image(message.with_body(body))}
    if len(edits) == 1:
        tells["original"] = {name: message.body[name] for name in SAID if name in message.body}
    return Change(entry=tells, message=body)


def remains(body: Mapping[str, Any], deleted_at: int) -> dict[str, Any]:
    """All that is left of a message's body when it is deleted for all."""
    return {name: body[name] for name in _OUTLIVES if name in body} | {"deleted_at": deleted_at}


def deleted(message: Entry, entry: Entry, reason: str | None = None) -> Change | None:
    """Nothing of what it said is left, neither in its row nor in the entries of its edits. None: it is gone already.

    `reason` is told to whoever hears of it.
    """
    if "deleted_at" in message.body:
        return None
    body = remains(message.body, entry.at)
    tombstone = image(message.with_body(body))
    tells: dict[str, Any] = {"target": message.offset, "message": tombstone}
    erased = {edit: {"target": message.offset, "message": tombstone} for edit in message.body.get("edits", ())}
    return Change(entry=tells if reason is None else {**tells, "reason": reason}, message=body, others=erased)


def pinned(message: Entry, entry: Entry) -> Change | None:
    """None: it is pinned already."""
    if "pinned_at" in message.body:
        return None
    return Change(entry={"target": message.offset}, message={**message.body, "pinned_at": entry.at})


def unpinned(message: Entry) -> Change | None:
    """None: it is not pinned."""
    if "pinned_at" not in message.body:
        return None
    body = {name: value for name, value in message.body.items() if name != "pinned_at"}
    return Change(entry={"target": message.offset}, message=body)
