"""A balancer as small as can be: passes TCP connections on, in turn, to those hubs whose `/readyz` says yes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from support.hub_process import HubProcess

CHECK_INTERVAL_S = 0.2
_CHUNK_BYTES = 65_536


@dataclass
class Balancer:
    """`arrivals` are the loop's times at which connections were passed on, with the port they went to."""

    hubs: Sequence[HubProcess]
    port: int = 0
    ready: set[int] = field(default_factory=set)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    refused: int = 0
    """Connections for which no hub was there."""
    _turn: int = 0

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    async def check(self) -> None:
        """Ask everybody for their readiness, again and again; until cancelled."""
        while True:
            answers = await asyncio.gather(*(hub.readyz() for hub in self.hubs))
            self.ready = {hub.port for hub, answer in zip(self.hubs, answers, strict=True) if answer == 200}
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, to its end."""
        opened = await self._open()
        if opened is None:
            self.refused += 1
            writer.close()
            return
        to_reader, to_writer = opened
        await asyncio.gather(_pass(reader, to_writer), _pass(to_reader, writer))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        ports = sorted(self.ready)
        for _ in ports:
            self._turn += 1
            port = ports[self._turn % len(ports)]
            with contextlib.suppress(OSError):
                opened = await asyncio.open_connection("127.0.0.1", port)
                self.arrivals.append((asyncio.get_running_loop().time(), port))
                return opened
        return None


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@asynccontextmanager
async def balanced(hubs: Sequence[HubProcess]) -> AsyncIterator[Balancer]:
    """A balancer in front of hubs that run."""
    balancer = Balancer(hubs)
    async with contextlib.AsyncExitStack() as stack:
        checking = asyncio.create_task(balancer.check())
        stack.callback(checking.cancel)
        server = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
        stack.callback(server.close)
        balancer.port = server.sockets[0].getsockname()[1]
        yield balancer
