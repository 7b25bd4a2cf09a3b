"""Who we are, to a push service: keys that belong together, contacts that Safari takes, tokens that are reused."""

import base64
import re
import secrets
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from chat.push.webpush.encryption import new_private_key
from chat.push.webpush.vapid import (
    LONGEST_S,
    Authorizations,
    BadVapid,
    Vapid,
    VapidKey,
    VapidTimes,
    check_pairs,
    check_subject,
    generate,
    parse_vapid,
)

SUBJECT = "mailto:push@example.com"
APPLE = "https://web.push.apple.com"
NOW_S = 1_700_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def a_pair() -> tuple[str, str]:
    return generate(secrets.token_bytes)


def claims(header: str) -> dict[str, Any]:
    """What a token says, once it was verified by the key that is sent along."""
    parts = re.fullmatch(r"vapid t=([\w.-]+), k=([\w-]{87})", header)
    assert parts is not None
    point = base64.urlsafe_b64decode(parts[2] + "=")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert jwt.get_unverified_header(parts[1])["alg"] == "ES256"
    return jwt.decode(
        parts[1], key, algorithms=["ES256"], options={"verify_exp": False, "verify_aud": False, "verify_iat": False}
    )


def test_a_pair_that_was_made_here_can_be_used() -> None:
    private, public = a_pair()
    assert (len(private), len(public)) == (43, 87)
    vapid = parse_vapid([(private, public)], SUBJECT)
    assert vapid.keys[0].public == public
    check_pairs(vapid)
    assert private not in repr(vapid)


def test_the_public_half_follows_from_the_private_one_however_it_is_written() -> None:
    private, public = a_pair()
    padded = base64.b64encode(base64.urlsafe_b64decode(private + "=")).decode()
    assert parse_vapid([(padded, "")], SUBJECT).keys[0].public == public


def test_the_pair_of_rfc_8292_is_a_pair() -> None:
    public = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
    assert len(base64.urlsafe_b64decode(public + "=")) == 65
    with pytest.raises(BadVapid, match="do not belong together"):
        parse_vapid([(a_pair()[0], public)], SUBJECT)


@pytest.mark.parametrize(
    ("private", "public", "says"),
    [
        pytest.param("", "", "32 bytes", id="nothing"),
        pytest.param("AA", "", "32 bytes", id="too-short"),
        pytest.param("§" * 43, "", "base64url", id="no-base64url"),
        pytest.param("A" * 43, "", "no key", id="zero"),
        pytest.param("_" * 43, "", "base64url|no key", id="more-than-there-are"),
        pytest.param(a_pair()[0], "AAAA", "65 bytes", id="a-public-half-too-short"),
        pytest.param(a_pair()[0], a_pair()[1], "do not belong together", id="halves-of-two-pairs"),
    ],
)
def test_what_is_no_pair_is_refused_without_repeating_it(private: str, public: str, says: str) -> None:
    with pytest.raises(BadVapid, match=says) as refused:
        parse_vapid([(private, public)], SUBJECT)
    assert not private or private not in str(refused.value)


def test_there_are_one_or_two_keys_and_not_the_same_one_twice() -> None:
    pairs = [a_pair() for _ in range(3)]
    assert len(parse_vapid(pairs[:2], SUBJECT).keys) == 2
    for some in ([], pairs, [pairs[0], pairs[0]]):
        with pytest.raises(BadVapid):
            parse_vapid(some, SUBJECT)


def test_a_subscription_goes_on_with_its_key_and_an_unknown_one_with_the_first() -> None:
    vapid = parse_vapid([a_pair(), a_pair()], SUBJECT)
    first, second = vapid.keys
    assert vapid.key_for(second.public) is second
    assert vapid.key_for(first.public) is first
    assert vapid.key_for(base64.b64encode(base64.urlsafe_b64decode(second.public + "=")).decode()) is second
    assert vapid.key_for("") is first
    assert vapid.key_for("another") is first


def test_halves_that_were_put_together_by_hand_are_found_out() -> None:
    wrong = VapidKey(a_pair()[1], new_private_key(secrets.token_bytes))
    with pytest.raises(BadVapid, match="do not belong together"):
        check_pairs(Vapid((wrong,), SUBJECT))


