"""How far logs are known to reach, from the rows of their conversations: one query for many of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from storage.model import Position
from storage.mongo.client import Database, Document, translated
from storage.mongo.rows import position_of
from storage.mongo.schema import CONVERSATIONS

_CHUNK: Final = 1000


async def read_rows(
    db: Database, conversations: Collection[str], fields: Mapping[str, int] | None = None
) -> list[Document]:
    """The rows of those that exist, all fields or these; any number, in chunks. Raises Unavailable."""
    every = list(dict.fromkeys(conversations))
    rows: list[Document] = []
    for start in range(0, len(every), _CHUNK):
        chunk = every[start : start + _CHUNK]
        with translated():
            found = db[CONVERSATIONS].find({"_id": {"$in": chunk}}, fields, batch_size=len(chunk) + 1)
            rows += await found.to_list(None)
    return rows


async def read_heads(db: Database, conversations: Collection[str]) -> dict[str, Position]:
    """Their heads: committed, but about a second behind the log. Raises Unavailable."""
    return {row["_id"]: position_of(row["head"]) for row in await read_rows(db, conversations, {"head": 1})}


@dataclass(frozen=True, slots=True)
class Extent:
    """From where to where a log is: `floor` is the position up to which nothing is retained."""

    floor: Position
    head: Position


async def read_extents(db: Database, conversations: Collection[str]) -> dict[str, Extent]:
    """Of those that exist; the heads about a second behind the log. Raises Unavailable."""
    rows = await read_rows(db, conversations, {"head": 1, "oldest": 1, "oldest_n": 1})
    return {
        row["_id"]: Extent(
            Position(int(row.get("oldest", 1)) - 1, int(row.get("oldest_n", 0))), position_of(row["head"])
        )
        for row in rows
    }
