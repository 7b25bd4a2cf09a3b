"""What processes tell workers over the bus: that something is due. A hint that is lost costs half a second."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog

from realtime import control
from realtime.control import Envelope, Notice
from realtime.ports import Delivery

log = structlog.get_logger(__name__)

WAKE: Final = "push"
PAUSE_S: Final = 0.1
"""Of hints that follow on each other faster, the first one is told."""


class Waker:
    """Call it when a job was made: this process' own worker is woken at once, the others are told."""

    def __init__(
        self, tell: Callable[[bytes], None], *, process: str, monotonic: Callable[[], float], own: Callable[[], None]
    ) -> None:
        """`tell` sends a control message to all processes."""
        self._tell = tell
        self._message = control.encode(Envelope(process, Notice(WAKE, b"")))
        self._monotonic = monotonic
        self._own = own
        self._told_at = float("-inf")

    def __call__(self) -> None:
        self._own()
        now = self._monotonic()
        if now - self._told_at >= PAUSE_S:
            self._told_at = now
            self._tell(self._message)


class NoticeListener:
    """The bus' listener of a process without sessions: it hears notices of the subjects that it is told of."""

    def __init__(self, process: str) -> None:
        self._process = process
        self._listeners: dict[str, Callable[[bytes], None]] = {}

    def attach(self, listeners: Mapping[str, Callable[[bytes], None]]) -> None:
        """Call these with the data of notices of other processes, by subject. They must neither block nor raise."""
        self._listeners = dict(listeners)

    def on_delivery(self, delivery: Delivery) -> None:
        """None is subscribed to."""

    def on_control(self, payload: bytes) -> None:
        try:
            envelope = control.decode(payload)
        except ValueError as error:
            log.warning("control_not_understood", error=str(error))
            return
        notice = envelope.control
        if envelope.process != self._process and isinstance(notice, Notice) and notice.subject in self._listeners:
            self._listeners[notice.subject](notice.data)

    def on_gap(self, channels: Sequence[str] | None) -> None:
        """What was lost were hints."""
