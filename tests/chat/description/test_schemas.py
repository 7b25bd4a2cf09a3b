"""Struct types as JSON Schemas."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from chat.description.schemas import Schemas


class Inner(Struct, frozen=True):
    value: int = 0


class Outer(Struct, frozen=True, omit_defaults=True):
    """What it is.

    And more
    of it.
    """

    inner: Inner
    again: "Outer | None" = None
    kind: Literal["one", "two"] = "one"


class Sent(Struct, frozen=True, rename={"from_": "from"}):
    limit: Annotated[int, Meta(ge=1, le=200, description="how many")]
    inner: Inner = Inner()
    from_: Annotated[str, Meta(pattern=r"^[a-z]+$(?!\n)", max_length=5)] | UnsetType = UNSET
    custom: dict[str, Any] | None = None


class Unsupported(Struct):
    value: complex


def test_what_has_a_default_need_not_be_sent_and_is_always_answered():
    schemas = Schemas({})
    assert "required" not in schemas.inline(Inner, "in")
    assert schemas.inline(Inner, "in")["properties"]["value"]["default"] == 0
    assert schemas.inline(Inner, "out")["required"] == ["value"]
    assert schemas.inline(Outer, "out")["required"] == ["inner"]
    assert schemas.inline(Sent, "out")["required"] == ["limit", "inner", "custom"]


def test_a_struct_that_differs_by_its_way_has_two_names():
    schemas = Schemas({})
    assert schemas.ref(Inner, "out") == {"$ref": "#/components/schemas/Inner"}
    assert schemas.ref(Inner, "in") == {"$ref": "#/components/schemas/InnerInput"}
    assert schemas.inline(Sent, "in")["properties"]["inner"]["$ref"].endswith("/InnerInput")
    assert sorted(schemas.components) == ["Inner", "InnerInput"]


def test_a_struct_may_lead_back_to_itself():
    schemas = Schemas({})
    schemas.ref(Outer, "out")
    outer = schemas.components["Outer"]
    # Left out rather than null.
    assert outer["properties"]["again"] == {"$ref": "#/components/schemas/Outer"}
    assert outer["description"] == "What it is.\n\nAnd more of it."
    assert outer["properties"]["kind"] == {"enum": ["one", "two"], "type": "string", "description": "What kind it is."}


def test_bounds_patterns_and_names_are_those_of_the_wire():
    properties = Schemas({}).inline(Sent, "in")["properties"]
    assert properties["limit"] == {"type": "integer", "minimum": 1, "maximum": 200, "description": "how many"}
    assert properties["from"]["pattern"] == "^[a-z]+$"
    assert properties["from"]["maxLength"] == 5
    assert properties["custom"]["anyOf"] == [{"type": "object"}, {"type": "null"}]


def test_two_of_the_same_name_are_told_apart_or_refused():
    schemas = Schemas({})
    schemas.ref(Inner, "out")
    other = type("Inner", (Struct,), {"__annotations__": {"other": int}})
    assert schemas.ref(other, "in")["$ref"].endswith("/InnerRequest")
    third = type("Inner", (Struct,), {"__annotations__": {"third": int}})
    with pytest.raises(ValueError, match="two structs would be InnerRequest"):
        schemas.ref(third, "in")


def test_a_field_whose_type_says_too_little_is_overridden():
    schemas = Schemas({"Sent.custom": {"type": "array"}})
    assert schemas.inline(Sent, "in")["properties"]["custom"]["type"] == "array"


def test_what_has_no_schema_is_refused():
    with pytest.raises(TypeError):
        Schemas({}).inline(Unsupported, "in")
