"""What a member does to the positions in their row: how far read, how far received, marked as unread. Pure."""

from dataclasses import dataclass, replace

from storage.model.member import Member
from storage.model.position import ORIGIN, Position


@dataclass(frozen=True, slots=True)
class Marks:
    """One or several marks of one member, in the order in which they were made.

    `read` and `delivered` are offsets up to which everything is; 0: not marked. `unread_from` comes after what is read:
    None leaves it as it is, 0 takes it off.
    """

    read: int = 0
    delivered: int = 0
    unread_from: int | None = None

    def then(self, later: "Marks") -> "Marks":
        """Both, as if they had been made one after the other."""
        unread_from = later.unread_from
        if unread_from is None:
            unread_from = self.unread_from
            if unread_from and later.read >= unread_from:
                unread_from = 0
        return Marks(max(self.read, later.read), max(self.delivered, later.delivered), unread_from)


@dataclass(frozen=True, slots=True)
class Marked:
    """A member's row after a mark, and what of it the mark has changed.

    `head` is where the log ends, `floor` up to where nothing of it is retained, where that was asked for.
    """

    member: Member
    floor: Position = ORIGIN
    head: Position = ORIGIN
    read_moved: bool = False
    delivered_moved: bool = False
    unread_changed: bool = False

    @property
    def private(self) -> bool:
        """Whether the member's other devices are to know."""
        return self.read_moved or self.unread_changed

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.private or self.delivered_moved


def marked(member: Member, marks: Marks, read: Position, delivered: Position) -> Marked:
    """What the marks come to. `read` and `delivered` are the places in the log that their offsets stand for.

    Positions never move back, and what is read is received. Reading on to where somebody had marked the conversation as
    unread, or beyond, takes that off.
    """
    unread_from = member.unread_from
    if marks.read and unread_from is not None and marks.read >= unread_from:
        unread_from = None
    if marks.unread_from is not None:
        unread_from = marks.unread_from or None
    after = replace(
        member,
        read=max(member.read, read),
        delivered=max(member.delivered, member.read, read, delivered),
        unread_from=unread_from,
    )
    return Marked(
        after,
        read_moved=after.read != member.read,
        # As far as it is read it was received: only what is beyond is news.
        delivered_moved=after.delivered > max(member.delivered, after.read),
        unread_changed=after.unread_from != member.unread_from,
    )
