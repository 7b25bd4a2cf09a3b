"""Conversations as one of their members sees them."""

from collections.abc import Sequence

from chat.usecases.access import foreign
from chat.usecases.failures import told
from chat.usecases.unread import Unreads
from chat.vocabulary import render
from chat.vocabulary.shapes import Conversation
from storage import model
from storage.store import Store


class Views:
    """Reads what a view needs besides the conversation's row. Everything raises ClientError."""

    def __init__(self, store: Store, unreads: Unreads) -> None:
        self._store = store
        self._unreads = unreads

    async def one(self, user: str, conversation: str) -> Conversation:
        """Raises ClientError for whoever is no member now."""
        with told():
            record = await self._store.conversations.get(conversation)
        member = await self.member(conversation, user)
        if record is None or member is None:
            raise foreign()
        return (await self.of([(member, record)]))[0]

    async def of(self, rows: Sequence[tuple[model.Member, model.Conversation]]) -> list[Conversation]:
        """With the peers of the direct ones in one query, and the unread mentions in one for 50 that have unread
        messages.
        """
        peers = {peer for member, record in rows for peer in record.peers or () if peer != member.user}
        with told():
            users = await self._store.users.get_many(peers) if peers else {}
            mentions = await self._unreads.mentions_of(rows)
        return [render.conversation(record, member, users, mentions.get(record.id, 0)) for member, record in rows]

    async def member(self, conversation: str, user: str) -> model.Member | None:
        """The row of a membership that has not ended."""
        with told():
            member = await self._store.members.get(conversation, user)
        return member if member is not None and member.live else None
