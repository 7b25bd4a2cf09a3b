"""Fan-out as most aiohttp servers do it: `await ws.send_str(text)` for each receiver. Same dialogue as send_loop.c."""

import sys
from pathlib import Path

import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent))

from dialogue import answer, ready


async def main(port: int, receivers: int, size: int) -> None:
    sockets: list[web.WebSocketResponse] = []
    text = "x" * (size - 4)

    async def accept(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets.append(socket)
        async for _ in socket:
            pass
        return socket

    async def send_to_all() -> None:
        for socket in sockets:
            await socket.send_str(text)

    app = web.Application()
    app.router.add_get("/", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await ready(lambda: len(sockets) == receivers)
    await answer(send_to_all)


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:4])))
