"""Links for operators: signed, short-lived, of a kind of their own."""

import pytest

from chat.auth.admin_links import admin_secret, admin_url, mint_admin_link, verify_admin_link
from chat.auth.claims import TokenExpired, TokenInvalid
from chat.auth.keys import KeyRing, VerificationKey
from chat.auth.mint import connection_token
from chat.auth.tokens import verify
from chat.auth.verifier import policy_of
from chat.config import Config, Secret, load

NOW_S = 1_700_000_000.0


def test_a_link_is_good_until_it_is_over_and_has_an_id_of_its_own() -> None:
    token = mint_admin_link("secret", now_s=NOW_S, ttl_s=600)
    link = verify_admin_link(token, "secret", now_s=NOW_S + 599)
    assert link.expires_at_s == NOW_S + 600
    other = verify_admin_link(mint_admin_link("secret", now_s=NOW_S, ttl_s=600), "secret", now_s=NOW_S)
    assert other.link_id != link.link_id
    with pytest.raises(TokenExpired):
        verify_admin_link(token, "secret", now_s=NOW_S + 600)


@pytest.mark.parametrize("secret", ["other", ""])
def test_a_link_of_another_secret_or_without_one_is_refused(secret: str) -> None:
    with pytest.raises(TokenInvalid):
        verify_admin_link(mint_admin_link("secret", now_s=NOW_S, ttl_s=600), secret, now_s=NOW_S)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a" * 2000, "\ud800", "..", "e30.e30.e30"])
def test_what_is_no_link_is_refused(token: str) -> None:
    with pytest.raises(TokenInvalid):
        verify_admin_link(token, "secret", now_s=NOW_S)


def test_a_connection_token_is_no_link_and_a_link_does_not_connect() -> None:
    token = connection_token("anna", Secret("s" * 32), now_s=NOW_S, ttl_s=60)
    with pytest.raises(TokenInvalid):
        verify_admin_link(token, "s" * 32, now_s=NOW_S)
    link = mint_admin_link("s" * 32, now_s=NOW_S, ttl_s=60)
    with pytest.raises(TokenInvalid):
        verify(link, KeyRing([VerificationKey("HS256", "s" * 32)]), policy_of(Config().token), NOW_S)


def test_the_secret_is_configured_or_derived_from_the_api_key_or_absent() -> None:
    assert admin_secret(load(None, {}, {"admin.secret": "s", "api.key": "k"}).config) == "s"
    derived = admin_secret(load(None, {}, {"api.key": "k"}).config)
    assert len(derived) == 64
    assert derived != admin_secret(load(None, {}, {"api.key": "l"}).config)
    assert admin_secret(Config()) == ""


def test_the_token_is_in_the_fragment_where_no_log_sees_it() -> None:
    assert admin_url("https://chat.example.com/", "abc") == "https://chat.example.com/admin#link=abc"
