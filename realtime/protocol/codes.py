"""The one catalogue of numbers that clients see: errors, disconnects, unsubscribes. Rendered into the docs.

The numbers and what SDKs do on them are the Centrifugo client protocol's. An error answers one command and keeps the
connection; a disconnect is the WebSocket close code; an unsubscribe ends one subscription. `when` says when we send it.
"""

from dataclasses import dataclass
from typing import Final

_MAX_DETAIL_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """`slug` is the machine-readable name (also the `code` of a REST problem); `temporary` tells SDKs to retry."""

    code: int
    slug: str
    temporary: bool
    when: str


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A close code. `reason` is its default text: never empty and never JSON, as SDKs misread both."""

    code: int
    reason: str
    when: str

    @property
    def reconnect(self) -> bool:
        """Whether SDKs come back by themselves: an integer comparison, the same in every SDK."""
        return not (3500 <= self.code <= 3999 or 4500 <= self.code <= 4999)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """The code of an `unsubscribe` push."""

    code: int
    reason: str
    when: str

    @property
    def resubscribe(self) -> bool:
        """Whether a client-side subscription comes back by itself. A server-side one always ends."""
        return self.code >= 2500


INTERNAL: Final = ErrorCode(
    100, "internal", True, "Something failed on our side, or what the answer needs is unknown just now. Try again."
)
UNAUTHORIZED: Final = ErrorCode(101, "unauthorized", False, "The command needs a user and the connection has none.")
UNKNOWN_CHANNEL: Final = ErrorCode(102, "unknown_channel", False, "The channel's namespace is not configured.")
PERMISSION_DENIED: Final = ErrorCode(
    103, "permission_denied", False, "Not allowed. A conversation of others and one that does not exist answer alike."
)
METHOD_NOT_FOUND: Final = ErrorCode(104, "method_not_found", False, "The command is none of this protocol's.")
ALREADY_SUBSCRIBED: Final = ErrorCode(
    105, "already_subscribed", False, "The client subscribed to this channel before and has not unsubscribed."
)
LIMIT_EXCEEDED: Final = ErrorCode(
    106, "limit_exceeded", False, "A count or size is over its limit, which the message names."
)
BAD_REQUEST: Final = ErrorCode(
    107, "bad_request", False, "A field is missing, malformed or too large; the message names it."
)
NOT_AVAILABLE: Final = ErrorCode(
    108, "not_available", False, "This server or channel does not offer it: an unknown RPC method, history that is off."
)
TOKEN_EXPIRED: Final = ErrorCode(
    109, "token_expired", False, "The token of a connect or subscribe is expired or revoked. Fetch a new one."
)
EXPIRED: Final = ErrorCode(
    110, "expired", False, "The connection or subscription itself was expired when it was asked for."
)
TOO_MANY_REQUESTS: Final = ErrorCode(111, "too_many_requests", True, "A rate limit was met. Try again after a while.")
UNRECOVERABLE_POSITION: Final = ErrorCode(
    112,
    "unrecoverable_position",
    False,
    "A subscribe asked to fail rather than start behind a gap, and there is a gap.",
)
CONFLICT: Final = ErrorCode(
    113, "conflict", False, "The present state contradicts the request, as with an id already taken."
)
UNAVAILABLE: Final = ErrorCode(1000, "unavailable", True, "A database or broker that this needs is away. Try again.")

ERRORS: Final[tuple[ErrorCode, ...]] = (
    INTERNAL,
    UNAUTHORIZED,
    UNKNOWN_CHANNEL,
    PERMISSION_DENIED,
    METHOD_NOT_FOUND,
    ALREADY_SUBSCRIBED,
    LIMIT_EXCEEDED,
    BAD_REQUEST,
    NOT_AVAILABLE,
    TOKEN_EXPIRED,
    EXPIRED,
    TOO_MANY_REQUESTS,
    UNRECOVERABLE_POSITION,
    CONFLICT,
    UNAVAILABLE,
)

CLOSE_SHUTDOWN: Final = Disconnect(3001, "shutdown", "This process is going away; another one takes the connection.")
CLOSE_INTERNAL: Final = Disconnect(
    3004, "internal server error", "The connection's own state is no longer to be trusted."
)
CLOSE_EXPIRED: Final = Disconnect(
    3005, "connection expired", "The token expired and was not refreshed in time, or it or its key was revoked."
)
CLOSE_SUBSCRIPTION_EXPIRED: Final = Disconnect(
    3006, "subscription expired", "A subscription's token was expired when the client came to refresh it."
)
CLOSE_SLOW: Final = Disconnect(
    3008, "slow", "More waits for the client than its outbox may hold; it resumes from the log."
)
CLOSE_INSUFFICIENT_STATE: Final = Disconnect(
    3010, "insufficient state", "The session may have missed something; reconnecting recovers all its positions."
)
CLOSE_FORCE_RECONNECT: Final = Disconnect(
    3011, "force reconnect", "An operator or the server API asked the client to come again."
)
CLOSE_NO_PONG: Final = Disconnect(3012, "no pong", "Nothing came back after a ping.")
CLOSE_TOO_MANY_REQUESTS: Final = Disconnect(3013, "too many requests", "The client went on far beyond its rate limit.")
CLOSE_INVALID_TOKEN: Final = Disconnect(
    3500, "invalid token", "A token is malformed, badly signed or meant for somebody else."
)
CLOSE_BAD_REQUEST: Final = Disconnect(
    3501, "bad request", "The client broke the protocol: a broken frame, no connect, connect twice."
)
CLOSE_FORCE_NO_RECONNECT: Final = Disconnect(
    3503, "force disconnect", "The server API or a block ended the connection for good."
)
CLOSE_CONNECTION_LIMIT: Final = Disconnect(3504, "connection limit", "The user has as many connections as allowed.")
CLOSE_CHANNEL_LIMIT: Final = Disconnect(3505, "channel limit", "The connection has as many channels as allowed.")
CLOSE_PERMISSION_DENIED: Final = Disconnect(3507, "permission denied", "This user may not connect here.")
CLOSE_NOT_AVAILABLE: Final = Disconnect(
    3508, "not available", "What the connection is for is not offered by this server."
)
CLOSE_TOO_MANY_ERRORS: Final = Disconnect(
    3509, "too many errors", "The client goes on sending what is refused every time."
)
CLOSE_NO_CONNECT: Final = Disconnect(
    4000, "no connect command in time", "The socket was opened and no connect came; slow token endpoints may try again."
)

DISCONNECTS: Final[tuple[Disconnect, ...]] = (
    CLOSE_SHUTDOWN,
    CLOSE_INTERNAL,
    CLOSE_EXPIRED,
    CLOSE_SUBSCRIPTION_EXPIRED,
    CLOSE_SLOW,
    CLOSE_INSUFFICIENT_STATE,
    CLOSE_FORCE_RECONNECT,
    CLOSE_NO_PONG,
    CLOSE_TOO_MANY_REQUESTS,
    CLOSE_INVALID_TOKEN,
    CLOSE_BAD_REQUEST,
    CLOSE_FORCE_NO_RECONNECT,
    CLOSE_CONNECTION_LIMIT,
    CLOSE_CHANNEL_LIMIT,
    CLOSE_PERMISSION_DENIED,
    CLOSE_NOT_AVAILABLE,
    CLOSE_TOO_MANY_ERRORS,
    CLOSE_NO_CONNECT,
)

CLOSE_FRAME_PROTOCOL: Final = Disconnect(1002, "protocol error", "A frame breaks the rules of RFC 6455.")
CLOSE_FRAME_TYPE: Final = Disconnect(
    1003, "unsupported data", "A binary frame on a JSON connection, or a text frame on a Protobuf one."
)
CLOSE_FRAME_TEXT: Final = Disconnect(1007, "invalid text", "A text frame is not UTF-8.")
CLOSE_FRAME_POLICY: Final = Disconnect(
    1008, "policy violation", "A flood of pings and pongs, or a message of more fragments than anybody needs."
)
CLOSE_FRAME_TOO_BIG: Final = Disconnect(1009, "message too big", "A message is larger than `client.frame_max_size`.")

FRAME_CLOSES: Final[tuple[Disconnect, ...]] = (
    CLOSE_FRAME_PROTOCOL,
    CLOSE_FRAME_TYPE,
    CLOSE_FRAME_TEXT,
    CLOSE_FRAME_POLICY,
    CLOSE_FRAME_TOO_BIG,
)
"""What the transport itself ends a connection with. The codes are RFC 6455's, and SDKs come back after each."""

