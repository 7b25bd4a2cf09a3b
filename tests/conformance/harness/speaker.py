"""The other side of the scenarios: somebody who makes conversations and writes into them, without an SDK in between."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from conformance.harness.clients import WITHIN_S
from conformance.harness.server import Served
from conformance.harness.tokens import connection_token
from support.wire_client import WireClient, wire_client

AT_ONCE = 100
"""Messages that are on their way at the same time."""


class Speaker:
    """A signed-in connection that asks for no subscriptions."""

    def __init__(self, user: str, client: WireClient) -> None:
        self.user = user
        self._client = client
        self._session = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    async def rpc(self, method: str, **data: Any) -> Any:
        """The method's result; an error fails the test."""
        client = self._client
        command = await client.send(rpc={"method": method, "data": data})
        await client.until(lambda: command in client.replies, within_s=WITHIN_S)
        reply = client.replies[command]
        assert "error" not in reply, reply
        return reply["rpc"]["data"]

    async def create(self, *members: str, **fields: Any) -> str:
        """A new group of the speaker and `members`. Returns its id."""
        created = await self.rpc("conversation.create", kind="group", members=list(members), **fields)
        conversation: str = created["conversation"]["id"]
        return conversation

    async def create_many(self, count: int, *members: str) -> list[str]:
        """Groups that differ in nothing but their ids."""
        return list(await asyncio.gather(*(self.create(*members) for _ in range(count))))

    async def send(self, conversation: str, text: str) -> int:
        """Returns the message's offset."""
        sent = await self.rpc(
            "message.send",
            conversation=conversation,
            text=text,
            idempotency_key=f"{self._session}.{next(self._numbers)}",
        )
        offset: int = sent["message"]["offset"]
        return offset

    async def send_all(self, messages: Iterable[tuple[str, str]]) -> Sequence[int]:
        """Send (conversation, text) pairs, many at a time. What goes into one conversation keeps its order."""
        waiting, offsets = list(messages), []
        while waiting:
            some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            offsets += await asyncio.gather(*(self.send(*message) for message in some))
        return offsets


@asynccontextmanager
async def speaker(server: Served, user: str) -> AsyncIterator[Speaker]:
    """Sign `user` in for the block."""
    async with wire_client(server.websocket_url) as client:
        connected = await client.connect(connection_token(user), data={"conversations": "none"})
        assert "error" not in connected, connected
        yield Speaker(user, client)
