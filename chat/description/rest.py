"""The operations under `/v1`: resources, and every method under its own name. Pure."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from msgspec import Struct, inspect

from chat.description import refusals, words
from chat.description.schemas import Schema, Schemas, docstring
from chat.http.binding import KEY_FIELD
from chat.http.resources import RESOURCES, Resource
from chat.methods import METHODS, Method
from chat.vocabulary.types import IdempotencyKey

_BEARER: Final[list[dict[str, list[str]]]] = [{"bearer": []}]
_UNNAMED: Final = frozenset({"limit", "text", "title", "name", "custom", "locale", "avatar_url", KEY_FIELD})
"""Fields that name nothing which may be missing or foreign."""


def operation_id(method: str) -> str:
    """`message.send` is `messageSend`."""
    first, *others = method.replace("_", ".").split(".")
    return first + "".join(part.capitalize() for part in others)


def paths(schemas: Schemas) -> dict[str, Schema]:
    """Every path under `/v1` with its operations."""
    found: dict[str, Schema] = {"/v1": {"get": _index()}}
    taken: set[str] = set()
    for resource in RESOURCES:
        name = _unique(resource, taken)
        taken.add(name)
        found.setdefault(resource.path, {})[resource.verb.lower()] = _operation(resource, name, schemas)
    for method in METHODS.values():
        found[f"/v1/rpc/{method.name}"] = {"post": _rpc(method, schemas)}
    return found


def _unique(resource: Resource, taken: set[str]) -> str:
    """The operation's id. A method that has several resources tells them apart by the path."""
    name = operation_id(resource.method.name)
    if resource.caller:
        return f"{name}OfCaller"
    if name not in taken:
        return name
    last = resource.path.rstrip("}").replace("{", "").rpartition("/")[2]
    name = f"{name}{resource.verb.capitalize()}{last.capitalize()}"
    if name in taken:
        raise ValueError(f"two operations would be {name}")
    return name


def _operation(resource: Resource, name: str, schemas: Schemas) -> Schema:
    method, parts = resource.method, resource.parts
    parameters = [
        *_parameters(method, parts.path, "path", schemas),
        *_parameters(method, parts.query, "query", schemas),
    ]
    takes_key = parts.body is not None and KEY_FIELD in parts.body.__struct_fields__
    if takes_key:
        parameters.append({"$ref": "#/components/parameters/Idempotency-Key"})
    if resource.etag:
        parameters.append({"$ref": "#/components/parameters/If-None-Match"})
    operation: Schema = {
        "operationId": name,
        "summary": method.summary.rstrip("."),
        "description": _description(method),
        "tags": [words.tag(method.name)],
        "security": _BEARER,
    }
    if parameters:
        operation["parameters"] = parameters
    if parts.body is not None:
        operation["requestBody"] = _body(schemas.inline(parts.body, "in", name=method.request.__name__))
    operation["responses"] = {
        **_successes(resource, schemas),
        **refusals.of_operation(
            changing=resource.verb in refusals.CHANGING,
            body=parts.body is not None,
            about_something=_about_something(method),
        ),
    }
    return operation


def _description(method: Method) -> str:
    return "\n\n".join(text for text in (docstring(method.request), f"On the socket: the RPC `{method.name}`.") if text)


def _parameters(method: Method, part: type[Struct], place: str, schemas: Schemas) -> list[Schema]:
    described = inspect.type_info(part)
    if not isinstance(described, inspect.StructType):
        return []
    found = []
    for field in described.fields:
        schema = schemas.field(method.request.__name__, field, "in")
        text = schema.pop("description", "")
        found.append(
            {
                "name": field.encode_name,
                "in": place,
                "required": place == "path" or field.required,
                **({"description": text} if text else {}),
                "schema": schema,
            }
        )
    return found


def _body(schema: Schema) -> Schema:
    schema.pop("description", None)
    return {"required": bool(schema.get("required")), "content": {"application/json": {"schema": schema}}}


def _headers() -> Schema:
    """What every answer to a user carries."""
    return {
        name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy", "X-Request-Id")
    }


def _successes(resource: Resource, schemas: Schemas) -> Schema:
    content = {"application/json": {"schema": schemas.ref(resource.method.result, "out")}}
    headers = _headers()
    if resource.etag:
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    if resource.location is not None:
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    successes: Schema = {}
    if resource.status == HTTPStatus.CREATED and "duplicate" in resource.method.result.__struct_fields__:
        successes["200"] = {"description": "It was there before.", "headers": headers, "content": content}
    said = "It was made." if resource.status == HTTPStatus.CREATED else "Done."
    successes[str(resource.status)] = {"description": said, "headers": headers, "content": content}
    if resource.etag:
        successes["304"] = {"$ref": "#/components/responses/NotModified"}
    return successes


def _rpc(method: Method, schemas: Schemas) -> Schema:
    request = schemas.ref(method.request, "in")
    required = data_required(method.request)
    return {
        "operationId": f"rpc.{operation_id(method.name)}",
        "summary": method.summary.rstrip("."),
        "tags": [words.RPC_TAG[0]],
        "security": _BEARER,
        "requestBody": {"required": required, "content": {"application/json": {"schema": request}}},
        "responses": {
            "200": {
                "description": "Done.",
                "headers": _headers(),
                "content": {"application/json": {"schema": schemas.ref(method.result, "out")}},
            },
            **refusals.of_operation(changing=True, body=True, about_something=_about_something(method)),
        },
    }


def data_required(request: type[Struct]) -> bool:
    """Whether a request has fields that must be given."""
    return any(field.required for field in msgspec.structs.fields(request))


def _about_something(method: Method) -> bool:
    return any(field.encode_name not in _UNNAMED for field in msgspec.structs.fields(method.request))


def _index() -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {
            "links": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("method", "href", "rel", "title")},
                    "required": ["method", "href", "rel", "title"],
                },
            },
            "rpc": {"type": "object"},
            "websocket": {"type": "string"},
        },
        "required": ["links", "rpc", "websocket"],
    }
    return {
        "operationId": "index",
        "summary": "What there is",
        "tags": [words.SERVICE_TAG[0]],
        "security": [],
        "responses": {
            "200": {"description": "Every resource and method.", "content": {"application/json": {"schema": schema}}},
            "500": refusals.ref(HTTPStatus.INTERNAL_SERVER_ERROR),
        },
    }


def parameters(schemas: Schemas) -> dict[str, Any]:
    """Headers that requests share."""
    return {
        "Idempotency-Key": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Instead of `idempotency_key` in the body: bare, or as a string in quotes.",
            "schema": {
                name: rule
                for name, rule in schemas.of(inspect.type_info(IdempotencyKey), "in").items()
                if name != "description"
            },
        },
        "If-None-Match": {
            "name": "If-None-Match",
            "in": "header",
            "description": "The `ETag` of an earlier answer: what has not changed since is answered with 304.",
            "schema": {"type": "string", "maxLength": 200},
        },
    }
