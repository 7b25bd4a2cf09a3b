"""Calls as the documentation shows them."""

import json
import subprocess

import pytest

from chat.docs.calls import calls, curl, decoded, filled, javascript, parse
from chat.docs.pages import render

PAGE = """\
# Editing

```rpc message.edit
{"conversation": "$conversation", "offset": $offset, "text": "better"}
```

```json
{"not": "a call"}
```

```rest GET /v1/conversations/$conversation/messages/$offset
```
"""


def test_the_calls_of_a_page_are_found_in_order_with_their_lines():
    edit, get = calls(PAGE)
    assert (edit.method, edit.over_socket, edit.line) == ("message.edit", True, 3)
    assert (get.verb, get.path, get.body) == ("GET", "/v1/conversations/$conversation/messages/$offset", "")
    assert edit.variables == get.variables == {"conversation", "offset"}


def test_variables_are_filled_in():
    edit, get = calls(PAGE)
    values = {"conversation": "abc", "offset": 7}
    assert decoded(edit, values) == {"conversation": "abc", "offset": 7, "text": "better"}
    assert filled(get.path, values) == "/v1/conversations/abc/messages/7"
    with pytest.raises(KeyError):
        decoded(edit, {})


def test_what_is_no_call_and_what_is_none_by_mistake():
    assert parse("json", "{}") is None
    assert parse("", "") is None
    with pytest.raises(ValueError, match=r"rest <VERB> <path>"):
        parse("rest PATCH", "{}")


def test_javascript_has_variables_where_names_stood():
    call = parse(
        "rpc message.edit", '{"conversation": "$conversation", "offset": $offset, "text": "to $name: \\"hi\\""}'
    )
    assert call is not None
    assert javascript(call) == (
        'await client.rpc("message.edit", {conversation: conversation, offset: offset, text: `to ${name}: \\"hi\\"`});'
    )
    get = parse("rest GET /v1/users/$user", "")
    assert get is not None
    assert "fetch(`${hubbub}/v1/users/${user}`" in javascript(get)


def test_a_shell_sends_what_the_page_shows():
    call = parse("rest PATCH /v1/things/$thing", '{\n  "text": "it\'s \\"$thing\\"",\n  "n": $n\n}')
    assert call is not None
    script = f"curl() {{ printf '%s\\n' \"$@\" >&2; cat; }}\n{curl(call)}"
    environment = {"HUBBUB": "http://hub", "TOKEN": "t", "thing": "one", "n": "2", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(["/bin/bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == {"text": 'it\'s "one"', "n": 2}
    assert "http://hub/v1/things/one" in ran.stderr.splitlines()
    assert "Authorization: Bearer t" in ran.stderr.splitlines()


def test_a_page_shows_a_call_with_the_same_for_shell_and_javascript():
    body = render(PAGE)
    assert body.count('<div class="call">') == 2
    assert "client.rpc(" in body
    assert "curl -X GET" in body
    assert "&quot;$conversation&quot;" in body
