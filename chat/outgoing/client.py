"""An HTTP client that keeps to `Rules`: it resolves a host, checks every address, and connects to one of those.

No redirects (the next place was not checked), no proxies from the environment (they would resolve for themselves), no
cookies, nothing unpacked, and bounds on time and size.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from chat.outgoing.rules import Forbidden, Rules, check_address, check_url

_CHUNK_BYTES: Final = 16 * 1024


class Failed(OSError):
    """Nobody answered, or not with what fits: the text says why, without the URL and without what came.

    `sent`: whether the request may have arrived. False only where there never was a connection.
    """

    def __init__(self, text: str, *, sent: bool = True) -> None:
        super().__init__(text)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by name, whatever its case."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class Guarded(AbstractResolver):
    """Resolves by another resolver and refuses a host of whose addresses one is forbidden."""

    def __init__(self, rules: Rules, inner: AbstractResolver) -> None:
        self._rules: Final = rules
        self._inner: Final = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises Forbidden, or OSError when the host has no address."""
        found = await self._inner.resolve(host, port, family)
        for one in found:
            check_address(one["host"], self._rules)
        return found

    async def close(self) -> None:
        await self._inner.close()


class Outgoing:
    """Made by `open_outgoing`."""

    def __init__(self, session: aiohttp.ClientSession, rules: Rules, *, timeout_s: float, max_bytes: int) -> None:
        self._session: Final = session
        self._rules: Final = rules
        self._timeout_s: Final = timeout_s
        self._max_bytes: Final = max_bytes

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Whatever status it has, a redirect included. Takes at most the time it was made for, all in all.

        Raises Forbidden when the request must not go there, Failed (both are OSError) when it got no answer that fits.
        """
        checked = check_url(url, self._rules)
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(method, checked, headers=headers, data=body, allow_redirects=False) as response,
            ):
                return Answer(response.status, await self._read(response), response.headers)
        except aiohttp.ConnectionTimeoutError:
            raise Failed("did not let itself be connected to in time", sent=False) from None
        except TimeoutError:
            raise Failed(f"did not answer within {self._timeout_s:g} s") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, Forbidden):
                raise error.os_error from None
            raise Failed("cannot be reached", sent=False) from error
        except aiohttp.ClientError as error:
            raise Failed(type(error).__name__) from error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes:
                raise Failed(f"answered with more than {self._max_bytes // 1024} KiB")
        return bytes(body)


@asynccontextmanager
async def open_outgoing(
    rules: Rules,
    *,
    timeout_s: float,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    connect_s: float | None = None,
    connections: int = 100,
    connections_per_host: int = 0,
    keepalive_s: float = 15.0,
    resolver: AbstractResolver | None = None,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Outgoing]:
    """A client for one kind of URL, closed on exit.

    `timeout_s` is for a request with all that it waits for, `connect_s` for getting a connection alone. At most
    `connections` are open, to one host at most `connections_per_host` (0: as many); who finds none free waits.
    `resolver` and `trust` are for tests: whom to ask for addresses, and whose certificates to believe.
    """
    connector = aiohttp.TCPConnector(
        resolver=Guarded(rules, resolver or ThreadedResolver()),
        # Addresses that were checked are those that are connected to: every connection asks, and asks once.
        use_dns_cache=False,
        limit=connections,
        limit_per_host=connections_per_host,
        keepalive_timeout=keepalive_s,
        ssl=trust or True,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"Accept-Encoding": "identity", **(headers or {})},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        trust_env=False,
        auto_decompress=False,
    ) as session:
        yield Outgoing(session, rules, timeout_s=timeout_s, max_bytes=max_bytes)
