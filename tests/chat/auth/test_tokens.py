"""Verifying as a whole: what it costs at most, that it raises nothing but its own errors, and quotes nothing."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.auth.claims import TokenError, TokenPolicy
from chat.auth.tokens import verify, verify_subscription
from support.tokens import NOW_S, PATTERN, POLICY, RING, forged, good, refusal, signed

NO_CLAIMS = {
    "J25-a-list": b"[]",
    "J25-a-text": b'"x"',
    "J25-null": b"null",
    "J25-a-number": b"1",
    "J25-empty": b"",
    "J25-not-UTF-8": b"\xff\xfe",
    "J25-a-text-that-is-not-UTF-8": b'{"sub":"\xff"}',
    "J25-cut-off": b"{",
    "J25-5000-brackets": b"[" * 5000,
    "J25-2500-levels": b'{"info":' + b"[" * 2500 + b"]" * 2500 + b"}",
    "J25-100000-levels": b'{"info":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "J25-a-number-of-5000-digits": b'{"sub":"anna","exp":1999999999,"iat":' + b"9" * 5000 + b"}",
    "J25-a-mark-of-the-byte-order": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("payload", NO_CLAIMS.values(), ids=NO_CLAIMS)
def test_a_payload_that_is_no_object_is_refused_quickly(payload: bytes) -> None:
    token = signed(payload)
    assert refusal(token)
    assert cpu_s(lambda: refusal(token)) < 0.05


LARGE: dict[str, Callable[[], str]] = {
    "J26-10-megabytes-of-nothing": lambda: "a" * 10_000_000,
    "J26-10-megabytes-in-the-claims": lambda: signed(good(info="x" * 7_500_000)),
    "J26-10-megabytes-of-dots": lambda: "." * 10_000_000,
    "J26-9-kilobytes": lambda: signed(good(info="x" * 6800)),
    "J26-a-header-of-100000-levels": lambda: forged('{"x":' + "[" * 100_000, good()),
    "J26-a-header-of-4000-levels": lambda: forged("[" * 4000, good()),
    "J26-a-header-of-4000-levels-within": lambda: forged('{"alg":"HS256","x":' + "[" * 2000 + "]" * 2000 + "}", good()),
    "J26-a-header-of-6000-bytes": lambda: forged({"alg": "HS256", "kid": "k" * 5000}, good()),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
def test_a_token_that_is_large_or_deep_costs_next_to_nothing(make: Callable[[], str]) -> None:
    token = make()
    assert refusal(token).startswith(("is longer than token.max_length_bytes", "header: "))
    assert cpu_s(lambda: refusal(token)) < 0.005


def cpu_s(action: Callable[[], object]) -> float:
    """The processor time of an action, at best: looking for garbage may fall into any of these."""

    def once() -> float:
        started = time.process_time()
        action()
        return time.process_time() - started

    return min(once() for _ in range(5))


SECRETS = st.text(alphabet="abcdefgh", min_size=20, max_size=40)


@settings(deadline=None)
@given(SECRETS, st.sampled_from(["sub", "kid", "typ", "info", "iss", "exp", "channels", "alg"]))
def test_no_reason_quotes_the_token(secret: str, place: str) -> None:
    header: dict[str, Any] = {"alg": "HS256"}
    claims = good()
    (header if place in ("kid", "typ", "alg") else claims)[place] = secret + "\x00"
    with pytest.raises(TokenError) as caught:
        verify(forged(header, claims), RING, TokenPolicy(user_id_pattern=PATTERN, issuer="x"), NOW_S)
    assert secret not in f"{caught.value} {caught.value!r} {caught.value.reason} {caught.value.__cause__!r}"


@settings(deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_give_claims_or_a_token_error(header: bytes, payload: bytes) -> None:
    for token in (forged(header, payload), forged({"alg": "HS256"}, payload), signed(payload)):
        with pytest.raises(TokenError):
            verify(token, RING, POLICY, NOW_S)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["sub", "exp", "iat", "nbf", "aud", "iss", "info", "subs", "channels", "expire_at", "jti", "override", "channel"]
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_any_claims_are_read_or_refused(extra: dict[str, Any]) -> None:
    policy = TokenPolicy(user_id_pattern=PATTERN, audience="chat")
    for read in (verify, verify_subscription):
        try:
            claims = read(signed(good(aud="chat") | extra), RING, policy, NOW_S)
        except TokenError:
            continue
        assert PATTERN.fullmatch(claims.user)
