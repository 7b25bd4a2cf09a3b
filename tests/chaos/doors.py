"""Ports that lead through the proxy, and several links that are one to whoever uses them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

from chaos.fault import Traffic
from chaos.proxy import ProxyLink, Target

_HOST = "127.0.0.1"


class Listener:
    """A port on the loopback interface. `choose` says by the client's address which link a connection is of.

    While all of `links` refuse it does not listen, so that clients are refused as by a server that is not there.
    """

    def __init__(
        self,
        target: Target,
        choose: Callable[[tuple[str, int]], ProxyLink],
        links: Callable[[], Sequence[ProxyLink]],
        *,
        port: int = 0,
    ) -> None:
        self._target = target
        self._choose = choose
        self._links = links
        self.port = port
        self._socket: socket.socket | None = None

    def follow(self) -> None:
        """Listen, or do not: as the links are now. Raises OSError where the port is taken."""
        links = self._links()
        if links and all(link.refusing for link in links):
            self.close()
        elif self._socket is None:
            listening = socket.socket()
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            try:
                listening.bind((_HOST, self.port))
            except OSError:
                listening.close()
                raise
            listening.listen(1024)
            self.port = listening.getsockname()[1]
            self._socket = listening
            asyncio.get_running_loop().add_reader(listening, self._accept)

    def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _accept(self) -> None:
        while self._socket is not None:
            try:
                client, address = self._socket.accept()
            except (BlockingIOError, ConnectionError):
                return
            self._choose(address).take(client, self._target)


@dataclass(frozen=True, slots=True)
class Opened:
    """A link and the port that leads through it."""

    link: ProxyLink
    port: int


@asynccontextmanager
async def opened(name: str, target: Target, *, port: int = 0, random: Random | None = None) -> AsyncIterator[Opened]:
    """A link to `target` with a port of its own (0: any) for as long as the block lasts. OSError if it is taken."""
    link = ProxyLink(name, random=random)
    listener = Listener(target, lambda _: link, lambda: (link,), port=port)
    link.listened_by(listener)
    listener.follow()
    try:
        yield Opened(link, listener.port)
    finally:
        listener.close()
        await link.close()


class Links:
    """Several links that are one to whoever uses them. Implements `chaos.fault.Link`."""

    def __init__(self, name: str, links: Sequence[ProxyLink]) -> None:
        self.name = name
        self.links = links

    def set(self, traffic: Traffic, *, to_server: bool = True, to_client: bool = True) -> None:
        for link in self.links:
            link.set(traffic, to_server=to_server, to_client=to_client)

    def delay(self, seconds: float, jitter_s: float = 0.0) -> None:
        for link in self.links:
            link.delay(seconds, jitter_s)

    def rate(self, bytes_per_s: float | None) -> None:
        for link in self.links:
            link.rate(bytes_per_s)

    def chop(self, piece_bytes: int | None) -> None:
        for link in self.links:
            link.chop(piece_bytes)

    def reset(self) -> None:
        for link in self.links:
            link.reset()

    def half_close(self) -> None:
        for link in self.links:
            link.half_close()

    def cut_after(self, reply_bytes: int, *, asked: bytes = b"") -> None:
        """Of each one by itself: cut off are as many as there are links at most."""
        for link in self.links:
            link.cut_after(reply_bytes, asked=asked)

    @property
    def cuts(self) -> int:
        return sum(link.cuts for link in self.links)
