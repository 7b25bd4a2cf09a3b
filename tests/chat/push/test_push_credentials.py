"""Credentials are checked before they are kept, and nothing secret is in what is shown of them."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.credentials import BadCredentials, Credentials, checked, opened, provider_of, secret
from support import push_keys
from support.push_keys import pem


def every() -> list[Credentials]:
    return [push_keys.apns(), push_keys.fcm(), push_keys.web_push("ntfy.example.org"), push_keys.webhook()]


@pytest.mark.parametrize("number", range(4))
def test_what_was_sealed_is_the_same_when_opened_and_shows_nothing_secret(number: int) -> None:
    credentials = every()[number]
    name, about = checked(credentials)
    assert opened(provider_of(credentials).value, secret(credentials)) == credentials
    assert name
    for shown in (repr(credentials), name, str(about)):
        assert "PRIVATE KEY" not in shown
        assert push_keys.web_push("ntfy.example.org").private not in shown
        assert push_keys.webhook().secret not in shown
        assert "a-secret-path" not in shown


def test_the_same_key_has_the_same_name_and_another_one_another() -> None:
    assert checked(push_keys.web_push()) == checked(push_keys.web_push())
    names = {checked(one)[0] for one in (push_keys.web_push("a.example.org"), push_keys.web_push("b.example.org"))}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (lambda: replace(push_keys.apns(), key_id="short"), "key_id"),
        (lambda: replace(push_keys.apns(), team="TEAM/00001"), "team"),
        (lambda: replace(push_keys.apns(), topic=""), "topic"),
        (lambda: replace(push_keys.apns(), private_key="no key"), "private_key"),
        (lambda: replace(push_keys.apns(), private_key=pem(ec.generate_private_key(ec.SECP384R1()))), "private_key"),
        (lambda: replace(push_keys.fcm(), account="{}"), "account"),
        (lambda: replace(push_keys.web_push(), public=push_keys.web_push("x.example.org").public), "private"),
        (lambda: replace(push_keys.web_push(), subject="mailto:me@localhost"), "subject"),
        (lambda: replace(push_keys.web_push(), origins=("127.0.0.1",)), "origins"),
        (lambda: replace(push_keys.webhook(), url="http://10.0.0.1/x"), "url"),
        (lambda: replace(push_keys.webhook(), secret="short"), "secret"),
    ],
)
def test_what_can_never_work_is_refused_with_its_field_and_without_its_value(wrong, field: str) -> None:
    with pytest.raises(BadCredentials) as raised:
        checked(wrong())
    assert raised.value.field == field
    assert "PRIVATE KEY" not in str(raised.value)


@pytest.mark.parametrize(("provider", "data"), [("fcm", b"{}"), ("fcm", b"secret"), ("pigeon", b"{}")])
def test_what_another_version_has_written_is_told_without_repeating_it(provider: str, data: bytes) -> None:
    with pytest.raises(BadCredentials) as raised:
        opened(provider, data)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_webhook_may_be_inside_where_the_operator_says_so() -> None:
    inside = replace(push_keys.webhook(), url="http://10.0.0.1:8080/x", inside=True)
    assert checked(inside)[1] == {"host": "10.0.0.1"}
