"""A device of the run: the real Python SDK, which reconnects and resumes by itself, and what it showed."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec
from centrifuge import (
    Client,
    ClientDisconnectedError,
    ClientEventHandler,
    ClientState,
    ConnectedContext,
    ConnectingContext,
    DisconnectedContext,
    ErrorContext,
    OperationTimeoutError,
    ReplyError,
    ServerPublicationContext,
    ServerSubscribedContext,
    ServerUnsubscribedContext,
)

from chaos.history import (
    MESSAGE,
    Connection,
    Device,
    History,
    Item,
    Page,
    Received,
    Subscribed,
    Unsubscribed,
    now,
)

PREFIX: Final = "conv:"
CALL_S: Final = 7.0
"""How long a client waits for an answer: longer than it may take, so that a late one is told from none."""
PING_S: Final = 4.0
"""Beyond the server's interval of pings; then the client takes the socket for dead."""
RECONNECT_S: Final = 2.0
"""Longest pause between two attempts to connect. Apps wait longer; the run would only take longer."""
PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to. `type` as in the history."""

    type: str
    code: int = 0
    why: str = ""
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Address:
    """A hub as clients see it."""

    name: str
    port: int

    @property
    def websocket(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Rest:
    """The REST API as a user, by whichever hub."""

    def __init__(self, token: Callable[[str], str]) -> None:
        self._token = token
        self._tokens: dict[str, str] = {}
        timeout = aiohttp.ClientTimeout(total=CALL_S)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0))

    async def close(self) -> None:
        await self._session.close()

    async def call(self, hub: Address, user: str, verb: str, path: str, **options: Any) -> Outcome:
        """A request. A 2xx is ok with the decoded body, a 4xx a definite no; anything else nobody knows."""
        token = self._tokens.get(user) or self._tokens.setdefault(user, self._token(user))
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._session.request(verb, hub.http + path, headers=headers, **options) as response:
                answer = await response.json(content_type=None) if response.status != 304 else None
                if response.status < 300:
                    return Outcome("ok", answer=answer)
                why = answer.get("code", "") if isinstance(answer, dict) else ""
                if response.status < 500:
                    return Outcome("fail", code=response.status, why=why)
                return Outcome("info", code=response.status, why=why)
        except TimeoutError:
            return Outcome("info", why="timeout")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Outcome("info", why="disconnected", answer=repr(error))

    async def rpc(self, hub: Address, caller: str, method: str, /, **params: Any) -> Outcome:
        return await self.call(hub, caller, "POST", f"/v1/rpc/{method}", json=params)

    async def page(self, hub: Address, user: str, conv: str, **query: int | str) -> Outcome:
        return await self.call(hub, user, "GET", f"/v1/conversations/{conv}/messages", params=query)


def items_of(page: Any) -> tuple[Item, ...]:
    """The messages of a page of history."""
    return tuple(Item(one["offset"], MESSAGE, one["sender"], one.get("idempotency_key") or "") for one in page["items"])


@dataclass(eq=False)
class SdkDevice(ClientEventHandler):
    """Follows its conversations on one hub after another. `at` is how far it has each one that it is subscribed to."""

    about: Device
    history: History
    rest: Rest
    hubs: Sequence[Address]
    hub_number: int
    token: Callable[[str], str]
    protobuf: bool = False
    at: dict[str, int] = field(default_factory=dict)
    highest: dict[str, int] = field(default_factory=dict)
    _heads: dict[str, int] = field(default_factory=dict)
    _fills: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        async def token() -> str:
            return self.token(self.about.user)

        self.client = Client(
            self.hub.websocket,
            events=self,
            token=self.token(self.about.user),
            get_token=token,
            use_protobuf=self.protobuf,
            timeout=5.0,
            max_server_ping_delay=PING_S,
            max_reconnect_delay=RECONNECT_S,
            name=self.about.device,
            proxy=None,
        )

    @property
    def hub(self) -> Address:
        return self.hubs[self.hub_number % len(self.hubs)]

    @property
    def connected(self) -> bool:
        return self.client.state is ClientState.CONNECTED

    @property
    def connection(self) -> str:
        """The id of the present connection."""
        return str(self.client.client_id)

    @property
    def filling(self) -> bool:
        """Whether it is still paging what it was not told."""
        return bool(self._fills)

    async def open(self) -> None:
        self.history.add(self.about)
        await self.client.connect()

    async def close(self) -> None:
        for task in self._fills:
            task.cancel()
        with contextlib.suppress(Exception):  # a client that was broken is as good as closed
            await self.client.disconnect()

    async def rpc(self, method: str, **params: Any) -> Outcome:
        """Call by the socket. Not connected is `info`, at once."""
        if not self.connected:
            return Outcome("info", why="disconnected")
        try:
            data = msgspec.json.encode(params) if self.protobuf else params
            result = await self.client.rpc(method, data, timeout=CALL_S)
        except ReplyError as error:
            return Outcome("info" if error.code in (100, 1000) else "fail", code=error.code, why=error.message)
        except OperationTimeoutError:
            return Outcome("info", why="timeout")
        except ClientDisconnectedError:
            return Outcome("info", why="disconnected")
        return Outcome("ok", answer=self._decoded(result.data))

    # --- what the SDK tells ---

    async def on_connecting(self, ctx: ConnectingContext) -> None:
        if ctx.code:
            self._note("close", code=ctx.code, why=ctx.reason)
            self._next_hub()

    async def on_connected(self, ctx: ConnectedContext) -> None:
        self._note("open", client=ctx.client)

    async def on_disconnected(self, ctx: DisconnectedContext) -> None:
        if ctx.code:
            self._note("error", code=ctx.code, why=f"gave up: {ctx.reason}")

    async def on_error(self, ctx: ErrorContext) -> None:
        self._note("error", code=ctx.code, why=repr(ctx.error)[:200])
        if not self.connected:
            self._next_hub()

    async def on_subscribed(self, ctx: ServerSubscribedContext) -> None:
        if not ctx.channel.startswith(PREFIX) or ctx.stream_position is None:
            return
        conv, offset = ctx.channel.removeprefix(PREFIX), ctx.stream_position.offset
        self.history.add(Subscribed(now(), self.about.device, conv, offset, ctx.was_recovering, ctx.recovered))
        self._heads[conv] = ((self._decoded(ctx.data) or {}).get("head") or {}).get("offset", offset)
        had = self.at.get(conv) if conv in self.at or self.about.roams else self.highest.get(conv)
        if ctx.recovered and had is not None:
            self.at[conv] = had
            return
        self.at[conv] = offset
        self.highest[conv] = max(offset, self.highest.get(conv, 0))
        if had is not None and offset > had:
            task = asyncio.create_task(self._fill(conv, had, offset))
            self._fills.add(task)
            task.add_done_callback(self._fills.discard)

    async def on_unsubscribed(self, ctx: ServerUnsubscribedContext) -> None:
        if ctx.channel.startswith(PREFIX):
            conv = ctx.channel.removeprefix(PREFIX)
            self.history.add(Unsubscribed(now(), self.about.device, conv))
            self.at.pop(conv, None)

    async def on_publication(self, ctx: ServerPublicationContext) -> None:
        if not ctx.channel.startswith(PREFIX) or not ctx.pub.offset:
            return
        conv, offset, data = ctx.channel.removeprefix(PREFIX), ctx.pub.offset, self._decoded(ctx.pub.data)
        message = data.get("message", {}) if data["type"] == MESSAGE else {}
        self.history.add(
            Received(
                now(),
                self.about.device,
                self.about.user,
                self.hub.name,
                conv,
                offset,
                data["type"],
                message.get("sender", ""),
                message.get("idempotency_key") or "",
                "live" if offset > self._heads.get(conv, 0) else "resume",
            )
        )
        if conv in self.at:
            self.at[conv] = max(self.at[conv], offset)
            self.highest[conv] = max(self.highest.get(conv, 0), offset)

    # --- inside ---

    async def _fill(self, conv: str, after: int, upto: int) -> None:
        """Page what was missed, as apps do when they are told that they were not recovered."""
        number = self.hub_number
        while after < upto:
            hub, asked = self.hubs[number % len(self.hubs)], now()
            outcome = await self.rest.page(hub, self.about.user, conv, after=after, limit=PAGE)
            if outcome.type == "fail" and outcome.code in (403, 404):
                return
            if outcome.type != "ok":
                number += 1
                await asyncio.sleep(0.2)
                continue
            items, page = items_of(outcome.answer), outcome.answer["page"]
            upto_here = items[-1].offset if items and page["has_after"] else upto
            self.history.add(
                Page(
                    now(),
                    asked,
                    self.about.device,
                    self.about.user,
                    hub.name,
                    conv,
                    items,
                    fills=True,
                    after=after,
                    upto=upto_here,
                )
            )
            after = max(upto_here, page.get("newest") or 0) if page["has_after"] else upto

    def _decoded(self, data: Any) -> Any:
        """With Protobuf the SDK hands over the bytes."""
        return msgspec.json.decode(data) if isinstance(data, bytes) and data else data

    def _next_hub(self) -> None:
        """As a balancer would: another hub, the next time."""
        self.hub_number += 1
        # The SDK has one address; what stands behind it is what changes in life.
        self.client._address = self.hub.websocket

    def _note(self, kind: Any, *, client: str = "", code: int = 0, why: str = "") -> None:
        self.history.add(Connection(now(), kind, self.about.device, self.hub.name, client, code, why))
