"""Describes the wire from the types that validate it: `python -m chat.describe` makes `docs/reference.md`,
`docs/openapi.json` and `docs/asyncapi.json`, and says what the changelog has to have when the contract changed.

Methods with their parameters and results, where REST has them, the server API, events, and every code that a client can
see.
"""

import sys
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import inspect

from chat.description import contract, permissions
from chat.description.asyncapi import asyncapi
from chat.description.files import documents
from chat.description.openapi import openapi
from chat.http.problems import STATUSES
from chat.http.resources import RESOURCES, Resource
from chat.http.server_api import requests
from chat.http.server_api.api import API, BATCH
from chat.methods import METHODS
from chat.vocabulary import connecting, events
from realtime.protocol.codes import DISCONNECTS, ERRORS, FRAME_CLOSES, PERMISSION_DENIED, UNSUBSCRIBES, ErrorCode

_BATCH_REPLY: Final = "`{<method>: <result>}` or `{error}`"
_ONLY_PYTHON: Final = r"(?!\n)"
"""At the end of a pattern: that it ends there, which others take for granted."""

TARGET: Final = Path(__file__).parent.parent / "docs" / "reference.md"
CHANGELOG: Final = TARGET.parent.parent / "CHANGELOG.md"

_HEAD: Final = """\
# Reference: methods, events, codes

Made from the types that validate requests, by `python -m chat.describe`. How they are used is in
[protocol.md](protocol.md). Fields marked with * are required in requests and always present in results.
"""


def reference() -> str:
    """The whole page."""
    parts = [_HEAD, *_methods(), *_resources(), *_server_api(), *_events(), *_structs(), *_codes()]
    return "\n".join(parts).rstrip() + "\n"


def _methods() -> Iterator[str]:
    yield "## Methods\n"
    yield "Called by the protocol's `rpc`, or by `POST /v1/rpc/<method>`. Errors are those of the table below.\n"
    for method in METHODS.values():
        yield f"### `{method.name}`\n"
        yield f"{method.summary}\n"
        doc = _doc(method.request)
        if doc:
            yield f"{doc}\n"
        fields = list(_fields(method.request))
        yield "Parameters:\n\n" + _table(fields) if fields else "No parameters.\n"
        returned = list(_fields(method.result))
        yield "Result:\n\n" + _table(returned) if returned else "Result: an empty object.\n"


def _resources() -> Iterator[str]:
    yield "## REST\n"
    yield (
        "Each resource is a method. Parameters that are not in the path are in the query of a GET or DELETE, else in"
        " the body; the result is the same. `idempotency_key` may be the header `Idempotency-Key` instead.\n"
    )
    rows = (
        (f"`{one.verb} {one.path}`", f"[`{one.method.name}`](#{one.method.name.replace('.', '')})", _answers(one))
        for one in RESOURCES
    )
    yield _rows(("resource", "method", "answers"), rows)


def _answers(resource: Resource) -> str:
    codes = "201, or 200 for what was there before" if resource.status == HTTPStatus.CREATED else str(resource.status)
    return f"{codes}, or 304 to its ETag" if resource.etag else codes


def _server_api() -> Iterator[str]:
    yield "## Server API\n"
    yield "`POST /api/<method>` with `X-API-Key`; `{result}` or `{error: {code, message}}`.\n"
    for method in API.values():
        yield f"### `{method.name}`\n"
        yield f"{method.summary}\n"
        doc = _doc(method.request)
        if doc:
            yield f"{doc}\n"
        fields = sorted(_fields(method.request), key=lambda field: not field[0].endswith("*"))
        yield "Parameters:\n\n" + _table(fields) if fields else "No parameters.\n"
        returned = list(_fields(method.result))
        yield "Result:\n\n" + _table(returned) if returned else "Result: an empty object.\n"
    yield f"### `{BATCH}`\n"
    yield f"{_doc(requests.Batch)} Answered by `{{replies}}` in the order of the commands, each {_BATCH_REPLY}.\n"


def _events() -> Iterator[str]:
    yield "## Events\n"
    yield "The `data` of publications, told apart by `type`.\n"
    groups = (
        ("In a conversation (`conv:<id>`), durable", events.DURABLE),
        ("In a conversation, ephemeral: may be lost, has no offset", events.EPHEMERAL),
        ("To a user's devices (`user:<id>`), ephemeral", events.PERSONAL),
    )
    for title, group in groups:
        yield f"### {title}\n"
        for event in group:
            yield f"**`{event.__struct_config__.tag}`** {_doc(event)}\n"
            yield _table(_fields(event))


def _structs() -> Iterator[str]:
    yield "## Objects\n"
    for struct in _shared():
        yield f"### {struct.__name__}\n"
        doc = _doc(struct)
        if doc:
            yield f"{doc}\n"
        yield _table(_fields(struct))


def _shared() -> list[type[msgspec.Struct]]:
    """What others have as fields, and what is in the `data` of connects and subscriptions; by name."""
    found: dict[type[msgspec.Struct], None] = {connecting.ConnectData: None, connecting.SubscriptionData: None}
    told = [struct for method in METHODS.values() for struct in (method.request, method.result)]
    told += [struct for method in API.values() for struct in (method.request, method.result)]
    waiting: list[type[msgspec.Struct]] = [*told, *found, *events.DURABLE, *events.EPHEMERAL, *events.PERSONAL]
    while waiting:
        inner = [one for one in _inside(inspect.type_info(waiting.pop())) if one not in found]
        found.update(dict.fromkeys(inner))
        waiting += inner
    return sorted(found, key=lambda struct: struct.__name__)


