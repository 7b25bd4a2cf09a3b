"""The emulator is as strict as it says: who sends to it and is taken may hope for the same from the vendors."""

import random as random_module
from collections.abc import Mapping
from typing import Any, get_args

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from chat.push.lab.webpush_rules import ANSWERS, Profile, Refused, Request, Wrong, check_headers, open_sealed, packed

PROFILES: tuple[Profile, ...] = get_args(Profile)
NOW_S = 1_700_000_000
ORIGIN = "https://web.push.apple.com"
OURS, OTHERS = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
DAY_S = 24 * 3600


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def authorization(
    change: Mapping[str, Any] | None = None, *, key: ec.EllipticCurvePrivateKey = OURS, shown: bytes = b""
) -> str:
    claims = {"aud": ORIGIN, "exp": NOW_S + 3600, "sub": "mailto:push@example.com", **(change or {})}
    said = {name: value for name, value in claims.items() if value is not None}
    return f"vapid t={jwt.encode(said, key, algorithm='ES256')}, k={packed(shown or point(key))}"


def refusal(profile: Profile, without: str = "", **change: str) -> Wrong | Request:
    headers = {
        "authorization": authorization(),
        "content-encoding": "aes128gcm",
        "ttl": "60",
        "topic": "abc_-9",
        "urgency": "high",
        **{name.replace("_", "-"): value for name, value in change.items()},
    }
    headers.pop(without, "")
    try:
        return check_headers(headers, profile=profile, origin=ORIGIN, vapid_key=packed(point(OURS)), now_s=NOW_S)
    except Refused as refused:
        return refused.wrong


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_right_is_taken(profile: Profile) -> None:
    assert refusal(profile) == Request(60, "abc_-9", "high")
    assert refusal(profile, without="topic") == Request(60, "", "high")
    assert refusal(profile, without="urgency") == Request(60, "abc_-9", "normal")
    assert refusal(profile, ttl="99999999") == Request(30 * DAY_S, "abc_-9", "high")


STRICT = ("apple", "mozilla", "google")


@pytest.mark.parametrize("profile", STRICT)
@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer x",
        "vapid t=a.b.c",
        authorization().replace("vapid", "webpush"),
        authorization().replace("k=", "k=A"),
        authorization(key=OTHERS, shown=point(OURS)),
        authorization({"aud": "https://fcm.googleapis.com"}),
        authorization({"aud": ORIGIN + "/"}),
        authorization({"aud": None}),
        authorization({"exp": None}),
        authorization({"exp": NOW_S}),
        authorization({"exp": NOW_S + DAY_S + 1}),
        authorization({"exp": str(NOW_S + 60)}),
        authorization({"sub": "push@example.com"}),
        authorization({"sub": "http://example.com"}),
        f"vapid t={jwt.encode({'aud': ORIGIN}, 'x' * 32, algorithm='HS256')}, k={packed(point(OURS))}",
        f"vapid t=e30.e30.AAAA, k={packed(point(OURS))}",
        f"vapid t={authorization()[8:].partition(',')[0]}, k={'A' * 87}",
    ],
)
def test_a_token_that_is_not_right_is_refused(profile: Profile, header: str) -> None:
    assert refusal(profile, authorization=header) == Wrong.TOKEN


@pytest.mark.parametrize("profile", STRICT)
def test_a_key_that_is_not_the_subscriptions_is_refused(profile: Profile) -> None:
    assert refusal(profile, authorization=authorization(key=OTHERS)) == Wrong.KEY


def test_a_token_may_be_valid_for_a_day_and_no_longer() -> None:
    assert isinstance(refusal("apple", authorization=authorization({"exp": NOW_S + DAY_S})), Request)


@pytest.mark.parametrize(
    "sub", ["mailto:push@localhost", "mailto:<a@example.com>", "https://localhost", "mailto:x", None]
)
def test_apple_minds_where_the_contact_is(sub: str | None) -> None:
    assert refusal("apple", authorization=authorization({"sub": sub})) == Wrong.TOKEN


def test_mozilla_needs_no_contact_and_google_does() -> None:
    header = authorization({"sub": None})
    assert isinstance(refusal("mozilla", authorization=header), Request)
    assert refusal("google", authorization=header) == Wrong.TOKEN


def test_a_server_of_unified_push_needs_no_token() -> None:
    assert isinstance(refusal("ntfy", without="authorization"), Request)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_header_is_looked_at(profile: Profile) -> None:
    assert refusal(profile, without="ttl") == Wrong.TTL_MISSING
    assert refusal(profile, ttl="") == refusal(profile, ttl="-1") == refusal(profile, ttl="1.5") == Wrong.TTL
    assert (
        refusal(profile, topic="a" * 33) == refusal(profile, topic="a b") == refusal(profile, topic="") == Wrong.TOPIC
    )
    assert refusal(profile, urgency="now") == Wrong.URGENCY
    assert refusal(profile, content_encoding="aesgcm") == Wrong.ENCODING
    assert refusal(profile, without="content-encoding") == Wrong.ENCODING


@pytest.mark.parametrize("profile", PROFILES)
def test_everything_that_can_be_wrong_has_an_answer(profile: Profile) -> None:
    assert set(ANSWERS[profile]) == set(Wrong)
    assert all(400 <= said.status < 500 for said in ANSWERS[profile].values())


@given(plaintext=st.binary(min_size=1, max_size=3993), seed=st.integers(0, 2**32))
def test_what_another_implementation_sealed_is_opened(plaintext: bytes, seed: int) -> None:
    random = random_module.Random(seed)
    auth, salt = random.randbytes(16), random.randbytes(16)
    sealed = http_ece.encrypt(plaintext, salt=salt, private_key=OTHERS, dh=point(OURS), auth_secret=auth)
    assert open_sealed(sealed, OURS, auth) == plaintext


def test_what_cannot_be_opened_is_refused() -> None:
    auth = bytes(16)
    sealed = http_ece.encrypt(b"hello", salt=bytes(16), private_key=OTHERS, dh=point(OURS), auth_secret=auth)
    assert open_sealed(sealed, OURS, auth) == b"hello"
    small = sealed[:16] + (20).to_bytes(4, "big") + sealed[20:]
    for body in (b"", sealed[:102], sealed[:-1], sealed[:21] + bytes(65) + sealed[86:], small, sealed + b"\0"):
        with pytest.raises(Refused) as refused:
            open_sealed(body, OURS, auth)
        assert refused.value.wrong is Wrong.SEALED
    with pytest.raises(Refused):
        open_sealed(sealed, OTHERS, auth)
