"""An example for a schema: a small value that it allows, the same every time. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from chat.description.schemas import Schema

CONVERSATION: Final = "k5n2qv4xbe7wz3ma6ojtyh2dfc"
_AT: Final = 1_790_000_000_000
_DEEPEST: Final = 6

_TEXTS: Final = {
    "after": "carol",
    "avatar_url": "https://cdn.example/alice.png",
    "before": "AZbQk5n2qv4xbe7wz3ma6ojtyh2dfc",
    "by": "alice",
    "channel": "news:today",
    "client": "5f1c2d9e-7a34-4f0e-9a51-0c6f1d2b7e88",
    "code": "bad_request",
    "content_type": "image/png",
    "conversation": CONVERSATION,
    "detail": "limit: expected `int` <= 200",
    "emoji": "👍",
    "epoch": "k7w2",
    "external_id": "order-4711",
    "idempotency_key": "0b9f2a51-6c2e-4a52-9f0c-3d1d3b9e7a10",
    "instance": "3f9c0e5d7a21b84c6e0f9d12",
    "job": "7f9d1c3e-52a4-5b0e-9a63-0f2f1d6f8a11",
    "kind": "group",
    "locale": "en-GB",
    "message": "bad_request: $.channel: is required",
    "name": "Alice Moreau",
    "method": "user.get",
    "parent": CONVERSATION,
    "peer": "bob",
    "pointer": "/limit",
    "q": "lunch",
    "query": "lunch",
    "reaction": "👍",
    "role": "member",
    "sender": "alice",
    "text": "Lunch at noon?",
    "title": "Lunch",
    "type": "/docs/reference#bad_request",
    "user": "bob",
}
_NUMBERS: Final = {"offset": 42, "target": 41, "n": 40, "limit": 50, "reply_to": 41, "status": 400, "members_count": 3}
_FALSE: Final = frozenset({"duplicate", "has_after", "temporary"})
_ITEMS: Final = {"members": "bob", "users": "bob", "mentions": "bob", "blocked": "bob", "removed": CONVERSATION}


class Examples:
    """Makes examples for schemas that refer to these components."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = components

    def of(self, schema: Schema, name: str = "", *, depth: int = 0) -> Any:
        """A value that `schema` allows; `name` is that of the field it is for. Optional fields of what lies deep are
        left out.
        """
        if "$ref" in schema:
            return self.of(self._components[schema["$ref"].rpartition("/")[2]], name, depth=depth + 1)
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self.of(schema[several][0], name, depth=depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "object":
                return self._object(schema, name, depth)
            case "array":
                item = schema.get("items", {})
                one = (
                    _ITEMS[name]
                    if name in _ITEMS and item.get("type") == "string"
                    else self.of(item, name[:-1], depth=depth)
                )
                return [one]
            case "string":
                return self._text(schema, name)
            case "integer":
                return self._number(schema, name)
            case "number":
                return 1.5
            case "boolean":
                return name not in _FALSE
            case "null":
                return None
            case _:
                return {"example": True}

    def _object(self, schema: Schema, name: str, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        if not properties:
            values = schema.get("additionalProperties")
            if isinstance(values, dict) and values:
                key = {"reactions": "👍", "cursors": CONVERSATION}.get(name, "one")
                return {key: self.of(values, name, depth=depth + 1)}
            return {} if depth else {"example": True} if name else {}
        wanted = schema.get("required", ())
        example = {
            field: self.of(described, field, depth=depth + 1)
            for field, described in properties.items()
            if field in wanted or (depth < 1 and field in _TEXTS and "default" not in described) or field == "text"
        }
        if {"id", "conversation", "offset"} <= example.keys():
            example["id"] = f"{example['conversation']}.{example['offset']}"
        return example

    def _text(self, schema: Schema, name: str) -> str:
        text = CONVERSATION if name == "id" else _TEXTS.get(name, name or "text")
        # What else has a pattern is an id, or has a text of its own here.
        ids = (CONVERSATION, f"{CONVERSATION}~41")
        text = next((one for one in (text, *ids) if re.search(schema.get("pattern", ""), one)), text)
        return text[: schema.get("maxLength", len(text))]

    def _number(self, schema: Schema, name: str) -> int:
        number = _AT if name.endswith("_at") or name in {"at", "muted_until", "time"} else _NUMBERS.get(name, 1)
        return int(min(max(number, schema.get("minimum", number)), schema.get("maximum", number)))
