"""The claims of a token whose signature is good: what they may be, and what they become."""

import base64
from typing import Any

import pytest

from chat.auth.claims import TokenExpired, TokenInvalid, TokenMismatch, TokenPolicy
from chat.auth.mint import subscription_token
from chat.auth.tokens import verify, verify_subscription
from chat.channels import Override
from chat.config import Secret
from support.tokens import NOW_S, PATTERN, POLICY, RING, SECRET, forged, good, refusal, signed, user_of


def test_a_good_token_says_who_it_is() -> None:
    claims = verify(signed(good(iat=NOW_S - 5, jti="t1", info={"name": "Anna"}, meta={"x": 1})), RING, POLICY, NOW_S)
    assert (claims.user, claims.expire_at_s, claims.valid_until_s) == ("anna", NOW_S + 60, NOW_S + 60)
    assert (claims.issued_at_s, claims.token_id, bytes(claims.info)) == (NOW_S - 5, "t1", b'{"name": "Anna"}')


def test_j12_a_subscription_token_does_not_connect_and_the_reverse() -> None:
    assert refusal(signed(good(channel="news"))) == "channel: this is a subscription token"
    with pytest.raises(TokenInvalid, match="channel: is required"):
        verify_subscription(signed(good()), RING, POLICY, NOW_S)


TWICE = {
    "J13-sub": f'{{"sub": "eve", "exp": {NOW_S + 60:.0f}, "sub": "anna"}}',
    "J13-exp": f'{{"sub": "anna", "exp": 1, "exp": {NOW_S + 60:.0f}}}',
    "J13-an-escaped-name": f'{{"sub": "eve", "exp": {NOW_S + 60:.0f}, "s\\u0075b": "anna"}}',
}


@pytest.mark.parametrize("payload", TWICE.values(), ids=TWICE)
def test_the_last_of_two_equal_names_counts(payload: str) -> None:
    assert user_of(signed(payload)) == "anna"


@pytest.mark.parametrize("last", ["none", "HS512"], ids="J13-alg-then-{}".format)
def test_the_last_of_two_algorithms_counts(last: str) -> None:
    assert refusal(forged(f'{{"alg": "HS256", "alg": "{last}"}}', good()))
    assert user_of(forged(f'{{"alg": "{last}", "alg": "HS256"}}', good())) == "anna"


EXPIRED = {
    "J14-a-second-ago": NOW_S - 1,
    "J14-half-a-second-ago": NOW_S - 0.5,
    "J14-just-now": NOW_S,
    "J14-long-ago": 1,
    "J14-within-the-skew-which-is-not-for-exp": NOW_S - 29,
}


@pytest.mark.parametrize("exp", EXPIRED.values(), ids=EXPIRED)
def test_an_expired_token_says_so(exp: float) -> None:
    with pytest.raises(TokenExpired):
        verify(signed(good(exp=exp)), RING, POLICY, NOW_S)


def test_j14_a_token_is_good_until_the_very_moment() -> None:
    assert user_of(signed(good(exp=NOW_S + 1))) == "anna"


def test_j14_an_expired_token_with_another_fault_is_invalid_not_expired() -> None:
    refusal(forged({"alg": "HS256"}, good(exp=NOW_S - 1), "another secret"))
    refusal(signed(good(exp=NOW_S - 1, sub="")))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [({"sub": "anna"}, "exp: is required (token.require_exp)"), ({"sub": "anna", "exp": None}, "null")],
    ids=["J15-missing", "J15-null"],
)
def test_exp_is_required(claims: dict[str, Any], reason: str) -> None:
    assert reason in refusal(signed(claims))


def test_j15_a_policy_may_do_without_exp() -> None:
    relaxed = TokenPolicy(user_id_pattern=PATTERN, require_exp=False)
    claims = verify(signed({"sub": "anna"}), RING, relaxed, NOW_S)
    assert (claims.expire_at_s, claims.valid_until_s) == (None, None)


NO_TIMES = {
    "J16-exp-is-a-digit-string": '"1999999999"',
    "J16-exp-is-10-to-the-30": "1" + "0" * 30,
    "J16-exp-is-true": "true",
    "J16-exp-is-nan": "NaN",
    "J16-exp-is-1e400": "1e400",
    "J16-exp-is-infinity": "Infinity",
    "J16-exp-is-a-list": "[1999999999]",
    "J16-exp-is-an-object": "{}",
    "J16-exp-is-negative": "-1",
    "J16-exp-is-zero": "0",
    "J16-exp-is-in-milliseconds": "1999999999000",
    "J16-exp-is-after-the-year-9999": "253402300800",
    "J16-exp-has-5000-digits": "9" * 5000,
    "J16-exp-is-a-word": '"tomorrow"',
}


