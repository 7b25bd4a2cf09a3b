"""Entries of a conversation's log."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from storage.model.position import Position


class EntryKind(IntEnum):
    """What happened. The numbers are stored and never reused. The names are the event types: `message.created` etc."""

    MESSAGE_CREATED = 0
    MESSAGE_EDITED = 1
    MESSAGE_DELETED = 2
    REACTION_CHANGED = 3
    MESSAGE_PINNED = 4
    MESSAGE_UNPINNED = 5
    THREAD_CHANGED = 6
    MEMBER_JOINED = 7
    MEMBER_LEFT = 8
    MEMBER_CHANGED = 9
    CONVERSATION_UPDATED = 10

    @property
    def counts(self) -> bool:
        """Whether it is a message of the main timeline, which raises `n` by one."""
        return self is EntryKind.MESSAGE_CREATED


class NewEntry(Struct, frozen=True):
    """What a caller wants appended; the log gives it `offset` and `n`.

    `key` is the client's idempotency key, unique per (conversation, `by`) for ever; None for what no client repeats.
    `body` is JSON-able and uses wire names; what is absent is left out. Of a message: text, content, reply_to,
    mentions, attachments, custom, forwarded, expires_at, and what happened to it since: version, edited_at, deleted_at,
    reactions, thread, pinned_at. Not for the wire: edits (the offsets of its message.edited entries), meant (whom it
    mentions, as the index has them), told (when the log was told of reactions and thread).
    message.edited: {"target", "message": an image}; message.deleted: {"target", "reason"?}; message.pinned and
    .unpinned: {"target"}; reaction.changed: {"target", "reactions"}; thread.changed: {"target", "thread"};
    member.joined: {"members": [{"user", "role"}]}; member.left: {"user", "banned"?}; member.changed: {"user", "role",
    "muted_until"?}; conversation.updated: what of title, avatar_url, description, custom, settings, oldest changed.
    """

    conversation: str
    kind: EntryKind
    by: str
    at: int
    key: str | None
    body: Mapping[str, Any]


class Entry(Struct, frozen=True):
    """One entry as it stands in the log. The fields are those of `NewEntry`, with its place.

    No dataclass, because those take eight times as long to make, and every page, resume and send makes them.
    """

    conversation: str
    offset: int
    n: int
    kind: EntryKind
    by: str
    at: int
    key: str | None
    body: Mapping[str, Any]

    @property
    def position(self) -> Position:
        """Where the log stands with this entry as its last one."""
        return Position(self.offset, self.n)

    def with_body(self, body: Mapping[str, Any]) -> "Entry":
        """The same entry with another body."""
        return replace(self, body=body)


class Appended(Struct, frozen=True):
    """The outcome of an append: the entry that the key stands for. `duplicate`: it was there before this append."""

    entry: Entry
    duplicate: bool


AppendOutcome: TypeAlias = Appended | Exception | None
"""What an append came to. None: the change turned out to change nothing, so there is no entry."""
