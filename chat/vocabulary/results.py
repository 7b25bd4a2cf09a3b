"""What methods return and events carry. Fields that are empty are left out, unless they have no default here."""

from typing import Any, Literal

from msgspec import Struct


class Position(Struct, frozen=True):
    """`offset` in the log and `n`, the count of messages up to it: unread = `head.n - read.n`."""

    offset: int
    n: int


class User(Struct, frozen=True, omit_defaults=True):
    id: str
    name: str
    avatar_url: str = ""
    locale: str = ""
    custom: dict[str, Any] = {}
    last_seen_at: int | None = None


class Message(Struct, frozen=True, omit_defaults=True):
    """Addressed by (conversation, offset); `id` is both in one. Times are ms UTC."""

    id: str
    conversation: str
    offset: int
    n: int
    sender: str
    text: str
    created_at: int
    idempotency_key: str | None = None
    content: dict[str, Any] | None = None
    reply_to: int | None = None
    mentions: list[str] = []
    attachments: list[dict[str, Any]] = []
    custom: dict[str, Any] = {}


class LastMessage(Struct, frozen=True):
    """The newest message as a list shows it; `text` is its first 100 characters."""

    offset: int
    sender: str
    text: str
    created_at: int


class Conversation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A conversation as one member sees it. `peer` is the other user of a direct one."""

    id: str
    kind: str
    title: str
    role: str
    members_count: int
    head: Position
    read: Position
    unread: int
    activity_at: int
    created_at: int
    updated_at: int
    custom: dict[str, Any] = {}
    external_id: str | None = None
    peer: User | None = None
    parent: str | None = None
    last_message: LastMessage | None = None


class Member(Struct, frozen=True):
    user: str
    role: str
    joined_at: int
    read: Position


class Done(Struct, frozen=True):
    """Nothing to say but that it is done."""


class MessageSent(Struct, frozen=True):
    message: Message
    duplicate: bool


class MessageResult(Struct, frozen=True):
    message: Message


class ConversationResult(Struct, frozen=True):
    conversation: Conversation


class ConversationCreated(Struct, frozen=True):
    """`duplicate`: it was there before (the same key, external id or pair of users)."""

    conversation: Conversation
    duplicate: bool


class ConversationPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `before` for the next page; absent on the last one."""

    conversations: list[Conversation]
    next: str | None = None


class MembersPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `after` for the next page; absent on the last one."""

    members: list[Member]
    next: str | None = None


class PageInfo(Struct, frozen=True, omit_defaults=True):
    """`oldest` and `newest` are the bounds to page on from; `truncated_by`: why there are fewer than asked for."""

    has_before: bool
    has_after: bool
    oldest: int | None = None
    newest: int | None = None
    truncated_by: str | None = None


class MessagePage(Struct, frozen=True):
    """Messages in ascending order, whichever way one pages."""

    items: list[Message]
    page: PageInfo


class ReadResult(Struct, frozen=True):
    read: Position
    unread: int


class PresenceOf(Struct, frozen=True, omit_defaults=True):
    user: str
    online: bool = False
    last_seen_at: int | None = None


class PresenceResult(Struct, frozen=True):
    presence: list[PresenceOf]


class UserResult(Struct, frozen=True):
    user: User


class SyncedConversation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One conversation that changed. `entries` are all events after the client's cursor; absent: page them by REST.

    `complete`: nothing is missing between the cursor, `entries` and `head`.
    """

    conversation: Conversation
    entries: list[Any] = []
    complete: bool


class SyncResult(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`removed`: no longer a member. `next`: more is to come; give it as `before`, with the same cursors and
    revision.
    """

    epoch: str
    revision: int
    conversations: list[SyncedConversation]
    removed: list[str]
    next: str | None = None


class Limits(Struct, frozen=True):
    """What a client must keep to. Sizes in bytes of UTF-8 JSON. The reply to a connect has so many conversations by
    newest activity, or so many of those that were named to recover.
    """

    message_text_bytes: int
    command_data_bytes: int
    frame_bytes: int
    channels: int
    page: int
    conversations_on_connect: int
    conversations_to_recover: int


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


PresenceState = Literal["online", "offline"]