def _inside(described: inspect.Type) -> Iterator[type[msgspec.Struct]]:
    """The structs of a struct's fields, as far as they are named there."""
    kinds = [field.type for field in described.fields] if isinstance(described, inspect.StructType) else []
    while kinds:
        match kinds.pop():
            case inspect.Metadata(type=inner) | inspect.ListType(item_type=inner) | inspect.DictType(value_type=inner):
                kinds.append(inner)
            case inspect.UnionType(types=types):
                kinds += types
            case inspect.StructType(cls=cls):
                yield cls
            case _:
                pass


def _codes() -> Iterator[str]:
    yield "## Errors\n"
    yield "A command that is refused; the connection lives. The message reads `slug: $.field: rule`.\n"
    rows = (
        (str(one.code), f'<a id="{one.slug}"></a>`{one.slug}`', "yes" if one.temporary else "", _status(one), one.when)
        for one in ERRORS
    )
    yield _rows(("code", "slug", "temporary", "in REST", "when"), rows)
    yield "## Disconnects\n"
    yield "The close code of the WebSocket. Where SDKs come back by themselves it says so.\n"
    known = (*FRAME_CLOSES, *DISCONNECTS)
    closes = ((str(one.code), one.reason, "yes" if one.reconnect else "no", one.when) for one in known)
    yield _rows(("code", "reason", "reconnects", "when"), closes)
    yield "## Unsubscribes\n"
    yield "The code of an `unsubscribe` push. A server-side subscription always ends.\n"
    ends = ((str(one.code), one.reason, "yes" if one.resubscribe else "no", one.when) for one in UNSUBSCRIBES)
    yield _rows(("code", "reason", "resubscribes", "when"), ends)


def _status(code: ErrorCode) -> str:
    """The HTTP status. What a caller may not know of is 404 instead, whether it is missing or foreign."""
    status = str(STATUSES[code].value)
    return f"{status}, 404 for what is missing or foreign" if code is PERMISSION_DENIED else status


def _doc(struct: type[msgspec.Struct]) -> str:
    """The docstring, or that of what it is made from, as one paragraph each; msgspec's own is none."""
    kinds = (kind for kind in struct.__mro__ if kind is not msgspec.Struct and kind is not object)
    own = next((doc for kind in kinds if (doc := kind.__dict__.get("__doc__"))), "")
    return "\n\n".join(" ".join(part.split()) for part in own.split("\n\n")).strip()


def _fields(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    described = inspect.type_info(struct)
    if isinstance(described, inspect.StructType):
        for field in described.fields:
            yield f"`{field.encode_name}`{'*' if field.required else ''}", _type(field.type)


def _type(described: inspect.Type) -> str:
    match described:
        case inspect.Metadata(type=inner, extra_json_schema=schema):
            text = (schema or {}).get("description")
            return f"{_type(inner)}: {text}" if text else _type(inner)
        case inspect.StrType():
            return "string" + _bounds(min=described.min_length, max=described.max_length, pattern=described.pattern)
        case inspect.IntType():
            return "integer" + _bounds(min=described.ge, max=described.le)
        case inspect.BoolType():
            return "boolean"
        case inspect.ListType(item_type=item):
            return f"array of {_type(item)}" + _bounds(max=described.max_length)
        case inspect.DictType(key_type=key, value_type=value):
            return "object" if isinstance(value, inspect.AnyType) else f"object of {_type(key)} to {_type(value)}"
        case inspect.LiteralType(values=values):
            return " or ".join(f"`{value}`" for value in values)
        case inspect.StructType(cls=cls):
            return f"[{cls.__name__}](#{cls.__name__.lower()})"
        case inspect.UnionType(types=types):
            kept = [one for one in types if not isinstance(one, inspect.NoneType)]
            return " or ".join(_type(one) for one in kept)
        case _:
            return "any"


def _bounds(**bounds: Any) -> str:
    told = [f"{name} {value}" for name, value in bounds.items() if value is not None and name != "pattern"]
    if bounds.get("pattern"):
        told.append(f"matching `{bounds['pattern'].removesuffix(_ONLY_PYTHON)}`".replace("|", "\\|"))
    return f" ({', '.join(told)})" if told else ""


def _table(fields: Iterable[tuple[str, str]]) -> str:
    return _rows(("field", "type"), fields)


def _rows(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def made() -> dict[str, bytes]:
    """Every generated file of `docs/`, by name."""
    pages = {TARGET.name: reference(), permissions.NAME: permissions.permissions_page()}
    return {**{name: page.encode() for name, page in pages.items()}, **documents()}


def contract_line() -> str:
    """What the changelog has to have for the present contract."""
    return contract.line(openapi(), asyncapi())


def main() -> None:
    for name, data in made().items():
        target = TARGET.parent / name
        if not target.exists() or target.read_bytes() != data:
            target.write_bytes(data)
            sys.stderr.write(f"wrote {target}\n")
    wanted = contract_line()
    if contract.newest(CHANGELOG.read_text()) != wanted:
        sys.stderr.write(contract.ASK.format(line=wanted))


if __name__ == "__main__":
    main()
