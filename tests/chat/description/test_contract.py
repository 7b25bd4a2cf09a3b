"""What counts as the contract."""

import copy

from chat.description.contract import line, newest
from chat.description.openapi import openapi

DOCUMENT = {
    "info": {"version": "1"},
    "paths": {"/description": {"get": {"summary": "One", "operationId": "one"}}},
    "components": {"schemas": {"User": {"properties": {"title": {"type": "string", "description": "A title."}}}}},
}


def changed(*path: str, value: object) -> dict[str, object]:
    document = copy.deepcopy(DOCUMENT)
    inner: dict[str, object] = document
    for step in path[:-1]:
        inner = inner[step]  # type: ignore[assignment]  # dictionaries all the way
    inner[path[-1]] = value
    return document


def test_words_are_no_part_of_it():
    assert line(changed("info", "version", value="2")) == line(DOCUMENT)
    assert line(changed("paths", "/description", "get", "summary", value="Another")) == line(DOCUMENT)
    field = ("components", "schemas", "User", "properties", "title")
    assert line(changed(*field, "description", value="Another.")) == line(DOCUMENT)


def test_types_names_and_paths_are():
    field = ("components", "schemas", "User", "properties", "title")
    assert line(changed(*field, "type", value="integer")) != line(DOCUMENT)
    assert line(changed("components", "schemas", "User", "properties", value={})) != line(DOCUMENT)
    assert line(changed("paths", value={})) != line(DOCUMENT)
    assert line(changed("paths", "/description", "get", "operationId", value="two")) != line(DOCUMENT)


def test_a_field_that_is_called_like_a_word_is_no_word():
    document = openapi()
    before = line(document)
    del document["components"]["schemas"]["Conversation"]["properties"]["description"]
    assert line(document) != before


def test_the_newest_line_of_a_changelog_counts():
    text = "## Unreleased\n\nAPI contract: sha256:aa\n\n## 1.0\n\nAPI contract: sha256:bb\n"
    assert newest(text) == "API contract: sha256:aa"
    assert newest("## Unreleased\n") == ""
