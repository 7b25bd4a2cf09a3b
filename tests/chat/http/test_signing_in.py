"""Tokens at the two doors, the socket and REST: the same token is refused at both, each in its own words."""

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from chat.auth.mint import connection_token
from chat.config import Secret
from support.app import SECRET, App, serve_app, test_config
from support.tokens import b64, forged
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(_mongodb, _redis, mongodb_url, redis_url) -> AsyncIterator[App]:
    """A hub that goes on listening to who shows one bad token after the other."""
    name = f"test_{secrets.token_hex(6)}"
    config = test_config(
        mongodb_url, name, redis_url, name, rate_limits__address_failed_sign_ins=0, client__expired_close_delay="1s"
    )
    async with serve_app(config) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


def claims(**more: Any) -> dict[str, Any]:
    return {"sub": "alice", "exp": int(time.time()) + 60, **more}


def of(header: dict[str, Any], **more: Any) -> str:
    return forged(header, claims(**more), SECRET)


def minted(secret: str = SECRET, ttl_s: float = 60, algorithm: str = "HS256") -> str:
    return connection_token("alice", Secret(secret), now_s=time.time(), ttl_s=ttl_s, algorithm=algorithm)


EXPIRED, BAD = 109, 3500
TOKENS: dict[str, tuple[Callable[[], str], int]] = {
    "H14-no-token": (lambda: "", BAD),
    "H14-not-a-token": (lambda: "nonsense", BAD),
    "H14-of-another-key": (lambda: minted("another-secret-that-is-long-enough-for-hmac"), BAD),
    "H14-expired": (lambda: minted(ttl_s=-10), EXPIRED),
    "J1-none": (lambda: f"{b64({'alg': 'none'})}.{b64(claims())}.", BAD),
    "J2-of-another-algorithm": (lambda: minted(algorithm="HS512"), BAD),
    "J6-without-its-signature": (lambda: minted().rpartition(".")[0], BAD),
    "J7-with-an-equals-sign": (lambda: minted() + "=", BAD),
    "J8-a-kid-that-is-a-path": (lambda: of({"alg": "HS256", "kid": "../" * 50}), BAD),
    "J11-with-crit": (lambda: of({"alg": "HS256", "crit": ["exp"]}), BAD),
    "J12-a-refresh-token": (lambda: of({"alg": "HS256", "typ": "refresh+jwt"}), BAD),
    "J14-expired-a-moment-ago": (lambda: of({"alg": "HS256"}, exp=int(time.time()) - 1), EXPIRED),
    "J15-without-exp": (lambda: forged({"alg": "HS256"}, {"sub": "alice"}, SECRET), BAD),
    "J16-exp-is-text": (lambda: of({"alg": "HS256"}, exp="1999999999"), BAD),
    "J23-sub-is-an-operator": (lambda: of({"alg": "HS256"}, sub={"$ne": None}), BAD),
    "J24-sub-of-two-lines": (lambda: of({"alg": "HS256"}, sub="alice\nbob"), BAD),
    "J25-claims-of-1000-levels": (lambda: forged({"alg": "HS256"}, "[" * 1000 + "]" * 1000, SECRET), BAD),
}


@pytest.mark.parametrize(("make", "answer"), TOKENS.values(), ids=TOKENS)
async def test_a_bad_token_opens_neither_door(app: App, http, make: Callable[[], str], answer: int):
    token = make()
    async with wire_client(app.websocket) as client:
        command = await client.send(connect={"token": token} if token else {})
        await client.until(lambda: client.close_code is not None or command in client.replies)
        if answer == EXPIRED:
            assert client.replies[command]["error"]["code"] == EXPIRED
        else:
            assert client.close_code == answer
            assert client.replies == {}
    response = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"} if token else {})
    problem = await response.json()
    assert response.status == 401
    assert problem["code"] == ("token_expired" if answer == EXPIRED else "unauthorized")
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    assert ('error="invalid_token"' in challenge) is bool(token)
    assert not token or token not in f"{problem} {challenge}"


@pytest.mark.parametrize("size", [9_000, 900_000], ids="J26-{}-bytes".format)
async def test_a_huge_token_is_refused_before_it_is_looked_at(app: App, http, size: int):
    token = of({"alg": "HS256"}, info="x" * (size * 3 // 4))
    async with wire_client(app.websocket) as client:
        started = time.process_time()
        await client.send(connect={"token": token})
        assert await client.closed() == 3500
        assert time.process_time() - started < 0.5
    response = await http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert response.status == 400


REFRESHES: dict[str, tuple[Callable[[App], str], int]] = {
    "J30-of-another-user": (lambda app: app.token("bob"), 3500),
    "J30-of-another-key": (lambda app: minted("another-secret-that-is-long-enough-for-hmac"), 3500),
    "J30-nonsense": (lambda app: "nonsense", 3500),
    "J30-expired": (lambda app: minted(ttl_s=-10), 3005),
    "J30-for-a-channel": (lambda app: of({"alg": "HS256"}, channel="news:x"), 3500),
}


@pytest.mark.parametrize(("make", "code"), REFRESHES.values(), ids=REFRESHES)
async def test_a_live_socket_is_not_refreshed_by_a_token_that_is_not_its_user_s(
    app: App, make: Callable[[App], str], code: int
):
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        await alice.send(refresh={"token": make(app)})
        assert await alice.closed() == code