@pytest.mark.parametrize(
    "subject",
    [
        "mailto:push@example.com",
        "mailto:some.body+push@mail.example.co.uk",
        "https://example.com",
        "https://example.com/contact?about=push",
        "https://xn--bcher-kva.com/",
    ],
)
def test_a_contact_that_every_service_takes(subject: str) -> None:
    check_subject(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "push@example.com",
        "example.com",
        "http://example.com",
        "mailto:",
        "mailto:push",
        "mailto:push@",
        "mailto:@example.com",
        "mailto:push@localhost",
        "mailto:push@hub.localhost",
        "mailto:push@printer.local",
        "mailto:push@hub.internal",
        "mailto:push@example.invalid",
        "mailto:push@example.test",
        "mailto: push@example.com",
        "mailto:push@example.com ",
        "mailto:<push@example.com>",
        "mailto:Push <push@example.com>",
        "mailto:a@b@example.com",
        "mailto:.a@example.com",
        "mailto:a@example..com",
        "mailto:a@example.com?subject=x",
        "mailto:a@10.0.0.1",
        "MAILTO:push@example.com",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://example/",
        "https://me:secret@example.com/",
        "https://example.com/a b",
        "https:example.com",
        "https://",
        "javascript:alert(1)",
        "mailto:püsh@example.com",
        "mailto:push@example.com\r\nX: y",
        "mailto:" + "a" * 300 + "@example.com",
    ],
)
def test_a_contact_that_some_service_refuses(subject: str) -> None:
    with pytest.raises(BadVapid):
        check_subject(subject)


def test_a_token_says_where_until_when_and_whom_to_ask() -> None:
    key = parse_vapid([a_pair()], SUBJECT).keys[0]
    header = Authorizations(SUBJECT, clock=Clock()).header(APPLE, key)
    said = claims(header)
    assert said == {"aud": APPLE, "exp": said["exp"], "sub": SUBJECT}
    assert 12 * 3600 < said["exp"] - NOW_S < LONGEST_S
    assert header.endswith(key.public)


def test_a_token_is_used_for_twelve_hours_and_is_never_older_than_its_end() -> None:
    clock, key = Clock(), parse_vapid([a_pair()], SUBJECT).keys[0]
    made = Authorizations(SUBJECT, clock=clock)
    first = made.header(APPLE, key)
    ages = {}
    for minutes in range(0, 48 * 60, 7):
        clock.now_s = NOW_S + minutes * 60
        header = made.header(APPLE, key)
        assert 6 * 3600 <= claims(header)["exp"] - clock.now_s <= LONGEST_S - 6 * 3600
        ages.setdefault(header, []).append(minutes)
    assert len(ages) == 4
    assert max(ages[first]) < 12 * 60 <= max(ages[first]) + 7


def test_a_clock_that_was_set_back_makes_a_new_token() -> None:
    clock, key = Clock(), parse_vapid([a_pair()], SUBJECT).keys[0]
    made = Authorizations(SUBJECT, clock=clock)
    before = made.header(APPLE, key)
    clock.now_s -= 3 * 24 * 3600
    after = made.header(APPLE, key)
    assert after != before
    assert claims(after)["exp"] - clock.now_s <= LONGEST_S


def test_origins_and_keys_have_tokens_of_their_own() -> None:
    vapid = parse_vapid([a_pair(), a_pair()], SUBJECT)
    made = Authorizations(SUBJECT, clock=Clock())
    headers = {made.header(origin, key) for origin in (APPLE, "https://fcm.googleapis.com") for key in vapid.keys}
    assert len(headers) == len(made) == 4


def test_a_token_that_was_refused_is_not_used_again() -> None:
    key = parse_vapid([a_pair()], SUBJECT).keys[0]
    made = Authorizations(SUBJECT, clock=Clock())
    refused, other = made.header(APPLE, key), made.header("https://fcm.googleapis.com", key)
    made.forget(APPLE)
    assert made.header(APPLE, key) != refused
    assert made.header("https://fcm.googleapis.com", key) == other


def test_only_so_many_origins_are_kept_those_that_were_used_last() -> None:
    key = parse_vapid([a_pair()], SUBJECT).keys[0]
    made = Authorizations(SUBJECT, clock=Clock(), times=VapidTimes(origins=3))
    first = made.header("https://0.example.com", key)
    for number in range(1, 10):
        made.header(f"https://{number}.example.com", key)
        assert made.header("https://0.example.com", key) == first
        assert len(made) <= 3


@pytest.mark.parametrize(("reuse_s", "valid_s"), [(0, 10), (10, 10), (11, 10), (10, LONGEST_S + 1)])
def test_a_token_ends_after_its_use_and_within_a_day(reuse_s: int, valid_s: int) -> None:
    with pytest.raises(ValueError):
        VapidTimes(valid_s=valid_s, reuse_s=reuse_s)
