"""Finding messages of a conversation."""

from typing import Final

from msgspec import UNSET

from chat.usecases.access import Access
from chat.usecases.checking import given
from chat.usecases.failures import told
from chat.usecases.hiding import Hiding
from chat.usecases.history import require_root
from chat.usecases.rights import Right
from chat.vocabulary import render
from chat.vocabulary.searching import MAX_WORDS, HistorySearch, SearchResult
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.mongo.searching import Wanted
from storage.store import Store

MAX_PAGE_BYTES: Final = 48 * 1024
"""As for a page of history."""


class Searching:
    def __init__(self, store: Store, access: Access, hiding: Hiding) -> None:
        self._store = store
        self._access = access
        self._hiding = hiding

    async def search(self, user: str, request: HistorySearch) -> SearchResult:
        """One stretch of the conversation. What the user deleted for themselves is left out. Raises ClientError."""
        wanted = _wanted(request)
        conversation = request.conversation
        standing = await self._access.require(user, conversation, Right.READ)
        with told():
            hits = await self._store.searching.find(
                conversation, wanted, upto=given(request.from_offset), limit=request.limit, max_bytes=MAX_PAGE_BYTES
            )
        if hits.complete and not hits.entries:
            await require_root(self._store, conversation)
        visible = await self._hiding.visible(user, standing, conversation, hits.entries)
        return SearchResult(
            [render.message(entry) for entry in visible],
            hits.examined_to,
            None if hits.complete else hits.examined_to - 1,
        )


def _wanted(request: HistorySearch) -> Wanted:
    """Raises ClientError."""
    words = tuple(dict.fromkeys(request.text.split()))
    if len(words) > MAX_WORDS:
        raise ClientError(codes.BAD_REQUEST, f"must have at most {MAX_WORDS} words, has {len(words)}", "text")
    if any("\ud800" <= character <= "\udfff" for character in request.text):
        raise ClientError(codes.BAD_REQUEST, "must be valid Unicode", "text")
    if not words and not request.has_attachment and request.sender is UNSET:
        raise ClientError(codes.BAD_REQUEST, "give words, a sender or has_attachment", "text")
    return Wanted(
        words=words,
        sender=given(request.sender),
        after=given(request.after),
        before=given(request.before),
        has_attachment=request.has_attachment,
    )
