"""What a token says once it is believed, and the reasons for not believing one. Pure.

The claims are Centrifugo's: `sub`, `exp`, `iat`, `nbf`, `jti`, `aud`, `iss`, `info`, `b64info`, `channels`, `subs` and
`expire_at` for a connection, `channel` and `override` for a subscription. `meta` and unknown claims are ignored.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from chat.channels import Override
from chat.vocabulary.types import USER_ID
from realtime.backend import NO_CREDENTIAL, Credential
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import EMPTY, Payload
from realtime.protocol.payload import checked_payload

_USER_ID: Final = re.compile(USER_ID)
_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999: a larger time is a mistake, milliseconds as a rule."""


class TokenError(Exception):
    """A token that is not accepted. `reason` is for logs and the application's developer, never quoting the token."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class TokenExpired(TokenError):
    """A good token whose time is over: the client should fetch another one."""


class TokenInvalid(TokenError):
    """A token that was never good here: malformed, forged, for somebody else, or breaking a rule."""


class TokenRevoked(TokenExpired):
    """A token that was good and was taken back, or whose key was. To a client it is an expired one: if the application
    gives it another one, it may go on with that.
    """


class UserBlocked(TokenError):
    """The token is good, but the application has blocked its user from this server."""


class TokenMismatch(TokenError):
    """A good subscription token, for another user or another channel."""


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What is demanded of a token besides its signature. `allow_anonymous` accepts a missing or empty `sub`."""

    user_id_pattern: re.Pattern[str]
    max_length_bytes: int = 8192
    audience: str = ""
    issuer: str = ""
    require_exp: bool = True
    clock_skew_s: float = 30.0
    allow_anonymous: bool = False


class SubscribeOptions(Struct, frozen=True):
    """How a token subscribes its connection to a channel. `info` becomes `chan_info`, `data` goes to the client."""

    info: Payload = EMPTY
    data: Payload = EMPTY
    override: Override = Override()


class Claims(Struct, frozen=True):
    """What a connection token says. Times are seconds since 1970 UTC.

    `user` is empty for an anonymous connection. `expire_at_s`: when the connection has to be refreshed (None: never).
    `valid_until_s`: when the token itself expires. `subscriptions`: by channel, made by the server at connect.
    """

    user: str
    expire_at_s: int | None
    valid_until_s: int | None = None
    issued_at_s: int | None = None
    token_id: str = ""
    info: Payload = EMPTY
    subscriptions: dict[str, SubscribeOptions] = {}
    credential: Credential = NO_CREDENTIAL

    @property
    def anonymous(self) -> bool:
        return not self.user


class SubscriptionClaims(Struct, frozen=True):
    """What a subscription token says. Times are seconds since 1970 UTC."""

    user: str
    channel: str
    expire_at_s: int | None
    valid_until_s: int | None = None
    info: Payload = EMPTY
    override: Override = Override()
    issued_at_s: int | None = None
    token_id: str = ""

    def demand(self, *, user: str, channel: str) -> None:
        """Raises TokenMismatch unless the token is for this user and this channel."""
        if self.channel != channel:
            raise TokenMismatch("the token is for another channel")
        if self.user != user:
            raise TokenMismatch("the token is for another user")


Time = int | float | UnsetType


class _Flag(Struct):
    value: bool


class _Override(Struct):
    presence: _Flag | None = None
    join_leave: _Flag | None = None
    force_push_join_leave: _Flag | None = None
    force_recovery: _Flag | None = None
    force_positioning: _Flag | None = None


class _Sub(Struct):
    info: Raw = EMPTY
    b64info: str = ""
    data: Raw = EMPTY
    b64data: str = ""
    override: _Override | None = None


class _Payload(Struct):
    sub: str | UnsetType = UNSET
    exp: Time = UNSET
    nbf: Time = UNSET
    iat: Time = UNSET
    jti: str = ""
    aud: str | list[str] | UnsetType = UNSET
    iss: str | UnsetType = UNSET
    info: Raw = EMPTY
    b64info: str = ""
    expire_at: Time = UNSET
    channels: list[str] = []
    subs: dict[str, _Sub] = {}
    channel: str | UnsetType = UNSET
    override: _Override | None = None


_DECODER: Final = msgspec.json.Decoder(_Payload)


def read_claims(payload: bytes, policy: TokenPolicy, now_s: float) -> Claims:
    """A connection token's claims from its verified payload. Raises TokenInvalid, TokenExpired."""
    raw = _decode(payload)
    if raw.channel is not UNSET:
        # A right to one channel must not become a right to connect (RFC 8725, 3.12).
        raise TokenInvalid("channel: this is a subscription token")
    user = _demand_user(raw, policy)
    _demand_audience(raw, policy)
    subscriptions = {channel: SubscribeOptions() for channel in raw.channels}
    for channel, sub in raw.subs.items():
        subscriptions[channel] = SubscribeOptions(
            _payload(sub.info, sub.b64info, "subs.info"),
            _payload(sub.data, sub.b64data, "subs.data"),
            _override(sub.override),
        )
    valid_until_s = _demand_time(raw, policy, now_s)
    return Claims(
        user=user,
        expire_at_s=_expire_at(raw, valid_until_s, now_s),
        valid_until_s=valid_until_s,
        issued_at_s=_seconds(raw.iat, "iat"),
        token_id=raw.jti,
        info=_payload(raw.info, raw.b64info, "info"),
        subscriptions=subscriptions,
    )


