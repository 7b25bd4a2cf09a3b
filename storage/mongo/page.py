"""A page of messages: what is asked for, what it holds, and how it fills with what is read. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from pymongo import ASCENDING

from storage.model import Entry, EntryKind
from storage.model.expiry import as_of
from storage.model.keys import MAX_OFFSET, parse_log_key
from storage.mongo.client import Document
from storage.mongo.documents import entry_of, size_of

EXAMINED_PER_MESSAGE: Final = 20
"""A page of messages looks at no more than this many entries per message that was asked for."""

MAX_LIMIT: Final = 1000
MAX_BYTES: Final = 4 * 1024 * 1024
_MESSAGE: Final = int(EntryKind.MESSAGE_CREATED)


class Wanted(NamedTuple):
    """A page that is asked for.

    DESCENDING: the newest `limit` messages with an offset below `anchor` (None: of all) and above `floor`. ASCENDING:
    the oldest with one above `anchor`. `max_bytes`: fewer if they are large, but one at least.
    """

    conversation: str
    direction: int
    anchor: int | None
    limit: int
    max_bytes: int = MAX_BYTES
    floor: int = 0


@dataclass(frozen=True, slots=True)
class LogPage:
    """Messages, ascending, other entries left out.

    Everything from `oldest` to `newest` was looked at: page on with `before=oldest` or `after=newest` (both None when
    there was nothing to look at). `has_before`, `has_after`: there is more, or there may be. `truncated_by` says why
    there are fewer messages than asked for although there are more.
    """

    entries: list[Entry]
    oldest: int | None
    newest: int | None
    has_before: bool
    has_after: bool
    truncated_by: Literal["examined", "bytes", "retention"] | None = None


class Page:
    """A page that is being filled: until it is `done`, read `size` entries with `after` < offset <= `upto` in the
    direction that is wanted, and let it `take` them.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted: Final = wanted
        self._limit = max(1, min(wanted.limit, MAX_LIMIT))
        self._ascending = wanted.direction == ASCENDING
        anchor = wanted.anchor
        self.after = (anchor or 0) if self._ascending else wanted.floor
        self.upto = MAX_OFFSET if self._ascending or anchor is None else min(anchor - 1, MAX_OFFSET)
        # Most entries are messages: one read, with one to spare to see whether there is more, as a rule suffices.
        self.size = self._limit + 1
        self._budget = self._limit * EXAMINED_PER_MESSAGE
        self._room = wanted.max_bytes
        self._entries: list[Entry] = []
        self._first: int | None = None
        self._last: int | None = None
        self._more = False
        self._truncated_by: Literal["examined", "bytes"] | None = None
        self.done = not 0 <= self.after < self.upto

    def take(self, found: Sequence[Document]) -> None:
        """Look at what was read, in the order in which it was."""
        for document in found:
            if not self._takes(document):
                self.done = self._more = True
                return
        if len(found) < self.size:
            self.done = True
        elif self._budget <= 0:
            self._truncated_by = "examined"
            self.done = self._more = True
        elif self._last is not None:
            if self._ascending:
                self.after = self._last
            else:
                self.upto = self._last - 1
            self.done = self.after >= self.upto
            self.size = min(self._still_needed(), self._budget)

    def _still_needed(self) -> int:
        """How many entries more it takes if messages are as frequent further on, and some to spare."""
        examined, left = self._limit * EXAMINED_PER_MESSAGE - self._budget, self._limit + 1 - len(self._entries)
        likely = left * examined // max(1, len(self._entries))
        return likely + likely // 8 + 2

    def _takes(self, document: Document) -> bool:
        """Look at one more entry. False: the page is full without it."""
        if document.get("y", _MESSAGE) == _MESSAGE:
            if len(self._entries) == self._limit:
                return False
            size = size_of(document)
            if self._entries and size > self._room:
                self._truncated_by = "bytes"
                return False
            self._room -= size
            entry = entry_of(document)
            self._entries.append(entry)
            self._last = entry.offset
        else:
            self._last = parse_log_key(document["_id"])[1]
        if self._first is None:
            self._first = self._last
        self._budget -= 1
        return True

    def made(self, now: int | None) -> LogPage:
        """The page, as it reads at `now` (ms UTC); None: as it stands."""
        entries = self._entries
        if now is not None:
            # Hardly any ever expires.
            entries = [as_of(entry, now) if "expires_at" in entry.body else entry for entry in entries]
        return self._ascending_page(entries) if self._ascending else self._descending_page(entries[::-1])

    def _ascending_page(self, entries: list[Entry]) -> LogPage:
        after = self.wanted.anchor or 0
        removed = self._first is not None and self._first > after + 1
        return LogPage(
            entries,
            oldest=self._first,
            newest=self._last,
            has_before=after > 0 and not removed,
            has_after=self._more,
            truncated_by="retention" if removed else self._truncated_by,
        )

    def _descending_page(self, entries: list[Entry]) -> LogPage:
        before = self.wanted.anchor
        # A log begins at 1: what is not there any more was removed.
        lowest = (1 if before is None else before) if self._last is None else self._last
        return LogPage(
            entries,
            oldest=self._last,
            newest=self._first,
            has_before=self._more,
            has_after=before is not None,
            truncated_by=self._truncated_by if self._more else "retention" if lowest > 1 else None,
        )
