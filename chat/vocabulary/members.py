"""Who comes, goes and may do what: what the methods take and return."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Member
from chat.vocabulary.types import ConversationId, UserId

MAX_MEMBERS_AT_ONCE = 1000


class ConversationJoin(Struct, frozen=True):
    conversation: ConversationId


class ConversationLeave(Struct, frozen=True):
    conversation: ConversationId


class ConversationAddMembers(Struct, frozen=True):
    conversation: ConversationId
    members: Annotated[list[UserId], Meta(min_length=1, max_length=MAX_MEMBERS_AT_ONCE)]
    role: Literal["admin", "moderator", "member", "reader"] | UnsetType = UNSET


class ConversationRemoveMember(Struct, frozen=True):
    conversation: ConversationId
    user: UserId


class ConversationSetRole(Struct, frozen=True):
    conversation: ConversationId
    user: UserId
    role: Literal["owner", "admin", "moderator", "member", "reader"]


class ConversationMembers(Struct, frozen=True):
    """By user id. `after` is the last user of the page before."""

    conversation: ConversationId
    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class MembersPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `after` for the next page; absent on the last one."""

    members: list[Member]
    next: str | None = None
