"""Verified tokens are remembered while they are good, and never more than the bound."""

from chat.auth.cache import ClaimsCache
from chat.auth.claims import Claims


def claims(*, valid_until_s: int | None = None, expire_at_s: int | None = None) -> Claims:
    return Claims(user="anna", expire_at_s=expire_at_s, valid_until_s=valid_until_s)


def test_a_token_is_remembered_until_it_expires() -> None:
    cache = ClaimsCache()
    good = claims(valid_until_s=110)
    cache.put("t", good, 100)
    assert cache.get("t", 109.9) is good
    assert cache.get("t", 110) is None
    assert len(cache) == 0


def test_a_token_is_remembered_until_its_connection_expires() -> None:
    cache = ClaimsCache()
    cache.put("t", claims(valid_until_s=200, expire_at_s=110), 100)
    assert cache.get("t", 110) is None


def test_a_token_that_never_expires_is_verified_again_after_a_while() -> None:
    cache = ClaimsCache(max_age_s=300)
    cache.put("t", claims(), 100)
    assert cache.get("t", 399) is not None
    assert cache.get("t", 400) is None


def test_the_least_recently_used_goes_first() -> None:
    cache = ClaimsCache(max_entries=2)
    cache.put("a", claims(), 0)
    cache.put("b", claims(), 0)
    assert cache.get("a", 1) is not None
    cache.put("c", claims(), 0)
    assert [cache.get(token, 1) is not None for token in "abc"] == [True, False, True]
    assert len(cache) == 2


def test_tokens_themselves_are_not_kept() -> None:
    cache = ClaimsCache()
    cache.put("eyJsecret", claims(), 0)
    assert "eyJsecret" not in repr(vars(cache))
