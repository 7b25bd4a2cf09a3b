"""The other side of the scenarios: somebody who makes conversations and writes into them, without an SDK in between."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from conformance.harness.server import Served
from conformance.harness.tokens import connection_token
from support.wire_client import WireClient, wire_client

AT_ONCE = 100
"""Messages that are on their way at the same time."""
ATTEMPTS = 10
"""How often something is asked for that is answered with a temporary error, after a second or more."""


class Speaker:
    """A signed-in connection that asks for no subscriptions."""

    def __init__(self, user: str, client: WireClient) -> None:
        self.user = user
        self._client = client
        self._session = secrets.token_hex(6)
        self._numbers = itertools.count(1)

    async def rpc(self, method: str, **data: Any) -> Any:
        """The method's result. A temporary error is answered with the same request, any other fails the test."""
        for _ in range(ATTEMPTS):
            result = await self._client.rpc(method, **data)
            if not is_temporary(result):
                break
        assert "error" not in result, result
        return result

    async def create(self, *members: str, **fields: Any) -> str:
        """A new group of the speaker and `members`. Returns its id."""
        created = await self.rpc(
            "conversation.create", kind="group", members=list(members), idempotency_key=self._key(), **fields
        )
        conversation: str = created["conversation"]["id"]
        return conversation

    async def create_many(self, count: int, *members: str) -> list[str]:
        """Groups that differ in nothing but their ids."""
        return list(await asyncio.gather(*(self.create(*members) for _ in range(count))))

    async def send(self, conversation: str, text: str) -> int:
        """Returns the message's offset."""
        sent = await self.rpc("message.send", conversation=conversation, text=text, idempotency_key=self._key())
        offset: int = sent["message"]["offset"]
        return offset

    async def send_all(self, messages: Iterable[tuple[str, str]]) -> Sequence[int]:
        """Send (conversation, text) pairs, many at a time. What goes into one conversation keeps its order."""
        waiting, offsets = list(messages), []
        while waiting:
            some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            offsets += await asyncio.gather(*(self.send(*message) for message in some))
        return offsets

    def _key(self) -> str:
        return f"{self._session}.{next(self._numbers)}"


def is_temporary(result: Any) -> bool:
    """Whether to ask again: servers that are kept waiting say so, and then nothing is wrong with the server."""
    return "error" in result and bool(result["error"].get("temporary"))


@asynccontextmanager
async def speaker(server: Served, user: str) -> AsyncIterator[Speaker]:
    """Sign `user` in for the block."""
    async with wire_client(server.websocket_url) as client:
        for _ in range(ATTEMPTS):
            connected = await client.connect(connection_token(user), data={"conversations": "none"})
            if not is_temporary(connected):
                break
        assert "error" not in connected, connected
        yield Speaker(user, client)
