"""Who is connected to this process, and how a publication reaches them.

The hub is synchronous: it never waits for a socket, for Redis or for the store. What needs waiting is put on a
worklist: `gaps` for repair (deliveries the bus lost), `unsettled` for channels that the bus may not hear yet, `behind`
for catch-up (sessions whose position is not the channel's), `departed` for presence.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Protocol

import structlog

from realtime.channel import Accepted, Channel, Receiver, Subscription
from realtime.hot import HotChannels
from realtime.ports import Bus, Delivery, Presence
from realtime.protocol.codes import CLOSE_INSUFFICIENT_STATE, Disconnect
from realtime.protocol.messages import ClientInfo, Publication
from realtime.stats import Stats
from realtime.worklist import Worklist

log = structlog.get_logger(__name__)


class Member(Receiver, Protocol):
    """A session, as the hub sees it."""

    @property
    def client(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def subscriptions(self) -> dict[str, Subscription]: ...

    @property
    def watched(self) -> set[str]:
        """Channels that become subscriptions with their next publication."""

    def info(self, subscription: Subscription) -> ClientInfo:
        """Who this is, as join, leave and presence of a channel tell it."""

    def end(self, disconnect: Disconnect, reason: str = "") -> None:
        """Close the connection with a code; returns at once."""

    def promote(self, name: str, epoch: str, first: Publication) -> Subscription:
        """A watched channel becomes a subscription that starts with `first`: tell the client so."""

    def lost_position(self, name: str) -> None:
        """The channel's stream was restarted under this session: make the client recover."""


