"""The form and the header of a token: what is refused before any claim is looked at, and which key is asked."""

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from chat.auth.keys import KeyRing, KeyUnusable, VerificationKey
from chat.auth.mint import connection_token
from chat.config import Secret
from support.tokens import NOW_S, RING, SECRET, b64, forged, good, refusal, signed, user_of

ALGORITHMS: dict[str, Any] = {
    "J1-none": "none",
    "J1-nOnE": "nOnE",
    "J1-NONE": "NONE",
    "J1-None": "None",
    "J3-empty": "",
    "J3-lower-case": "hs256",
    "J3-one-that-there-is-not": "HS257",
    "J3-one-that-we-do-not-take-es256k": "ES256K",
    "J3-one-that-we-do-not-take-ps256": "PS256",
    "J3-null": None,
    "J3-a-number": 1,
    "J3-a-list": ["HS256"],
    "J3-true": True,
    "J3-an-object": {"HS256": 1},
}


@pytest.mark.parametrize("alg", ALGORITHMS.values(), ids=ALGORITHMS)
def test_an_algorithm_that_is_none_of_ours_is_refused(alg: object) -> None:
    assert refusal(forged({"alg": alg}, good())).startswith("header")
    assert refusal(f"{b64({'alg': alg})}.{b64(good())}.AA").startswith("header")
    assert refusal(f"{b64({'alg': alg})}.{b64(good())}.") == "is not three parts of base64url"


def test_j3_a_header_without_algorithm_is_refused() -> None:
    assert "alg" in refusal(forged({"typ": "JWT"}, good()))


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"], ids="J2-{}-with-the-key-for-HS256".format)
def test_a_key_verifies_its_one_algorithm_only(algorithm: str) -> None:
    secret = SECRET * 2
    token = connection_token("anna", Secret(secret), now_s=NOW_S, ttl_s=60, algorithm=algorithm)
    assert refusal(token, KeyRing([VerificationKey("HS256", secret)])) == "no key for its alg and kid"
    assert refusal(token, KeyRing([VerificationKey("HS256", secret, "k")])) == "no key for its alg and kid"


PUBLIC_AS_SECRET: dict[str, Callable[[str], str | bytes]] = {
    "J4-its-PEM": lambda pem: pem,
    "J4-its-PEM-without-the-last-line-break": lambda pem: pem.strip(),
    "J4-its-PEM-with-other-line-breaks": lambda pem: pem.replace("\n", "\r\n"),
    "J4-its-DER": lambda pem: load_pem_public_key(pem.encode()).public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ),
    "J4-its-JWK": lambda pem: json.dumps({"kty": "RSA", "n": pem, "e": "AQAB"}),
}


@pytest.mark.parametrize("secret_of", PUBLIC_AS_SECRET.values(), ids=PUBLIC_AS_SECRET)
def test_a_public_key_is_never_an_hmac_secret(
    rsa_pems: tuple[str, str], secret_of: Callable[[str], str | bytes]
) -> None:
    _, public = rsa_pems
    secret = secret_of(public)
    text = secret.decode("latin-1") if isinstance(secret, bytes) else secret
    named = KeyRing([VerificationKey.from_pem(public, kid="r"), VerificationKey("HS256", SECRET, "h")])
    assert refusal(forged({"alg": "HS256"}, good(), text), KeyRing([VerificationKey.from_pem(public)])) == (
        "no key for its alg and kid"
    )
    assert refusal(forged({"alg": "HS256", "kid": "r"}, good(), text), named) == "no key for its alg and kid"
    assert user_of(signed(good(), kid="h"), named) == "anna"


def test_j4_a_public_key_is_refused_where_a_secret_is_configured(rsa_pems: tuple[str, str]) -> None:
    with pytest.raises(KeyUnusable):
        VerificationKey("HS256", rsa_pems[1])


@pytest.mark.parametrize("size", [0, 1, 64, 96, 132, 256], ids="J5-a-signature-of-{}-zeros".format)
def test_a_signature_of_zeros_is_refused(rsa_pems: tuple[str, str], ec_pems: tuple[str, str], size: int) -> None:
    for private, public in (rsa_pems, ec_pems):
        key = VerificationKey.from_pem(public)
        token = connection_token("anna", Secret(private), now_s=NOW_S, ttl_s=60, algorithm=key.algorithm)
        assert user_of(token, KeyRing([key])) == "anna"
        assert refusal(token.rpartition(".")[0] + "." + b64(bytes(size)), KeyRing([key]))


