"""Which channels a connection has, and what the server's side does to them: the client is told by pushes."""

from collections.abc import Callable
from typing import Protocol

from realtime.backend import Backend, Identity
from realtime.channel import SERVER_SIDE, Subscription
from realtime.hub import Hub
from realtime.protocol import codes
from realtime.protocol.codec import Codec
from realtime.protocol.codes import Unsubscribe
from realtime.protocol.messages import ClientInfo, Publication, Subscribe
from realtime.protocol.messages import Unsubscribe as UnsubscribePush
from realtime.settings import Settings
from realtime.stats import Stats
from realtime.tasks import Tasks
from realtime.wire import Wire
from realtime.writing import Writing


class Context(Protocol):
    """What of a process this needs."""

    @property
    def hub(self) -> Hub: ...

    @property
    def backend(self) -> Backend: ...

    @property
    def stats(self) -> Stats: ...

    @property
    def tasks(self) -> Tasks: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def clock(self) -> Callable[[], float]: ...

    @property
    def monotonic(self) -> Callable[[], float]: ...


class Listening(Writing):
    """A connection as the hub's channels know it. `subscriptions` and `watched` are the hub's to change."""

    __slots__ = ("client", "identity", "subscriptions", "watched")

    _ctx: Context

    def __init__(self, ctx: Context, wire: Wire, codec: Codec, *, client: str) -> None:
        super().__init__(ctx, wire, codec)
        self.client = client
        self.identity = Identity("")
        self.subscriptions: dict[str, Subscription] = {}
        self.watched: set[str] = set()

    @property
    def user(self) -> str:
        return self.identity.user

    def subscribed(self, channel: str) -> bool:
        return channel in self.subscriptions

    def info(self, subscription: Subscription) -> ClientInfo:
        return ClientInfo(self.user, self.client, self.identity.info, subscription.chan_info)

    def unsubscribe(self, name: str, unsubscribe: Unsubscribe) -> None:
        """End a subscription from the server's side and say so."""
        self._ctx.hub.unwatch(self, name)
        if self._ctx.hub.unsubscribe(self, name) is not None:
            self._ctx.stats.unsubscribed(unsubscribe.code)
            # Not ahead of what was published before: for the client this is the channel's last word.
            self.push(name, UnsubscribePush(unsubscribe.code, unsubscribe.reason))

    def promote(self, name: str, epoch: str, first: Publication) -> Subscription:
        data = self._ctx.backend.promoted(self.user, name, first)
        self.push(name, Subscribe(True, epoch, first.offset - 1, True, data))
        return SERVER_SIDE

    def restart(self, name: str, epoch: str, offset: int) -> bool:
        """Too much was missed: start the subscription anew at `offset`. The client is told, and pages the rest.

        False: it is the client's own, and has ended; the client subscribes anew.
        """
        subscription = self.subscriptions[name]
        if subscription.client_side:
            self.unsubscribe(name, codes.UNSUBSCRIBE_INSUFFICIENT)
            return False
        self.push(name, UnsubscribePush(codes.UNSUBSCRIBE_SERVER.code, codes.UNSUBSCRIBE_SERVER.reason))
        self.push(name, Subscribe(True, epoch, offset, True, self._ctx.backend.restarted(self.user, name, offset)))
        return True

    def lost_position(self, name: str) -> None:
        subscription = self.subscriptions.get(name)
        if subscription is None or not subscription.positioned:
            return
        if subscription.server_side:
            self.end(codes.CLOSE_INSUFFICIENT_STATE)
        else:
            self.unsubscribe(name, codes.UNSUBSCRIBE_INSUFFICIENT)

    def expire_subscriptions(self) -> float | None:
        """End what was not refreshed in time. Returns the monotonic time of the next such deadline."""
        ctx = self._ctx
        ends_at = [
            (subscription.expire_at + ctx.settings.expired_subscription_grace_s, name)
            for name, subscription in self.subscriptions.items()
            if subscription.expire_at is not None
        ]
        wall = ctx.clock()
        for at, name in ends_at:
            if at <= wall:
                self.unsubscribe(name, codes.UNSUBSCRIBE_EXPIRED)
        next_at = min((at for at, _ in ends_at if at > wall), default=None)
        return None if next_at is None else ctx.monotonic() + (next_at - wall)
