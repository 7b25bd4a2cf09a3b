"""The SDK for JavaScript: a Node process for all tests (tests/js/sdk.mjs), a connection to it for each client."""

import asyncio
import itertools
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conformance.harness.clients import WITHIN_S, GetToken, Happened, Position, Refused, SdkClient, SubscribeOptions

SCRIPT = Path(__file__).parents[2] / "js" / "sdk.mjs"
MAX_LINE_BYTES = 4 * 1024 * 1024
RECONNECT_MS = {"minReconnectDelay": 20, "maxReconnectDelay": 100}
RESUBSCRIBE_MS = {"minResubscribeDelay": 20, "maxResubscribeDelay": 100}


@contextmanager
def node_process(directory: Path) -> Iterator[Path]:
    """Node with the SDK loaded. Yields the path of its socket; it ends with the block, and with this process."""
    node = shutil.which("node")
    assert node is not None, "node is not installed"
    path = directory / "sdk.sock"
    process = subprocess.Popen([node, str(SCRIPT), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n", "node does not start"
        yield path
        assert process.poll() is None, f"node ended with {process.returncode}"


class JavaScriptClient(SdkClient):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, get_token: GetToken) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer
        self._get_token = get_token
        self._subscribed_with: dict[str, SubscribeOptions] = {}
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}

    async def read(self) -> None:
        """Take in what comes until the connection ends."""
        async with asyncio.TaskGroup() as questions:
            async for line in self._reader:
                said = json.loads(line)
                if "event" in said:
                    await self._take(Happened(**{name: value for name, value in said.items() if value is not None}))
                elif "wants" in said:
                    questions.create_task(self._tell(said["id"], said["wants"], said.get("channel")))
                elif "error" in said:
                    self._answers.pop(said["id"]).set_exception(Refused(**said["error"]))
                else:
                    self._answers.pop(said["id"]).set_result(said["answer"])

    async def _tell(self, question: int, wanted: str, channel: str | None) -> None:
        """Answer a question of the SDK's callbacks."""
        if channel is None:
            answer: Any = await self._get_token()
        elif wanted == "token":
            get_token = self._subscribed_with[channel].get_token
            assert get_token is not None
            answer = await get_token(channel)
        else:
            get_state = self._subscribed_with[channel].get_state
            assert get_state is not None
            answer = asdict(await get_state())
        await self._write({"told": question, "is": answer})

    async def _write(self, line: dict[str, Any]) -> None:
        self._writer.write(json.dumps(line).encode() + b"\n")
        await self._writer.drain()

    async def _do(self, what: str, **fields: Any) -> Any:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._write({"id": number, "do": what, **fields})
        async with asyncio.timeout(WITHIN_S):
            return await answer

    async def connect(self) -> None:
        await self._do("connect")

    async def disconnect(self) -> None:
        await self._do("disconnect")

    async def rpc(self, method: str, **data: Any) -> Any:
        return await self._do("rpc", method=method, data=data)

    async def publish(self, channel: str, data: Any) -> None:
        await self._do("publish", channel=channel, data=data)

    async def presence(self, channel: str) -> dict[str, Any]:
        people: dict[str, Any] = await self._do("presence", channel=channel)
        return people

    async def presence_stats(self, channel: str) -> dict[str, int]:
        stats: dict[str, int] = await self._do("presence_stats", channel=channel)
        return stats

    async def history(
        self, channel: str, *, limit: int = 0, since: Position | None = None, reverse: bool = False
    ) -> dict[str, Any]:
        more = {} if since is None else {"since": asdict(since)}
        page: dict[str, Any] = await self._do("history", channel=channel, limit=limit, reverse=reverse, **more)
        return page

    async def subscribe(self, channel: str, options: SubscribeOptions | None = None) -> None:
        wish = self._subscribed_with[channel] = options or SubscribeOptions()
        callbacks = {"getToken": wish.get_token is not None, "getState": wish.get_state is not None}
        await self._do(
            "subscribe", channel=channel, options={**RESUBSCRIBE_MS, "joinLeave": wish.join_leave}, callbacks=callbacks
        )

    async def unsubscribe(self, channel: str) -> None:
        await self._do("unsubscribe", channel=channel)


@asynccontextmanager
async def javascript_client(
    node: Path, url: str, codec: str, get_token: GetToken, *, data: Any = None
) -> AsyncIterator[JavaScriptClient]:
    """A client that is not connected yet; it disconnects at the end."""
    options = RECONNECT_MS if data is None else {**RECONNECT_MS, "data": data}
    reader, writer = await asyncio.open_unix_connection(node, limit=MAX_LINE_BYTES)
    writer.write(json.dumps({"url": url, "codec": codec, "options": options}).encode() + b"\n")
    client = JavaScriptClient(reader, writer, get_token)
    reading = asyncio.create_task(client.read())
    try:
        yield client
    finally:
        writer.write_eof()
        try:
            async with asyncio.timeout(WITHIN_S):
                await reading
        finally:
            writer.close()
