"""What changed since a client was here last: what the method takes and returns."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Conversation, User
from chat.vocabulary.types import ConversationId, Offset, PageLimit


class Sync(Struct, frozen=True):
    """What the client has: `cursors` are the offsets up to which it has everything; `revision` is that of its last
    sync.

    `before` continues a sync that did not fit one reply: it is the `next` of the reply before.
    """

    epoch: Annotated[str, Meta(max_length=64)] = ""
    revision: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    cursors: dict[ConversationId, Offset] = {}
    before: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET
    limit: PageLimit = 100


class SyncedConversation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One conversation, or thread that the user follows, that changed. `entries` are all events after the client's
    cursor; absent: page them by REST.

    `complete`: nothing is missing between the cursor, `entries` and `head`.
    """

    conversation: Conversation
    entries: list[Any] = []
    complete: bool


class Missed(Struct, frozen=True):
    """What is to be paged by REST: the entries with `after` < offset <= `upto`. Those after the client's cursor that
    are below `after` are not retained any more.
    """

    conversation: str
    after: int
    upto: int


class HiddenMessages(Struct, frozen=True):
    """Messages that the user has deleted for themselves."""

    conversation: str
    offsets: list[int]


class SyncResult(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`next`: more is to come; give it as `before`, with the same cursors and revision.

    Only in the first reply: `removed` (no longer a member, or follows the thread no longer), `hidden`, `blocked` and
    `unblocked` since the revision, and the user's own profile. `more`: these did not fit; when there is no `next`, sync
    again with the `revision` of this reply.
    """

    epoch: str
    revision: int
    conversations: list[SyncedConversation]
    removed: list[str]
    truncated: list[Missed] = []
    hidden: list[HiddenMessages] = []
    blocked: list[str] = []
    unblocked: list[str] = []
    user: User | None = None
    more: bool = False
    next: str | None = None
