"""The AsyncAPI 3.0 document of the socket. Pure.

It describes the server: it receives commands and replies to them, and sends what happens.
"""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

import chat
from chat.description import words
from chat.description.examples import Examples
from chat.description.openapi import EVENT, new_schemas
from chat.description.rest import data_required, operation_id
from chat.description.schemas import Schema, Schemas, docstring
from chat.methods import METHODS
from chat.vocabulary import events
from chat.vocabulary.connecting import ConnectData, SubscriptionData
from chat.vocabulary.render import CONVERSATION_PREFIX
from realtime.protocol import messages
from realtime.protocol.codes import DISCONNECTS, ERRORS, UNSUBSCRIBES

_INTRODUCTION: Final = """\
The WebSocket of a Hubbub server. It speaks the Centrifugo client protocol v2, so that the Centrifuge SDKs connect; \
this document has its JSON form, commands and replies separated by line breaks. With the subprotocol \
`centrifuge-protobuf` the same is spoken in Protobuf.

A client sends `connect` with its token first. From then on the server pushes publications of `conv:<conversation>` \
for the user's conversations, and of `user:<user>`. What a client does it does by `rpc`; HTTP has the same methods.\
"""
_PROTOCOL: Final[tuple[tuple[str, type[Struct], type[Struct], str], ...]] = (
    ("connect", messages.ConnectRequest, messages.ConnectResult, "Sign in, and say how far one has got"),
    ("subscribe", messages.SubscribeRequest, messages.SubscribeResult, "Subscribe to a channel"),
    ("unsubscribe", messages.UnsubscribeRequest, messages.UnsubscribeResult, "Unsubscribe from a channel"),
    ("publish", messages.PublishRequest, messages.PublishResult, "Publish to a channel"),
    ("presence", messages.PresenceRequest, messages.PresenceResult, "Who is in a channel"),
    ("presence_stats", messages.PresenceStatsRequest, messages.PresenceStatsResult, "How many are in a channel"),
    ("history", messages.HistoryRequest, messages.HistoryResult, "Publications of a channel"),
    ("refresh", messages.RefreshRequest, messages.RefreshResult, "Bring a new token"),
    ("sub_refresh", messages.SubRefreshRequest, messages.SubRefreshResult, "Bring a new token of a subscription"),
    ("ping", messages.PingRequest, messages.PingResult, "Ask whether the server is there"),
)
_DATA: Final[dict[str, type[Struct]]] = {"connect": ConnectData, "subscribe": SubscriptionData}
"""What the `data` of a reply is."""

_SOCKET: Final = "#/channels/socket"
_ID: Final = {"type": "integer", "minimum": 1, "description": "The command that is answered."}


def asyncapi() -> dict[str, Any]:
    """The whole document."""
    schemas = new_schemas()
    built = _Messages(schemas)
    operations = {**_commands(built), **_events(built)}
    components = schemas.components
    # AsyncAPI knows none with a mapping; each schema of the `oneOf` has its own `const`.
    components[EVENT].pop("discriminator")
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Hubbub",
            "version": chat.__version__,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "hub": {
                "host": "localhost:8000",
                "protocol": "wss",
                "description": "Any hub of the deployment; `ws` where there is no TLS.",
            }
        },
        "channels": {
            "socket": _channel("/connection/websocket", "Commands of the client, replies, pushes.", built.of("socket")),
            "conversation": {
                **_channel(
                    f"{CONVERSATION_PREFIX}{{conversation}}",
                    "What happens in a conversation: its log, and what is ephemeral. Members only.",
                    built.of("conversation"),
                ),
                "parameters": {"conversation": {"description": "The conversation's id."}},
            },
            "user": {
                **_channel("user:{user}", "What happens to a user, for their own devices.", built.of("user")),
                "parameters": {"user": {"description": "The user's id."}},
            },
        },
        "operations": operations,
        "components": {"messages": built.components, "schemas": components},
        "x-codes": _codes(),
    }
    _add_examples(built.components, Examples(components))
    return document


class _Messages:
    """Gathers messages as components, and remembers which channel has them."""

    def __init__(self, schemas: Schemas) -> None:
        self.schemas = schemas
        self.components: dict[str, Schema] = {}
        self._channels: dict[str, list[str]] = {}

    def add(self, channel: str, name: str, title: str, payload: Schema, summary: str = "") -> Schema:
        """A message of a channel; returns the reference that operations have to it."""
        message: Schema = {"name": name, "title": title, "payload": payload}
        if summary:
            message["summary"] = summary
        self.components[name] = message
        self._channels.setdefault(channel, []).append(name)
        return {"$ref": f"#/channels/{channel}/messages/{name}"}

    def of(self, channel: str) -> Schema:
        return {name: {"$ref": f"#/components/messages/{name}"} for name in self._channels[channel]}