UNSUBSCRIBE_SERVER: Final = Unsubscribe(
    2000, "server unsubscribe", "The server ended the subscription: removed, banned, by its API."
)
UNSUBSCRIBE_INSUFFICIENT: Final = Unsubscribe(
    2500, "insufficient state", "The subscription may have missed something; subscribing again recovers."
)
UNSUBSCRIBE_EXPIRED: Final = Unsubscribe(
    2501, "subscription expired", "The subscription's token expired and was not refreshed in time, or was revoked."
)

UNSUBSCRIBES: Final[tuple[Unsubscribe, ...]] = (UNSUBSCRIBE_SERVER, UNSUBSCRIBE_INSUFFICIENT, UNSUBSCRIBE_EXPIRED)


class ClientError(Exception):
    """A command is refused and the connection lives. Handlers raise it; only the connection turns it into bytes.

    `field` is the path without `$.` (`subscribe.channel`), `detail` the rule that was broken. `temporary` overrides the
    catalogue's. `retry_after_ms` is told where the transport has a place for it (HTTP).
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str = "",
        field: str = "",
        *,
        temporary: bool | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(code, detail, field)
        self.code: Final = code
        self.detail: Final = detail
        self.field: Final = field
        self.temporary: Final = code.temporary if temporary is None else temporary
        self.retry_after_ms: Final = retry_after_ms

    @property
    def message(self) -> str:
        """`slug: $.field: rule`, without what is not known. Never empty; bounded, as details may quote the client."""
        parts = [self.code.slug]
        if self.field:
            parts.append(f"$.{self.field[:_MAX_DETAIL_CHARS]}")
        if self.detail:
            parts.append(self.detail[:_MAX_DETAIL_CHARS])
        return ": ".join(parts)

    def __str__(self) -> str:
        return f"{self.code.code} {self.message}"


class Closing(Exception):
    """The connection has to end. `reason` says it better than the catalogue's text where given."""

    def __init__(self, disconnect: Disconnect, reason: str | None = None) -> None:
        super().__init__(disconnect, reason)
        self.disconnect: Final = disconnect
        self.reason: Final = reason or disconnect.reason

    def __str__(self) -> str:
        return f"{self.disconnect.code} {self.reason}"
