"""A user of a fault's own, besides those of the run: asks by REST and by the socket, and is not part of the history."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from chaos.fault import Hub, Run
from support.wire_client import WireClient, wire_client

ASK_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came to. `status` 0: there was no answer."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Someone:
    """One user. Requests go past the links of the clients."""

    def __init__(self, name: str, token: str, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.token = token
        self._session = session

    async def ask(self, hub: Hub, verb: str, path: str, body: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"http://127.0.0.1:{hub.port}{path}"
        try:
            async with self._session.request(verb, url, json=body, headers=headers) as response:
                text = await response.json(content_type=None) if response.status != 204 else None
                return Answer(response.status, text, response.headers)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            return Answer(0, repr(error), {})

    async def rpc(self, hub: Hub, method: str, /, **params: Any) -> Answer:
        return await self.ask(hub, "POST", f"/v1/rpc/{method}", params)

    async def group(self, hub: Hub, *others: str) -> str:
        """A new conversation. Raises LookupError."""
        create = {"kind": "group", "members": list(others), "title": "fault", "idempotency_key": secrets.token_hex(8)}
        answer = await self.rpc(hub, "conversation.create", **create)
        for _ in range(5):
            if answer.status not in (0, 429, 503):
                break
            # A machine that is busy has no time for it just now.
            await asyncio.sleep(1.0)
            answer = await self.rpc(hub, "conversation.create", **create)
        if not answer.ok:
            raise LookupError(f"no conversation: {answer.status} {answer.body}")
        return str(answer.body["conversation"]["id"])

    async def say(self, hub: Hub, conversation: str, key: str, text: str = "") -> Answer:
        return await self.rpc(
            hub, "message.send", conversation=conversation, idempotency_key=key, text=text or f"said {key}"
        )

    async def page(self, hub: Hub, conversation: str, query: str = "") -> Answer:
        return await self.ask(hub, "GET", f"/v1/conversations/{conversation}/messages{query}")

    @asynccontextmanager
    async def socket(self, hub: Hub, **connect: Any) -> AsyncIterator[WireClient]:
        """A connected socket. `connect`: fields of the first command. `client.pushes` has what came."""
        async with wire_client(f"ws://127.0.0.1:{hub.port}/connection/websocket") as client:
            await client.connect(self.token, **connect)
            yield client


@asynccontextmanager
async def someone(run: Run, name: str = "", *, ttl_s: float = 3600.0) -> AsyncIterator[Someone]:
    """Somebody new."""
    cluster: Any = run.cluster
    name = name or f"someone-{secrets.token_hex(4)}"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session:
        yield Someone(name, cluster.token(name, ttl_s=ttl_s), session)


async def server_api(run: Run, hub: Hub, method: str, **params: Any) -> Any:
    """The result of a method of the server API. Raises LookupError with what was told instead."""
    from chaos.configuring import API_KEY

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_S)) as session:
        url = f"http://127.0.0.1:{hub.port}/api/{method}"
        async with session.post(url, json=params, headers={"X-API-Key": API_KEY}) as response:
            answer = await response.json()
    if "result" not in answer:
        raise LookupError(f"{method}: {answer}")
    return answer["result"]
