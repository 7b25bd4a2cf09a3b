"""Keeping people out and keeping them quiet: what the methods take and return."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.types import ConversationId, Until, UserId


class ConversationBan(Struct, frozen=True):
    """A member is removed; a stranger is kept out. Without `until` it holds until the ban is taken off."""

    conversation: ConversationId
    user: UserId
    until: Until | UnsetType = UNSET


class ConversationUnban(Struct, frozen=True):
    conversation: ConversationId
    user: UserId


class ConversationBans(Struct, frozen=True):
    """By user id. `after` is the last user of the page before."""

    conversation: ConversationId
    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class ConversationMute(Struct, frozen=True):
    """The member reads and does not write. Without `until` it holds until it is taken off."""

    conversation: ConversationId
    user: UserId
    until: Until | UnsetType = UNSET


class ConversationUnmute(Struct, frozen=True):
    conversation: ConversationId
    user: UserId


class Ban(Struct, frozen=True, omit_defaults=True):
    """`user` is kept out since `at`, and before `until`; absent: until the ban is taken off."""

    user: str
    at: int
    until: int | None = None


class BansPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `after` for the next page; absent on the last one."""

    bans: list[Ban]
    next: str | None = None
