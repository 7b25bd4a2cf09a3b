"""Configuration, keys, key set and cache together."""

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import OKPAlgorithm

from chat.auth import KeysUnavailable, TokenExpired, TokenInvalid, TokenMismatch, open_verifiers
from chat.auth.mint import connection_token, subscription_token
from chat.config import Config, ConfigError, Secret, load

SECRET = Secret("s" * 32)
OTHER = Secret("o" * 32)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def config(**values: Any) -> Config:
    dotted = {name.replace("__", "."): value for name, value in values.items()}
    return load(None, {}, {"token.hmac_secret_key": SECRET.reveal()} | dotted).config


async def test_a_connection_token_is_verified_and_remembered_until_it_expires(clock: Clock) -> None:
    token = connection_token("anna", SECRET, now_s=clock.now_s, ttl_s=60)
    async with open_verifiers(config(), clock=clock, monotonic=clock) as verifiers:
        first = await verifiers.connections.connection(token)
        assert await verifiers.connections.connection(token) is first
        clock.now_s += 60
        with pytest.raises(TokenExpired):
            await verifiers.connections.connection(token)


async def test_no_token_is_anonymous_only_where_that_is_allowed(clock: Clock) -> None:
    async with open_verifiers(config(), clock=clock, monotonic=clock) as verifiers:
        with pytest.raises(TokenInvalid):
            await verifiers.connections.connection("")
    for option in ("client__insecure", "client__allow_anonymous_connect_without_token"):
        async with open_verifiers(config(**{option: True}), clock=clock, monotonic=clock) as verifiers:
            assert (await verifiers.connections.connection("")).anonymous
            with pytest.raises(TokenInvalid):
                await verifiers.connections.connection("nonsense")


async def test_j26_not_even_a_hash_is_made_of_a_huge_token(clock: Clock) -> None:
    huge = "a" * 10_000_000
    async with open_verifiers(config(), clock=clock, monotonic=clock) as verifiers:
        costs = []
        for _ in range(5):
            started = time.process_time()
            with pytest.raises(TokenInvalid, match="is longer than"):
                await verifiers.connections.connection(huge)
            costs.append(time.process_time() - started)
    assert min(costs) < 0.002


async def test_a_subscription_token_uses_the_connection_keys_unless_it_has_its_own(clock: Clock) -> None:
    token = subscription_token("anna", "news", SECRET, now_s=clock.now_s, ttl_s=60)
    async with open_verifiers(config(), clock=clock, monotonic=clock) as verifiers:
        assert (await verifiers.subscriptions.subscription(token, user="anna", channel="news")).channel == "news"
        with pytest.raises(TokenMismatch):
            await verifiers.subscriptions.subscription(token, user="ben", channel="news")
    own = config(subscription_token__enabled=True, subscription_token__hmac_secret_key=OTHER.reveal())
    async with open_verifiers(own, clock=clock, monotonic=clock) as verifiers:
        with pytest.raises(TokenInvalid):
            await verifiers.subscriptions.subscription(token, user="anna", channel="news")
        token = subscription_token("anna", "news", OTHER, now_s=clock.now_s, ttl_s=60)
        assert (await verifiers.subscriptions.subscription(token, user="anna", channel="news")).user == "anna"


async def test_keys_that_cannot_be_used_stop_the_start(clock: Clock) -> None:
    with pytest.raises(ConfigError, match=r"token\.rsa_public_key"):
        async with open_verifiers(config(token__rsa_public_key="nonsense"), clock=clock, monotonic=clock):
            pass


async def test_a_key_set_verifies_what_the_configured_keys_do_not(clock: Clock) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    pem = Secret(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    row = {**OKPAlgorithm.to_jwk(private.public_key(), as_dict=True), "kid": "k1"}
    fetches: list[str] = []

    async def fetch(url: str) -> bytes:
        fetches.append(url)
        return json.dumps({"keys": [row]}).encode()

    def token(user: str, kid: str) -> str:
        return connection_token(user, pem, now_s=clock.now_s, ttl_s=60, algorithm="EdDSA", kid=kid)

    settings = config(token__jwks_public_endpoint="https://id.example/jwks")
    async with open_verifiers(settings, clock=clock, monotonic=clock, fetch=fetch) as verifiers:
        hmac = connection_token("anna", SECRET, now_s=clock.now_s, ttl_s=60, kid="unknown")
        assert (await verifiers.connections.connection(hmac)).user == "anna"
        with pytest.raises(TokenInvalid):
            await verifiers.connections.connection(
                connection_token("eve", OTHER, now_s=clock.now_s, ttl_s=60, kid="k1")
            )
        assert fetches == []
        assert (await verifiers.connections.connection(token("ben", "k1"))).user == "ben"
        with pytest.raises(TokenInvalid):
            await verifiers.connections.connection(token("ben", "k2"))
        assert fetches == ["https://id.example/jwks"]


async def test_a_key_set_that_cannot_be_fetched_is_a_passing_fault(clock: Clock) -> None:
    async def fetch(url: str) -> bytes:
        raise TimeoutError

    private = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    token = connection_token("anna", Secret(private.decode()), now_s=clock.now_s, ttl_s=60, algorithm="EdDSA")
    settings = config(token__jwks_public_endpoint="https://id.example/jwks")
    async with open_verifiers(settings, clock=clock, monotonic=clock, fetch=fetch) as verifiers:
        with pytest.raises(KeysUnavailable):
            await verifiers.connections.connection(token)
