"""The AsyncAPI document is valid, and has every method and every event."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from chat.description.asyncapi import asyncapi
from chat.description.rest import operation_id
from chat.methods import METHODS
from chat.vocabulary import events
from realtime.protocol.codes import ERRORS

_SCHEMAS = Path(__file__).parents[2] / "js" / "node_modules" / "@asyncapi" / "specs" / "schemas"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return asyncapi()


def resolve(document: dict[str, Any], ref: str) -> Any:
    found: Any = document
    for step in ref.removeprefix("#/").split("/"):
        found = found[step]
    return resolve(document, found["$ref"]) if "$ref" in found else found


def references(part: Any) -> list[str]:
    match part:
        case dict():
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [ref for value in part.values() for ref in references(value)]
        case list():
            return [ref for value in part for ref in references(value)]
        case _:
            return []


def test_it_is_valid(document):
    # The schema is the AsyncAPI initiative's own; it has no need of the network.
    schema = json.loads((_SCHEMAS / "3.0.0-without-$id.json").read_text())
    Draft7Validator(schema).validate(document)


def test_references_lead_somewhere(document):
    for ref in set(references(document)):
        assert resolve(document, ref) is not None


def test_every_method_is_a_request_with_its_reply(document):
    for name in METHODS:
        operation = document["operations"][operation_id(name)]
        (asked,) = [resolve(document, one["$ref"]) for one in operation["messages"]]
        assert asked["payload"]["properties"]["rpc"]["properties"]["method"]["const"] == name
        replies = [resolve(document, one["$ref"])["name"] for one in operation["reply"]["messages"]]
        assert replies == [f"{operation_id(name)}Reply", "error"]


def test_every_event_is_in_its_channel(document):
    for channel, kinds in {
        "conversation": (*events.DURABLE, *events.EPHEMERAL),
        "user": events.PERSONAL,
    }.items():
        found = {
            resolve(document, resolve(document, one["$ref"])["payload"]["$ref"])["properties"]["type"]["const"]
            for one in document["channels"][channel]["messages"].values()
        }
        assert found == {kind.__struct_config__.tag for kind in kinds}


def test_examples_are_what_their_schemas_say(document):
    for message in document["components"]["messages"].values():
        for example in message["examples"]:
            schema = {**message["payload"], "components": document["components"]}
            Draft202012Validator(schema).validate(example["payload"])


def test_the_catalogue_of_codes_is_there(document):
    assert [one["code"] for one in document["x-codes"]["errors"]] == [one.code for one in ERRORS]
