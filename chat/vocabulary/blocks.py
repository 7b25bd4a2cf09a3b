"""Whom one does not want to hear from: what the methods take and return."""

from typing import Annotated

from msgspec import Meta, Struct

from chat.vocabulary.types import UserId


class UserBlock(Struct, frozen=True):
    user: UserId


class UserUnblock(Struct, frozen=True):
    user: UserId


class UserBlocked(Struct, frozen=True):
    """By user id. `after` is the last user of the page before."""

    after: Annotated[str, Meta(max_length=64)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


class BlockedUser(Struct, frozen=True):
    user: str
    at: int


class BlockedPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `after` for the next page; absent on the last one."""

    blocked: list[BlockedUser]
    next: str | None = None
