"""A bare client of the protocol for tests: sends commands as JSON, keeps everything that comes back in order."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from support.waiting import PATIENCE_S


class WireClient:
    """One JSON connection. `replies` by command id, `pushes` in order of arrival."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.replies: dict[int, Any] = {}
        self.pushes: list[Any] = []
        self.frames: list[list[Any]] = []
        self.pings = 0
        self.answer_pings = True
        self.close_code: int | None = None
        self.close_reason = ""
        self._next_id = 0
        self._news = asyncio.Condition()

    async def read(self) -> None:
        async for message in self.socket:
            parts = [json.loads(line) for line in message.data.split("\n") if line]
            self.frames.append(parts)
            for part in parts:
                await self._take(part)
            async with self._news:
                self._news.notify_all()
        self.close_code = self.socket.close_code
        async with self._news:
            self._news.notify_all()

    async def _take(self, part: dict[str, Any]) -> None:
        if not part:
            self.pings += 1
            if self.answer_pings:
                await self.socket.send_str("{}")
        elif "push" in part:
            self.pushes.append(part["push"])
        else:
            self.replies[part["id"]] = part

    async def send(self, **command: Any) -> int:
        """Send a command; returns its id."""
        self._next_id += 1
        await self.socket.send_str(json.dumps({"id": self._next_id, **command}))
        return self._next_id

    async def call(self, **command: Any) -> Any:
        """Send a command and wait for its reply: the result object, or {"error": ...}."""
        command_id = await self.send(**command)
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: command_id in self.replies or self.close_code is not None)
        reply = self.replies[command_id]
        return {"error": reply["error"]} if "error" in reply else reply[next(key for key in reply if key != "id")]

    async def connect(self, token: str, **fields: Any) -> Any:
        return await self.call(connect={"token": token, **fields})

    async def rpc(self, method: str, **data: Any) -> Any:
        """The method's result, or {"error": ...}."""
        result = await self.call(rpc={"method": method, "data": data})
        return result if "error" in result else result.get("data")

    def publications(self, channel: str) -> list[Any]:
        return [push["pub"] for push in self.pushes if push.get("channel") == channel and "pub" in push]

    def offsets(self, channel: str) -> list[int]:
        return [pub["offset"] for pub in self.publications(channel) if pub.get("offset")]

    async def until(self, condition: Any, within_s: float = PATIENCE_S) -> None:
        """Wait until `condition()` holds; looked at whenever something arrived."""
        async with asyncio.timeout(within_s), self._news:
            await self._news.wait_for(condition)

    async def closed(self, within_s: float = PATIENCE_S) -> int | None:
        """Wait for the end; returns the close code."""
        await self.until(lambda: self.close_code is not None, within_s)
        return self.close_code


@asynccontextmanager
async def wire_client(url: str, *, protocols: tuple[str, ...] = (), **options: Any) -> AsyncIterator[WireClient]:
    """An open socket that has not said anything yet."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, protocols=protocols, max_msg_size=0, **options) as socket,
    ):
        client = WireClient(socket)
        reader = asyncio.create_task(client.read())
        try:
            yield client
        finally:
            reader.cancel()
            await asyncio.wait({reader})
