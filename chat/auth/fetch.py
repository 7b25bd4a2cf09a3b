"""Fetches key sets over HTTP, with bounds on time and size and without following redirects."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from chat.auth.jwks import Fetch
from chat.outgoing import Failed, Rules, open_outgoing

_TIMEOUT_S: Final = 2.0
"""A client waits five seconds for its connect reply; the fetch has to leave most of it."""
_MAX_BODY_BYTES: Final = 256 * 1024


@asynccontextmanager
async def open_fetch(*, inside: bool) -> AsyncIterator[Fetch]:
    """A `Fetch` with its own HTTP client, closed on exit. Raises what `Outgoing.request` does.

    `inside`: key servers may be at private addresses and speak plain HTTP.
    """
    rules = Rules(ports=frozenset(), inside=inside)
    headers = {"Accept": "application/json"}
    async with open_outgoing(rules, timeout_s=_TIMEOUT_S, max_bytes=_MAX_BODY_BYTES, headers=headers) as outgoing:

        async def fetch(url: str) -> bytes:
            # A redirect could point inside the network: whoever configures the URL gives the final one.
            answer = await outgoing.request("GET", url)
            if answer.status != 200:
                raise Failed(f"answered {answer.status}")
            return answer.body

        yield fetch
