"""Where the parameters of a method are in an HTTP request: a part in the path, the rest in the query or the body.

The parts are struct types of their own, derived from the method's request: the same fields, types, rules and defaults.
So REST validates, and is described, by what RPC takes. Pure.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import NODEFAULT, UNSET, Struct, UnsetType
from msgspec.structs import FieldInfo

from chat.http.decoding import Parameters, attributes, decode
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

Place: TypeAlias = Literal["query", "body"]

KEY_FIELD: Final = "idempotency_key"
"""May come as the header `Idempotency-Key` instead, wherever a request has it in its body."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The struct types of a request: `path`, and the others in `query` or `body` (None: nothing is read there)."""

    path: type[Struct]
    query: type[Struct]
    body: type[Struct] | None


def split(request: type[Struct], *, path: Collection[str], preset: Collection[str], place: Place) -> Parts:
    """The parts of `request`. `path` and `preset` are names of fields: in the path, and filled in by the server."""
    fields = msgspec.structs.fields(request)
    names = {field.name for field in fields}
    if not names.issuperset([*path, *preset]):
        raise ValueError(f"{request.__name__} has no {set(path) | set(preset) - names}")
    others = [field for field in fields if field.name not in path and field.name not in preset]
    return Parts(
        path=_derive(request, "Path", [field for field in fields if field.name in path]),
        query=_derive(request, "Query", others if place == "query" else []),
        body=_derive(request, "Body", others) if place == "body" and others else None,
    )


class Binder:
    """Puts a method's request together from the parts. Raises ClientError for what breaks a rule."""

    def __init__(self, request: type[Struct], parts: Parts) -> None:
        self._request = request
        self._path = Parameters(parts.path)
        self._query = Parameters(parts.query)
        self._body = None if parts.body is None else msgspec.json.Decoder(parts.body)
        self._in_body: Final = () if parts.body is None else tuple(attributes(parts.body).values())
        self.takes_body: Final = parts.body is not None
        self.body_required: Final = parts.body is not None and any(
            field.required for field in msgspec.structs.fields(parts.body)
        )
        self.takes_key: Final = parts.body is not None and KEY_FIELD in parts.body.__struct_fields__
        self._needs_key = self.takes_key and _required(request, KEY_FIELD)

    def bind(
        self,
        *,
        path: Iterable[tuple[str, str]],
        query: Iterable[tuple[str, str]],
        body: bytes,
        key: str | None,
        preset: dict[str, Any],
    ) -> Any:
        """`key` is the header's, None without one; `preset` are the values that the server fills in."""
        values = {**preset, **self._path.read(path), **self._query.read(query)}
        if self._body is not None and (body or self.body_required):
            parsed = decode(self._body, body)
            values.update((name, getattr(parsed, name)) for name in self._in_body)
        if self.takes_key:
            self._add_key(values, key)
        return self._request(**values)

    def _add_key(self, values: dict[str, Any], key: str | None) -> None:
        in_body = values.get(KEY_FIELD, UNSET)
        if key is not None and in_body is not UNSET and in_body != key:
            raise ClientError(codes.BAD_REQUEST, "is another one than the header Idempotency-Key", KEY_FIELD)
        if key is not None:
            values[KEY_FIELD] = key
        elif in_body is UNSET and self._needs_key:
            raise ClientError(codes.BAD_REQUEST, "is required, here or as the header Idempotency-Key", KEY_FIELD)


def _required(kind: type[Struct], name: str) -> bool:
    return any(field.name == name and field.required for field in msgspec.structs.fields(kind))


def _derive(request: type[Struct], suffix: str, fields: Iterable[FieldInfo]) -> type[Struct]:
    """A struct type of some of the fields; what must be given comes first, as Python wants it."""
    chosen = list(fields)
    defined: list[Any] = [_defined(field) for field in sorted(chosen, key=_optional)]
    return msgspec.defstruct(
        f"{request.__name__}{suffix}",
        defined,
        rename={field.name: field.encode_name for field in chosen},
        frozen=True,
        module=__name__,
    )


def _optional(field: FieldInfo) -> bool:
    return not field.required or field.name == KEY_FIELD


def _defined(field: FieldInfo) -> tuple[Any, ...]:
    if field.required:
        if field.name == KEY_FIELD:
            return field.name, field.type | UnsetType, UNSET
        return field.name, field.type
    if field.default is not NODEFAULT:
        return field.name, field.type, field.default
    return field.name, field.type, msgspec.field(default_factory=field.default_factory)
