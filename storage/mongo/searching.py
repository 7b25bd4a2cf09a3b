"""Finding messages of one conversation by words, sender, time: stretch by stretch of its log, newest first.

There is no index of words: to keep one would cost every message, and a conversation's log lies together on disk. One
call looks through one stretch; MongoDB compares, and only hits are sent.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pymongo
from pymongo import ASCENDING, DESCENDING

from storage.errors import Unavailable
from storage.model import Entry, EntryKind
from storage.model.keys import MAX_OFFSET, log_key
from storage.mongo.client import Database, Document, translated
from storage.mongo.documents import entry_of, position_of, size_of
from storage.mongo.log import Log
from storage.mongo.schema import MESSAGES

STRETCH: Final = 5000
"""Entries that one call looks through."""

SHORTER_STRETCHES: Final = (500, 50)
STRETCH_TIMEOUT_S: Final = 0.5
"""Where the messages are so long, or so much like the words, that a stretch takes more, a shorter one is tried."""

CLOCK_SLACK_MS: Final = 60_000
"""How far the clocks of hubs may be apart: so much may the times in a log be out of order."""

# Scripts that are written without spaces between words, as ranges of code points.
_UNSPACED: Final = (
    (0x0E00, 0x0FFF),  # Thai, Lao, Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0xA4CF),  # Han, Hiragana, Katakana, Yi
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),
    (0x20000, 0x3FFFF),
)
_AFTER_UNSPACED: Final = "".join(rf"\x{{{first:X}}}-\x{{{last:X}}}" for first, last in _UNSPACED)
_BETWEEN_WORDS: Final = r"[^\p{L}\p{M}\p{N}_]"
_HAS_ATTACHMENTS: Final = r'"attachments":\['


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a message must have to be found; all of it. `after` and `before` are times, both exclusive."""

    words: tuple[str, ...] = ()
    sender: str | None = None
    after: int | None = None
    before: int | None = None
    has_attachment: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """Messages, newest first. Everything from the beginning of the search down to `examined_to` was looked at;
    `complete`: there is nothing older to look at.
    """

    entries: list[Entry]
    examined_to: int
    complete: bool


class Searching:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, *, clock: Callable[[], int]) -> None:
        self._messages = db[MESSAGES]
        self._log = Log(db)
        self._clock = clock

    async def find(
        self, conversation: str, wanted: Wanted, *, upto: int | None = None, limit: int, max_bytes: int
    ) -> Hits:
        """The newest `limit` messages, `max_bytes` at most, that are wanted, of one stretch with offset <= upto.

        Deleted and expired ones are not found. Raises Invalid for words that no text can have.
        """
        low, high = await self._bounds(conversation, wanted, upto)
        if high <= low:
            return Hits([], min(low + 1, high) if upto is not None else low + 1, complete=True)
        for stretch in (STRETCH, *SHORTER_STRETCHES[:-1]):
            try:
                with pymongo.timeout(STRETCH_TIMEOUT_S):
                    return await self._stretch(conversation, wanted, low, high, stretch, limit, max_bytes)
            except Unavailable:
                continue
        return await self._stretch(conversation, wanted, low, high, SHORTER_STRETCHES[-1], limit, max_bytes)

    async def _bounds(self, conversation: str, wanted: Wanted, upto: int | None) -> tuple[int, int]:
        """The offsets after which and up to which there may be something."""
        first, tail = await self._log.first(conversation), await self._log.tail(conversation)
        low, high = 0 if first is None else first.offset - 1, tail.offset
        if wanted.after is not None:
            after = await self._first_since(conversation, low, high, wanted.after - CLOCK_SLACK_MS)
        else:
            after = low
        if wanted.before is not None:
            high = await self._first_since(conversation, low, high, wanted.before + CLOCK_SLACK_MS)
        return after, high if upto is None else min(upto, high)

    async def _first_since(self, conversation: str, low: int, high: int, at: int) -> int:
        """About where the log reaches the time: an offset in low…high with everything up to it made before `at`."""
        while low < high:
            middle = (low + high + 1) // 2
            keys = {"$gt": log_key(conversation, middle - 1), "$lte": log_key(conversation, high)}
            with translated():
                found = await self._messages.find_one({"_id": keys}, {"t": 1}, sort=[("_id", ASCENDING)])
            if found is not None and found["t"] < at:
                low = middle
            else:
                high = middle - 1
        return low

    async def _stretch(
        self, conversation: str, wanted: Wanted, low: int, high: int, stretch: int, limit: int, max_bytes: int
    ) -> Hits:
        begin = max(low, high - stretch)
        keys = {"$gt": log_key(conversation, begin), "$lte": log_key(conversation, min(high, MAX_OFFSET))}
        with translated():
            found = await (
                self._messages.find(
                    {"_id": keys, **_filter(wanted, self._clock())}, sort=[("_id", DESCENDING)], limit=limit
                )
                .batch_size(limit + 1)
                .to_list(limit)
            )
        kept: list[Document] = []
        for document in found:
            max_bytes -= size_of(document)
            if kept and max_bytes < 0:
                break
            kept.append(document)
        full = len(kept) < len(found) or len(found) == limit
        examined_to = position_of(kept[-1]).offset if full else begin + 1
        entries = [entry for document in kept if _is_hit(entry := entry_of(document), wanted)]
        return Hits(entries, examined_to, complete=examined_to <= low + 1)


def pattern(word: str) -> str:
    """A regular expression for texts that have the word, or one that begins with it.

    In scripts without spaces between words it is found anywhere. However its letters are composed in Unicode, it is the
    same word.
    """
    spellings = dict.fromkeys((word, unicodedata.normalize("NFC", word), unicodedata.normalize("NFD", word)))
    within_words = not word[0].isalnum() or _is_unspaced(word[0])
    return "|".join(_literal(one) if within_words else _beginning(one) for one in spellings)


def _literal(spelling: str) -> str:
    # A regular expression of MongoDB has no NUL in it.
    return re.escape(spelling).replace("\0", r"\x00")


def _beginning(spelling: str) -> str:
    """The spelling where a word begins. What is before it is looked at as soon as its first character is found: a
    literal is found quickly, and whoever fills a text with the beginnings of a long word has it compared nowhere.
    """
    first, rest = _literal(spelling[0]), _literal(spelling[1:])
    return f"{first}(?<=^{first}|{_BETWEEN_WORDS}{first}|[{_AFTER_UNSPACED}]{first}){rest}"


def _is_unspaced(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _UNSPACED)


def _filter(wanted: Wanted, now: int) -> Document:
    """No `$or`: with one, a clustered collection would be looked through as a whole."""
    conditions: Document = {"y": {"$exists": False}, "e": {"$not": {"$lte": now}}}
    if wanted.words:
        conditions["$and"] = [{"x": {"$regex": pattern(word), "$options": "i"}} for word in wanted.words]
    if wanted.sender is not None:
        conditions["u"] = wanted.sender
    times = {"$gt": wanted.after, "$lt": wanted.before}
    if times := {operator: at for operator, at in times.items() if at is not None}:
        conditions["t"] = times
    if wanted.has_attachment:
        conditions["j"] = {"$regex": _HAS_ATTACHMENTS}
    return conditions


def _is_hit(entry: Entry, wanted: Wanted) -> bool:
    """What the filter cannot tell."""
    if entry.kind is not EntryKind.MESSAGE_CREATED or "deleted_at" in entry.body:
        return False
    return not wanted.has_attachment or bool(entry.body.get("attachments"))
