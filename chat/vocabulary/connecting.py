"""What a client is told when it connects and subscribes."""

from msgspec import Struct

from chat.vocabulary.members import MAX_MEMBERS_AT_ONCE
from chat.vocabulary.messages import MAX_AT_ONCE, MAX_ATTACHMENTS, MAX_EDITS, MAX_MENTIONS, MAX_PINS
from chat.vocabulary.shapes import Position


class Limits(Struct, frozen=True):
    """What a client must keep to. Sizes in bytes of UTF-8 JSON. The reply to a connect has so many conversations by
    newest activity, or so many of those that were named to recover. Receipts are shown in conversations of at most
    `receipts_members`; up to `mention_group_members` everyone who may write may mention all.
    A file has at most `upload_bytes` (0: no uploads).

    `content_bytes` is the size of a message's `content`, and of its `attachments` together. `edits` are those of one
    message, `pins` those of one conversation; `at_once`: messages that one deletion for oneself names,
    `members_at_once`: members that one request adds. `request_bytes` is the body of a REST request, `recovery_entries`
    what one conversation may have missed to be resumed; `connections` are those of one user (0: no limit).

    Rates are so many a second after so many at once, 0: no limit. `commands` are those of one connection,
    `user_commands` those of all connections and REST requests of a user, `sends` messages and publications of a user.
    """

    message_text_bytes: int
    command_data_bytes: int
    frame_bytes: int
    channels: int
    page: int
    conversations_on_connect: int
    conversations_to_recover: int
    receipts_members: int = 100
    mention_group_members: int = 100
    upload_bytes: int = 0
    upload_types: list[str] = []
    content_bytes: int = 32 * 1024
    custom_bytes: int = 16 * 1024
    attachments: int = MAX_ATTACHMENTS
    mentions: int = MAX_MENTIONS
    edits: int = MAX_EDITS
    pins: int = MAX_PINS
    at_once: int = MAX_AT_ONCE
    members_at_once: int = MAX_MEMBERS_AT_ONCE
    request_bytes: int = 1024 * 1024
    recovery_entries: int = 1000
    connections: int = 0
    commands_per_s: int = 0
    commands_at_once: int = 0
    user_commands_per_s: int = 0
    user_commands_at_once: int = 0
    sends_per_s: int = 0
    sends_at_once: int = 0


class ConnectData(Struct, frozen=True, omit_defaults=True):
    """`data` of the connect reply. `left_out`: conversations that are not subscribed until something happens there."""

    time: int
    limits: Limits
    revision: int = 0
    left_out: int = 0


class Head(Struct, frozen=True, omit_defaults=True):
    """The end of a log; `n` is absent where only the offset is at hand, and the next message tells it."""

    offset: int
    n: int | None = None


class SubscriptionData(Struct, frozen=True, omit_defaults=True):
    """`data` of a subscription to a conversation; `read` is absent like `n` of the head, and then is in the list."""

    head: Head
    read: Position | None = None
