"""Good and bad parameters of a struct type, from what the type itself says. Whatever is added to a type is in here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct, inspect

_TEXTS: Final = ("x", "en", "https://x.example/", "a" * 26, f"{'a' * 26}~1", "image/png", str(UUID(int=0)))
_OF_EVERY_TYPE: Final[Mapping[str, Any]] = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "number": 1.5,
    "string": "\x00 not what is meant",
    "array": [],
    "object": {},
}
_NAMES: Final[Mapping[type[inspect.Type], tuple[str, ...]]] = {
    inspect.StrType: ("string",),
    inspect.LiteralType: ("string",),
    inspect.IntType: ("integer",),
    inspect.FloatType: ("number", "integer"),
    inspect.BoolType: ("boolean",),
    inspect.ListType: ("array",),
    inspect.DictType: ("object",),
    inspect.StructType: ("object",),
    inspect.NoneType: ("null",),
    inspect.AnyType: tuple(_OF_EVERY_TYPE),
}


@dataclass(frozen=True)
class Bad:
    """Parameters that break one rule: `field` is the path that an error names."""

    what: str
    field: str
    data: Any


def good(struct: type[Struct], known: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with every field, `known` ones as given, that are decoded without complaint."""
    data = {field.encode_name: _good(field, known) for field in _fields(struct)}
    msgspec.json.decode(msgspec.json.encode(data), type=struct)
    return data


def bad(struct: type[Struct], known: Mapping[str, Any]) -> Iterator[Bad]:
    """Every field broken in every way that its type knows, each alone among good ones."""
    whole = good(struct, known)
    for name, value in _OF_EVERY_TYPE.items():
        if name != "object":
            yield Bad(f"all: {name}", "", value)
    for field in _fields(struct):
        name = field.encode_name
        if field.required:
            yield Bad(f"{name}: missing", name, {key: value for key, value in whole.items() if key != name})
        for what, at, value in _broken(field.type, whole[name]):
            yield Bad(f"{name}{at}: {what}", f"{name}{at}", {**whole, name: value})


def _fields(struct: type[Struct]) -> tuple[inspect.Field, ...]:
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return described.fields


def _plain(described: inspect.Type) -> inspect.Type:
    return _plain(described.type) if isinstance(described, inspect.Metadata) else described


def _good(field: inspect.Field, known: Mapping[str, Any]) -> Any:
    value = known.get(field.encode_name)
    plain = _plain(field.type)
    if value is None or (isinstance(plain, inspect.StrType) and not _is_good_text(value, plain)):
        return _value(field.type)
    return value


def _value(described: inspect.Type) -> Any:
    match _plain(described):
        case inspect.StrType() as text:
            return next(one for one in _TEXTS if _is_good_text(one, text))
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.IntType(ge=least):
            return least or 0
        case inspect.BoolType():
            return False
        case inspect.ListType(item_type=item):
            return [_value(item)]
        case inspect.DictType(key_type=key, value_type=value):
            return {_value(key): _value(value)}
        case inspect.StructType(fields=fields):
            return {field.encode_name: _value(field.type) for field in fields}
        case inspect.UnionType(types=types):
            return _value(next(one for one in types if not isinstance(one, inspect.NoneType)))
        case inspect.AnyType():
            return 1
        case other:
            raise NotImplementedError(f"a good value of {other}")


def _is_good_text(text: str, described: inspect.StrType) -> bool:
    rules = msgspec.Meta(
        min_length=described.min_length, max_length=described.max_length, pattern=described.pattern or None
    )
    try:
        msgspec.convert(text, type=Annotated[str, rules])
    except msgspec.ValidationError:
        return False
    return True


def _broken(described: inspect.Type, value: Any) -> Iterator[tuple[str, str, Any]]:
    """(what, path below the field, value)"""
    described = _plain(described)
    if isinstance(described, inspect.UnionType):
        # Of something and null.
        kept = next(one for one in described.types if not isinstance(one, inspect.NoneType))
        yield from (case for case in _broken(kept, value) if case[2] is not None)
        return
    for name, other in _OF_EVERY_TYPE.items():
        if name not in _NAMES[type(described)]:
            yield name, "", other
    match described:
        case inspect.StrType():
            yield from _broken_text(described, value)
        case inspect.LiteralType():
            yield "none of them", "", "no - at `$.such`"
            yield "none of them, long", "", "x" * 20_000
        case inspect.IntType(ge=least, le=most):
            yield "huge", "", 10**30
            yield "very small", "", -(10**30)
            if least is not None:
                yield "too small", "", least - 1
            if most is not None:
                yield "too large", "", most + 1
        case _:
            yield from _broken_inside(described, value)


def _broken_inside(described: inspect.Type, value: Any) -> Iterator[tuple[str, str, Any]]:
    match described:
        case inspect.ListType():
            yield from _broken_list(described)
        case inspect.StructType(fields=fields):
            for field in fields:
                for what, at, one in _broken(field.type, value[field.encode_name]):
                    yield what, f".{field.encode_name}{at}", {**value, field.encode_name: one}
        case inspect.DictType(key_type=key, value_type=item):
            for what, _, one in _broken(key, _value(key)):
                if isinstance(one, str):
                    yield f"key {what}", "", {one: _value(item)}
            for what, at, one in _broken(item, _value(item)):
                yield f"value {what}", f"[...]{at}", {_value(key): one}


def _broken_text(described: inspect.StrType, value: str) -> Iterator[tuple[str, str, Any]]:
    if described.max_length is not None:
        yield "too long", "", "x" * (described.max_length + 1)
    if described.min_length:
        yield "too short", "", "x" * (described.min_length - 1)
    if described.pattern is not None:
        yield "not a match", "", "\x00"
        yield "a match and a line break", "", f"{value}\n"
        yield "very long", "", "!" * 20_000


def _broken_list(described: inspect.ListType) -> Iterator[tuple[str, str, Any]]:
    item = described.item_type
    if described.max_length is not None:
        yield "too long", "", [_value(item)] * (described.max_length + 1)
    if described.min_length:
        yield "too short", "", [_value(item)] * (described.min_length - 1)
    for what, at, one in _broken(item, _value(item)):
        yield f"item {what}", f"[1]{at}", [_value(item), one]
