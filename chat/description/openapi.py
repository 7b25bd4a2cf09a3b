"""The OpenAPI 3.1 document. Pure."""

from typing import Any, Final

import chat
from chat.description import refusals, rest, server_api, service, uploads, words
from chat.description.examples import Examples
from chat.description.schemas import Schema, Schemas
from chat.methods import METHODS
from chat.vocabulary import events

_INTRODUCTION: Final = """\
Real-time chat for applications. What happens live comes over the socket, which the AsyncAPI document describes; \
everything can be asked for and done here as well.

Times are integer milliseconds since 1970 UTC. Ids are strings. Fields that are empty are left out of answers unless \
they are required here; more fields may come with a later version. Every answer has an `X-Request-Id`, which is in the \
server's log too; a request may bring its own.

Errors are problem documents (RFC 9457) with the slug of the error that the socket gives for the same. What is missing \
and what is somebody else's answer alike, with 404.\
"""
EVENT: Final = "Event"


def openapi() -> dict[str, Any]:
    """The whole document."""
    schemas = new_schemas()
    paths = {**rest.paths(schemas), **uploads.paths(), **server_api.paths(schemas), **service.paths(schemas)}
    responses = {
        "NotModified": {
            "description": "Unchanged since the answer with this `ETag`. There is no body.",
            "headers": {"ETag": {"$ref": "#/components/headers/ETag"}},
        },
        **refusals.responses(schemas),
    }
    document = {
        "openapi": "3.1.1",
        "info": {
            "title": "Hubbub",
            "version": chat.__version__,
            "summary": "Real-time chat for applications",
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The server that this document comes from"}],
        "tags": _tags(paths),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": responses,
            "parameters": rest.parameters(schemas),
            "headers": _headers(),
            "securitySchemes": _security(),
        },
    }
    _add_examples(paths, Examples(schemas.components))
    return document


def new_schemas() -> Schemas:
    """Schemas that know the events and all that is answered: what comes both ways keeps its name for the answer."""
    schemas = Schemas(
        {"SyncedConversation.entries": {"type": "array", "items": {"$ref": f"#/components/schemas/{EVENT}"}}}
    )
    schemas.add(EVENT, _one_of(schemas, events.DURABLE))
    for method in METHODS.values():
        schemas.ref(method.result, "out")
    return schemas


def _one_of(schemas: Schemas, kinds: tuple[Any, ...]) -> Schema:
    """What happens in a conversation, told apart by `type`."""
    found = {kind.__struct_config__.tag: schemas.ref(kind, "out") for kind in kinds}
    return {
        "description": "What happened in a conversation; `type` tells which it is. More may come with later versions.",
        "oneOf": list(found.values()),
        "discriminator": {"propertyName": "type", "mapping": {tag: ref["$ref"] for tag, ref in found.items()}},
    }


def _tags(paths: dict[str, Schema]) -> list[Schema]:
    used = [tag for path in paths.values() for operation in path.values() for tag in operation["tags"]]
    known = {
        name: text for name, text in (*words.TAGS.values(), words.RPC_TAG, words.API_TAG, words.SERVICE_TAG) if text
    }
    return [
        {"name": name, **({"description": known[name]} if name in known else {})}
        for name in dict.fromkeys([*(name for name in known if name in used), *used])
    ]


def _headers() -> Schema:
    return {
        "ETag": {"description": "Names this very answer, for `If-None-Match`.", "schema": {"type": "string"}},
        "Location": {"description": "Where it can be read.", "schema": {"type": "string"}},
        "RateLimit": {
            "description": "What is left of the user's limits: `r` requests now, and in `t` seconds the whole quota. "
            'As in `"commands";r=1999;t=1, "sends";r=99;t=1`. Absent where there is no limit.',
            "schema": {"type": "string"},
        },
        "RateLimit-Policy": {
            "description": "The user's limits: `q` requests at once, and in the long run in every `w` seconds. As in "
            '`"commands";q=2000;w=20, "sends";q=100;w=5`. See [the limits](/docs/limits).',
            "schema": {"type": "string"},
        },
        "Retry-After": {
            "description": "Try again after so many seconds; `retry_after_ms` in the body says it more exactly.",
            "required": True,
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": {"description": "What is wrong with the token.", "schema": {"type": "string"}},
        "X-Request-Id": {
            "description": "The request's id, its own if it brought a sane one.",
            "schema": {"type": "string"},
        },
    }


def _security() -> Schema:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token of a user, as for the socket: `sub` is the user's id.",
        },
        "apiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "The key of the server API. Never for the hands of a user.",
        },
        "metricsToken": {"type": "http", "scheme": "bearer", "description": "The configured token of the metrics."},
    }


def _add_examples(paths: dict[str, Schema], examples: Examples) -> None:
    """To every body that is taken, and every JSON answer that has none yet."""
    for path in paths.values():
        for operation in path.values():
            content = operation.get("requestBody", {}).get("content", {})
            for response in operation["responses"].values():
                content = {**content, **_plain_json(response)}
                for media in _plain_json(response).values():
                    media.setdefault("example", examples.of(media["schema"]))
            for media in operation.get("requestBody", {}).get("content", {}).values():
                media.setdefault("example", examples.of(media["schema"]))


def _plain_json(response: Schema) -> Schema:
    return {kind: media for kind, media in response.get("content", {}).items() if kind == "application/json"}
