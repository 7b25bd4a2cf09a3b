"""Messages that mention somebody, by the indexes of the log that only such messages are in.

A message's `meant` has the ids of users, or for everyone one token that stands for the conversation: so a mention of a
hundred thousand is one key of the index. Counts are taken from the log, never kept.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo import DESCENDING

from storage.model import Entry
from storage.model.keys import MAX_OFFSET, log_key, parse_log_key
from storage.mongo.client import Database, Document, translated
from storage.mongo.documents import entry_of
from storage.mongo.hidden import Hidden
from storage.mongo.schema import MENTIONS_BY_TIME, MENTIONS_OF_CONVERSATION, MESSAGES

MAX_COUNTED: Final = 1000
"""Unread mentions that are counted in one conversation; where there are more, so many are told."""

_CONVERSATIONS: Final = 50
"""Conversations of one query for counts."""

_TOKENS: Final = 100
"""Ranges of the index that one query for a list merges."""

_EVERYONE: Final = "*"


def everyone(conversation: str) -> str:
    """What stands for all members of a conversation in `meant`."""
    return f"{_EVERYONE}{conversation}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list of mentions by time is continued: after the message at this offset, sent `at`."""

    at: int
    conversation: str
    offset: int


class Mentions:
    """Every method may raise Unavailable. `without` are senders whose mentions do not count: the user's own, as a rule.

    Every query names its index: left to itself MongoDB may take the collection's own order, and read all messages.
    """

    def __init__(self, db: Database, hidden: Hidden, *, clock: Callable[[], int]) -> None:
        """By the clock (ms UTC), messages that have expired are not listed; they count until they are removed."""
        self._messages = db[MESSAGES]
        self._hidden = hidden
        self._clock = clock

    async def count(self, user: str, after: Mapping[str, int], *, without: Collection[str]) -> dict[str, int]:
        """How many messages after that offset mention the user, by conversation; those without any are left out. What
        the user has hidden does not count, up to `MAX_COUNTED` mentions.

        One query for 50 conversations, which reads only keys of the index: one for each mention, at most `MAX_COUNTED`,
        and two for each conversation. Where there are more, each of the 50 is counted on its own, to `MAX_COUNTED`.
        """
        counts: dict[str, int] = {}
        wanted = list(after.items())
        for start in range(0, len(wanted), _CONVERSATIONS):
            chunk = [_after(user, one, offset, without) for one, offset in wanted[start : start + _CONVERSATIONS]]
            counts.update(await self._count(user, chunk))
        return counts

    async def _count(self, user: str, queries: Sequence[Document]) -> dict[str, int]:
        query = queries[0] if len(queries) == 1 else {"$or": list(queries)}
        with translated():
            found = self._messages.find(
                query, {"_id": 1}, limit=MAX_COUNTED, batch_size=MAX_COUNTED + 1, hint=MENTIONS_OF_CONVERSATION
            )
            keys = [document["_id"] for document in await found.to_list(MAX_COUNTED)]
            if len(keys) < MAX_COUNTED or len(queries) == 1:
                places = [parse_log_key(key) for key in keys]
                hidden = await self._hidden.among(user, places)
                return Counter(place[0] for place in places if place not in hidden)
            counted = await asyncio.gather(
                *(
                    self._messages.count_documents(one, hint=MENTIONS_OF_CONVERSATION, limit=MAX_COUNTED)
                    for one in queries
                )
            )
        return {one["c"]: count for one, count in zip(queries, counted, strict=True) if count}

    async def of_conversation(
        self, user: str, conversation: str, *, before: int | None, limit: int, without: Collection[str]
    ) -> list[Entry]:
        """The newest messages of a conversation, with offset < before, that mention the user; newest first."""
        query = {**_after(user, conversation, 0, without), **self._unexpired()}
        if before is not None:
            query["_id"]["$lte"] = log_key(conversation, max(0, min(before - 1, MAX_OFFSET)))
        with translated():
            found = self._messages.find(
                query, sort=[("_id", DESCENDING)], limit=limit, batch_size=limit + 1, hint=MENTIONS_OF_CONVERSATION
            )
            return [entry_of(document) for document in await found.to_list(limit)]

    async def by_time(
        self,
        user: str,
        conversations: Collection[str],
        *,
        before: Place | None,
        limit: int,
        without: Collection[str],
    ) -> list[Entry]:
        """The newest messages anywhere that mention the user, or everyone in one of these conversations; newest first.

        Of the mentions of the user none is left out, whatever the conversation. One query for each 100 conversations,
        which reads two keys of the index for each of them and the `limit` messages.
        """
        tokens = [user, *map(everyone, conversations)]
        pages = [
            await self._newest(tokens[start : start + _TOKENS], before, limit, without)
            for start in range(0, len(tokens), _TOKENS)
        ]
        merged: list[Entry] = []
        for entry in heapq.merge(*pages, key=_newest_first, reverse=True):
            if not merged or merged[-1].position != entry.position or merged[-1].conversation != entry.conversation:
                merged.append(entry)
        return merged[:limit]

    async def _newest(
        self, tokens: Sequence[str], before: Place | None, limit: int, without: Collection[str]
    ) -> list[Entry]:
        query: Document = {"w": {"$in": list(tokens)}, "u": {"$nin": list(without)}, **self._unexpired()}
        if before is not None:
            key = log_key(before.conversation, before.offset)
            query["t"] = {"$lte": before.at}
            query["$or"] = [{"t": {"$lt": before.at}}, {"_id": {"$lt": key}}]
        order = [("t", DESCENDING), ("_id", DESCENDING)]
        with translated():
            found = self._messages.find(query, sort=order, limit=limit, batch_size=limit + 1, hint=MENTIONS_BY_TIME)
            return [entry_of(document) for document in await found.to_list(limit)]

    def _unexpired(self) -> Document:
        return {"e": {"$not": {"$lte": self._clock()}}}


def _after(user: str, conversation: str, offset: int, without: Collection[str]) -> Document:
    return {
        "c": conversation,
        "w": {"$in": [user, everyone(conversation)]},
        "_id": {"$gt": log_key(conversation, offset), "$lte": log_key(conversation, MAX_OFFSET)},
        "u": {"$nin": list(without)},
    }


def _newest_first(entry: Entry) -> tuple[int, str]:
    return entry.at, log_key(entry.conversation, entry.offset)
