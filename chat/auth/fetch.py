"""Fetches key sets over HTTP, with bounds on time and size and without following redirects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from chat.auth.jwks import Fetch

_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)
"""A client waits five seconds for its connect reply; the fetch has to leave most of it."""
_MAX_BODY_BYTES: Final = 256 * 1024


class FetchFailed(OSError):
    """The URL did not answer with a key set: the text says why, without its content."""


@asynccontextmanager
async def open_fetch() -> AsyncIterator[Fetch]:
    """A `Fetch` with its own HTTP client, closed on exit."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT, headers={"Accept": "application/json"}) as session:

        async def fetch(url: str) -> bytes:
            try:
                # A redirect could point inside the network: whoever configures the URL gives the final one.
                async with session.get(url, allow_redirects=False) as response:
                    if response.status != 200:
                        raise FetchFailed(f"answered {response.status}")
                    return await _read(response)
            except aiohttp.ClientError as error:
                raise FetchFailed(type(error).__name__) from error

        yield fetch


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > _MAX_BODY_BYTES:
            raise FetchFailed("is larger than 256 KiB")
    return bytes(body)
