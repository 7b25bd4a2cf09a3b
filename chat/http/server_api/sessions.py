"""`subscribe`, `unsubscribe`, `disconnect`, `refresh`: what is done to the live sessions of a user, on every process.

Done is what was told to all processes. A user who is not connected is no error, and nothing is kept for later.
"""

from chat.backend.plain import Permit
from chat.channels import ChannelKind, Override
from chat.http.deps import HttpDeps
from chat.http.server_api import requests
from chat.http.server_api.payloads import either
from chat.http.server_api.results import Nothing
from realtime.control import DisconnectSessions, RefreshSessions, SubscribeSessions, Target, UnsubscribeSessions
from realtime.protocol import codes
from realtime.protocol.codes import ClientError


class Sessions:
    def __init__(self, deps: HttpDeps) -> None:
        self._plain = deps.plain
        self._operations = deps.engine.operations
        self._clock_ms = deps.clock_ms
        self._max_bytes = deps.max_data_bytes

    async def subscribe(self, request: requests.Subscribe) -> Nothing:
        """Give a channel to sessions. `recover_since` sends them what was published after that position."""
        channel, options = self._plain.resolve(request.channel)
        if options is None:
            kind = "conversation" if channel.kind is ChannelKind.CONVERSATION else "user"
            raise ClientError(codes.NOT_AVAILABLE, f"who is in a {kind} channel follows from the chat", "channel")
        permit = Permit(
            either(request.info, request.b64info, "info", max_bytes=self._max_bytes),
            _override(request.override),
            float(request.expire_at) if request.expire_at else None,
        )
        grant = self._plain.grant(channel, options, request.user, asked=None, permit=permit)
        since = request.recover_since
        self._operations.do(
            SubscribeSessions(
                _target(request),
                request.channel,
                data=either(request.data, request.b64data, "data", max_bytes=self._max_bytes),
                chan_info=grant.chan_info,
                expire_at=grant.expire_at,
                presence=grant.presence,
                join_leave=grant.join_leave,
                push_join_leave=grant.push_join_leave,
                positioned=grant.positioned,
                recoverable=grant.recoverable,
                stream=grant.stream,
                since_epoch="" if since is None else since.epoch,
                since_offset=None if since is None else since.offset,
            )
        )
        return Nothing()

    async def unsubscribe(self, request: requests.Unsubscribe) -> Nothing:
        """End a subscription. In a conversation the user stays a member and has it again with the next connect."""
        self._plain.resolve(request.channel)
        code = codes.UNSUBSCRIBE_SERVER
        self._operations.do(UnsubscribeSessions(_target(request), request.channel, code.code, code.reason))
        return Nothing()

    async def disconnect(self, request: requests.Disconnect) -> Nothing:
        """Close connections, by default with 3503, after which SDKs stay away."""
        wish = request.disconnect or requests.DisconnectCode()
        if len(wish.reason.encode()) > MAX_REASON_BYTES:
            raise ClientError(codes.BAD_REQUEST, f"must have at most {MAX_REASON_BYTES} bytes", "disconnect.reason")
        self._operations.do(DisconnectSessions(_target(request, request.whitelist), wish.code, wish.reason))
        return Nothing()

    async def refresh(self, request: requests.Refresh) -> Nothing:
        if request.info:
            raise ClientError(codes.NOT_AVAILABLE, "the info of a connection is that of its token", "info")
        over = request.expired or 0 < request.expire_at * 1000 <= self._clock_ms()
        expire_at = float(request.expire_at) if request.expire_at else None
        self._operations.do(RefreshSessions(_target(request), over, expire_at))
        return Nothing()


MAX_REASON_BYTES = 123
"""What a close frame has room for."""


def _target(
    request: requests.Subscribe | requests.Unsubscribe | requests.Disconnect | requests.Refresh,
    whitelist: list[str] | None = None,
) -> Target:
    if request.client and request.session and request.client != request.session:
        raise ClientError(codes.BAD_REQUEST, "is another session than the client's", "session")
    return Target(request.user, request.client or request.session, tuple(whitelist or ()))


def _override(wish: requests.Override | None) -> Override:
    if wish is None:
        return Override()

    def said(flag: requests.Flag | None) -> bool | None:
        return None if flag is None else flag.value

    return Override(
        presence=said(wish.presence),
        join_leave=said(wish.join_leave),
        force_push_join_leave=said(wish.force_push_join_leave),
        force_recovery=said(wish.force_recovery),
        force_positioning=said(wish.force_positioning),
    )
