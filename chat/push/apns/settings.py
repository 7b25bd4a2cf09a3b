"""What can be set about APNs: the vendor's limits, as far as they are known, and our own patience."""

from dataclasses import dataclass
from typing import Final

from chat.push.sending import Environment

HOSTS: Final[dict[Environment, str]] = {
    "production": "api.push.apple.com",
    "sandbox": "api.sandbox.push.apple.com",
}


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """`deadline_s`: of one request, waiting for a stream included. `max_streams`: at once on a connection of ours; the
    vendor's own limit counts as well, whatever it is at the moment. `max_waiting`: requests that wait for a stream.

    When nothing was heard for `ping_every_s` a PING goes out, and when nothing is heard for another `ping_answer_s` the
    connection is given up. So it is after `max_missed` deadlines in a row without one answer. One that nobody has used
    for `idle_s` is closed: its key may be gone.

    After a connection that came to nothing the next attempt waits `reconnect_s`, then twice as long, up to
    `max_reconnect_s`: the vendor takes hasty clients for an attack. `drain_s`: how long open streams have on closing.
    """

    deadline_s: float = 10.0
    connect_s: float = 5.0
    ping_every_s: float = 15.0
    ping_answer_s: float = 5.0
    max_streams: int = 128
    max_connections: int = 4
    max_waiting: int = 1024
    max_missed: int = 8
    idle_s: float = 4 * 3600.0
    max_reply_bytes: int = 4096
    reconnect_s: float = 1.0
    max_reconnect_s: float = 60.0
    drain_s: float = 10.0


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """A provider token is replaced between `refresh_after_s` and `refresh_before_s` of its age, never before
    `min_age_s`; the vendor refuses one that is older than an hour.
    """

    refresh_after_s: float = 40 * 60.0
    refresh_before_s: float = 50 * 60.0
    min_age_s: float = 20 * 60.0


@dataclass(frozen=True, slots=True)
class PayloadSettings:
    """`category` is what the app has registered for notifications that can be answered and marked as read.

    A level would be `time-sensitive` for some groups in apps that are entitled to it. `own_texts`: what says nothing of
    the message is said by the app's strings `hubbub_title` and `hubbub_body`.
    """

    max_bytes: int = 4096
    category: str = "hubbub.message"
    sound: str = "default"
    own_texts: bool = False
    direct_level: str = "active"
    mention_level: str = "active"
    group_level: str = "active"


@dataclass(frozen=True, slots=True)
class ApnsSettings:
    """`token_updates_pause_s`: how long a lane is left alone after TooManyProviderTokenUpdates, and `device_pause_s` a
    device after TooManyRequests, or while it is not certain whose fault it is. `doubtful_tokens`: so many devices may
    be refused for their topic, before any was accepted, until the topic itself is at fault.
    """

    connection: ConnectionSettings = ConnectionSettings()
    token: TokenSettings = TokenSettings()
    payload: PayloadSettings = PayloadSettings()
    token_updates_pause_s: float = 60.0
    device_pause_s: float = 60.0
    doubtful_tokens: int = 3
    port: int = 443
