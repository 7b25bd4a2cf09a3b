"""What entries mean for the summaries of their conversations and the read positions of their senders; pure.

Every update moves forward only (`$max`), so the same entries may be folded twice, late, and by several processes.
"""

from collections.abc import Iterable
from typing import Final

from pymongo import UpdateOne

from storage.model import Entry
from storage.model.changes import left_by
from storage.mongo.client import Document
from storage.mongo.rows import member_key, position_document

PREVIEW_CHARACTERS: Final = 100


class Fold:
    """The newest entry of each conversation, the entry that left its newest message as it is, and each sender's newest
    message in it.
    """

    def __init__(self) -> None:
        self.heads: dict[str, Entry] = {}
        self.messages: dict[str, Entry] = {}
        self.reads: dict[tuple[str, str], Entry] = {}

    def __len__(self) -> int:
        return len(self.heads) + len(self.reads)

    def add(self, entries: Iterable[Entry]) -> None:
        """Take these entries in."""
        for entry in entries:
            conversation, offset = entry.conversation, entry.offset
            known = self.heads.get(conversation)
            if known is None or known.offset < offset:
                self.heads[conversation] = entry
            message = left_by(entry)
            if message is not None:
                known = self.messages.get(conversation)
                if known is None or message_place(known) < message_place(entry):
                    self.messages[conversation] = entry
            if entry.kind.counts:
                known = self.reads.get((conversation, entry.by))
                if known is None or known.offset < offset:
                    self.reads[conversation, entry.by] = entry

    def merge(self, other: "Fold") -> None:
        """Take in what another fold has."""
        self.add(other.heads.values())
        self.add(other.messages.values())
        self.add(other.reads.values())

    def read_updates(self) -> list[UpdateOne]:
        """Sending moves the sender's own read position. For members; others have no row, and none is made."""
        return [
            UpdateOne({"_id": member_key(conversation, user)}, {"$max": {"read": position_document(entry.position)}})
            for (conversation, user), entry in self.reads.items()
        ]

    def summary_updates(self) -> list[UpdateOne]:
        """The conversations' rows, stamped with the server's clock.

        Positions and messages are documents that begin with the offset, by which `$max` compares them.
        """
        return [
            UpdateOne(
                {"_id": conversation},
                {
                    "$max": {
                        "head": position_document(head.position),
                        **_last_message(self.messages.get(conversation)),
                    },
                    "$currentDate": {"summary_at": True},
                },
            )
            for conversation, head in self.heads.items()
        ]


def message_place(entry: Entry) -> tuple[int, int]:
    """Which message an entry leaves in a new state, and by which entry: what is later in both is what holds."""
    return entry.body.get("target", entry.offset), entry.offset


def _last_message(entry: Entry | None) -> Document:
    message = None if entry is None else left_by(entry)
    if entry is None or message is None:
        return {}
    # What deletes itself is not to be found elsewhere afterwards.
    text = "" if "expires_at" in message.body else str(message.body.get("text", ""))[:PREVIEW_CHARACTERS]
    # In this order: by which entry it is as it is decides between states of the same message.
    last = {
        "offset": message.offset,
        "changed": entry.offset,
        "sender": message.by,
        "text": text,
        "created_at": message.at,
    }
    if "deleted_at" in message.body:
        last["deleted_at"] = message.body["deleted_at"]
    return {"activity_at": message.at, "last_message": last}