def read_subscription_claims(payload: bytes, policy: TokenPolicy, now_s: float) -> SubscriptionClaims:
    """A subscription token's claims from its verified payload. Raises TokenInvalid, TokenExpired."""
    raw = _decode(payload)
    if raw.channel is UNSET or not raw.channel:
        raise TokenInvalid("channel: is required in a subscription token")
    user = _demand_user(raw, policy)
    _demand_audience(raw, policy)
    valid_until_s = _demand_time(raw, policy, now_s)
    return SubscriptionClaims(
        user=user,
        channel=raw.channel,
        expire_at_s=_expire_at(raw, valid_until_s, now_s),
        valid_until_s=valid_until_s,
        info=_payload(raw.info, raw.b64info, "info"),
        override=_override(raw.override),
        issued_at_s=_seconds(raw.iat, "iat"),
        token_id=raw.jti,
    )


def _decode(payload: bytes) -> _Payload:
    try:
        return _DECODER.decode(payload)
    except msgspec.ValidationError as error:
        # Says type and place, never the value: "Expected `str`, got `int` - at `$.sub`".
        raise TokenInvalid(f"claims: {error}") from None
    except (ValueError, RecursionError):
        raise TokenInvalid("claims: are not JSON") from None


def _demand_user(raw: _Payload, policy: TokenPolicy) -> str:
    user = "" if raw.sub is UNSET else raw.sub
    if not user:
        if policy.allow_anonymous:
            return ""
        raise TokenInvalid("sub: is required")
    if _USER_ID.fullmatch(user) is None:
        # Whatever the pattern says: a user must be one whom others can name.
        raise TokenInvalid("sub: is not 1 to 64 visible ASCII characters")
    if policy.user_id_pattern.fullmatch(user) is None:
        raise TokenInvalid("sub: does not match token.user_id_pattern")
    return user


def _demand_audience(raw: _Payload, policy: TokenPolicy) -> None:
    if policy.audience:
        audiences = [] if raw.aud is UNSET else [raw.aud] if isinstance(raw.aud, str) else raw.aud
        if policy.audience not in audiences:
            raise TokenInvalid("aud: is not token.audience")
    if policy.issuer and raw.iss != policy.issuer:
        raise TokenInvalid("iss: is not token.issuer")


def _demand_time(raw: _Payload, policy: TokenPolicy, now_s: float) -> int | None:
    """The second from which the token is expired. Raises TokenExpired last: only an otherwise good token is renewed."""
    issued_at_s, not_before_s = _seconds(raw.iat, "iat"), _seconds(raw.nbf, "nbf")
    latest_s = now_s + policy.clock_skew_s
    if issued_at_s is not None and issued_at_s > latest_s:
        raise TokenInvalid("iat: is in the future")
    if not_before_s is not None and not_before_s > latest_s:
        raise TokenInvalid("nbf: is in the future")
    valid_until_s = _seconds(raw.exp, "exp")
    if valid_until_s is None:
        if policy.require_exp:
            raise TokenInvalid("exp: is required (token.require_exp)")
    elif now_s >= valid_until_s:
        raise TokenExpired("exp: is over")
    return valid_until_s


def _expire_at(raw: _Payload, valid_until_s: int | None, now_s: float) -> int | None:
    """`expire_at` says when the connection ends where that is not when the token ends; 0: never."""
    if raw.expire_at is UNSET:
        return valid_until_s
    if raw.expire_at == 0:
        return None
    expire_at_s = _seconds(raw.expire_at, "expire_at")
    if expire_at_s is not None and now_s >= expire_at_s:
        raise TokenExpired("expire_at: is over")
    return expire_at_s


def _seconds(value: Time, name: str) -> int | None:
    if isinstance(value, UnsetType):
        return None
    if not 0 < value <= _LAST_SECOND:
        raise TokenInvalid(f"{name}: is not a time in seconds")
    return int(value)


def _override(raw: _Override | None) -> Override:
    if raw is None:
        return Override()

    def said(flag: _Flag | None) -> bool | None:
        return None if flag is None else flag.value

    return Override(
        said(raw.presence),
        said(raw.join_leave),
        said(raw.force_push_join_leave),
        said(raw.force_recovery),
        said(raw.force_positioning),
    )


def _payload(raw: Raw, b64: str, name: str) -> Payload:
    data = bytes(raw)
    if b64:
        try:
            data = base64.b64decode(b64, validate=True)
        except (binascii.Error, ValueError):
            raise TokenInvalid(f"{name}: its b64 form is not base64") from None
    try:
        return checked_payload(data, f"$.{name}")
    except ClientError:
        raise TokenInvalid(f"{name}: is not JSON that every client can read") from None
