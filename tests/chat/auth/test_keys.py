"""Verification keys: each for its one algorithm, from the configuration, rotated, and refused without being shown."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from chat.auth.keys import KeyRing, KeyUnusable, VerificationKey
from chat.auth.mint import connection_token
from chat.auth.tokens import verify
from chat.config import ConfigError, Secret, load
from support.tokens import NOW_S, POLICY, SECRET, b64, forged, good, pems, refusal, signed


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_hmac_tokens_are_verified(algorithm: str) -> None:
    secret = SECRET * 2
    token = connection_token("anna", Secret(secret), now_s=NOW_S, ttl_s=60, algorithm=algorithm)
    assert verify(token, KeyRing([VerificationKey(algorithm, secret)]), POLICY, NOW_S).user == "anna"


@pytest.mark.parametrize(
    ("make", "algorithms"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), ["RS256", "RS384", "RS512"]),
        (lambda: ec.generate_private_key(ec.SECP256R1()), ["ES256"]),
        (lambda: ec.generate_private_key(ec.SECP384R1()), ["ES384"]),
        (lambda: ec.generate_private_key(ec.SECP521R1()), ["ES512"]),
        (ed25519.Ed25519PrivateKey.generate, ["EdDSA"]),
    ],
)
def test_public_key_tokens_are_verified(make: Callable[[], Any], algorithms: list[str]) -> None:
    private, public = pems(make())
    for algorithm in algorithms:
        token = connection_token("anna", Secret(private), now_s=NOW_S, ttl_s=60, algorithm=algorithm)
        ring = KeyRing([VerificationKey.from_pem(public, algorithm=algorithm)])
        assert verify(token, ring, POLICY, NOW_S).user == "anna"
        # J5: r = s = 0
        for size in (64, 96, 132):
            assert refusal(token.rpartition(".")[0] + "." + b64(bytes(size)), ring)


MATERIALS: dict[str, object] = {
    "J27-none": None,
    "J27-empty": "",
    "J27-empty-bytes": b"",
    "J27-a-list": [],
    "J27-a-list-of-keys": ["a" * 32, "b" * 32],
    "J27-a-number": 1,
    "J27-an-object": {"kty": "oct"},
}


@pytest.mark.parametrize("material", MATERIALS.values(), ids=MATERIALS)
def test_a_key_that_is_none_is_refused_when_it_is_made(material: object) -> None:
    with pytest.raises(KeyUnusable):
        VerificationKey("HS256", material)


def test_j27_a_ring_without_keys_refuses_every_token() -> None:
    assert refusal(signed(good()), KeyRing([])) == "no key for its alg and kid"


def test_a_short_key_verifies_without_a_warning() -> None:
    # `serve` refuses it unless told twice; test suites of SDKs use such keys.
    ring = KeyRing([VerificationKey("HS256", "secret")])
    assert verify(forged({"alg": "HS256"}, good(), "secret"), ring, POLICY, NOW_S).user == "anna"


def test_an_old_secret_is_accepted_beside_the_new_one() -> None:
    loaded = load(None, {}, {"token.hmac_secret_key": "n" * 32, "token.hmac_previous_secret_key": SECRET})
    ring = KeyRing.from_config(loaded.config.token)
    assert verify(signed(good()), ring, POLICY, NOW_S).user == "anna"
    assert verify(forged({"alg": "HS256"}, good(), "n" * 32), ring, POLICY, NOW_S).user == "anna"


def test_keys_rotate_by_kid() -> None:
    old, new = VerificationKey("HS256", "o" * 32, "old"), VerificationKey("HS256", "n" * 32, "new")
    token = forged({"alg": "HS256", "kid": "old"}, good(), "o" * 32)
    assert verify(token, KeyRing([old, new]), POLICY, NOW_S).user == "anna"
    assert refusal(token, KeyRing([new])) == "no key for its alg and kid"
    assert "signature" in refusal(forged({"alg": "HS256", "kid": "new"}, good(), "o" * 32), KeyRing([old, new]))


def test_keys_come_from_the_configuration(rsa_pems: tuple[str, str], ec_pems: tuple[str, str]) -> None:
    keys = [
        {"kid": "h", "algorithm": "HS256", "key": SECRET},
        {"kid": "e", "algorithm": "ES256", "key": ec_pems[1].replace("\n", "\\n")},
    ]
    loaded = load(None, {}, {"token.keys": keys, "token.rsa_public_key": rsa_pems[1], "token.rsa_algorithm": "RS512"})
    ring = KeyRing.from_config(loaded.config.token)
    assert len(ring) == 3
    for private, algorithm, kid in ((ec_pems[0], "ES256", "e"), (rsa_pems[0], "RS512", ""), (SECRET, "HS256", "h")):
        token = connection_token("anna", Secret(private), now_s=NOW_S, ttl_s=60, algorithm=algorithm, kid=kid)
        assert verify(token, ring, POLICY, NOW_S).user == "anna"
    wrong = connection_token("anna", Secret(rsa_pems[0]), now_s=NOW_S, ttl_s=60, algorithm="RS256")
    assert refusal(wrong, ring) == "no key for its alg and kid"


def test_keys_that_cannot_be_used_are_named_without_being_shown(
    rsa_pems: tuple[str, str], ec_pems: tuple[str, str]
) -> None:
    weak = pems(rsa.generate_private_key(65537, 1024))[1]
    values = {
        "token.hmac_secret_key": rsa_pems[1],
        "token.rsa_public_key": rsa_pems[0],
        "token.ecdsa_public_key": "nonsense",
        "token.ed25519_public_key": ec_pems[1],
        "token.keys": [
            {"kid": "a", "algorithm": "ES384", "key": ec_pems[1]},
            {"kid": "b", "algorithm": "RS256", "key": weak},
        ],
    }
    with pytest.raises(ConfigError) as caught:
        KeyRing.from_config(load(None, {}, values).config.token)
    assert [str(problem) for problem in caught.value.problems] == [
        "token.hmac_secret_key: is not a key for HS256",
        "token.rsa_public_key: is a private key: put the public one here and keep this one with the application",
        "token.ecdsa_public_key: is not a public key in PEM",
        "token.ed25519_public_key: is a key for ES256, not for EdDSA",
        "token.keys[a].key: is a key for ES256, not for ES384",
        "token.keys[b].key: is an RSA key of fewer than 2048 bits",
    ]
