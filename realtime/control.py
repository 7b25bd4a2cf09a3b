"""What processes tell each other about sessions: end one, subscribe one, and who has what. Pure: structs and bytes.

Sent over the bus's control channels, so best effort: whoever must be sure asks again, or finds out from the log.
"""

from typing import TypeAlias

import msgspec
from msgspec import Struct

from realtime.ports import StreamOptions
from realtime.protocol.messages import EMPTY, Payload


class Target(Struct, frozen=True, omit_defaults=True):
    """Which sessions: those of a user, narrowed to one client or without some. An empty `client` means all.

    `tokens`, `keys`: those let in by a token of one of these names, or verified by one of these keys; without a `user`,
    of anybody. `issued_before`: those let in by a token that is older, or that does not say.
    """

    user: str
    client: str = ""
    whitelist: tuple[str, ...] = ()
    tokens: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    issued_before: int | None = None

    @property
    def of_anybody(self) -> bool:
        """Whether it is by their credentials alone that sessions are meant."""
        return not self.user and bool(self.tokens or self.keys)


class DisconnectSessions(Struct, frozen=True, tag="disconnect"):
    target: Target
    code: int
    reason: str


class UnsubscribeSessions(Struct, frozen=True, tag="unsubscribe", omit_defaults=True):
    """An empty channel means every channel. `prefix`: every channel whose name begins with `channel`. `own`: only what
    clients subscribed to themselves.
    """

    target: Target
    channel: str
    code: int
    reason: str
    prefix: bool = False
    own: bool = False

    def is_about(self, channel: str) -> bool:
        return channel.startswith(self.channel) if self.prefix else self.channel in ("", channel)


class SubscribeSessions(Struct, frozen=True, tag="subscribe", omit_defaults=True):
    """Give a channel to sessions from the server's side. The grant is spelled out: every process does the same."""

    target: Target
    channel: str
    data: Payload = EMPTY
    chan_info: Payload = EMPTY
    expire_at: float | None = None
    presence: bool = False
    join_leave: bool = False
    push_join_leave: bool = False
    positioned: bool = False
    recoverable: bool = False
    stream: StreamOptions | None = None
    since_epoch: str = ""
    since_offset: int | None = None
    durable: bool = False
    """The channel has a durable feed; `since_offset` is then where the subscription starts."""


class RefreshSessions(Struct, frozen=True, tag="refresh"):
    """Set the expiry of sessions; `expired` ends them."""

    target: Target
    expired: bool
    expire_at: float | None


class Ask(Struct, frozen=True, tag="ask"):
    """A question to every process. The answer goes to `process` under the same `question`."""

    question: str
    process: str
    subject: str
    data: bytes


class Tell(Struct, frozen=True, tag="tell"):
    """The answer of one process."""

    question: str
    process: str
    data: bytes


class Notice(Struct, frozen=True, tag="notice"):
    """Something of the product's own, opaque here."""

    subject: str
    data: bytes


Operation: TypeAlias = DisconnectSessions | UnsubscribeSessions | SubscribeSessions | RefreshSessions
Control: TypeAlias = Operation | Ask | Tell | Notice


class Envelope(Struct, frozen=True):
    """`process` is the sender, which has done the operation itself already."""

    process: str
    control: Control


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    return _encoder.encode(envelope)


def decode(data: bytes) -> Envelope:
    """Raises ValueError on anything that is not one of ours, for example from a newer version."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
