"""What a later entry does to a message. Pure.

A message's row holds its present state. A change is one transaction: the row gets its new state, and an entry that
tells of it is appended. Whoever replays the log from anywhere so comes to the state that a reader finds now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from storage.model.entry import Entry, EntryKind


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
    return {"n": message.n, "by": message.by, "at": message.at, "key": message.key, "body": dict(message.body)}


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