@pytest.mark.parametrize("exp", NO_TIMES.values(), ids=NO_TIMES)
def test_an_exp_that_is_no_sane_number_is_refused(exp: str) -> None:
    assert refusal(signed(f'{{"sub": "anna", "exp": {exp}}}'))


def test_j16_a_fraction_of_a_second_is_fine() -> None:
    assert verify(signed(good(exp=NOW_S + 60.7)), RING, POLICY, NOW_S).expire_at_s == NOW_S + 60


@pytest.mark.parametrize("claim", ["nbf", "iat"], ids=["J17-nbf-in-the-future", "J18-iat-in-the-future"])
def test_times_in_the_future_are_refused_beyond_the_skew(claim: str) -> None:
    assert refusal(signed(good(**{claim: NOW_S + 31}))) == f"{claim}: is in the future"
    assert user_of(signed(good(**{claim: NOW_S + 30}))) == "anna"


@pytest.mark.parametrize(
    "value",
    ["tomorrow", "1699999999", None, True, [1], {}, -1, 10**30],
    ids=[
        f"J17-{kind}"
        for kind in ("a-word", "a-digit-string", "null", "true", "a-list", "an-object", "negative", "10-to-the-30")
    ],
)
@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_times_that_are_none_are_refused(claim: str, value: object) -> None:
    assert claim in refusal(signed(good(**{claim: value})))


AUDIENCES: dict[str, Any] = {
    "J19-another": {"aud": "other"},
    "J19-missing": {},
    "J19-null": {"aud": None},
    "J19-a-number": {"aud": 1},
    "J19-an-object": {"aud": {"chat": 1}},
    "J19-an-empty-list": {"aud": []},
    "J19-a-list-of-others": {"aud": ["other"]},
    "J19-a-list-of-numbers": {"aud": [1]},
    "J19-ours-and-a-number": {"aud": ["chat", 1]},
    "J19-ours-and-more": {"aud": "chat2"},
    "J19-a-part-of-ours": {"aud": "cha"},
    "J19-in-upper-case": {"aud": "CHAT"},
}


@pytest.mark.parametrize("claims", AUDIENCES.values(), ids=AUDIENCES)
def test_a_wrong_audience_is_refused(claims: dict[str, Any]) -> None:
    policy = TokenPolicy(user_id_pattern=PATTERN, audience="chat")
    assert "aud" in refusal(signed(good(**claims)), policy=policy)


@pytest.mark.parametrize(
    "aud", ["chat", ["chat"], ["other", "chat"]], ids=["J20-alone", "J20-a-list-of-one", "J20-among-others"]
)
def test_our_audience_is_accepted_alone_and_among_others(aud: object) -> None:
    assert user_of(signed(good(aud=aud)), policy=TokenPolicy(user_id_pattern=PATTERN, audience="chat")) == "anna"


ISSUERS: dict[str, Any] = {
    "J21-another": {"iss": "https://other"},
    "J21-missing": {},
    "J21-null": {"iss": None},
    "J21-a-list": {"iss": ["https://id.example"]},
    "J21-a-number": {"iss": 1},
    "J21-a-part-of-ours": {"iss": "https://id"},
    "J21-ours-and-a-slash": {"iss": "https://id.example/"},
    "J21-empty": {"iss": ""},
}


@pytest.mark.parametrize("claims", ISSUERS.values(), ids=ISSUERS)
def test_a_wrong_issuer_is_refused(claims: dict[str, Any]) -> None:
    policy = TokenPolicy(user_id_pattern=PATTERN, issuer="https://id.example")
    assert "iss" in refusal(signed(good(**claims)), policy=policy)
    assert user_of(signed(good(iss="https://id.example")), policy=policy) == "anna"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [({"exp": NOW_S + 60}, "sub: is required"), (good(sub=None), "$.sub")],
    ids=["J22-missing", "J22-null"],
)
def test_sub_is_required(claims: dict[str, Any], reason: str) -> None:
    assert reason in refusal(signed(claims))


NO_TEXT: dict[str, Any] = {
    "J23-a-number": 42,
    "J23-a-list": ["anna"],
    "J23-an-operator-of-the-database": {"$ne": None},
    "J23-true": True,
    "J23-a-fraction": 1.5,
}


