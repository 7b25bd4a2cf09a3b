"""Channels for application events: what the namespaces' policy says, turned into grants and refusals."""

from msgspec import Struct
from msgspec.structs import replace

from chat.auth.claims import SubscribeOptions, TokenExpired, TokenInvalid, TokenMismatch, UserBlocked
from chat.auth.jwks import KeysUnavailable
from chat.auth.verifier import TokenVerifier
from chat.channels import (
    Action,
    Asked,
    BadChannel,
    Channel,
    ChannelKind,
    Denied,
    Namespaces,
    NotAvailable,
    Override,
    Principal,
    may,
    plan,
)
from chat.config.channels import ChannelOptions
from realtime.backend import Caller, Grant, Publish
from realtime.ports import StreamOptions
from realtime.protocol import codes
from realtime.protocol.codes import ClientError, Closing
from realtime.protocol.messages import EMPTY, Payload, SubscribeRequest

NO_OVERRIDE = Override()


class Permit(Struct, frozen=True):
    """What a good subscription token gives: its info, overrides and expiry (wall-clock seconds)."""

    chan_info: Payload
    override: Override
    expire_at: float | None


class PlainChannels:
    """Decides about channels that are not the chat's own. Raises ClientError or Closing to refuse."""

    def __init__(self, namespaces: Namespaces, verifier: TokenVerifier, *, insecure: bool, max_missed: int) -> None:
        self._namespaces = namespaces
        self._verifier = verifier
        self._insecure = insecure
        self._max_missed = max_missed

    def resolve(self, name: str, field: str = "channel") -> tuple[Channel, ChannelOptions | None]:
        """A channel and its options (None for the chat's own). Raises ClientError: bad name, unknown namespace."""
        try:
            channel = self._namespaces.parse(name)
        except BadChannel as error:
            raise ClientError(codes.BAD_REQUEST, str(error), field) from None
        options = self._namespaces.options(channel)
        if options is None and channel.kind is ChannelKind.PLAIN:
            raise ClientError(codes.UNKNOWN_CHANNEL, f"namespace {channel.namespace!r} is not configured", field)
        return channel, options

    async def subscribe(self, caller: Caller, request: SubscribeRequest) -> Grant:
        channel, options = self.resolve(request.channel, "subscribe.channel")
        if options is None:
            raise ClientError(codes.PERMISSION_DENIED, "not a channel to subscribe to", "subscribe.channel")
        permit = await self._permit(caller, request)
        who = self._principal(caller.user)
        decision = may(Action.SUBSCRIBE, channel, options, who, token=permit is not None)
        self._demand(decision, "subscribe.channel")
        asked = Asked(request.positioned, request.recoverable, request.join_leave)
        return self.grant(channel, options, caller.user, asked=asked, permit=permit)

    async def sub_refresh(self, caller: Caller, name: str, token: str) -> float | None:
        try:
            claims = await self._verifier.subscription(token, user=caller.user, channel=name)
        except TokenExpired:
            # An error would unsubscribe for good; SDKs come back from this one with a new token.
            raise Closing(codes.CLOSE_SUBSCRIPTION_EXPIRED) from None
        except TokenMismatch as error:
            raise Closing(codes.CLOSE_INVALID_TOKEN, error.reason) from None
        except UserBlocked:
            raise Closing(codes.CLOSE_FORCE_NO_RECONNECT) from None
        except KeysUnavailable:
            raise ClientError(
                codes.INTERNAL, "whether the token is good cannot be known just now", temporary=True
            ) from None
        except TokenInvalid as error:
            raise ClientError(codes.PERMISSION_DENIED, error.reason, "sub_refresh.token") from None
        return claims.expire_at_s

    def publish(self, caller: Caller, name: str, data: Payload) -> Publish:
        channel, options = self.resolve(name, "publish.channel")
        if options is None:
            raise ClientError(codes.PERMISSION_DENIED, "not a channel to publish to", "publish.channel")
        who = self._principal(caller.user)
        decision = may(Action.PUBLISH, channel, options, who, subscribed=caller.subscribed(name))
        self._demand(decision, "publish.channel")
        return Publish(data, self.stream(options))

    def presence(self, caller: Caller, name: str) -> None:
        channel, options = self.resolve(name, "presence.channel")
        if options is None:
            raise ClientError(codes.NOT_AVAILABLE, "ask presence.get for users", "presence.channel")
        who = self._principal(caller.user)
        self._demand(
            may(Action.PRESENCE, channel, options, who, subscribed=caller.subscribed(name)), "presence.channel"
        )

    def history(self, caller: Caller, name: str) -> StreamOptions:
        channel, options = self.resolve(name, "history.channel")
        stream = None if options is None else self.stream(options)
        if options is None:
            raise ClientError(codes.NOT_AVAILABLE, "ask history.page for messages", "history.channel")
        who = self._principal(caller.user)
        self._demand(may(Action.HISTORY, channel, options, who, subscribed=caller.subscribed(name)), "history.channel")
        if stream is None:
            raise ClientError(codes.NOT_AVAILABLE, "history is not kept", "history.channel")
        return stream

    def server_side(self, name: str, user: str, wish: SubscribeOptions) -> Grant | None:
        """A subscription that a token or the configuration makes at connect; None where the channel does not exist."""
        try:
            channel, options = self.resolve(name)
        except ClientError:
            return None
        if options is None:
            return None
        permit = Permit(wish.info, wish.override, None)
        grant = self.grant(channel, options, user, asked=None, permit=permit)
        return grant if wish.data is EMPTY else replace(grant, data=wish.data)

    def grant(
        self, channel: Channel, options: ChannelOptions, user: str, *, asked: Asked | None, permit: Permit | None
    ) -> Grant:
        settled = plan(
            channel,
            options,
            self._principal(user),
            asked=asked,
            override=NO_OVERRIDE if permit is None else permit.override,
        )
        return Grant(
            chan_info=EMPTY if permit is None else permit.chan_info,
            expire_at=None if permit is None else permit.expire_at,
            presence=settled.presence,
            join_leave=settled.emit_join_leave,
            push_join_leave=settled.push_join_leave,
            positioned=settled.positioned,
            recoverable=settled.recoverable,
            stream=self.stream(options),
            max_missed=self._max_missed,
        )

    def stream(self, options: ChannelOptions) -> StreamOptions | None:
        if not (options.history_size and options.history_ttl):
            return None
        ttl_s = max(1, int(options.history_ttl))
        # A position that is forgotten before its publications would start another epoch among them.
        meta_ttl_s = max(ttl_s, int(self._namespaces.history_meta_ttl_s(options)))
        return StreamOptions(options.history_size, ttl_s, meta_ttl_s)

    async def _permit(self, caller: Caller, request: SubscribeRequest) -> Permit | None:
        if not request.token:
            return None
        try:
            claims = await self._verifier.subscription(request.token, user=caller.user, channel=request.channel)
        except TokenExpired:
            raise ClientError(codes.TOKEN_EXPIRED, "fetch another one", "subscribe.token") from None
        except TokenMismatch as error:
            raise Closing(codes.CLOSE_INVALID_TOKEN, error.reason) from None
        except UserBlocked:
            raise Closing(codes.CLOSE_FORCE_NO_RECONNECT) from None
        except KeysUnavailable:
            raise ClientError(
                codes.INTERNAL, "whether the token is good cannot be known just now", temporary=True
            ) from None
        except TokenInvalid as error:
            raise ClientError(codes.PERMISSION_DENIED, error.reason, "subscribe.token") from None
        return Permit(claims.info, claims.override, claims.expire_at_s)

    def _principal(self, user: str) -> Principal:
        return Principal(user, insecure=self._insecure)

    @staticmethod
    def _demand(decision: object, field: str) -> None:
        if isinstance(decision, Denied):
            raise ClientError(codes.PERMISSION_DENIED, decision.text, field)
        if isinstance(decision, NotAvailable):
            raise ClientError(codes.NOT_AVAILABLE, decision.text, field)
