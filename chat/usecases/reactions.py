"""Reacting to messages, and who has reacted."""

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from chat.usecases.access import Access
from chat.usecases.checking import check_size, given
from chat.usecases.failures import Unseen, told
from chat.usecases.rights import Right
from chat.vocabulary.reactions import (
    MessageReact,
    MessageReactions,
    MessageUnreact,
    Reacted,
    ReactionResult,
    ReactionsPage,
)
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import Conflict, NotFound
from storage.model.reaction import Reactions
from storage.store import Store

MAX_BYTES: Final = 64
_BAD: Final = ("Cc", "Cs", "Zs", "Zl", "Zp")
"""Categories of characters: control characters, halves of a pair, spaces and breaks."""


class Reacting:
    def __init__(self, store: Store, access: Access, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._access = access
        self._clock_ms = clock_ms

    async def react(self, user: str, request: MessageReact) -> ReactionResult:
        check_reaction(request.reaction)
        await self._access.require(user, request.conversation, Right.REACT)
        place = (request.conversation, request.offset)
        with told(), _of_message():
            return _result(await self._store.reactions.add(*place, user, request.reaction, at=self._clock_ms()))

    async def unreact(self, user: str, request: MessageUnreact) -> ReactionResult:
        """Also by who may not react any more: it is taking back."""
        check_reaction(request.reaction)
        await self._access.require(user, request.conversation, Right.READ)
        place = (request.conversation, request.offset)
        with told(), _of_message():
            return _result(await self._store.reactions.remove(*place, user, request.reaction, at=self._clock_ms()))

    async def reactions(self, user: str, request: MessageReactions) -> ReactionsPage:
        only = given(request.reaction)
        if only is not None:
            check_reaction(only)
            if request.after and not request.after.startswith(f"{only}|"):
                raise ClientError(codes.BAD_REQUEST, "must be the `next` of a page of that reaction", "after")
        await self._access.require(user, request.conversation, Right.READ)
        place = (request.conversation, request.offset)
        with told(), _of_message():
            now = await self._store.reactions.of(*place, user)
            rows = await self._store.reactions.page(*place, reaction=only, after=request.after, limit=request.limit + 1)
        page = rows[: request.limit]
        following = f"{page[-1].reaction}|{page[-1].user}" if len(rows) > len(page) else None
        items = [Reacted(one.user, one.reaction, one.at) for one in page]
        return ReactionsPage(items, dict(now.counts), list(now.own), following)


@contextmanager
def _of_message() -> Iterator[None]:
    """What storage says of a message, as an answer about `offset`."""
    try:
        yield
    except NotFound:
        raise Unseen("there is no message at this offset", "offset") from None
    except Conflict:
        raise ClientError(codes.CONFLICT, "the message was deleted", "offset") from None


def check_reaction(reaction: str) -> None:
    """Raises ClientError. Whether it is an emoji is not looked at: there are new ones every year."""
    if "|" in reaction or any(unicodedata.category(character) in _BAD for character in reaction):
        raise ClientError(codes.BAD_REQUEST, "must be without |, spaces and control characters", "reaction")
    check_size(len(reaction.encode()), MAX_BYTES, "reaction")


def _result(reactions: Reactions) -> ReactionResult:
    return ReactionResult(dict(reactions.counts), list(reactions.own))