@pytest.mark.parametrize("sub", NO_TEXT.values(), ids=NO_TEXT)
def test_a_sub_that_is_no_text_is_refused_with_its_type(sub: object) -> None:
    assert refusal(signed(good(sub=sub))).startswith("claims: Expected `str`, got")


NO_USERS = {
    "J24-empty": "",
    "J24-a-zero-byte": "a\x00b",
    "J24-65-characters": "a" * 65,
    "J24-4000-characters": "a" * 4000,
    "J24-right-to-left": "\u202eanna",
    "J24-an-invisible-character": "an\u200bna",
    "J24-a-cyrillic-a": "\u0430nna",
    "J24-a-combining-accent": "anna\u0301",
    "J24-a-line-break-behind": "anna\n",
    "J24-a-line-break-within": "an\r\nna",
    "J24-a-blank-before": " anna",
    "J24-a-slash": "a/b",
    "J24-an-escape": "\x1b[31m",
}


@pytest.mark.parametrize("sub", NO_USERS.values(), ids=NO_USERS)
def test_a_sub_that_does_not_match_is_refused(sub: str) -> None:
    assert refusal(signed(good(sub=sub))).startswith("sub: ")


def test_j24_a_lone_surrogate_is_refused() -> None:
    assert refusal(signed('{"sub": "a\\ud800", "exp": 1700000060}')) == "claims: are not JSON"


def test_j24_a_megabyte_is_refused_for_its_length() -> None:
    assert refusal(signed(good(sub="a" * 1_000_000))) == "is longer than token.max_length_bytes"


def test_channels_and_subs_become_subscriptions() -> None:
    token = signed(
        good(
            channels=["a", "b"],
            subs={
                "b": {
                    "info": {"x": 1},
                    "data": [1],
                    "override": {"presence": {"value": True}, "force_recovery": {"value": False}},
                },
                "c": {"b64info": base64.b64encode(b'{"y":2}').decode()},
            },
        )
    )
    subscriptions = verify(token, RING, POLICY, NOW_S).subscriptions
    assert set(subscriptions) == {"a", "b", "c"}
    assert (bytes(subscriptions["b"].info), bytes(subscriptions["b"].data)) == (b'{"x": 1}', b"[1]")
    assert subscriptions["b"].override == Override(presence=True, force_recovery=False)
    assert bytes(subscriptions["c"].info) == b'{"y":2}'


def test_info_is_one_line_of_json_or_the_token_is_refused() -> None:
    exp = f'"exp": {NOW_S + 60:.0f}'
    token = signed(f'{{"sub": "anna", {exp}, "info": {{"a":\n 1}}}}')
    assert b"\n" not in bytes(verify(token, RING, POLICY, NOW_S).info)
    assert "base64" in refusal(signed(good(b64info="?")))
    assert "info" in refusal(signed(good(b64info=base64.b64encode(b"\x00binary").decode())))
    assert "info" in refusal(signed(f'{{"sub": "anna", {exp}, "info": {"[" * 100}{"]" * 100}}}'))


def test_expire_at_decides_about_the_connection_not_about_the_token() -> None:
    assert verify(signed(good(expire_at=NOW_S + 5)), RING, POLICY, NOW_S).expire_at_s == NOW_S + 5
    assert verify(signed(good(expire_at=0)), RING, POLICY, NOW_S).expire_at_s is None
    with pytest.raises(TokenExpired):
        verify(signed(good(expire_at=NOW_S - 5)), RING, POLICY, NOW_S)


def test_an_anonymous_token_needs_the_policy() -> None:
    policy = TokenPolicy(user_id_pattern=PATTERN, allow_anonymous=True)
    for claims in ({"exp": NOW_S + 60}, good(sub="")):
        assert verify(signed(claims), RING, policy, NOW_S).anonymous


def test_a_subscription_token_is_for_one_user_and_one_channel() -> None:
    token = subscription_token("anna", "news", Secret(SECRET), now_s=NOW_S, ttl_s=60, claims={"info": {"a": 1}})
    claims = verify_subscription(token, RING, POLICY, NOW_S)
    assert (claims.channel, claims.expire_at_s, bytes(claims.info)) == ("news", NOW_S + 60, b'{"a":1}')
    claims.demand(user="anna", channel="news")
    for user, channel in (("ben", "news"), ("anna", "other")):
        with pytest.raises(TokenMismatch):
            claims.demand(user=user, channel=channel)
    with pytest.raises(TokenExpired):
        verify_subscription(token, RING, POLICY, NOW_S + 60)
