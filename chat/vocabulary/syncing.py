"""What changed since a client was here last: what the method takes and returns."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Conversation
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
