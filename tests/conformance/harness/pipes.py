"""Moving bytes between two TCP connections."""

import asyncio
from contextlib import suppress
from typing import TypeAlias

Address: TypeAlias = tuple[str, int]
Stream: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK_BYTES = 64 * 1024


async def joined(one: Stream, other: Stream) -> None:
    """Copy both ways until either side ends; then close both. Cancelling closes both too."""
    directions = {
        asyncio.create_task(_copy(one[0], other[1])),
        asyncio.create_task(_copy(other[0], one[1])),
    }
    try:
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for direction in directions:
            direction.cancel()
        await asyncio.wait(directions)
        one[1].close()
        other[1].close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
