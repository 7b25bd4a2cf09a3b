"""The OpenAPI document is valid, and says what is served."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from chat.description.openapi import openapi
from chat.http.resources import RESOURCES
from chat.http.server_api.api import API_METHODS
from chat.methods import METHODS

HOW_TO_DESCRIBE = "give the field Meta(description=…), or name it in chat/description/words.py"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, verb, one) for path, verbs in document["paths"].items() for verb, one in verbs.items()]


def test_it_is_valid(document):
    validate(document)


def test_every_resource_and_every_method_is_there(document):
    paths = document["paths"]
    for resource in RESOURCES:
        assert resource.verb.lower() in paths[resource.path]
    for name in METHODS:
        assert list(paths[f"/v1/rpc/{name}"]) == ["post"]
    for name in API_METHODS:
        assert list(paths[f"/api/{name}"]) == ["post"]


def test_operations_have_ids_of_their_own_summaries_tags_and_security(document):
    ids = [one["operationId"] for _, _, one in operations(document)]
    assert len(ids) == len(set(ids))
    known = {tag["name"] for tag in document["tags"]}
    for path, verb, one in operations(document):
        assert one["summary"], (path, verb)
        assert set(one["tags"]) <= known
        assert "security" in one


def test_parameters_say_what_they_mean(document):
    silent = [
        f"{verb} {path}: {parameter['name']}"
        for path, verb, one in operations(document)
        for parameter in one.get("parameters", [])
        if "$ref" not in parameter and not parameter.get("description")
    ]
    assert silent == [], HOW_TO_DESCRIBE


def test_what_is_to_be_sent_says_what_it_means(document):
    silent = []
    for path, verb, one in operations(document):
        schema = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        for name, field in schema.get("properties", {}).items():
            if not field.get("description"):
                silent.append(f"{verb} {path}: {name}")
    assert silent == [], HOW_TO_DESCRIBE


def test_examples_are_what_their_schemas_say(document):
    for path, verb, one in operations(document):
        answers = one["responses"].values()
        for body in (one.get("requestBody", {}), *answers):
            for kind, media in body.get("content", {}).items():
                if "example" not in media:
                    assert kind != "application/json", (path, verb)
                    continue
                schema = {**media["schema"], "components": document["components"]}
                Draft202012Validator(schema).validate(media["example"])


def test_every_refusal_is_a_problem_document_with_its_codes(document):
    for path, verb, one in operations(document):
        if not path.startswith("/v1/"):
            continue
        for status, answer in one["responses"].items():
            if int(status) < 400:
                continue
            response = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
            ((kind, media),) = response["content"].items()
            assert kind == "application/problem+json", (path, verb, status)
            codes = media["schema"]["allOf"][1]["properties"]["code"]["enum"]
            assert codes
            assert ("Retry-After" in response["headers"]) == (status in {"429", "503"})


def test_what_can_be_asked_again_says_so(document):
    pages = document["paths"]["/v1/conversations/{conversation}/messages"]
    assert pages["get"]["responses"]["304"] == {"$ref": "#/components/responses/NotModified"}
    assert "ETag" in pages["get"]["responses"]["200"]["headers"]
    assert {"$ref": "#/components/parameters/If-None-Match"} in pages["get"]["parameters"]
    assert {"$ref": "#/components/parameters/Idempotency-Key"} in pages["post"]["parameters"]
    assert {"200", "201"} <= pages["post"]["responses"].keys()


def test_answers_have_what_is_never_left_out_and_requests_need_not(document):
    schemas = document["components"]["schemas"]
    assert "duplicate" in schemas["MessageSent"]["required"]
    assert "limit" not in schemas["HistoryPage"]["required"]
    assert schemas["HistoryPage"]["properties"]["limit"]["default"] == 50
    assert "last_seen_at" not in schemas["User"]["required"]
    assert schemas["User"]["properties"]["last_seen_at"]["type"] == "integer"


def test_patterns_are_those_that_every_language_reads(document):
    assert "(?!" not in str(document)
