"""A forward HTTP proxy that sends one address somewhere else.

For programs that insist on an address of their own: they are told to use this proxy by the environment, as every HTTP
client understands it, and nothing in them or in the network has to be changed.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from conformance.harness.pipes import Address, joined

MAX_HEAD_BYTES = 16 * 1024
PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy", "no_proxy"})


class ForwardProxy:
    """Takes CONNECT and absolute-form requests. `detours` maps the addresses that are elsewhere."""

    def __init__(self, detours: Mapping[Address, Address]) -> None:
        self._detours = detours
        self.detoured = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one side ends it."""
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                first = b""
            else:
                url = urlsplit(target)
                host, port = url.hostname or "", str(url.port or 80)
                path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
                first = f"{method} {path} {version}\r\n".encode() + head.split(b"\r\n", 1)[1]
            upstream = await asyncio.open_connection(*self._address(host, int(port)))
            upstream[1].write(first)
            await joined((reader, writer), upstream)
        writer.close()

    def _address(self, host: str, port: int) -> Address:
        if (host, port) not in self._detours:
            return host, port
        self.detoured += 1
        return self._detours[host, port]


@asynccontextmanager
async def forward_proxy(detours: Mapping[Address, Address]) -> AsyncIterator[tuple[ForwardProxy, str]]:
    """A running proxy and its URL."""
    proxy = ForwardProxy(detours)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=MAX_HEAD_BYTES)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield proxy, f"http://127.0.0.1:{port}"


def environment_with_proxy(environment: Mapping[str, str], url: str) -> dict[str, str]:
    """The environment of a program that is to use the proxy for everything."""
    kept = {name: value for name, value in environment.items() if name.lower() not in PROXY_VARIABLES}
    return {**kept, "http_proxy": url, "ws_proxy": url}
