"""Membership rows: who belongs to a conversation, and what is private to them in it."""

from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct

from storage.model.notifying import Notify
from storage.model.position import ORIGIN, Position


class Role(StrEnum):
    """What a member may do, most first. A `reader` reads only. The values are the wire's."""

    OWNER = "owner"
    ADMIN = "admin"
    MODERATOR = "moderator"
    MEMBER = "member"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class Preferences:
    """How a member keeps a conversation: private, and the same on all devices. None: not so.

    `muted_until` is a time; messages of a muted conversation make no noise. `notify`: which messages ring; None: as the
    user wants it everywhere. The names are the wire's.
    """

    archived_at: int | None = None
    pinned_at: int | None = None
    muted_until: int | None = None
    notify: Notify | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One user in one conversation. The row outlives the membership (`left_at`), so that `sync` can tell of a removal.

    `joined_offset` is the offset of the entry that brought the user in, `read` how far the user has read, `delivered`
    how far a device of the user has received. `unread_from`: marked as unread from this offset on, beside `read`.
    `revision` is the user's revision at the last private change of this row. `banned_at`: may not come back until
    `banned_until`, or (None) until it is taken off. `muted_until`: may not write before (set by moderators).
    `hides`: there are rows of messages here, or in the threads here, that the user has deleted for themselves.
    """

    conversation: str
    user: str
    role: Role
    joined_at: int
    joined_offset: int
    read: Position
    revision: int
    left_at: int | None = None
    banned_at: int | None = None
    banned_until: int | None = None
    muted_until: int | None = None
    delivered: Position = ORIGIN
    unread_from: int | None = None
    preferences: Preferences = Preferences()
    hides: bool = False

    @property
    def live(self) -> bool:
        """Whether the user is a member now."""
        return self.left_at is None


class Membership(Struct, frozen=True):
    """A live membership with the conversation's head: what a connecting session needs to know of the conversation.

    `oldest` is the first offset that is retained.
    """

    conversation: str
    role: Role
    joined_offset: int
    head: Position
    read: Position
    activity_at: int
    oldest: int = 1

    @property
    def unread(self) -> int:
        """Messages after the read position."""
        return max(0, self.head.n - self.read.n)
