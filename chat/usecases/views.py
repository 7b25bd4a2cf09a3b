"""Conversations as one of their members sees them."""

from collections.abc import Sequence
from dataclasses import replace

from chat.usecases.access import foreign, parent_of
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
        # Asked first, so that it takes strangers as long to hear of what there is as of what there is not.
        member = await self.member(parent_of(conversation) or conversation, user)
        if member is None:
            raise foreign()
        with told():
            record = await self._store.conversations.get(conversation)
        if record is None:
            raise foreign()
        if record.parent is not None:
            member = await self._in_thread(record, member)
        return (await self.of([(member, record)]))[0]

    async def of(self, rows: Sequence[tuple[model.Member, model.Conversation]]) -> list[Conversation]:
        """With the peers of the direct ones in one query, and the unread mentions in one for 50 that have unread
        messages. A last message that the member has deleted for themselves is not shown.
        """
        peers = {peer for member, record in rows for peer in record.peers or () if peer != member.user}
        with told():
            rows = await self._without_hidden(await self._with_members_count(rows))
            users = await self._store.users.get_many(peers) if peers else {}
            mentions = await self._unreads.mentions_of(rows)
        return [render.conversation(record, member, users, mentions.get(record.id, 0)) for member, record in rows]

    async def _in_thread(self, thread: model.Conversation, member: model.Member) -> model.Member:
        """What a member of the conversation that it belongs to is in a thread. To whom does not follow it nothing there
        is unread.
        """
        with told():
            follower = await self._store.threads.follower(thread.id, member.user)
        if follower is not None:
            return replace(follower, role=member.role, muted_until=member.muted_until)
        return model.Member(
            conversation=thread.id,
            user=member.user,
            role=member.role,
            joined_at=thread.created_at,
            joined_offset=0,
            read=thread.head,
            revision=member.revision,
            muted_until=member.muted_until,
        )

    async def _with_members_count(
        self, rows: Sequence[tuple[model.Member, model.Conversation]]
    ) -> Sequence[tuple[model.Member, model.Conversation]]:
        """Threads have the members of the conversations that they belong to."""
        parents = {record.parent for _, record in rows if record.parent is not None}
        if not parents:
            return rows
        found = await self._store.conversations.get_many(parents)
        counts = {parent: record.members_count for parent, record in found.items()}
        return [
            (member, replace(record, members_count=counts.get(record.parent or "", record.members_count)))
            for member, record in rows
        ]

    async def _without_hidden(
        self, rows: Sequence[tuple[model.Member, model.Conversation]]
    ) -> Sequence[tuple[model.Member, model.Conversation]]:
        """One query for each user who has hidden something there; as a rule none."""
        shown: dict[str, list[tuple[str, int]]] = {}
        for member, record in rows:
            if member.hides and record.last_message is not None:
                shown.setdefault(member.user, []).append((record.id, record.last_message.offset))
        hidden = {user: await self._store.hidden.among(user, places) for user, places in shown.items()}
        return [
            (member, replace(record, last_message=None))
            if record.last_message is not None
            and (record.id, record.last_message.offset) in hidden.get(member.user, ())
            else (member, record)
            for member, record in rows
        ]

    async def member(self, conversation: str, user: str) -> model.Member | None:
        """The row of a membership that has not ended."""
        with told():
            member = await self._store.members.get(conversation, user)
        return member if member is not None and member.live else None
