"""Conversations as channels of a session: which ones at connect, from where on, and by a subscribe of the client."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from chat.backend.logfeed import LogFeed
from chat.usecases.access import Access, foreign, parent_of
from chat.usecases.failures import told
from chat.usecases.rights import Right
from chat.vocabulary import render
from chat.vocabulary.connecting import Head, SubscriptionData
from chat.vocabulary.types import CONVERSATION_ID
from realtime.backend import Grant
from realtime.confirming import MAX_CONFIRMED
from realtime.protocol import recovery
from realtime.protocol.messages import Payload, Resume, SubscribeRequest
from storage import model
from storage.model import ids
from storage.store import Store

_CONVERSATION: Final = re.compile(CONVERSATION_ID)

RECENT_MS: Final = 15_000
"""A conversation with activity this fresh may have entries that its summary does not tell of yet: the log is looked
at.
"""

MAX_WATCHED: Final = 1_000
"""Conversations beyond those of the reply that a session is subscribed to as soon as something happens there."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a connecting session gets: subscriptions in its reply, and the rest of its conversations. `latest`: those of
    the reply where something happened last.
    """

    subscribed: Mapping[str, Grant]
    watched: Mapping[str, Grant]
    left_out: int
    latest: Sequence[str] = ()


class ConversationChannels:
    """Makes grants for `conv:` channels."""

    def __init__(
        self,
        store: Store,
        access: Access,
        feed: LogFeed,
        clock_ms: Callable[[], int],
        *,
        on_connect: int,
        to_recover: int,
        max_missed: int,
    ) -> None:
        self._store = store
        self._access = access
        self._feed = feed
        self._clock_ms = clock_ms
        self._on_connect = on_connect
        self._to_recover = to_recover
        self._max_missed = max_missed

    async def choose(self, user: str, named: Mapping[str, Resume]) -> Chosen:
        """Those that the client names to recover come first (up to a limit), then by newest activity.

        Raises ClientError (temporary) when they cannot be determined: with fewer, SDKs would forget positions.
        """
        with told():
            memberships = await self._store.inbox.of_user_for_connect(user)
        by_channel = {render.conversation_channel(one.conversation): one for one in memberships}
        first = [name for name, wish in named.items() if wish.recover and name in by_channel][: self._to_recover]
        chosen = dict.fromkeys(first)
        for name in by_channel:
            if len(chosen) >= max(self._on_connect, len(first)):
                break
            chosen[name] = None
        having = {name: by_channel[name] for name in chosen}
        tails = await self._tails_beyond(having, named)
        subscribed = {name: self._of_membership(one, tails.get(one.conversation)) for name, one in having.items()}
        rest = [one for name, one in by_channel.items() if name not in chosen]
        watched = {
            render.conversation_channel(one.conversation): self._of_membership(one, None) for one in rest[:MAX_WATCHED]
        }
        latest = tuple(islice((name for name in by_channel if name in chosen), MAX_CONFIRMED))
        return Chosen(subscribed, watched, len(rest), latest)

    async def _tails_beyond(
        self, memberships: Mapping[str, model.Membership], named: Mapping[str, Resume]
    ) -> Mapping[str, model.Position]:
        """Of those conversations of which the client has more than the summary tells: the log knows. By one query."""
        wanted: dict[str, int] = {}
        for name, one in memberships.items():
            wish = named.get(name)
            if wish is not None and wish.recover and wish.offset > one.head.offset and self._same_epoch(wish.epoch):
                wanted[one.conversation] = wish.offset
        if not wanted:
            return {}
        with told():
            return await self._store.tails.reaching(wanted)

    async def subscribe(self, user: str, request: SubscribeRequest) -> Grant:
        """A subscribe by the client itself. Foreign and missing conversations are refused alike."""
        conversation = request.channel.removeprefix(render.CONVERSATION_PREFIX)
        if _CONVERSATION.fullmatch(conversation) is None:
            raise foreign()
        await self._access.require(user, conversation, Right.READ)
        with told():
            head = await self._store.log.tail(conversation)
            parent = parent_of(conversation)
            member = await self._store.members.get(parent or conversation, user)
            if member is None or not member.live:
                # What was known of the member may be older than this row.
                raise foreign()
            read = member.read if parent is None else await self._read_in_thread(user, conversation, head)
            # Where it is kept from, for who wants what follows a position.
            first = await self._store.log.first(conversation) if request.recover else None
        return self._grant(head, read, oldest=1 if first is None else first.offset, verify=False)

    async def _read_in_thread(self, user: str, thread: str, head: model.Position) -> model.Position:
        """How far; whoever does not follow it has nothing unread there. Below a message to which nobody has replied yet
        the thread begins with the first reply.
        """
        if not head.offset:
            root = ids.thread_root(thread)
            message = None if root is None else await self._store.log.get(*root)
            if message is None or message.kind is not model.EntryKind.MESSAGE_CREATED:
                raise foreign()
        follower = await self._store.threads.follower(thread, user)
        return head if follower is None else follower.read

    def _of_membership(self, membership: model.Membership, tail: model.Position | None) -> Grant:
        head = membership.head if tail is None else max(membership.head, tail)
        fresh = self._clock_ms() - membership.activity_at < RECENT_MS
        return self._grant(head, membership.read, oldest=membership.oldest, verify=fresh)

    def _grant(self, head: model.Position, read: model.Position, *, oldest: int, verify: bool) -> Grant:
        end = max(head, read)
        data = SubscriptionData(Head(end.offset, end.n), render.position(read))
        return Grant(
            data=render.encode(data),
            positioned=True,
            recoverable=True,
            feed=self._feed,
            position=recovery.Position(self._store.epoch, head.offset),
            max_missed=self._max_missed,
            oldest=oldest,
            verify=verify,
        )

    def _same_epoch(self, epoch: str) -> bool:
        return epoch in ("", self._store.epoch)

    @staticmethod
    def head_data(offset: int) -> Payload:
        """The data of a `subscribe` push, where only the offset is known."""
        return render.encode(SubscriptionData(Head(offset)))