CHANGES: dict[str, Callable[[str], str]] = {
    "J6-no-signature": lambda t: t.rpartition(".")[0],
    "J6-an-empty-signature": lambda t: t.rpartition(".")[0] + ".",
    "J6-four-parts": lambda t: t + "." + t.rpartition(".")[2],
    "J6-one-part": lambda t: t.partition(".")[0],
    "J6-empty": lambda t: "",
    "J6-a-blank": lambda t: " ",
    "J6-only-dots": lambda t: "..",
    "J6-a-line-break-behind": lambda t: t + "\n",
    "J6-a-line-break-before": lambda t: "\n" + t,
    "J6-a-blank-within": lambda t: t.replace(".", ". "),
    "J6-a-zero-byte-behind": lambda t: t + "\x00",
    "J6-a-letter-that-is-not-ascii": lambda t: t + "ü",
    "J6-a-lone-surrogate": lambda t: "\ud800." + t,
    "J6-with-its-scheme": lambda t: "Bearer " + t,
    "J6-in-the-other-base64": lambda t: t.replace("_", "/").replace("-", "+") + "+/",
    "J7-one-equals-sign-behind": lambda t: t + "=",
    "J7-two-equals-signs-behind": lambda t: t + "==",
    "J7-equals-signs-within": lambda t: t.replace(".", "=."),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_not_three_parts_of_base64url_is_refused(change: Callable[[str], str]) -> None:
    assert refusal(change(signed(good()))) == "is not three parts of base64url"


def test_j6_a_changed_character_anywhere_is_refused() -> None:
    token = signed(good())
    for index in range(0, len(token), 7):
        other = "A" if token[index] != "A" else "B"
        assert refusal(token[:index] + other + token[index + 1 :])


KIDS: dict[str, Any] = {
    "J8-a-path": "../../dev/null",
    "J8-sql": "' OR 1=1 --",
    "J8-a-url": "http://127.0.0.1:1/keys",
    "J8-a-zero-byte": "a\x00b",
    "J8-129-characters": "k" * 129,
    "J8-as-long-as-a-token-may-be": "k" * 5500,
    "J8-a-megabyte": "k" * 1_000_000,
    "J8-an-operator-of-the-database": {"$ne": None},
    "J8-a-number": 1,
    "J8-null": None,
    "J8-a-list": ["k1"],
    "J8-true": True,
}


@pytest.mark.parametrize("kid", KIDS.values(), ids=KIDS)
def test_a_kid_is_nothing_but_a_key_of_a_dictionary(kid: object) -> None:
    ring = KeyRing([VerificationKey("HS256", SECRET, "k1")])
    reason = refusal(signed(good(), kid=kid), ring)
    if isinstance(kid, str):
        assert reason in (
            "no key for its alg and kid",
            "header: kid is too long",
            "is longer than token.max_length_bytes",
        )
    else:
        assert reason.startswith("header: Expected `str`")


def test_j9_ten_thousand_unknown_kids_leave_the_ring_as_it_was() -> None:
    ring = KeyRing([VerificationKey("HS256", SECRET, "k1")])
    for number in range(10_000):
        assert ring.select("HS256", f"k{number + 2}") == ()
    assert refusal(signed(good(), kid="k9"), ring) == "no key for its alg and kid"
    assert len(ring) == 1


def test_a_kid_that_names_no_key_is_ignored_where_an_unnamed_key_fits() -> None:
    assert user_of(signed(good(), kid="whatever")) == "anna"


BROUGHT = {
    "J10-jku": lambda url: {"jku": url},
    "J10-x5u": lambda url: {"x5u": url},
    "J10-jwk": lambda url: {"jwk": {"kty": "oct", "k": b64("x" * 32)}},
    "J10-x5c": lambda url: {"x5c": [b64("x" * 32)]},
    "J10-all-of-them": lambda url: {"jku": url, "x5u": url, "jwk": {"kty": "oct", "k": b64("x" * 32)}, "kid": url[:99]},
}


@pytest.mark.parametrize("brought", BROUGHT.values(), ids=BROUGHT)
def test_a_key_that_a_token_brings_along_is_neither_used_nor_fetched(brought: Callable[[str], dict[str, Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        header = brought(f"http://127.0.0.1:{listening.getsockname()[1]}/keys")
        assert user_of(signed(good(), **header)) == "anna"
        assert "signature" in refusal(forged({"alg": "HS256", **header}, good(), "x" * 32))
        with pytest.raises(BlockingIOError):
            listening.accept()


CRITICAL: dict[str, dict[str, Any]] = {
    "J11-crit-unknown": {"crit": ["http://example.com/UNDEFINED"]},
    "J11-crit-known": {"crit": ["exp"]},
    "J11-crit-empty": {"crit": []},
    "J11-crit-b64": {"crit": ["b64"], "b64": False},
    "J11-b64-false": {"b64": False},
    "J11-b64-true": {"b64": True},
}


@pytest.mark.parametrize("header", CRITICAL.values(), ids=CRITICAL)
def test_critical_extensions_are_refused(header: dict[str, Any]) -> None:
    assert refusal(signed(good(), **header)) == "header: crit and b64 are not supported"


@pytest.mark.parametrize("zip_", ["DEF", "GZIP", 1], ids="J11-zip-{}".format)
def test_zip_is_ignored(zip_: object) -> None:
    assert user_of(signed(good(), zip=zip_)) == "anna"


TYPES = ["refresh+jwt", "logout+jwt", "admin-link+jwt", "push+jwt", "dpop+jwt", "JWE", "secevent+jwt", "application/x"]


@pytest.mark.parametrize("typ", TYPES, ids="J12-{}".format)
def test_a_token_of_another_kind_is_refused(typ: str) -> None:
    assert refusal(signed(good(), typ=typ)) == "header: typ is of another kind of token"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"], ids="J12-{}-is-ours".format)
def test_the_kinds_that_say_who_somebody_is_are_accepted(typ: str) -> None:
    assert user_of(signed(good(), typ=typ)) == "anna"
    assert user_of(forged({"alg": "HS256"}, good()), RING) == "anna"