def _commands(built: _Messages) -> dict[str, Schema]:
    """What a client may send, and how it is answered."""
    schemas = built.schemas
    failed = built.add(
        "socket",
        "error",
        "A command is refused",
        _object(id=_ID, error=schemas.ref(messages.Error, "out")),
        "The connection lives. `x-codes` has all codes.",
    )
    found: dict[str, Schema] = {}
    for name, request, result, summary in _PROTOCOL:
        answer = schemas.inline(result, "out")
        if name in _DATA:
            answer["properties"]["data"] = schemas.ref(_DATA[name], "out")
        command = _object(id=_ID, **{name: schemas.ref(request, "in")})
        key = operation_id(name)
        asked = built.add("socket", key, name, command, summary)
        replied = built.add("socket", f"{key}Reply", f"Reply to {name}", _object(id=_ID, **{name: answer}))
        found[key] = _receive(summary, asked, [replied, failed], "Protocol")
    for method in METHODS.values():
        data = schemas.ref(method.request, "in")
        call: Schema = {
            "type": "object",
            "properties": {"method": {"const": method.name, "type": "string"}, "data": data},
            "required": ["method", "data"] if data_required(method.request) else ["method"],
        }
        key = operation_id(method.name)
        asked = built.add("socket", key, method.name, _object(id=_ID, rpc=call), method.summary)
        answer = _object(rpc=_object(data=schemas.ref(method.result, "out")), id=_ID)
        replied = built.add("socket", f"{key}Reply", f"Reply to {method.name}", answer)
        found[key] = _receive(
            method.summary, asked, [replied, failed], words.tag(method.name), docstring(method.request)
        )
    return found


def _events(built: _Messages) -> dict[str, Schema]:
    """What the server sends of its own accord."""
    schemas = built.schemas
    groups = (
        ("conversation", (*events.DURABLE, *events.EPHEMERAL), "Something happened in a conversation"),
        ("user", events.PERSONAL, "Something happened to the user"),
    )
    found: dict[str, Schema] = {}
    for channel, kinds, summary in groups:
        sent = [
            built.add(
                channel, _event_name(kind), str(kind.__struct_config__.tag), schemas.ref(kind, "out"), docstring(kind)
            )
            for kind in kinds
        ]
        found[f"{channel}Events"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": summary,
            "description": "Comes as the `data` of a publication.",
            "messages": sent,
        }
    push = built.add("socket", "push", "Something happened in a channel", _push(schemas))
    found["pushes"] = {
        "action": "send",
        "channel": {"$ref": _SOCKET},
        "summary": "How events and other changes arrive",
        "messages": [push],
    }
    return found


def _push(schemas: Schemas) -> Schema:
    kinds = {name: schemas.ref(kind, "out") for kind, name in messages.PUSHES.items()}
    channel: Schema = {"type": "string", "description": "The channel; absent for `disconnect`."}
    body: Schema = {
        "type": "object",
        "properties": {"channel": channel, **kinds},
        "description": f"One of {', '.join(kinds)}. The `pub.data` of a conversation is an `{EVENT}`.",
    }
    return _object(push=body)


def _event_name(kind: type[Struct]) -> str:
    name = kind.__name__
    return f"{name[0].lower()}{name[1:]}Event"


def _receive(summary: str, asked: Schema, replies: Iterable[Schema], tag: str, description: str = "") -> Schema:
    operation: Schema = {
        "action": "receive",
        "channel": {"$ref": _SOCKET},
        "summary": summary.rstrip("."),
        "tags": [{"name": tag}],
        "messages": [asked],
        "reply": {"channel": {"$ref": _SOCKET}, "messages": list(replies)},
    }
    if description:
        operation["description"] = description
    return operation


def _channel(address: str, description: str, found: Schema) -> Schema:
    return {"address": address, "description": description, "messages": found}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _codes() -> Schema:
    """The catalogue, for whoever generates from this document."""
    return {
        "errors": [
            {"code": one.code, "slug": one.slug, "temporary": one.temporary, "when": one.when} for one in ERRORS
        ],
        "disconnects": [
            {"code": one.code, "reason": one.reason, "reconnect": one.reconnect, "when": one.when}
            for one in DISCONNECTS
        ],
        "unsubscribes": [
            {"code": one.code, "reason": one.reason, "resubscribe": one.resubscribe, "when": one.when}
            for one in UNSUBSCRIBES
        ],
    }


def _add_examples(found: dict[str, Schema], examples: Examples) -> None:
    for message in found.values():
        message["examples"] = [{"payload": examples.of(message["payload"])}]
