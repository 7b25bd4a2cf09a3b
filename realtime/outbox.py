"""What waits for one connection's socket: bounded in bytes, in three priorities."""

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol


class Priority(IntEnum):
    """Lower goes first. A ping or a reply never waits behind publications, a live publication never behind old ones."""

    CONTROL = 0
    LIVE = 1
    EPHEMERAL = 2
    CATCH_UP = 3


class Counted(Protocol):
    """Where all outboxes of a process are counted together."""

    outbox_bytes: int
    ephemeral_dropped: int


class Outbox:
    """Frames that the socket could not take yet. Exists only while a connection is behind.

    Bound: `max_bytes` in all. At the bound ephemeral frames (typing, presence, receipts) are dropped, oldest first; if
    that does not make room `put` answers False and the caller closes the connection, which later resumes from the log.
    LIVE and EPHEMERAL share one queue, because an ephemeral event must not overtake what it is about.
    """

    __slots__ = ("_bytes", "_catch_up", "_control", "_counted", "_live", "_max_bytes")

    def __init__(self, max_bytes: int, counted: Counted) -> None:
        self._max_bytes = max_bytes
        self._counted = counted
        self._bytes = 0
        self._control: deque[bytes] = deque()
        self._live: deque[tuple[bytes, bool]] = deque()
        self._catch_up: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._control) + len(self._live) + len(self._catch_up)

    @property
    def size_bytes(self) -> int:
        return self._bytes

    def put(self, frame: bytes, priority: Priority) -> bool:
        """Queue a frame. False: over the bound even without the ephemeral ones; nothing was queued."""
        if self._bytes + len(frame) > self._max_bytes:
            if priority is Priority.EPHEMERAL:
                self._counted.ephemeral_dropped += 1
                return True
            self._drop_ephemeral(self._bytes + len(frame) - self._max_bytes)
            if self._bytes + len(frame) > self._max_bytes:
                return False
        self._grow(len(frame))
        if priority is Priority.CONTROL:
            self._control.append(frame)
        elif priority is Priority.CATCH_UP:
            self._catch_up.append(frame)
        else:
            self._live.append((frame, priority is Priority.EPHEMERAL))
        return True

    def _drop_ephemeral(self, at_least_bytes: int) -> None:
        kept: deque[tuple[bytes, bool]] = deque()
        freed = 0
        for frame, ephemeral in self._live:
            if ephemeral and freed < at_least_bytes:
                freed += len(frame)
                self._counted.ephemeral_dropped += 1
            else:
                kept.append((frame, ephemeral))
        self._live = kept
        self._grow(-freed)

    def take(self) -> Iterator[bytes]:
        """Hand out frames in sending order. The caller stops when the socket is full; what it did not take stays."""
        while self._control or self._live or self._catch_up:
            if self._control:
                frame = self._control.popleft()
            elif self._live:
                frame = self._live.popleft()[0]
            else:
                frame = self._catch_up.popleft()
            self._grow(-len(frame))
            yield frame

    def clear(self) -> None:
        """Throw away what waits: the connection ends."""
        self._control.clear()
        self._live.clear()
        self._catch_up.clear()
        self._grow(-self._bytes)

    def _grow(self, by_bytes: int) -> None:
        self._bytes += by_bytes
        self._counted.outbox_bytes += by_bytes
