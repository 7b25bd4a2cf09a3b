"""Transactions, for what has to change together. Never on the way of a plain message."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from pymongo.read_concern import ReadConcern

from storage.errors import Contended
from storage.mongo.client import Client, Session, translated

T = TypeVar("T")

ATTEMPTS: Final = 8
FIRST_PAUSE_S: Final = 0.002


@asynccontextmanager
async def transaction(client: Client) -> AsyncIterator[Session]:
    """A transaction that commits on a majority when the block ends, and is aborted when it raises.

    Raises Contended if it lost against a concurrent one (nothing was written), Unavailable if its outcome is unknown.
    """
    with translated():
        async with (
            await client.start_session() as session,
            session.start_transaction(read_concern=ReadConcern("snapshot")),
        ):
            yield session


async def until_uncontended(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat while the attempt loses against concurrent transactions; after ATTEMPTS times Contended gets out."""
    for number in range(1, ATTEMPTS):
        try:
            return await attempt()
        except Contended:
            await asyncio.sleep(FIRST_PAUSE_S * 2**number)
    return await attempt()
