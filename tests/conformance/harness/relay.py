"""A TCP relay in front of the server: the network between it and a client, to be cut when a test says so."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conformance.harness.pipes import Address, Stream, joined


class Relay:
    """Passes connections on. `cut` ends them without a word from either end, `offline` lets no new one through."""

    def __init__(self, target: Address, port: int) -> None:
        self._target = target
        self._sockets: set[asyncio.StreamWriter] = set()
        self.port = port
        self.passed = 0
        self.offline = False

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    def cut(self, *, offline: bool = False) -> None:
        """Reset every connection; with `offline` nothing gets through until `restore`."""
        self.offline = offline
        for writer in self._sockets:
            writer.transport.abort()

    def restore(self) -> None:
        self.offline = False

    async def serve(self, client: Stream) -> None:
        if self.offline:
            client[1].transport.abort()
            return
        server = await asyncio.open_connection(*self._target)
        self.passed += 1
        writers = {client[1], server[1]}
        self._sockets |= writers
        try:
            await joined(client, server)
        finally:
            self._sockets -= writers


@asynccontextmanager
async def relay_to(target: Address) -> AsyncIterator[Relay]:
    """A relay on a port of its own; its connections are reset at the end."""
    tasks: set[asyncio.Task[None]] = set()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(relay.serve((reader, writer)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    relay = Relay(target, server.sockets[0].getsockname()[1])
    async with server:
        yield relay
        server.close()
        relay.cut(offline=True)
        if tasks:
            await asyncio.wait(tasks)
