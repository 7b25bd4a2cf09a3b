"""How far one has read and received, what is unread, and what one is mentioned in."""

from typing import Final

from chat.methods.method import Method
from chat.vocabulary import reading

METHODS: Final = (
    Method(
        "read.mark",
        reading.ReadMark,
        reading.ReadResult,
        lambda service, user, request: service.reading.mark(user, request),
        "Everything up to the offset is read.",
    ),
    Method(
        "read.mark_unread",
        reading.ReadMarkUnread,
        reading.ReadResult,
        lambda service, user, request: service.reading.mark_unread(user, request),
        "Show the conversation as unread from the offset on, on all one's devices.",
    ),
    Method(
        "read.totals",
        reading.ReadTotals,
        reading.TotalsResult,
        lambda service, user, request: service.unreads.totals(user, request),
        "What is unread altogether: the number on the icon of an app.",
    ),
    Method(
        "delivered.mark",
        reading.DeliveredMark,
        reading.DeliveredResult,
        lambda service, user, request: service.reading.mark_delivered(user, request),
        "A device has everything up to the offset.",
    ),
    Method(
        "message.seen_by",
        reading.MessageSeenBy,
        reading.SeenByPage,
        lambda service, user, request: service.receipts.seen_by(user, request),
        "Who has received and read a message.",
    ),
    Method(
        "mention.list",
        reading.MentionList,
        reading.MentionPage,
        lambda service, user, request: service.mentions.list_of(user, request),
        "Messages that mention the caller.",
    ),
)
