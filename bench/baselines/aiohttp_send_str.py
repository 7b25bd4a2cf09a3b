"""Fan-out as most aiohttp servers do it: `await ws.send_str(text)` for each receiver. Same dialogue as send_loop.c."""

import asyncio
import sys
import time

import uvloop
from aiohttp import web


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

    app = web.Application()
    app.router.add_get("/connection/websocket", accept)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    print("listening", flush=True)
    while len(sockets) < receivers:
        await asyncio.sleep(0.05)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        before = time.process_time()
        for _ in range(int(line)):
            for socket in sockets:
                await socket.send_str(text)
            await asyncio.sleep(0.002)
        print(round((time.process_time() - before) * 1e6), flush=True)


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:4])))
