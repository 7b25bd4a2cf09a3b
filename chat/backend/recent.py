"""Pieces of logs that were read lately, for the others who have missed the same: after a restart everybody has."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from realtime.protocol.messages import Publication

KEPT_S: Final = 30.0
"""About as long as it takes until everybody is back."""

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_PIECES: Final = 10
"""Of one channel."""

_OVERHEAD_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class Piece:
    """`publications` follow `after` without a hole. They say what was true as long as nothing beyond `upto` was heard
    of on the channel, and the clock has not passed `until_ms` (None: no matter): an entry beyond may have changed them.
    """

    after: int
    publications: Sequence[Publication]
    upto: int
    until_ms: int | None
    read_at: float

    @property
    def size(self) -> int:
        return sum(len(one.data) + _OVERHEAD_BYTES for one in self.publications)


class RecentPieces:
    """Keeps pieces for `KEPT_S`, at most `MAX_BYTES` in all; the channel that was used last goes last. Pure."""

    def __init__(self) -> None:
        self._pieces: OrderedDict[str, list[Piece]] = OrderedDict()
        self._bytes = 0

    def put(self, channel: str, piece: Piece) -> None:
        pieces = self._pieces.setdefault(channel, [])
        self._pieces.move_to_end(channel)
        # A piece within the new one, or the same one read again, is of no use any more.
        last = piece.publications[-1].offset
        for old in [one for one in pieces if one.after >= piece.after and one.publications[-1].offset <= last]:
            pieces.remove(old)
            self._bytes -= old.size
        pieces.append(piece)
        self._bytes += piece.size
        while len(pieces) > MAX_PIECES:
            self._bytes -= pieces.pop(0).size
        while self._bytes > MAX_BYTES:
            self._drop(next(iter(self._pieces)))

    def find(
        self, channel: str, offset: int, *, cursor: int, now: float, now_ms: int, limit: int, max_bytes: int
    ) -> list[Publication]:
        """What follows `offset`, as much as is known, or nothing. `cursor`: how far the channel was heard of."""
        pieces = self._pieces.get(channel)
        if pieces is None:
            return []
        if not all(_holds(piece, cursor, now, now_ms) for piece in pieces):
            self._drop(channel)
            return []
        for piece in pieces:
            if piece.after <= offset < piece.publications[-1].offset:
                self._pieces.move_to_end(channel)
                return _within(piece.publications[offset - piece.after :], limit, max_bytes)
        return []

    def _drop(self, channel: str) -> None:
        self._bytes -= sum(piece.size for piece in self._pieces.pop(channel))

    def __len__(self) -> int:
        return sum(map(len, self._pieces.values()))

    @property
    def size_bytes(self) -> int:
        return self._bytes


def _holds(piece: Piece, cursor: int, now: float, now_ms: int) -> bool:
    return (
        cursor <= piece.upto and now - piece.read_at <= KEPT_S and (piece.until_ms is None or now_ms < piece.until_ms)
    )


def _within(publications: Sequence[Publication], limit: int, max_bytes: int) -> list[Publication]:
    """The first of them that fit, one at least."""
    kept: list[Publication] = []
    for publication in publications[:limit]:
        max_bytes -= len(publication.data)
        if kept and max_bytes < 0:
            break
        kept.append(publication)
    return kept
