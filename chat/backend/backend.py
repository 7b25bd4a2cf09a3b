"""Implements the engine's `Backend` port: joins tokens, conversations, plain channels and methods."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import msgspec
import structlog
from msgspec import Struct

from chat.auth.claims import Claims, SubscribeOptions, TokenExpired, TokenInvalid, UserBlocked
from chat.auth.jwks import KeysUnavailable
from chat.auth.verifier import TokenVerifier
from chat.backend.conversing import Chosen, ConversationChannels
from chat.backend.plain import PlainChannels
from chat.calls import SEND, Calls
from chat.channels import personal_channel
from chat.limits.opening import RateLimits
from chat.methods import METHODS, Decoder, invalid, method
from chat.usecases.failures import told
from chat.vocabulary import render
from chat.vocabulary.connecting import ConnectData, Limits
from chat.vocabulary.devices import DeviceName
from chat.vocabulary.messages import MessageSend
from chat.vocabulary.reading import DeliveredMark, DeliveredResult, ReadMark, ReadResult
from realtime.backend import Admission, Caller, Grant, Identity, Later, Peer, Publish
from realtime.ports import StreamOptions
from realtime.protocol import codes
from realtime.protocol.codes import ClientError, Closing
from realtime.protocol.messages import (
    ConnectRequest,
    HistoryRequest,
    Payload,
    Publication,
    SubscribeRequest,
)
from storage.store import Store

log = structlog.get_logger(__name__)

_NOTHING: Final = Chosen({}, {}, 0)


class ConnectWish(Struct, frozen=True):
    """What is ours in the `data` of a connect request. `none`: the client subscribes to conversations itself."""

    conversations: Literal["auto", "none"] = "auto"


class _ConnectingDevice(Struct, frozen=True):
    """Beside it, and apart: the device that connects, as it registers."""

    device: DeviceName = ""


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """`user_channel`: subscribe everyone to `user:<user>`. `personal`: also to a channel of their own for application
    events, in this namespace (None: do not).
    """

    limits: Limits
    insecure: bool = False
    user_channel: bool = True
    personal: str | None = None
    user_connection_limit: int = 0


class ChatBackend:
    """The product behind the engine. `sessions_of(user)` counts a user's connections to this process; `gone(user)` is
    called when the last of them has ended, `connecting(user, revision)` before a user's conversations are read.
    """

    def __init__(
        self,
        store: Store,
        calls: Calls,
        verifier: TokenVerifier,
        plain: PlainChannels,
        conversing: ConversationChannels,
        options: BackendOptions,
        rates: RateLimits,
        *,
        clock_ms: Callable[[], int],
        sessions_of: Callable[[str], int],
        gone: Callable[[str], None],
        connecting: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._calls = calls
        self._service = calls.service
        self._verifier = verifier
        self._plain = plain
        self._conversing = conversing
        self._options = options
        self._rates = rates
        self._clock_ms = clock_ms
        self._sessions_of = sessions_of
        self._gone = gone
        self._connecting = connecting
        self._decoder = Decoder()
        self._wish = msgspec.json.Decoder(ConnectWish)
        self._connecting_device = msgspec.json.Decoder(_ConnectingDevice)

    async def connect(self, client: str, request: ConnectRequest, peer: Peer) -> Admission:
        try:
            async with self._calls.in_time():
                return await self._admit(request, peer)
        except ClientError as error:
            if error.code is not codes.UNAVAILABLE:
                raise
            # Any other error would end the client for good, and a shorter list would make it forget positions.
            raise ClientError(codes.INTERNAL, error.detail, temporary=True) from error

    async def _admit(self, request: ConnectRequest, peer: Peer) -> Admission:
        wish, device = self._connect_wish(request.data), self._device(request.data)
        claims = await self._claims(request.token, peer.address)
        user = claims.user
        limit = self._options.user_connection_limit
        if user and limit and self._sessions_of(user) >= limit:
            # Whoever connects at the same time passes here: what counts is asked again when each is let in.
            raise Closing(codes.CLOSE_CONNECTION_LIMIT)
        try:
            revision, chosen = await self._of_user(user, claims, request, wish)
        except ClientError as error:
            # Any other error would end the client for good, and a shorter list would make it forget positions.
            raise ClientError(codes.INTERNAL, error.detail, temporary=True) from error
        subscriptions: dict[str, Grant] = {}
        for name, options in self._server_side(claims).items():
            grant = self._plain.server_side(name, user, options)
            if grant is None:
                log.warning("token_channel_unknown", user=user, channel=name)
            else:
                subscriptions[name] = grant
        if user and self._options.user_channel:
            subscriptions[render.user_channel(user)] = Grant()
        subscriptions.update(chosen.subscribed)
        data = ConnectData(self._clock_ms(), self._options.limits, revision, chosen.left_out)
        identity = Identity(user, claims.expire_at_s, claims.info, claims.credential)
        most = self._options.user_connection_limit if user else 0
        return Admission(
            identity,
            render.encode(data),
            subscriptions,
            chosen.watched,
            most,
            device=device if user else "",
            latest=chosen.latest,
        )

    async def _of_user(
        self, user: str, claims: Claims, request: ConnectRequest, wish: ConnectWish
    ) -> tuple[int, Chosen]:
        if not user:
            return 0, _NOTHING
        with told():
            record = await self._store.users.get(user)
        # After it: of somebody who is there already nothing more has to be looked up.
        await self._service.arrivals.arrived(user, claims.info)
        revision = 0 if record is None else record.revision
        if wish.conversations == "none":
            return revision, _NOTHING
        self._connecting(user, revision)
        return revision, await self._conversing.choose(user, request.subs)

    def _connect_wish(self, data: Payload) -> ConnectWish:
        if not data:
            return ConnectWish()
        try:
            return self._wish.decode(data)
        except msgspec.ValidationError:
            # The application's own data: nothing of ours in it.
            return ConnectWish()

    def _device(self, data: Payload) -> str:
        """Raises ClientError for what is no name of one."""
        try:
            return self._connecting_device.decode(data).device if data else ""
        except msgspec.ValidationError as error:
            wrong = invalid(error)
            if not wrong.field:
                return ""  # the application's own data is no object
            raise ClientError(wrong.code, wrong.detail, f"connect.data.{wrong.field}") from None

    def _server_side(self, claims: Claims) -> dict[str, SubscribeOptions]:
        wanted = dict(claims.subscriptions)
        if self._options.personal is not None and claims.user:
            wanted.setdefault(personal_channel(claims.user, self._options.personal), SubscribeOptions())
        return wanted

    async def _claims(self, token: str, address: str) -> Claims:
        if not token and self._options.insecure:
            return Claims(user="", expire_at_s=None)
        try:
            return await self._verifier.connection(token)
        except TokenExpired:
            raise ClientError(codes.TOKEN_EXPIRED, "fetch another one", "connect.token") from None
        except UserBlocked:
            raise Closing(codes.CLOSE_FORCE_NO_RECONNECT) from None
        except TokenInvalid as error:
            # However many there were: no other answer makes a client stop.
            self._rates.addresses.failed(address)
            raise Closing(codes.CLOSE_INVALID_TOKEN, f"invalid token: {error.reason}") from None
        except KeysUnavailable:
            raise _unknowable() from None

    async def refresh(self, caller: Caller, token: str) -> Identity:
        try:
            claims = await self._verifier.connection(token)
        except TokenExpired:
            raise Closing(codes.CLOSE_EXPIRED) from None
        except UserBlocked:
            raise Closing(codes.CLOSE_FORCE_NO_RECONNECT) from None
        except TokenInvalid as error:
            raise Closing(codes.CLOSE_INVALID_TOKEN, f"invalid token: {error.reason}") from None
        except KeysUnavailable:
            raise _unknowable() from None
        if claims.user != caller.user:
            raise Closing(codes.CLOSE_INVALID_TOKEN, "invalid token: of another user")
        return Identity(claims.user, claims.expire_at_s, claims.info, claims.credential)

    async def subscribe(self, caller: Caller, request: SubscribeRequest) -> Grant:
        self._count(caller)
        if request.channel.startswith(render.CONVERSATION_PREFIX):
            return await self._conversing.subscribe(self._signed_in(caller), request)
        if request.channel.startswith(render.USER_PREFIX):
            if request.channel != render.user_channel(caller.user) or not caller.user:
                raise ClientError(codes.PERMISSION_DENIED, "is another user's own", "subscribe.channel")
            return Grant()
        return await self._plain.subscribe(caller, request)

    async def sub_refresh(self, caller: Caller, channel: str, token: str) -> float | None:
        self._count(caller)
        return await self._plain.sub_refresh(caller, channel, token)

    async def publish(self, caller: Caller, channel: str, data: Payload) -> Publish | None:
        self._count(caller, sends=True)
        if not channel.startswith(render.CONVERSATION_PREFIX):
            return self._plain.publish(caller, channel, data)
        user = self._signed_in(caller)
        with _of_publish():
            request = _send_request(channel.removeprefix(render.CONVERSATION_PREFIX), data)
            await self._calls.run(user, METHODS[SEND], request)
        return None

    async def presence(self, caller: Caller, channel: str) -> None:
        self._count(caller)
        self._plain.presence(caller, channel)

    async def history(self, caller: Caller, request: HistoryRequest) -> StreamOptions:
        self._count(caller)
        return self._plain.history(caller, request.channel)

    async def rpc(self, caller: Caller, method_name: str, data: Payload) -> Payload | Later:
        user = self._signed_in(caller)
        self._count(caller, sends=method_name == SEND)
        found = method(method_name)
        request = self._decoder.decode(method_name, data)
        outcome = await self._calls.start(user, found, request, waited_s=caller.waited_s)
        if isinstance(outcome, Struct):
            return render.encode(outcome)
        if isinstance(request, ReadMark | DeliveredMark):
            outcome.add_done_callback(partial(_note_marked, caller, request))
        return Later(outcome, render.encode)

    def promoted(self, user: str, channel: str, first: Publication) -> Payload:
        return self._conversing.head_data(first.offset - 1)

    def restarted(self, user: str, channel: str, offset: int) -> Payload:
        return self._conversing.head_data(offset)

    def disconnected(self, user: str) -> None:
        if user:
            self._gone(user)

    def _count(self, caller: Caller, *, sends: bool = False) -> None:
        """Towards what a user may do on all processes together. Raises ClientError."""
        if caller.user:
            self._rates.users.command(caller.user)
            if sends:
                self._rates.users.send(caller.user)

    @staticmethod
    def _signed_in(caller: Caller) -> str:
        if not caller.user:
            raise ClientError(codes.UNAUTHORIZED, "needs a signed-in user")
        return caller.user


def _note_marked(caller: Caller, request: ReadMark | DeliveredMark, outcome: "asyncio.Future[Struct]") -> None:
    """What somebody says to have received, or read, their device has; of what there is, and not what others had."""
    if outcome.cancelled() or outcome.exception() is not None:
        return
    match outcome.result():
        case ReadResult(read=position) | DeliveredResult(delivered=position):
            caller.has(render.conversation_channel(request.conversation), min(request.offset, position.offset))
        case _:
            pass


def _unknowable() -> ClientError:
    return ClientError(codes.INTERNAL, "whether the token is good cannot be known just now", temporary=True)


@contextmanager
def _of_publish() -> Iterator[None]:
    """Refusals of `message.send` in the words of the publish that it came by."""
    try:
        yield
    except ClientError as error:
        if not error.field and error.code is not codes.BAD_REQUEST:
            raise
        field = "publish.channel" if error.field == "conversation" else f"publish.data.{error.field}".rstrip(".")
        raise ClientError(error.code, error.detail, field, temporary=error.temporary) from None


def _send_request(conversation: str, data: Payload) -> MessageSend:
    """The fields of a publication as parameters of `message.send`. Raises ClientError."""
    try:
        fields = msgspec.json.decode(data or b"null", type=dict[str, msgspec.Raw])
        fields["conversation"] = msgspec.Raw(msgspec.json.encode(conversation))
        return msgspec.json.decode(msgspec.json.encode(fields), type=MessageSend)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
