"""The methods of the server API as a table, and the one way a command goes through it, alone or in a batch."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from chat.http.decoding import decode
from chat.http.deps import HttpDeps
from chat.http.server_api import requests, results
from chat.http.server_api.answering import answered, refused
from chat.http.server_api.control import Control
from chat.http.server_api.devices import Devices
from chat.http.server_api.product import Product
from chat.http.server_api.publishing import Publishing
from chat.http.server_api.pushes import Pushes
from chat.http.server_api.reading import Reading
from chat.http.server_api.results import BatchReplies, BatchReply, Reply
from chat.http.server_api.sessions import Sessions
from chat.http.server_api.survey import Survey
from chat.vocabulary.people import UserResult, UserUpsert
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

BATCH: Final = "batch"
AT_ONCE: Final = 64
"""Commands of a parallel batch that are served at the same time."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the methods are implemented by."""

    publishing: Publishing
    sessions: Sessions
    reading: Reading
    product: Product
    survey: Survey
    control: Control
    devices: Devices
    pushes: Pushes


@dataclass(frozen=True, slots=True)
class ApiMethod:
    """`run(parts, request)` does it. `summary` is for the descriptions."""

    name: str
    request: type[Struct]
    result: type[Struct]
    run: Callable[[Parts, Any], Awaitable[Struct]]
    summary: str


async def _channels(parts: Parts, request: requests.Channels) -> results.Channels:
    return results.Channels(await parts.survey.channels(request.pattern))


async def _info(parts: Parts, request: requests.Info) -> results.Info:
    del request
    return results.Info(await parts.survey.info())


_TABLE: Final = (
    ApiMethod(
        "publish",
        requests.Publish,
        results.Published,
        lambda parts, request: parts.publishing.publish(request),
        "Publish to a channel. In a `conv:` channel: send a message as the `sender` in the data.",
    ),
    ApiMethod(
        "broadcast",
        requests.Broadcast,
        results.Broadcasted,
        lambda parts, request: parts.publishing.broadcast(request),
        "Publish the same to several channels.",
    ),
    ApiMethod(
        "subscribe",
        requests.Subscribe,
        results.Nothing,
        lambda parts, request: parts.sessions.subscribe(request),
        "Subscribe a user's live sessions to a channel.",
    ),
    ApiMethod(
        "unsubscribe",
        requests.Unsubscribe,
        results.Nothing,
        lambda parts, request: parts.sessions.unsubscribe(request),
        "End the subscriptions of a user's live sessions to a channel.",
    ),
    ApiMethod(
        "disconnect",
        requests.Disconnect,
        results.Nothing,
        lambda parts, request: parts.sessions.disconnect(request),
        "Close a user's connections.",
    ),
    ApiMethod(
        "refresh",
        requests.Refresh,
        results.Nothing,
        lambda parts, request: parts.sessions.refresh(request),
        "Set when a user's connections expire.",
    ),
    ApiMethod(
        "presence",
        requests.OfChannel,
        results.Presence,
        lambda parts, request: parts.reading.presence(request),
        "Who is subscribed to a channel.",
    ),
    ApiMethod(
        "presence_stats",
        requests.OfChannel,
        results.PresenceStats,
        lambda parts, request: parts.reading.presence_stats(request),
        "How many clients and users are subscribed to a channel.",
    ),
    ApiMethod(
        "history",
        requests.History,
        results.History,
        lambda parts, request: parts.reading.history(request),
        "Publications of a channel, or entries of a conversation's log, and the present position.",
    ),
    ApiMethod(
        "history_remove",
        requests.OfChannel,
        results.Nothing,
        lambda parts, request: parts.reading.history_remove(request),
        "Forget the publications of a channel; its position stays.",
    ),
    ApiMethod("channels", requests.Channels, results.Channels, _channels, "Channels that have subscribers."),
    ApiMethod("info", requests.Info, results.Info, _info, "The living processes and what they hold."),
    ApiMethod(
        "connections",
        requests.Connections,
        results.Connections,
        lambda parts, request: parts.control.connections(request),
        "The live connections of a user, or of everybody.",
    ),
    ApiMethod(
        "get_user_status",
        requests.Users,
        results.UserStatuses,
        lambda parts, request: parts.control.get_user_status(request),
        "When users were last active and last connected.",
    ),
    ApiMethod(
        "update_user_status",
        requests.Users,
        results.Nothing,
        lambda parts, request: parts.control.update_user_status(request),
        "Note that users are active now.",
    ),
    ApiMethod(
        "delete_user_status",
        requests.Users,
        results.Nothing,
        lambda parts, request: parts.control.delete_user_status(request),
        "Forget when users were last active and last connected.",
    ),
    ApiMethod(
        "block_user",
        requests.BlockUser,
        results.Nothing,
        lambda parts, request: parts.control.block_user(request),
        "Shut a user out of this server: close the connections, refuse new ones and REST.",
    ),
    ApiMethod(
        "unblock_user",
        requests.UnblockUser,
        results.Nothing,
        lambda parts, request: parts.control.unblock_user(request),
        "Let a user in again who was shut out by `block_user`.",
    ),
    ApiMethod(
        "revoke_token",
        requests.RevokeToken,
        results.Nothing,
        lambda parts, request: parts.control.revoke_token(request),
        "Take a token back: close what it let in, accept it no more.",
    ),
    ApiMethod(
        "invalidate_user_tokens",
        requests.InvalidateUserTokens,
        results.Nothing,
        lambda parts, request: parts.control.invalidate_user_tokens(request),
        "Take back the tokens of a user that were issued before a time.",
    ),
    ApiMethod(
        "device_register",
        requests.DeviceRegister,
        results.DeviceRegistered,
        lambda parts, request: parts.devices.register(request),
        "Have a user's notifications sent to a device.",
    ),
    ApiMethod(
        "device_update",
        requests.DeviceUpdate,
        results.Nothing,
        lambda parts, request: parts.devices.update(request),
        "Change what is known of devices.",
    ),
    ApiMethod(
        "device_remove",
        requests.DeviceRemove,
        results.Nothing,
        lambda parts, request: parts.devices.remove(request),
        "Forget devices: nothing is sent to them any more.",
    ),
    ApiMethod(
        "device_list",
        requests.DeviceList,
        results.Devices,
        lambda parts, request: parts.devices.list(request),
        "Devices, without where they are reached.",
    ),
    ApiMethod(
        "push_trace",
        requests.PushTrace,
        results.PushSteps,
        lambda parts, request: parts.pushes.trace(request),
        "Why devices rang for a message, or did not.",
    ),
    ApiMethod(
        "user_upsert",
        UserUpsert,
        UserResult,
        lambda parts, request: parts.product.user_upsert(request),
        "Create a user, or change what is given of one.",
    ),
    ApiMethod(
        "rpc",
        requests.Rpc,
        results.RpcResult,
        lambda parts, request: parts.product.rpc(request),
        "Any method of `/v1/rpc` on behalf of a user.",
    ),
)

