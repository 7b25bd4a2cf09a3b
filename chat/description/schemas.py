"""JSON Schemas (2020-12) of struct types, gathered as named components. Pure.

What a client sends and what it gets differ: a field with a default need not be sent, but is always in an answer, unless
the struct leaves defaults out. A struct that comes both ways and differs gets two schemas; the name of the second one
tells which way it is for.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec
from msgspec import NODEFAULT, Raw, Struct, inspect

from chat.description import words

Schema: TypeAlias = dict[str, Any]
Way: TypeAlias = Literal["in", "out"]

_PREFIXES: Final = {"chat.http.server_api": "Api", "realtime.protocol": "Protocol"}
"""Of the names of components, by the module of the struct: areas that have words of their own for the same."""

_ONLY_PYTHON: Final = r"(?!\n)"
"""At the end of a pattern: that it ends there, which others take for granted."""


class Schemas:
    """Gathers components while schemas are made. `overrides` are fields whose type says too little: by `Struct.field`,
    a schema instead.
    """

    def __init__(self, overrides: Mapping[str, Schema]) -> None:
        self._overrides = overrides
        self._names: dict[tuple[type[Struct], Way], str] = {}
        self._components: dict[str, Schema] = {}

    @property
    def components(self) -> dict[str, Schema]:
        """By name, in the order of the alphabet."""
        return dict(sorted(self._components.items()))

    def ref(self, struct: type[Struct], way: Way) -> Schema:
        """A reference to the schema of `struct`, which becomes a component."""
        return {"$ref": f"#/components/schemas/{self._name(struct, way)}"}

    def add(self, name: str, schema: Schema) -> Schema:
        """A component that is no struct; returns the reference to it. Raises ValueError for a name that is taken."""
        if self._components.setdefault(name, schema) != schema:
            raise ValueError(f"there is another schema {name}")
        return {"$ref": f"#/components/schemas/{name}"}

    def inline(self, struct: type[Struct], way: Way, *, name: str = "") -> Schema:
        """The schema of `struct` itself. `name`: what words about its fields are found under."""
        described = inspect.type_info(struct)
        if not isinstance(described, inspect.StructType):
            raise TypeError(f"{struct} is no struct")
        name = name or struct.__name__
        properties: dict[str, Schema] = {}
        required: list[str] = []
        if described.tag is not None and described.tag_field is not None:
            properties[described.tag_field] = {
                "const": described.tag,
                "type": "string",
                "description": words.field(name, described.tag_field),
            }
            required.append(described.tag_field)
        config = struct.__struct_config__
        for field in described.fields:
            properties[field.encode_name] = self.field(name, field, way, omitted=config.omit_defaults)
            always = way == "out" and not config.omit_defaults and not _may_be_unset(field)
            if field.required or always:
                required.append(field.encode_name)
        schema: Schema = {"type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if text := docstring(struct):
            schema["description"] = text
        return schema

    def field(self, owner: str, field: inspect.Field, way: Way, *, omitted: bool = False) -> Schema:
        """The schema of one field, with its words and its default."""
        override = self._overrides.get(f"{owner}.{field.encode_name}")
        kind = field.type
        if way == "out" and omitted and field.default is None:
            kind = _without_none(kind)
        schema = dict(override) if override is not None else self.of(kind, way)
        text = schema.get("description") or words.field(owner, field.encode_name)
        if text:
            schema["description"] = text
        default = field.default
        if way == "in" and default is not NODEFAULT and _is_plain(default) and default is not None:
            schema["default"] = msgspec.to_builtins(default)
        return schema

    def of(self, described: inspect.Type, way: Way) -> Schema:
        """The schema of a type. Raises TypeError for one that has none here."""
        match described:
            case inspect.Metadata(type=inner, extra_json_schema=extra):
                return {**self.of(inner, way), **(extra or {})}
            case inspect.StrType():
                pattern = (described.pattern or "").removesuffix(_ONLY_PYTHON) or None
                bounds = {"minLength": described.min_length, "maxLength": described.max_length, "pattern": pattern}
                return {"type": "string", **_given(bounds)}
            case inspect.IntType():
                return {"type": "integer", **_given({"minimum": described.ge, "maximum": described.le})}
            case inspect.FloatType():
                return {"type": "number", **_given({"minimum": described.ge, "maximum": described.le})}
            case inspect.BoolType():
                return {"type": "boolean"}
            case inspect.NoneType():
                return {"type": "null"}
            case inspect.LiteralType(values=values):
                return {"enum": list(values), "type": "string"} if _all_text(values) else {"enum": list(values)}
            case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
                bounds = {"minItems": described.min_length, "maxItems": described.max_length}
                return {"type": "array", "items": self.of(item, way), **_given(bounds)}
            case inspect.DictType():
                return self._mapping(described, way)
            case inspect.StructType(cls=cls):
                return self.ref(cls, way)
            case inspect.UnionType(types=types):
                parts = [self.of(one, way) for one in types]
                return parts[0] if len(parts) == 1 else {"anyOf": parts}
            case inspect.AnyType() | inspect.RawType():
                return {}
            case _:
                raise TypeError(f"no schema for {described}")

    def _mapping(self, described: inspect.DictType, way: Way) -> Schema:
        schema: Schema = {"type": "object", **_given({"maxProperties": described.max_length})}
        keys = self.of(described.key_type, way)
        keys = {name: rule for name, rule in keys.items() if name not in ("type", "description")}
        if keys:
            schema["propertyNames"] = keys
        if values := self.of(described.value_type, way):
            schema["additionalProperties"] = values
        return schema

    def _name(self, struct: type[Struct], way: Way) -> str:
        if (struct, way) in self._names:
            return self._names[struct, way]
        other: Way = "in" if way == "out" else "out"
        name = self._names.get((struct, other))
        if name is not None and self.inline(struct, way) == self._components[name]:
            self._names[struct, way] = name
            return name
        name = self._free(struct, way) if name is None else f"{name}{'Input' if way == 'in' else 'Output'}"
        # Taken before its fields are looked at: a struct may lead back to itself.
        self._names[struct, way] = name
        self._components[name] = {}
        self._components[name] = self.inline(struct, way)
        return name

    def _free(self, struct: type[Struct], way: Way) -> str:
        """A name that no other struct has."""
        prefix = next((short for module, short in _PREFIXES.items() if struct.__module__.startswith(module)), "")
        name = f"{prefix}{struct.__name__.lstrip('_')}"
        if name in self._components:
            name = f"{name}{'Request' if way == 'in' else 'Result'}"
        if name in self._components:
            raise ValueError(f"two structs would be {name}")
        return name


def docstring(struct: type[Struct]) -> str:
    """What a struct says of itself, or what it is made from says, as one line a paragraph; msgspec's own is none."""
    kinds = (kind for kind in struct.__mro__ if kind is not Struct and kind is not object)
    own = next((doc for kind in kinds if (doc := kind.__dict__.get("__doc__"))), "")
    return "\n\n".join(" ".join(part.split()) for part in own.split("\n\n")).strip()


def _given(bounds: Mapping[str, Any]) -> Schema:
    return {name: value for name, value in bounds.items() if value is not None}


def _all_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_plain(default: object) -> bool:
    return isinstance(default, str | int | float) and not isinstance(default, Raw)


def _may_be_unset(field: inspect.Field) -> bool:
    # `UNSET` is no default to msgspec's eyes, nor is such a field required.
    return not field.required and field.default is NODEFAULT and field.default_factory is NODEFAULT


def _without_none(described: inspect.Type) -> inspect.Type:
    if not isinstance(described, inspect.UnionType):
        return described
    kept = tuple(one for one in described.types if not isinstance(one, inspect.NoneType))
    return kept[0] if len(kept) == 1 else inspect.UnionType(kept)
