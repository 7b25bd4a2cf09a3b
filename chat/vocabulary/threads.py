"""Following threads: what the methods take and return."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from chat.vocabulary.shapes import Conversation
from chat.vocabulary.types import PageLimit

ThreadId: TypeAlias = Annotated[
    str,
    Meta(pattern=r"^[a-z2-7]{26}~[1-9][0-9]{0,12}$(?!\n)", description="`<conversation>~<offset of the message>`"),
]


class ThreadFollow(Struct, frozen=True):
    """Who replies, and whose message it is, follows by themselves."""

    conversation: ThreadId


class ThreadUnfollow(Struct, frozen=True):
    conversation: ThreadId


class ThreadList(Struct, frozen=True):
    """Newest activity first. `before` is the `next` of the page before."""

    limit: PageLimit = 50
    before: Annotated[str, Meta(max_length=128)] | UnsetType = UNSET


class ThreadResult(Struct, frozen=True):
    thread: Conversation


class ThreadPage(Struct, frozen=True, omit_defaults=True):
    """`next` is to be given as `before` for the next page; absent on the last one."""

    threads: list[Conversation]
    next: str | None = None
