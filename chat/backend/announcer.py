"""Tells sessions what happened: events to channels, and who is in or out of a conversation, on every process."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from chat.usecases.access import Access
from chat.vocabulary import render
from chat.vocabulary.events import ConversationJoined, ConversationRemoved
from chat.vocabulary.results import Head, Position, SubscriptionData
from realtime.control import SubscribeSessions, Target, UnsubscribeSessions
from realtime.engine import Engine
from realtime.ports import Delivery
from realtime.protocol.codes import UNSUBSCRIBE_SERVER
from realtime.protocol.messages import Publication
from storage import model
from storage.model import Appended, Entry, EntryKind

log = structlog.get_logger(__name__)

MEMBERSHIP_NOTICE: Final = "membership"


class MembershipNotice(Struct, frozen=True):
    """What processes tell each other about members: `came` by the entry at `offset`, after `n` messages, or went."""

    conversation: str
    users: list[str]
    came: bool
    offset: int = 0
    n: int = 0


class Publisher:
    """What the log has committed goes out as publications. Called by the appender for every acknowledged run.

    Duplicates are published again: that heals a process that died between commit and publish, and whoever has the
    offset already drops it.
    """

    def __init__(self, epoch: str, access: Access) -> None:
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


class EngineAnnouncer:
    """Implements `chat.usecases.ports.Announcer` over the engine."""

    def __init__(self, epoch: str, access: Access) -> None:
        self._epoch = epoch
        self._access = access
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Speak through this engine from now on. Before that everything is dropped: there is nobody to tell."""
        self._engine = engine
        engine.operations.on_notice(MEMBERSHIP_NOTICE, self._heard)

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

    def put_out(self, conversation: str, users: Collection[str], *, by: str, at: int) -> None:
        for user in users:
            self.personal(user, ConversationRemoved(conversation, at, by))
        self._notify(MembershipNotice(conversation, list(users), came=False))

    def read_entries(self, conversation: str, entries: Iterable[Entry]) -> None:
        """Entries were read that this process had not heard of: who left by them loses the subscription."""
        for entry in entries:
            if entry.kind is EntryKind.MEMBER_LEFT:
                self._apply(MembershipNotice(conversation, [entry.body["user"]], came=False))

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

    def _apply(self, notice: MembershipNotice) -> None:
        self._access.forget(notice.conversation, notice.users)
        engine = self._engine
        if engine is None:
            return
        channel = render.conversation_channel(notice.conversation)
        for user in notice.users:
            if user not in engine.hub.users:
                continue
            if notice.came:
                # What was said before is history, not unread: they have read up to the entry that let them in.
                head, read = Head(notice.offset - 1, notice.n), Position(notice.offset, notice.n)
                data = render.encode(SubscriptionData(head, read))
                engine.operations.apply(
                    SubscribeSessions(
                        Target(user),
                        channel,
                        data=data,
                        positioned=True,
                        recoverable=True,
                        since_epoch=self._epoch,
                        since_offset=notice.offset - 1,
                        durable=True,
                    )
                )
            else:
                code = UNSUBSCRIBE_SERVER
                engine.operations.apply(UnsubscribeSessions(Target(user), channel, code.code, code.reason))
