"""Key sets: one fetch for all, never in the way of known keys, never more often than allowed. And the HTTP fetch."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chat.auth.fetch import open_fetch
from chat.auth.jwks import KeySet, KeysUnavailable, parse_key_set
from chat.outgoing import Failed
from support.waiting import eventually

Row = dict[str, Any]


def okp(kid: str, **extra: Any) -> Row:
    public = ed25519.Ed25519PrivateKey.generate().public_key()
    return {**OKPAlgorithm.to_jwk(public, as_dict=True), "kid": kid, **extra}


class Issuer:
    """A key server that is asked in memory: counts, can be held up and can fail."""

    def __init__(self, *rows: Row) -> None:
        self.rows = list(rows)
        self.fetches = 0
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def fetch(self, url: str) -> bytes:
        self.fetches += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return json.dumps({"keys": self.rows}).encode()


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def key_set(issuer: Issuer, clock: Clock) -> KeySet:
    return KeySet(
        "https://id.example/jwks",
        fetch=issuer.fetch,
        monotonic=clock,
        refresh_interval_s=3600,
        min_refresh_interval_s=10,
    )


async def test_keys_are_fetched_once_for_all_who_wait() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        found = await asyncio.gather(*(keys.key("EdDSA", "a") for _ in range(100)))
    assert {key.kid for key in found if key} == {"a"}
    assert issuer.fetches == 1


async def test_unknown_kids_do_not_fetch_more_often_than_allowed() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        for number in range(10_000):
            assert await keys.key("EdDSA", f"x{number}") is None
        assert issuer.fetches == 1
        clock.now_s += 10
        assert await keys.key("EdDSA", "y") is None
        assert issuer.fetches == 2


async def test_a_new_kid_is_found_after_a_rotation() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        assert await keys.key("EdDSA", "a")
        issuer.rows = [okp("b")]
        clock.now_s += 10
        assert await keys.key("EdDSA", "b")
        assert await keys.key("EdDSA", "a") is None


async def test_a_stale_key_answers_at_once_while_a_fetch_is_held_up() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        assert await keys.key("EdDSA", "a")
        clock.now_s += 3601
        issuer.gate.clear()
        assert await keys.key("EdDSA", "a")
        await eventually(lambda: issuer.fetches == 2)
        assert await keys.key("EdDSA", "a")
        assert issuer.fetches == 2
        issuer.gate.set()


async def test_known_keys_survive_a_key_server_that_is_away_for_a_day_at_most() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        assert await keys.key("EdDSA", "a")
        issuer.error = Failed("answered 500")
        clock.now_s += 24 * 3600
        assert await keys.key("EdDSA", "a")
        clock.now_s += 2 * 3600
        with pytest.raises(KeysUnavailable):
            await keys.key("EdDSA", "a")


@pytest.mark.parametrize("error", [Failed("answered 500"), TimeoutError(), ConnectionRefusedError()])
async def test_without_any_keys_a_failed_fetch_is_unavailable_not_refused(error: Exception) -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    issuer.error = error
    async with key_set(issuer, clock) as keys:
        for _ in range(3):
            with pytest.raises(KeysUnavailable):
                await keys.key("EdDSA", "a")
        assert issuer.fetches == 1
        issuer.error = None
        clock.now_s += 10
        assert await keys.key("EdDSA", "a")


async def test_cancelling_one_who_waits_cancels_nobody_else() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    issuer.gate.clear()
    async with key_set(issuer, clock) as keys, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(keys.key("EdDSA", "a"))
        second = tasks.create_task(keys.key("EdDSA", "a"))
        await eventually(lambda: issuer.fetches == 1)
        first.cancel()
        issuer.gate.set()
        assert await second
    assert issuer.fetches == 1


async def test_leaving_ends_the_fetch_under_way() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        assert await keys.key("EdDSA", "a")
        issuer.gate.clear()
        clock.now_s += 3601
        await keys.key("EdDSA", "a")
        await eventually(lambda: issuer.fetches == 2)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "jwks-refresh"]


async def test_a_key_is_for_its_own_algorithm_only() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        assert await keys.key("RS256", "a") is None
        assert await keys.key("ES256", "a") is None


async def test_a_token_without_kid_is_for_the_only_key() -> None:
    issuer, clock = Issuer(okp("a")), Clock()
    async with key_set(issuer, clock) as keys:
        assert await keys.key("EdDSA", "")
        issuer.rows.append(okp("b"))
        clock.now_s += 3601
        await keys.key("EdDSA", "")
        await eventually(lambda: issuer.fetches == 2)
        clock.now_s += 10
        assert await keys.key("EdDSA", "") is None


def test_every_type_of_public_signing_key_is_read_and_the_rest_is_skipped() -> None:
    rsa_row = RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 2048).public_key(), as_dict=True)
    ec_private = ec.generate_private_key(ec.SECP384R1())
    rows = [
        {**rsa_row, "kid": "r", "use": "sig"},
        {**rsa_row, "kid": "r512", "alg": "RS512"},
        {**ECAlgorithm.to_jwk(ec_private.public_key(), as_dict=True), "kid": "e"},
        okp("o"),
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric", "alg": "HS256"},
        {**ECAlgorithm.to_jwk(ec_private, as_dict=True), "kid": "private"},
        {**rsa_row, "kid": "encryption", "use": "enc"},
        {**rsa_row, "kid": "ops", "key_ops": ["encrypt"]},
        {**rsa_row, "kid": "mixed", "alg": "HS256"},
        {**rsa_row, "kid": "other", "alg": "PS256"},
        {**rsa_row, "kid": 5},
        {"kty": "RSA", "n": "x", "kid": "broken"},
        {"kid": "empty"},
        {"kty": "EC", "crv": "secp256k1", "kid": "curve"},
    ]
    keys = parse_key_set(json.dumps({"keys": rows}).encode())
    assert {kid: key.algorithm for kid, key in keys.items()} == {
        "r": "RS256",
        "r512": "RS512",
        "e": "ES384",
        "o": "EdDSA",
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 1}',
        b'{"keys": [1]}',
        b"\xff",
        b"[" * 100_000,
        json.dumps({"keys": [{}] * 65}).encode(),
    ],
)
def test_what_is_no_key_set_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse_key_set(body)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def fetched(handler: Handler) -> bytes:
    app = web.Application()
    app.router.add_get("/jwks", handler)
    async with TestServer(app) as server, open_fetch(inside=True) as fetch:
        return await fetch(str(server.make_url("/jwks")))


async def test_the_body_is_fetched_over_http() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b'{"keys": []}')

    assert await fetched(answer) == b'{"keys": []}'


async def test_a_redirect_is_not_followed() -> None:
    async def answer(request: web.Request) -> web.Response:
        raise web.HTTPFound("http://169.254.169.254/")

    with pytest.raises(Failed, match="302"):
        await fetched(answer)


async def test_a_large_body_is_not_read_to_its_end() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=b" " * (300 * 1024))

    with pytest.raises(Failed, match="more than 256 KiB"):
        await fetched(answer)


async def test_nobody_there_is_a_failed_fetch() -> None:
    async with open_fetch(inside=True) as fetch:
        with pytest.raises(Failed):
            await fetch("http://127.0.0.1:1/jwks")
