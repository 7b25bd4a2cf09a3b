"""What entries mean for the summaries of their conversations and the read positions of their senders; pure.

Every update moves forward only (`$max`), so the same entries may be folded twice, late, and by several processes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pymongo import UpdateOne

from storage.model import Entry, Position
from storage.mongo.client import Document
from storage.mongo.rows import member_key, position_document

PREVIEW_CHARACTERS: Final = 100


@dataclass(slots=True)
class Summary:
    """The newest entry and the newest message of one conversation among those folded."""

    head: Position
    last: Entry | None = None


class Fold:
    """Summaries and read positions that follow from entries, in any order."""

    def __init__(self) -> None:
        self.summaries: dict[str, Summary] = {}
        self.reads: dict[tuple[str, str], Position] = {}

    def __len__(self) -> int:
        return len(self.summaries) + len(self.reads)

    def add(self, entries: Iterable[Entry]) -> None:
        """Take these entries in."""
        for entry in entries:
            summary = self.summaries.get(entry.conversation)
            if summary is None:
                summary = self.summaries[entry.conversation] = Summary(entry.position)
            elif summary.head.offset < entry.offset:
                summary.head = entry.position
            if entry.kind.counts:
                if summary.last is None or summary.last.offset < entry.offset:
                    summary.last = entry
                self._read(entry.conversation, entry.by, entry.position)

    def merge(self, other: "Fold") -> None:
        """Take in what another fold has."""
        for conversation, summary in other.summaries.items():
            mine = self.summaries.setdefault(conversation, summary)
            if mine.head.offset < summary.head.offset:
                mine.head = summary.head
            if summary.last is not None and (mine.last is None or mine.last.offset < summary.last.offset):
                mine.last = summary.last
        for (conversation, user), position in other.reads.items():
            self._read(conversation, user, position)

    def read_updates(self) -> list[UpdateOne]:
        """Sending moves the sender's own read position. For members; others have no row, and none is made."""
        return [
            UpdateOne({"_id": member_key(conversation, user)}, {"$max": {"read": position_document(position)}})
            for (conversation, user), position in self.reads.items()
        ]

    def summary_updates(self) -> list[UpdateOne]:
        """The conversations' rows, stamped with the server's clock."""
        return [
            UpdateOne({"_id": conversation}, {"$max": _fields(summary), "$currentDate": {"summary_at": True}})
            for conversation, summary in self.summaries.items()
        ]

    def _read(self, conversation: str, user: str, position: Position) -> None:
        known = self.reads.get((conversation, user))
        if known is None or known.offset < position.offset:
            self.reads[conversation, user] = position


def _fields(summary: Summary) -> Document:
    """Positions and messages are documents that begin with the offset, by which `$max` compares them."""
    fields: Document = {"head": position_document(summary.head)}
    last = summary.last
    if last is not None:
        fields["activity_at"] = last.at
        fields["last_message"] = {
            "offset": last.offset,
            "sender": last.by,
            "text": str(last.body.get("text", ""))[:PREVIEW_CHARACTERS],
            "created_at": last.at,
        }
    return fields
