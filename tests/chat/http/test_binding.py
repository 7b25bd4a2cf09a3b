"""Requests put together from path, query and body."""

from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from chat.http.binding import Binder, split
from chat.http.resources import RESOURCES
from chat.methods import METHODS
from chat.vocabulary.history import HistoryPage
from chat.vocabulary.messages import MessageSend
from realtime.protocol.codes import ClientError

CONVERSATION = "a" * 26


def binder(kind: type[Struct], *, path=(), preset=(), place="query") -> Binder:
    return Binder(kind, split(kind, path=path, preset=preset, place=place))


def bind(binder: Binder, *, path=(), query=(), body=b"", key=None, preset=None):
    return binder.bind(path=path, query=query, body=body, key=key, preset=preset or {})


HISTORY = binder(HistoryPage, path=("conversation",))
SEND = binder(MessageSend, path=("conversation",), place="body")


def refused(binder: Binder, **parts) -> ClientError:
    with pytest.raises(ClientError) as raised:
        bind(binder, **parts)
    assert raised.value.code.slug == "bad_request"
    return raised.value


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda one: f"{one.verb} {one.path}")
def test_every_resource_takes_all_fields_of_its_method_and_no_others(resource):
    parts = resource.parts
    body = () if parts.body is None else parts.body.__struct_fields__
    taken = [*parts.path.__struct_fields__, *parts.query.__struct_fields__, *body]
    preset = [resource.caller] if resource.caller else []
    assert sorted([*taken, *preset, *resource.without]) == sorted(resource.method.request.__struct_fields__)
    Binder(resource.method.request, parts)


def test_what_one_resource_of_a_method_does_without_another_one_takes():
    for resource in RESOURCES:
        others = [other for other in RESOURCES if other.method is resource.method and other is not resource]
        for field in resource.without:
            assert any(field not in other.without for other in others), (resource.verb, resource.path, field)


def test_all_methods_but_presence_of_one_are_resources_once():
    named = [(resource.verb, resource.path) for resource in RESOURCES]
    assert len(named) == len(set(named))
    assert {resource.method.name for resource in RESOURCES} == set(METHODS)


def test_a_query_becomes_the_methods_request():
    request = bind(HISTORY, path=[("conversation", CONVERSATION)], query=[("before", "17"), ("limit", "20")])
    assert request == HistoryPage(CONVERSATION, before=17, limit=20)


def test_names_on_the_wire_are_those_of_the_method():
    request = bind(HISTORY, path=[("conversation", CONVERSATION)], query=[("from", "first_unread")])
    assert request == HistoryPage(CONVERSATION, from_="first_unread")


def test_defaults_are_those_of_the_method():
    assert bind(HISTORY, path=[("conversation", CONVERSATION)]) == HistoryPage(CONVERSATION)


def test_an_unknown_parameter_is_refused_with_the_known_ones():
    error = refused(HISTORY, path=[("conversation", CONVERSATION)], query=[("limt", "5")])
    assert error.field == "limt"
    assert "before, after, around, from, limit" in error.detail


def test_a_parameter_given_twice_is_refused():
    error = refused(HISTORY, path=[("conversation", CONVERSATION)], query=[("limit", "5"), ("limit", "6")])
    assert error.field == "limit"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 12 ",
        "１２",
        "1_0",
        "+5",
        "-1",
        "0",
        "201",
        "1.0",
        "1e2",
        "9" * 5000,
        "²",
        "true",
        "NaN",
        "0x10",
        "05",
        "1\n",
    ],
)
def test_what_is_no_plain_whole_number_in_range_is_refused(text):
    error = refused(HISTORY, path=[("conversation", CONVERSATION)], query=[("limit", text)])
    assert error.field == "limit"


@given(st.text(max_size=30))
def test_any_text_as_number_is_taken_as_written_or_refused(text):
    try:
        request = bind(HISTORY, path=[("conversation", CONVERSATION)], query=[("limit", text)])
    except ClientError:
        return
    assert str(request.limit) == text


@pytest.mark.parametrize("conversation", ["", "../../etc/passwd", "a\x00b", "A" * 26, "a" * 26 + "\n", "a" * 8192])
def test_an_id_in_the_path_obeys_its_pattern(conversation):
    assert refused(HISTORY, path=[("conversation", conversation)]).field == "conversation"


def test_a_thread_is_addressed_like_any_conversation():
    assert bind(HISTORY, path=[("conversation", CONVERSATION + "~7")]).conversation == CONVERSATION + "~7"


def test_a_body_becomes_the_methods_request():
    request = bind(SEND, path=[("conversation", CONVERSATION)], body=b'{"text":"hi","idempotency_key":"k"}')
    assert request == MessageSend(CONVERSATION, "k", text="hi")


def test_the_path_wins_over_the_body():
    body = b'{"conversation":"%s","text":"hi","idempotency_key":"k"}' % (b"b" * 26)
    assert bind(SEND, path=[("conversation", CONVERSATION)], body=body).conversation == CONVERSATION


def test_the_key_may_come_as_a_header():
    request = bind(SEND, path=[("conversation", CONVERSATION)], body=b'{"text":"hi"}', key="h")
    assert request.idempotency_key == "h"


def test_header_and_body_must_agree_on_the_key():
    body = b'{"text":"hi","idempotency_key":"k"}'
    assert bind(SEND, path=[("conversation", CONVERSATION)], body=body, key="k").idempotency_key == "k"
    assert refused(SEND, path=[("conversation", CONVERSATION)], body=body, key="other").field == "idempotency_key"


def test_a_key_that_is_needed_is_asked_for():
    error = refused(SEND, path=[("conversation", CONVERSATION)], body=b'{"text":"hi"}')
    assert (error.field, "is required" in error.detail) == ("idempotency_key", True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"text":1,"idempotency_key":"k"}', "text"),
        (b'{"text":"a","idempotency_key":"k","mentions":["a",7]}', "mentions[1]"),
        (b'{"text":"a","idempotency_key":""}', "idempotency_key"),
        (b'{"text":"a","idempotency_key":"k","reply_to":0}', "reply_to"),
        (b'{"text":null,"idempotency_key":"k"}', "text"),
        (b"[]", ""),
        (b'"text"', ""),
        (b"null", ""),
        (b"", "idempotency_key"),
    ],
)
def test_wrong_types_name_their_field(body, field):
    assert refused(SEND, path=[("conversation", CONVERSATION)], body=body).field == field


def test_a_body_that_may_be_left_out_may_be_left_out():
    class Wish(Struct):
        name: Annotated[str, Meta(max_length=5)] | UnsetType = UNSET

    one = binder(Wish, place="body")
    assert not one.body_required
    assert bind(one) == Wish()
    assert bind(one, body=b'{"name":"x"}') == Wish("x")


def test_what_the_server_fills_in_cannot_be_given():
    class OfUser(Struct):
        user: str
        text: str = ""

    one = binder(OfUser, preset=("user",))
    assert bind(one, preset={"user": "alice"}) == OfUser("alice")
    assert refused(one, query=[("user", "bob")], preset={"user": "alice"}).field == "user"


def test_a_field_that_is_not_there_is_a_mistake_in_the_table():
    with pytest.raises(ValueError, match="has no"):
        split(HistoryPage, path=("room",), preset=(), place="query")
