"""Asks a hub for pages, by REST and over the socket: keep-alive connections, each with one request on its way."""

import asyncio
import json
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Self, cast

from bench.load import Client


class Getter(asyncio.Protocol):
    """One HTTP connection that GETs, and reads no more of an answer than where it ends."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answered: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, port: int) -> Self:
        _, getter = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return getter

    async def get(self, request: bytes) -> bytes:
        """The body. Raises RuntimeError for what is neither 200 nor 304."""
        self._answered = asyncio.get_running_loop().create_future()
        assert self._transport is not None
        self._transport.write(request)
        status, body = await self._answered
        if status not in (200, 304):
            raise RuntimeError(f"{status}: {body[:200]!r}")
        return body

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        status = int(head[9:12])
        _, found, length = head.partition(b"content-length: ")
        size = int(length.partition(b"\r\n")[0]) if found and status != 304 else 0
        if len(self._buffer) < end + 4 + size:
            return
        body = bytes(self._buffer[end + 4 :])
        self._buffer.clear()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result((status, body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionError("closed"))


def request(conversation: str, token: str, *, before: int | None = None, headers: str = "") -> bytes:
    """A GET of fifty messages. `headers` are further ones, each with its line break."""
    place = "" if before is None else f"&before={before}"
    return (
        f"GET /v1/conversations/{conversation}/messages?limit=50{place} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\n{headers}\r\n"
    ).encode()


async def get_pages(port: int, clients: int, calls: int, asks: Callable[[], bytes]) -> tuple[float, list[float]]:
    """So many clients at once, so many requests in all: (pages a second, ms of each)."""
    getters = [await Getter.open(port) for _ in range(clients)]
    times: list[float] = []

    async def one(getter: Getter) -> None:
        for _ in range(calls // clients):
            began = perf_counter()
            await getter.get(asks())
            times.append((perf_counter() - began) * 1000)

    began = perf_counter()
    await asyncio.gather(*(one(getter) for getter in getters))
    took_s = perf_counter() - began
    for getter in getters:
        getter.close()
    return len(times) / took_s, times


async def ask_pages(clients: Sequence[Client], calls: int, asks: Callable[[], dict[str, object]]) -> float:
    """The same over sockets that are open: pages a second."""

    async def one(client: Client) -> None:
        for _ in range(calls // len(clients)):
            answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            client.on_reply = answered.set_result
            client.command(b'"rpc":%b' % json.dumps({"method": "history.page", "data": asks()}).encode())
            if b'"error"' in (await answered)[:40]:
                raise RuntimeError((await answered).decode()[:200])

    began = perf_counter()
    await asyncio.gather(*(one(client) for client in clients))
    return calls // len(clients) * len(clients) / (perf_counter() - began)
