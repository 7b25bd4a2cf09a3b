"""One-time links and the sessions they start."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.admin import links, sessions
from chat.admin.links import UsedLinks, mint, verify
from chat.admin.sessions import csrf_token, from_cookie, is_csrf_token, start, to_cookie
from chat.admin.signing import MAX_CHARACTERS, seal, unseal

SECRET = b"k" * 32
NOW = 1_750_000_000_000


class Claims:
    """What Redis remembers; `away` and `frozen` as Redis can be."""

    def __init__(self) -> None:
        self.claimed: dict[str, float] = {}
        self.away = False
        self.frozen = False

    async def claim(self, key: str, *, ttl_s: float) -> bool:
        if self.away:
            raise ConnectionError
        if self.frozen:
            await asyncio.Event().wait()
        fresh = key not in self.claimed
        self.claimed[key] = ttl_s
        return fresh


@pytest.fixture
def claims() -> Claims:
    return Claims()


def test_a_link_is_good_until_it_expires() -> None:
    token = mint(SECRET, NOW, ttl_s=600)
    link = verify(SECRET, token, NOW + 599_999)
    assert link is not None
    assert (link.minted_at, link.expires_at) == (NOW, NOW + 600_000)
    assert verify(SECRET, token, NOW + 600_000) is None


def test_a_link_of_another_secret_is_refused() -> None:
    assert verify(b"x" * 32, mint(SECRET, NOW), NOW) is None


@given(st.text(max_size=200))
def test_what_we_did_not_sign_is_refused(token: str) -> None:
    assert verify(SECRET, token, NOW) is None
    assert from_cookie(SECRET, token, NOW) is None


@given(st.integers(min_value=0), st.sampled_from("abcXYZ019-_."))
def test_a_changed_character_is_refused_or_changes_nothing(position: int, character: str) -> None:
    token = mint(SECRET, NOW, random=bytes)
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    link = verify(SECRET, changed, NOW)
    assert link is None or link == verify(SECRET, token, NOW)


def test_a_token_that_is_too_long_is_refused_unread() -> None:
    sealed = seal(SECRET, "link", b"x" * MAX_CHARACTERS)
    assert unseal(SECRET, "link", sealed) is None


def test_a_link_is_no_session_and_a_session_no_link() -> None:
    assert from_cookie(SECRET, mint(SECRET, NOW), NOW) is None
    assert verify(SECRET, to_cookie(SECRET, start(NOW)), NOW) is None


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        mint(b"short", NOW)


def test_links_differ() -> None:
    assert mint(SECRET, NOW) != mint(SECRET, NOW)


def link(token: str) -> links.Link:
    found = verify(SECRET, token, NOW)
    assert found is not None
    return found


async def test_a_link_works_once_over_all_processes_and_restarts(claims: Claims) -> None:
    token = mint(SECRET, NOW)
    first, second = UsedLinks(claims, started_at=0), UsedLinks(claims, started_at=0)
    assert await first.use(link(token), NOW)
    assert not await first.use(link(token), NOW)
    assert not await second.use(link(token), NOW)
    assert not await UsedLinks(claims, started_at=NOW + 1).use(link(token), NOW)


async def test_of_many_uses_at_once_one_succeeds(claims: Claims) -> None:
    token = mint(SECRET, NOW)
    used = UsedLinks(claims, started_at=0)
    assert sum(await asyncio.gather(*(used.use(link(token), NOW) for _ in range(20)))) == 1


@pytest.mark.parametrize("frozen", [False, True])
async def test_without_redis_a_link_works_once_per_process(
    claims: Claims, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "CLAIM_TIMEOUT_S", 0.01)
    claims.away, claims.frozen = not frozen, frozen
    token = mint(SECRET, NOW)
    used = UsedLinks(claims, started_at=NOW)
    assert await used.use(link(token), NOW)
    assert not await used.use(link(token), NOW)


async def test_without_redis_a_link_from_before_the_start_is_refused_until_redis_is_back(claims: Claims) -> None:
    token = mint(SECRET, NOW)
    restarted = UsedLinks(claims, started_at=NOW + 1)
    claims.away = True
    assert not await restarted.use(link(token), NOW + 2)
    claims.away = False
    assert await restarted.use(link(token), NOW + 3)


async def test_used_links_are_forgotten_when_they_expire(claims: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "MAX_USED", 3)
    used = UsedLinks(claims, started_at=0)
    for _ in range(3):
        assert await used.use(link(mint(SECRET, NOW)), NOW)
    assert not await used.use(link(mint(SECRET, NOW)), NOW), "at the bound nobody is signed in"
    later = NOW + 600_000
    fresh = verify(SECRET, mint(SECRET, later), later)
    assert fresh is not None
    assert await used.use(fresh, later)


def test_a_session_ends_by_itself() -> None:
    session = start(NOW)
    cookie = to_cookie(SECRET, session)
    last = NOW + int(sessions.SESSION_TTL_S * 1000) - 1
    assert from_cookie(SECRET, cookie, last) == session
    assert from_cookie(SECRET, cookie, last + 1) is None


def test_the_csrf_token_belongs_to_the_session() -> None:
    one, other = start(NOW), start(NOW)
    assert is_csrf_token(SECRET, one, csrf_token(SECRET, one))
    assert not is_csrf_token(SECRET, one, csrf_token(SECRET, other))
    assert not is_csrf_token(SECRET, one, "")
    assert not is_csrf_token(SECRET, one, "\udcff")
