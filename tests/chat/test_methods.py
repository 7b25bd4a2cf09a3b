"""Parameters of methods: what is wrong with them, in a field and a rule."""

import pytest

from chat.methods import METHODS, Decoder, method
from chat.vocabulary.conversations import ConversationList
from realtime.protocol.codes import BAD_REQUEST, NOT_AVAILABLE, ClientError

CONVERSATION = b"a" * 26


@pytest.mark.parametrize(
    ("name", "data", "field", "rule"),
    [
        ("history.page", b"{}", "conversation", "is required"),
        ("history.page", b'{"conversation":7}', "conversation", "expected `str`, got `int`"),
        ("conversation.list", b'{"limit":0}', "limit", "expected `int` >= 1"),
        ("conversation.list", b"[]", "", "expected `object`, got `array`"),
        ("conversation.list", b"null", "", "expected `object`, got `null`"),
        ("conversation.list", b"{", "", "must be a JSON object"),
        ("presence.get", b'{"users":["a",1]}', "users[1]", "expected `str`, got `int`"),
        ("conversation.create", b'{"kind":"no - at `$.such`"}', "kind", "is none of the values that there are"),
        ("sync", b'{"cursors":{"a":1}}', "cursors", "matching regex"),
        ("sync", b'{"cursors":{"%s":-1}}' % CONVERSATION, "cursors[...]", "expected `int` >= 0"),
        ("sync", b'{"revision":%s}' % (b"9" * 30), "revision", "expected `int` <= 9007199254740991"),
    ],
)
def test_what_is_wrong_is_named(name, data, field, rule):
    with pytest.raises(ClientError) as raised:
        Decoder().decode(name, data)
    assert raised.value.code is BAD_REQUEST
    assert raised.value.field == field
    assert rule in raised.value.detail


def test_patterns_are_told_without_what_only_python_needs():
    with pytest.raises(ClientError) as raised:
        Decoder().decode("user.get", b'{"user":"a b"}')
    assert raised.value.detail.endswith("]+$'")


@pytest.mark.parametrize("name", METHODS)
def test_every_method_decodes_an_object_or_says_what_it_needs(name):
    try:
        Decoder().decode(name, b"{}")
    except ClientError as error:
        assert error.detail == "is required"  # noqa: PT017 - either outcome is right


def test_absent_data_is_an_empty_object():
    assert Decoder().decode("conversation.list", b"") == ConversationList()


def test_a_method_that_does_not_exist():
    with pytest.raises(ClientError) as raised:
        method("message.explode" * 100)
    assert raised.value.code is NOT_AVAILABLE
    assert len(raised.value.detail) < 100