API: Final[Mapping[str, ApiMethod]] = {method.name: method for method in _TABLE}
API_METHODS: Final = (*API, BATCH)


class ServerApi:
    """Serves commands, each as a reply: a method that fails is an answer too."""

    def __init__(self, deps: HttpDeps) -> None:
        calls = deps.calls
        survey = Survey(
            deps.engine,
            process=deps.process,
            node=deps.node,
            version=deps.version,
            monotonic=deps.monotonic,
        )
        survey.answer()
        control = Control(deps)
        control.answer()
        self._parts = Parts(
            Publishing(deps, calls),
            Sessions(deps),
            Reading(deps),
            Product(deps, calls),
            survey,
            control,
            Devices(deps),
            Pushes(deps),
        )
        self._stats = deps.calls.stats
        self._monotonic = deps.monotonic
        self._decoders = {name: msgspec.json.Decoder(method.request) for name, method in API.items()}
        self._batches = msgspec.json.Decoder(requests.Batch)

    async def command(self, name: str, data: bytes) -> Reply:
        """One command. Never raises but `CancelledError`."""
        method = API.get(name)
        if method is None:
            return refused(ClientError(codes.METHOD_NOT_FOUND, f"no method {name[:64]!r}"))
        started = self._monotonic()
        reply = await answered(self._run(method, data), name)
        self._stats.duration[name].observe(self._monotonic() - started)
        return reply

    async def batch(self, data: bytes) -> BatchReplies | Reply:
        """The replies of all commands in their order; a batch that cannot be read is one error."""
        try:
            batch = decode(self._batches, data)
        except ClientError as error:
            return refused(error)
        if not batch.parallel:
            return BatchReplies([await self._in_batch(command) for command in batch.commands])
        replies: list[BatchReply] = []
        for start in range(0, len(batch.commands), AT_ONCE):
            some = batch.commands[start : start + AT_ONCE]
            replies += await asyncio.gather(*map(self._in_batch, some))
        return BatchReplies(replies)

    async def _run(self, method: ApiMethod, data: bytes) -> Struct:
        try:
            return await method.run(self._parts, decode(self._decoders[method.name], data or b"{}"))
        except ClientError as error:
            self._stats.failed(method.name, error.code.slug)
            raise

    async def _in_batch(self, command: Mapping[str, msgspec.Raw]) -> BatchReply:
        if len(command) != 1:
            return {
                "error": refused(ClientError(codes.BAD_REQUEST, "a command is one method with its parameters")).error
            }
        ((name, parameters),) = command.items()
        reply = await self.command(name, bytes(parameters))
        return {name: reply.result} if reply.error is UNSET else {"error": reply.error}
