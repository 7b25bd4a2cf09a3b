"""Keys that are gone verify nothing, whoever remembers them, and it is said which they were."""

import json
import time
from collections.abc import Collection

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import OKPAlgorithm

from chat.auth import KeysUnavailable, TokenInvalid, TokenRevoked, UserBlocked, open_verifiers
from chat.auth.jwks import KeySet
from chat.auth.keys import VerificationKey
from chat.auth.mint import connection_token
from chat.config import Config, Secret, load
from realtime.backend import Credential
from support.waiting import eventually

ONE, TWO = Secret("one-secret-that-is-long-enough-for-hmac"), Secret("two-secret-that-is-long-enough-for-hmac")
URL = "https://id.example/jwks"


def config(*keys: Secret, **more: object) -> Config:
    rows = [{"kid": key.reveal()[:3], "algorithm": "HS256", "key": key.reveal()} for key in keys]
    return load(
        None, {}, {"token.keys": rows, **{name.replace("__", "."): value for name, value in more.items()}}
    ).config


def token(key: Secret, user: str = "ada") -> str:
    return connection_token(user, key, now_s=time.time(), ttl_s=60, kid=key.reveal()[:3])


class Keys:
    """A key server."""

    def __init__(self, *kids: str) -> None:
        self.private = {kid: ed25519.Ed25519PrivateKey.generate() for kid in ("a", "b")}
        self.served = kids
        self.error: Exception | None = None
        self.fetches = 0

    async def fetch(self, _url: str) -> bytes:
        self.fetches += 1
        if self.error is not None:
            raise self.error
        rows = [
            {**OKPAlgorithm.to_jwk(self.private[kid].public_key(), as_dict=True), "kid": kid} for kid in self.served
        ]
        return json.dumps({"keys": rows}).encode()

    def token(self, kid: str) -> str:
        pem = self.private[kid].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return connection_token("ada", Secret(pem.decode()), now_s=time.time(), ttl_s=60, algorithm="EdDSA", kid=kid)


async def test_a_token_of_a_key_that_is_gone_is_told_to_be_replaced() -> None:
    gone: list[frozenset[str]] = []
    async with open_verifiers(config(ONE), clock=time.time, monotonic=time.monotonic) as verifiers:
        verifiers.on_withdrawn = gone.append
        known = await verifiers.connections.connection(token(ONE))
        await verifiers.reload(config(ONE, TWO))
        assert gone == []
        # The same key is the same, read anew.
        assert (await verifiers.connections.connection(token(ONE, "bob"))).credential.key == known.credential.key
        await verifiers.reload(config(TWO))
        assert gone == [{known.credential.key}]
        for remembered_or_not in (token(ONE), token(ONE, "cleo")):
            with pytest.raises(TokenRevoked):
                await verifiers.connections.connection(remembered_or_not)
        assert (await verifiers.connections.connection(token(TWO))).user == "ada"
        with pytest.raises(TokenInvalid):
            await verifiers.connections.connection(token(Secret("one-that-never-was-a-key-of-this-server")))
        # It may come back.
        await verifiers.reload(config(ONE, TWO))
        assert (await verifiers.connections.connection(token(ONE))).user == "ada"


async def test_a_key_under_the_same_name_is_another_key() -> None:
    gone: list[frozenset[str]] = []

    def named(key: Secret) -> Config:
        return load(None, {}, {"token.hmac_secret_key": key.reveal()}).config

    async with open_verifiers(named(ONE), clock=time.time, monotonic=time.monotonic) as verifiers:
        verifiers.on_withdrawn = gone.append
        before = connection_token("ada", ONE, now_s=time.time(), ttl_s=60)
        await verifiers.connections.connection(before)
        await verifiers.reload(named(TWO))
        assert len(gone) == 1
        with pytest.raises(TokenRevoked):
            await verifiers.connections.connection(before)


async def test_a_key_set_is_looked_at_though_nobody_asks() -> None:
    keys, gone = Keys("a", "b"), []

    def withdrawn(some: Collection[VerificationKey]) -> None:
        gone.extend(key.kid for key in some)

    async with KeySet(
        URL,
        fetch=keys.fetch,
        monotonic=time.monotonic,
        refresh_interval_s=0.05,
        min_refresh_interval_s=0.01,
        on_withdrawn=withdrawn,
    ) as key_set:
        assert await key_set.key("EdDSA", "a")
        keys.served = ()
        await eventually(lambda: keys.fetches >= 3)
        assert gone == []
        keys.served = ("b",)
        await eventually(lambda: gone == ["a"])
        assert await key_set.key("EdDSA", "a") is None


async def test_another_key_server_that_does_not_answer_changes_nothing() -> None:
    keys = Keys("a")
    settings = config(ONE, token__jwks_public_endpoint=URL)
    async with open_verifiers(settings, clock=time.time, monotonic=time.monotonic, fetch=keys.fetch) as verifiers:
        assert (await verifiers.connections.connection(keys.token("a"))).user == "ada"
        keys.error = TimeoutError()
        with pytest.raises(KeysUnavailable) as error:
            await verifiers.reload(config(TWO, token__jwks_public_endpoint=f"{URL}2?key=secret"))
        assert "secret" not in str(error.value)
        assert (await verifiers.connections.connection(token(ONE))).user == "ada"
        # The one that there is may fail as it likes.
        await verifiers.reload(settings)
        assert (await verifiers.connections.connection(keys.token("a"))).user == "ada"


class Restricted:
    """Everything is forbidden from now on; how often it was asked."""

    def __init__(self) -> None:
        self.changes = 0
        self.asked = 0
        self.error: Exception | None = None

    async def demand(self, user: str, credential: Credential, channel: str = "") -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


async def test_what_was_decided_is_asked_for_once_and_again_when_something_changed() -> None:
    restricted = Restricted()
    async with open_verifiers(config(ONE), clock=time.time, monotonic=time.monotonic) as verifiers:
        verifiers.restrict(restricted)
        given = token(ONE)
        for _ in range(3):
            await verifiers.connections.connection(given)
        assert restricted.asked == 1
        verifiers.doubt({"bob"}, {"another token"})
        await verifiers.connections.connection(given)
        assert restricted.asked == 1
        verifiers.doubt({"ada"}, ())
        restricted.error = UserBlocked("the user is blocked")
        for _ in range(2):
            with pytest.raises(UserBlocked):
                await verifiers.connections.connection(given)
        restricted.error = None
        await verifiers.connections.connection(given)
        assert restricted.asked == 4


async def test_what_was_looked_up_while_something_changed_is_not_remembered() -> None:
    restricted = Restricted()

    async def demand(user: str, credential: Credential, channel: str = "") -> None:
        restricted.asked += 1
        restricted.changes += 1

    restricted.demand = demand  # type: ignore[method-assign]  # as if something came between
    async with open_verifiers(config(ONE), clock=time.time, monotonic=time.monotonic) as verifiers:
        verifiers.restrict(restricted)
        given = token(ONE)
        for _ in range(3):
            await verifiers.connections.connection(given)
        assert restricted.asked == 3
