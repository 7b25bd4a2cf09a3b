"""The SDK for Python, in the process of the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import centrifuge
from centrifuge import ClientEventHandler, ReplyError, StreamPosition, SubscriptionEventHandler

from conformance.harness.clients import WITHIN_S, GetToken, Happened, Position, Refused, SdkClient, SubscribeOptions

Emit = Callable[[Happened], Any]
Unpack = Callable[[Any], Any]


class _Payloads:
    """In Protobuf the SDK leaves payloads to the application: they are bytes, here of JSON."""

    def __init__(self, codec: str) -> None:
        self._bytes = codec == "protobuf"

    def pack(self, value: Any) -> Any:
        return json.dumps(value).encode() if self._bytes else value

    def unpack(self, value: Any) -> Any:
        if not self._bytes or value is None:
            return value
        return json.loads(value) if value else None

    def person(self, info: Any) -> dict[str, Any]:
        return {
            "client": info.client,
            "user": info.user,
            "connInfo": self.unpack(info.conn_info),
            "chanInfo": self.unpack(info.chan_info),
        }


class _Subscriptions:
    """The events that server-side and client-side subscriptions share; `channel` is empty where contexts tell it."""

    def __init__(self, emit: Emit, payloads: _Payloads, side: str, channel: str = "") -> None:
        self._emit = emit
        self._payloads = payloads
        self._side = side
        self._channel = channel

    def _of(self, ctx: Any) -> str:
        return self._channel or ctx.channel

    async def _say(self, event: str, ctx: Any, **fields: Any) -> None:
        code, reason = getattr(ctx, "code", 0), getattr(ctx, "reason", "")
        await self._emit(Happened(event, self._side, self._of(ctx), code, reason, **fields))

    async def on_subscribing(self, ctx: Any) -> None:
        await self._say("subscribing", ctx)

    async def on_subscribed(self, ctx: Any) -> None:
        position = ctx.stream_position or StreamPosition(0, "")
        await self._say(
            "subscribed",
            ctx,
            recoverable=ctx.recoverable,
            positioned=ctx.positioned,
            was_recovering=ctx.was_recovering,
            recovered=ctx.recovered,
            offset=position.offset,
            epoch=position.epoch,
            data=self._payloads.unpack(ctx.data),
        )

    async def on_unsubscribed(self, ctx: Any) -> None:
        await self._say("unsubscribed", ctx)

    async def on_publication(self, ctx: Any) -> None:
        info = None if ctx.pub.info is None else self._payloads.person(ctx.pub.info)
        data = self._payloads.unpack(ctx.pub.data)
        await self._say("publication", ctx, offset=ctx.pub.offset, data=data, info=info, tags=ctx.pub.tags or {})

    async def on_join(self, ctx: Any) -> None:
        await self._say("join", ctx, info=self._payloads.person(ctx.info))

    async def on_leave(self, ctx: Any) -> None:
        await self._say("leave", ctx, info=self._payloads.person(ctx.info))


class _ClientSide(_Subscriptions, SubscriptionEventHandler):
    async def on_error(self, ctx: Any) -> None:
        await self._emit(Happened("error", "client", self._channel, ctx.code, str(ctx.error)))


class _Connection(_Subscriptions, ClientEventHandler):
    async def on_connecting(self, ctx: Any) -> None:
        await self._emit(Happened("connecting", "connection", "", ctx.code, ctx.reason))

    async def on_connected(self, ctx: Any) -> None:
        data = self._payloads.unpack(ctx.data)
        await self._emit(Happened("connected", "connection", client=ctx.client, data=data))

    async def on_disconnected(self, ctx: Any) -> None:
        await self._emit(Happened("disconnected", "connection", "", ctx.code, ctx.reason))

    async def on_error(self, ctx: Any) -> None:
        await self._emit(Happened("error", "connection", "", ctx.code, str(ctx.error)))


class PythonClient(SdkClient):
    def __init__(self, url: str, codec: str, get_token: GetToken, data: Any) -> None:
        super().__init__()
        self._payloads = _Payloads(codec)
        self._client = centrifuge.Client(
            url,
            _Connection(self._take, self._payloads, "server"),
            get_token=get_token,
            use_protobuf=codec == "protobuf",
            data=None if data is None else self._payloads.pack(data),
            min_reconnect_delay=0.02,
            max_reconnect_delay=0.1,
            proxy=None,
        )

    async def connect(self) -> None:
        await self._client.connect()

    async def disconnect(self) -> None:
        await self._client.disconnect()

    async def end(self) -> None:
        """Disconnect, and wait until the socket is closed: the SDK leaves that to tasks of its own."""
        await self._client.disconnect()
        async with asyncio.timeout(WITHIN_S):
            while closing := {task for task in self._client._background_tasks if not task.done()}:
                await asyncio.wait(closing)

    async def rpc(self, method: str, **data: Any) -> Any:
        with _refusals():
            return self._payloads.unpack((await self._client.rpc(method, self._payloads.pack(data))).data)

    async def publish(self, channel: str, data: Any) -> None:
        with _refusals():
            await self._client.publish(channel, self._payloads.pack(data))

    async def presence(self, channel: str) -> dict[str, Any]:
        with _refusals():
            people = (await self._client.presence(channel)).clients
        return {client: self._payloads.person(info) for client, info in people.items()}

    async def presence_stats(self, channel: str) -> dict[str, int]:
        with _refusals():
            stats = await self._client.presence_stats(channel)
        return {"num_clients": stats.num_clients, "num_users": stats.num_users}

    async def history(
        self, channel: str, *, limit: int = 0, since: Position | None = None, reverse: bool = False
    ) -> dict[str, Any]:
        position = None if since is None else StreamPosition(since.offset, since.epoch)
        with _refusals():
            page = await self._client.history(channel, limit, position, reverse)
        publications = [
            {"offset": one.offset, "data": self._payloads.unpack(one.data), "tags": one.tags or {}}
            for one in page.publications
        ]
        return {"publications": publications, "offset": page.offset, "epoch": page.epoch}

    async def subscribe(self, channel: str, options: SubscribeOptions | None = None) -> None:
        wish = options or SubscribeOptions()

        async def state(_: str) -> StreamPosition:
            assert wish.get_state is not None
            position = await wish.get_state()
            return StreamPosition(position.offset, position.epoch)

        subscription = self._client.new_subscription(
            channel,
            _ClientSide(self._take, self._payloads, "client", channel),
            get_token=wish.get_token,
            join_leave=wish.join_leave,
            get_state=None if wish.get_state is None else state,
            min_resubscribe_delay=0.02,
            max_resubscribe_delay=0.1,
        )
        await subscription.subscribe()

    async def unsubscribe(self, channel: str) -> None:
        subscription = self._client.get_subscription(channel)
        assert subscription is not None
        await subscription.unsubscribe()
        self._client.remove_subscription(subscription)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except ReplyError as error:
        raise Refused(error.code, error.message) from error


@asynccontextmanager
async def python_client(url: str, codec: str, get_token: GetToken, *, data: Any = None) -> AsyncIterator[PythonClient]:
    """A client that is not connected yet; it disconnects at the end."""
    client = PythonClient(url, codec, get_token, data)
    try:
        yield client
    finally:
        await client.end()
