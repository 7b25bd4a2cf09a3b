"""Tells sessions what happened: events to channels, and who is in or out of a conversation, on every process."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from chat.usecases.access import Access, changed_users
from chat.vocabulary import render
from chat.vocabulary.connecting import Head, SubscriptionData
from chat.vocabulary.events import (
    ConversationJoined,
    ConversationRemoved,
    MemberChanged,
    MemberLeft,
    ThreadFollowed,
    ThreadUnfollowed,
)
from chat.vocabulary.shapes import Position
from realtime.control import SubscribeSessions, Target, UnsubscribeSessions
from realtime.engine import Engine
from realtime.ports import Bus, Delivery
from realtime.protocol.codes import UNSUBSCRIBE_SERVER
from realtime.protocol.messages import Publication
from storage import model
from storage.model import Appended, Entry, EntryKind

log = structlog.get_logger(__name__)

MEMBERSHIP_NOTICE: Final = "membership"

STANDING_NOTICE: Final = "standing"

MAX_MOVED: Final = 20_000
"""Members of whom it is remembered by which entry they came or went last. Of whoever is forgotten an old notice, or an
old part of the log, is believed once more.
"""

_OF_MEMBERS: Final = (b'{"type":"member.left"', b'{"type":"member.changed"')

_LONGEST: Final = max(map(len, _OF_MEMBERS))

_CAME_OR_WENT: Final = (EntryKind.MEMBER_JOINED, EntryKind.MEMBER_LEFT)


class MembershipNotice(Struct, frozen=True):
    """What processes tell each other about members: `came` by the entry at `offset`, after `n` messages, or went by it
    (0: by none, or by one that is not known).

    `read`: how far who came has read, (offset, n); None: up to that entry.
    """

    conversation: str
    users: list[str]
    came: bool
    offset: int = 0
    n: int = 0
    read: tuple[int, int] | None = None


class StandingNotice(Struct, frozen=True):
    """What one process has changed about members without an entry of the log that would tell the others."""

    conversation: str
    users: list[str]


class Publisher:
    """What the log has committed goes out as publications. Called by the appender for every acknowledged run.

    Duplicates are published again: that heals a process that died between commit and publish, and whoever has the
    offset already drops it. `on_entries` is called with them after that.
    """

    def __init__(self, epoch: str, access: Access) -> None:
        self.on_entries: Callable[[Sequence[Entry]], None] = lambda _entries: None
        self._epoch = epoch
        self._access = access
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        self._engine = engine

    def committed(self, run: Sequence[Appended]) -> None:
        entries = [appended.entry for appended in run]
        self._access.examined(entries[0].conversation, entries)
        if self._engine is None:
            return
        for entry in entries:
            channel = render.conversation_channel(entry.conversation)
            self._engine.hub.publish(Delivery(channel, "pub", render.publication(entry), self._epoch))
        self.on_entries(entries)


class BusPublisher:
    """What a process without sessions has committed: for the others, by the bus."""

    def __init__(self, epoch: str, bus: Bus) -> None:
        self._epoch = epoch
        self._bus = bus

    def committed(self, run: Sequence[Appended]) -> None:
        for appended in run:
            channel = render.conversation_channel(appended.entry.conversation)
            self._bus.publish(Delivery(channel, "pub", render.publication(appended.entry), self._epoch), echo=False)


class EngineAnnouncer:
    """Implements `chat.usecases.ports.Announcer` over the engine.

    `on_out` is called with whoever is out of a conversation, or follows a thread no longer, on whichever process.
    """

    def __init__(self, epoch: str, access: Access) -> None:
        self.on_out: Callable[[str, Collection[str]], None] = lambda _conversation, _users: None
        self._epoch = epoch
        self._access = access
        self._engine: Engine | None = None
        self._moved: OrderedDict[tuple[str, str], int] = OrderedDict()

    def attach(self, engine: Engine) -> None:
        """Speak through this engine from now on. Before that everything is dropped: there is nobody to tell."""
        self._engine = engine
        engine.operations.on_notice(MEMBERSHIP_NOTICE, self._heard)
        engine.operations.on_notice(STANDING_NOTICE, self._heard_standing)

    def ephemeral(self, conversation: str, event: Struct) -> None:
        if self._engine is not None:
            channel = render.conversation_channel(conversation)
            self._engine.hub.publish(Delivery(channel, "pub", Publication(render.encode(event))))

    def personal(self, user: str, event: Struct) -> None:
        if self._engine is not None:
            self._engine.hub.publish(Delivery(render.user_channel(user), "pub", Publication(render.encode(event))))

    def let_in(self, conversation: str, users: Collection[str], *, position: model.Position, by: str, at: int) -> None:
        self._notify(MembershipNotice(conversation, list(users), True, position.offset, position.n))
        for user in users:
            self.personal(user, ConversationJoined(conversation, at, by))

    def put_out(self, conversation: str, users: Collection[str], *, offset: int, by: str, at: int) -> None:
        for user in users:
            self.personal(user, ConversationRemoved(conversation, at, by))
        self._notify(MembershipNotice(conversation, list(users), came=False, offset=offset))

    def followed(self, thread: str, read: Mapping[str, model.Position], *, after: model.Position, at: int) -> None:
        for user, position in read.items():
            place = (position.offset, position.n)
            self._notify(MembershipNotice(thread, [user], True, after.offset + 1, after.n, place))
            self.personal(user, ThreadFollowed(thread, at))

    def unfollowed(self, thread: str, user: str, *, at: int) -> None:
        self.personal(user, ThreadUnfollowed(thread, at))
        self._notify(MembershipNotice(thread, [user], came=False))

    def outdated(self, conversation: str, users: Collection[str]) -> None:
        self._access.forget(conversation, users)
        if self._engine is not None:
            notice = StandingNotice(conversation, list(users))
            self._engine.operations.notify(STANDING_NOTICE, msgspec.json.encode(notice))

    def heard(self, delivery: Delivery) -> None:
        """Something came over the bus. The notice of who left may be lost where the entry is not: they take different
        ways, and a cursor that has it is never read over again.
        """
        if not bytes(memoryview(delivery.publication.data)[:_LONGEST]).startswith(_OF_MEMBERS):
            return
        try:
            event = msgspec.json.decode(delivery.publication.data, type=MemberLeft | MemberChanged)
        except msgspec.MsgspecError:
            return  # of another version; the log says the same
        self._access.forget(event.conversation, [event.user])
        if isinstance(event, MemberLeft) and event.offset > self._moved.get((event.conversation, event.user), 0):
            self._apply(MembershipNotice(event.conversation, [event.user], came=False, offset=event.offset))

    def committed(self, entries: Iterable[Entry]) -> None:
        """These were committed here. Whoever asked for it may have given up waiting, and will tell nobody."""
        for entry in entries:
            if entry.kind is EntryKind.MEMBER_LEFT:
                users = list(changed_users(entry))
                self._apply(MembershipNotice(entry.conversation, users, came=False, offset=entry.offset))

    def out(self, conversation: str, users: Collection[str]) -> None:
        """These were looked up, and are no members."""
        self._apply(MembershipNotice(conversation, list(users), came=False))

    def found(self, member: model.Member) -> None:
        """Somebody was found to have come in without a notice."""
        read = member.read
        notice = MembershipNotice(
            member.conversation, [member.user], True, member.joined_offset, read.n, (read.offset, read.n)
        )
        self._apply(notice)

    def read_entries(self, conversation: str, entries: Iterable[Entry]) -> None:
        """Entries were read. Where this process had not heard of them, it had not heard their notices either, as a
        rule: who came or left by them is subscribed or not, as the last of them says.
        """
        heard = self._offset(render.conversation_channel(conversation))
        last: dict[str, MembershipNotice] = {}
        for entry in entries:
            if heard is not None and entry.offset > heard and entry.kind in _CAME_OR_WENT:
                came = entry.kind is EntryKind.MEMBER_JOINED
                for user in changed_users(entry):
                    if entry.offset > self._moved.get((conversation, user), 0):
                        last[user] = MembershipNotice(conversation, [user], came, entry.offset, entry.n)
        for notice in last.values():
            self._apply(notice)

    def _offset(self, channel: str) -> int | None:
        """Up to where this process has heard what happens in a channel; None where it does not listen."""
        local = None if self._engine is None else self._engine.hub.channels.get(channel)
        return None if local is None or local.cursor is None else local.offset

    def _notify(self, notice: MembershipNotice) -> None:
        self._apply(notice)
        if self._engine is not None:
            self._engine.operations.notify(MEMBERSHIP_NOTICE, msgspec.json.encode(notice))

    def _heard(self, data: bytes) -> None:
        try:
            notice = msgspec.json.decode(data, type=MembershipNotice)
        except msgspec.MsgspecError as error:
            log.warning("notice_not_understood", subject=MEMBERSHIP_NOTICE, error=str(error))
            return
        self._apply(notice)

    def _heard_standing(self, data: bytes) -> None:
        try:
            notice = msgspec.json.decode(data, type=StandingNotice)
        except msgspec.MsgspecError as error:
            log.warning("notice_not_understood", subject=STANDING_NOTICE, error=str(error))
            return
        self._access.forget(notice.conversation, notice.users)

    def _apply(self, notice: MembershipNotice) -> None:
        self._access.forget(notice.conversation, notice.users)
        if not notice.came:
            self.on_out(notice.conversation, notice.users)
        engine = self._engine
        if engine is None:
            return
        channel = render.conversation_channel(notice.conversation)
        # For users who are not here as well: they may be about to connect, by what was true before.
        for user in notice.users:
            if not self._is_news(user, notice):
                continue
            if notice.came:
                engine.operations.apply(self._subscribe(user, channel, notice))
            else:
                code = UNSUBSCRIBE_SERVER
                engine.operations.apply(UnsubscribeSessions(Target(user), channel, code.code, code.reason))
                # Whoever is out of a conversation is out of its threads.
                threads = render.threads_prefix(notice.conversation)
                engine.operations.apply(UnsubscribeSessions(Target(user), threads, code.code, code.reason, prefix=True))

    def _is_news(self, user: str, notice: MembershipNotice) -> bool:
        """False for what was overtaken: notices wait in their sender's queue while Redis is away, entries do not."""
        if not notice.offset:
            return True
        member = (notice.conversation, user)
        known = self._moved.get(member, 0)
        self._moved[member] = max(notice.offset, known)
        self._moved.move_to_end(member)
        if len(self._moved) > MAX_MOVED:
            self._moved.popitem(last=False)
        return notice.offset >= known

    def _subscribe(self, user: str, channel: str, notice: MembershipNotice) -> SubscribeSessions:
        # What was said before is history, not unread: whoever comes has read up to the entry that let them in.
        before = notice.offset - 1
        read = notice.read or (notice.offset, notice.n)
        data = SubscriptionData(Head(before, notice.n), Position(*read))
        return SubscribeSessions(
            Target(user),
            channel,
            data=render.encode(data),
            positioned=True,
            recoverable=True,
            since_epoch=self._epoch,
            since_offset=before,
            durable=True,
        )
