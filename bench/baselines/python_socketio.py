"""Fan-out with python-socketio on aiohttp: one `emit` to everybody. Same dialogue as send_loop.c."""

import sys
from pathlib import Path

import socketio
import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent))

from dialogue import answer, ready

EVENT = "m"
AROUND = len('42["m",""]') + 4
"""What the packet and the frame add to the text."""


async def main(port: int, receivers: int, size: int) -> None:
    # The receivers read and say nothing: they answer no pings.
    server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=3600, http_compression=False)
    connected: set[str] = set()
    text = "x" * (size - AROUND)

    @server.event
    async def connect(sid: str, environ: object) -> None:
        connected.add(sid)

    async def send_to_all() -> None:
        await server.emit(EVENT, text)

    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await ready(lambda: len(connected) == receivers)
    await answer(send_to_all)


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:4])))