class Hub:
    """Registry and fan-out of one process. Everything happens on the event loop, in one piece.

    Bounds: sessions by the listener's admission, subscriptions per session by the backend, channels by both.
    Publications that arrive within one turn of the loop are sent together at its end.
    """

    def __init__(self, *, bus: Bus, presence: Presence, stats: Stats, hot: HotChannels) -> None:
        self._bus = bus
        self._presence = presence
        self._stats = stats
        self.hot = hot
        self._dirty: dict[Channel[Member], None] = {}
        self._flush_scheduled = False
        self.sessions: dict[str, Member] = {}
        self.users: dict[str, set[Member]] = {}
        self.channels: dict[str, Channel[Member]] = {}
        self.present: dict[tuple[str, str], Member] = {}
        """Who is to be kept alive in presence, by channel and client."""
        self.departed: Worklist[tuple[str, str]] = Worklist()
        self.unsettled: Worklist[str] = Worklist()
        self.gaps: Worklist[Channel[Member]] = Worklist()
        self.behind: Worklist[Member] = Worklist()
        self.devices = 0
        """Connected sessions that are a device's. While there is one, the next two are kept."""
        self.moved: dict[Channel[Member], None] = {}
        """Where somebody's position may have moved, until it is looked at."""
        self.unconfirmed: dict[Member, None] = {}
        """Devices' sessions whose peers have not confirmed all that they were given."""
        self.on_heard: Callable[[Delivery], None] = _nothing
        """Called with everything from the bus before it is delivered. It must neither block nor raise."""

    def add(self, member: Member) -> None:
        """Register a session whose connect was accepted."""
        self.sessions[member.client] = member
        if member.user:
            of_user = self.users.setdefault(member.user, set())
            if not of_user:
                self._presence.user_online(member.user)
            of_user.add(member)
        self._count()

    def remove(self, member: Member) -> bool:
        """Forget a session and its subscriptions. True when it was the user's last one here."""
        if self.sessions.pop(member.client, None) is None:
            return False
        self.unconfirmed.pop(member, None)
        for name in tuple(member.subscriptions):
            self.unsubscribe(member, name)
        for name in tuple(member.watched):
            self.unwatch(member, name)
        of_user = self.users.get(member.user)
        last = False
        if of_user is not None:
            of_user.discard(member)
            if not of_user:
                del self.users[member.user]
                self._presence.user_offline(member.user)
                last = True
        self._count()
        return last

    def channel(self, name: str) -> Channel[Member]:
        """The local state of a channel; made, and subscribed on the bus, when it is not there yet."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name)
            self._bus.subscribe(name)
            self._stats.channels = len(self.channels)
        return channel

    def cursor_of(self, name: str) -> int | None:
        """How far the channel was heard of, in order; None where it has no positions here."""
        channel = self.channels.get(name)
        return None if channel is None or channel.cursor is None else channel.offset

    @contextmanager
    def holding(self, names: Iterable[str]) -> Iterator[None]:
        """Inside, these channels exist and are heard, whoever leaves them: for the time between asking where a channel
        stands and joining it there.
        """
        held = [self.channel(name) for name in names]
        for channel in held:
            channel.holds += 1
        try:
            yield
        finally:
            for channel in held:
                channel.holds -= 1
                self._drop_if_empty(channel)

    def subscribe(self, member: Member, name: str, subscription: Subscription, *, at: int | None) -> None:
        """Let a member in at an offset. Its reply must be written in the same turn of the loop."""
        channel = self.channel(name)
        self._flush_channel(channel)
        # By the channel's own copy of its name: each member's would be another one.
        member.subscriptions[channel.name] = subscription
        channel.watchers.pop(member, None)
        member.watched.discard(name)
        if subscription.push_join_leave:
            channel.hearers[member] = None
        if subscription.presence:
            self.present[name, member.client] = member
        if not channel.add(member, at):
            self.behind.put(member)
            if at is not None and at > channel.offset:
                self.gaps.put(channel)
        self._stats.subscriptions += 1

    def reposition(self, member: Member, name: str, at: int) -> None:
        """Set a subscribed member back to an offset: what follows it is sent again, then live."""
        channel = self.channel(name)
        self._flush_channel(channel)
        channel.leave(member)
        if not channel.add(member, at):
            self.behind.put(member)

    def send_pending(self, name: str) -> None:
        """Send what would go out at the end of this turn, so that what is written next comes after it."""
        if (channel := self.channels.get(name)) is not None:
            self._flush_channel(channel)

    def unsubscribe(self, member: Member, name: str) -> Subscription | None:
        subscription = member.subscriptions.pop(name, None)
        channel = self.channels.get(name)
        if channel is not None:
            channel.remove(member)
            self._drop_if_empty(channel)
        if subscription is not None:
            self._stats.subscriptions -= 1
            if subscription.presence or subscription.join_leave:
                self._left(member, name, subscription)
        return subscription

    def absent(self, name: str, client: str) -> None:
        """A client that was entered in a channel's presence is not going to be subscribed."""
        if (name, client) not in self.present:
            self.departed.put((name, client))

    def watch(self, member: Member, names: Iterable[str]) -> None:
        """Subscribe the member to these channels as soon as something is published there."""
        for name in names:
            channel = self.channel(name)
            channel.watchers[member] = None
            member.watched.add(channel.name)

    def unwatch(self, member: Member, name: str) -> None:
        member.watched.discard(name)
        channel = self.channels.get(name)
        if channel is not None:
            channel.watchers.pop(member, None)
            self._drop_if_empty(channel)

    def caught_up(self, member: Member, channel: Channel[Member]) -> None:
        """The member's position has reached the channel's: it is live from now on."""
        self._flush_channel(channel)
        channel.behind.pop(member, None)
        channel.add(member, channel.offset if channel.cursor is not None else None)
        if self.devices:
            self.moved[channel] = None

    def stands(self, member: Member, names: Iterable[str]) -> dict[str, int]:
        """Up to where everything was handed to the member. Channels in which it is behind, or has no position, or where
        something goes out at the end of this turn, are left out.
        """
        found: dict[str, int] = {}
        for name in names:
            channel = self.channels.get(name)
            if channel is None or channel.cursor is None or channel.pending:
                continue
            if name in member.subscriptions and member not in channel.behind:
                found[name] = channel.offset
        return found

    def publish(self, delivery: Delivery) -> None:
        """Deliver to the local sessions at once and to the other processes by the bus."""
        self._bus.publish(delivery, echo=False)
        self._stats.bus_published += 1
        if delivery.kind == "pub":
            self.count_published()
        self.deliver(delivery)

    def count_published(self) -> None:
        """A publication was taken from a client or an API: here, or by whoever gave it to a stream."""
        self._stats.publications_in += 1

    def heard(self, delivery: Delivery) -> None:
        """Take in a delivery from the bus."""
        self._stats.bus_received += 1
        self.on_heard(delivery)
        self.deliver(delivery)

    def deliver(self, delivery: Delivery) -> None:
        """Take in a delivery, our own or one from the bus."""
        channel = self.channels.get(delivery.channel)
        if channel is None:
            return
        match channel.accept(delivery):
            case Accepted.TAKEN:
                self._touch(channel)
            case Accepted.DUPLICATE:
                self._stats.bus_duplicates += 1
            case Accepted.HELD:
                self._stats.bus_held += 1
                self.gaps.put(channel)
            case Accepted.OTHER_EPOCH:
                self.lose_positions(channel)
                self._deliver_again(delivery)

    def _deliver_again(self, delivery: Delivery) -> None:
        """Its channel has no positions any more: for those who had none it is the next one."""
        channel = self.channels.get(delivery.channel)
        if channel is not None and channel.cursor is None and channel.accept(delivery) is Accepted.TAKEN:
            self._touch(channel)

    def fill(self, channel: Channel[Member], publications: list[Publication]) -> None:
        """Deliver what was read from the feed in place of what the bus lost."""
        self._stats.bus_filled += channel.fill(publications)
        self._touch(channel)

    def lose_positions(self, channel: Channel[Member]) -> None:
        """The stream was restarted: positions on this channel mean nothing any more, and everyone who has one comes
        again.
        """
        channel.stop()
        for member in channel.receivers():
            member.lost_position(channel.name)
        for member in tuple(channel.watchers):
            member.end(CLOSE_INSUFFICIENT_STATE)
        for member in tuple(channel.behind):
            self.caught_up(member, channel)

    def _touch(self, channel: Channel[Member]) -> None:
        if channel.watchers:
            self._promote(channel)
        self._dirty[channel] = None
        if not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _promote(self, channel: Channel[Member]) -> None:
        first = next((one.publication for one in channel.pending if one.publication.offset > 0), None)
        if first is None:
            return
        watchers, channel.watchers = channel.watchers, {}
        for member in watchers:
            member.watched.discard(channel.name)
            member.subscriptions[channel.name] = member.promote(channel.name, channel.epoch, first)
            # Not through `add`: the publication that woke it is still pending and goes to everyone who is live.
            channel.go_live(member)
            self._stats.subscriptions += 1

    def _flush(self) -> None:
        self._flush_scheduled = False
        dirty, self._dirty = self._dirty, {}
        started = perf_counter()
        for channel in dirty:
            try:
                self._flush_channel(channel)
            except Exception:
                # One publication that cannot be encoded: the others have nothing to do with it, and nobody who has a
                # position here may miss it in silence.
                log.exception("flush_failed", channel=channel.name)
                self.lose_positions(channel)
        if self.devices:
            self.moved.update(dirty)
        self._stats.fan_out_duration.observe(perf_counter() - started)

    def _flush_channel(self, channel: Channel[Member]) -> None:
        if channel.pending:
            told = channel.flush()
            self._stats.deliveries += told.publications
            self._stats.frames_out += told.frames
            self._stats.bytes_out += told.frame_bytes
            self.hot.add(channel.name, told.publications)

    def _drop_if_empty(self, channel: Channel[Member]) -> None:
        if channel.empty and self.channels.get(channel.name) is channel:
            del self.channels[channel.name]
            self._dirty.pop(channel, None)
            self._bus.unsubscribe(channel.name)
            self._stats.channels = len(self.channels)

    def _left(self, member: Member, name: str, subscription: Subscription) -> None:
        info = member.info(subscription)
        if self.present.pop((name, member.client), None) is not None:
            self.departed.put((name, member.client))
        if subscription.join_leave:
            self.publish(Delivery(name, "leave", Publication(info=info)))

    def _count(self) -> None:
        self._stats.users = len(self.users)


def _nothing(_delivery: Delivery) -> None:
    pass
