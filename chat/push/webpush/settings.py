"""What can be set about Web Push: the vendors' limits, as far as they are known, and our own patience."""

from dataclasses import dataclass, field

from chat.push.webpush.origins import Origins
from chat.push.webpush.payload import Shape
from chat.push.webpush.vapid import VapidTimes


@dataclass(frozen=True, slots=True)
class WebPushSettings:
    """`max_ttl_s`: for how long a service may keep a message; Mozilla keeps none for longer. `content_type` is of the
    sealed body, which says nothing about what is in it. `max_answer_bytes`: of an answer, which has a few words.

    `connections_per_host` is less than `max_connections`, so that one service that hangs leaves some to the others.
    """

    origins: Origins = field(default_factory=Origins)
    shape: Shape = field(default_factory=Shape)
    times: VapidTimes = field(default_factory=VapidTimes)
    content_type: str = "application/octet-stream"
    deadline_s: float = 10.0
    connect_s: float = 5.0
    max_connections: int = 128
    connections_per_host: int = 48
    keep_alive_s: float = 60.0
    max_ttl_s: int = 30 * 24 * 3600
    max_answer_bytes: int = 64 * 1024
