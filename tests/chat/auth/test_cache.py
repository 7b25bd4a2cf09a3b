"""Verified tokens are remembered while they are good, and never more than the bound."""

from chat.auth.cache import ClaimsCache
from chat.auth.claims import Claims
from realtime.backend import Credential


def claims(*, valid_until_s: int | None = None, expire_at_s: int | None = None) -> Claims:
    return Claims(user="anna", expire_at_s=expire_at_s, valid_until_s=valid_until_s)


def test_a_token_is_remembered_until_it_expires() -> None:
    cache = ClaimsCache()
    good = claims(valid_until_s=110)
    cache.put("t", good, 100)
    known = cache.get("t", 109.9)
    assert known is not None
    assert known.claims is good
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


def credential(*names: str, key: str = "") -> Credential:
    return Credential(names, key=key)


def test_what_was_decided_about_a_user_or_a_token_is_looked_up_again() -> None:
    cache = ClaimsCache()
    for name, user in (("t1", "anna"), ("t2", "ben"), ("t3", "cleo")):
        cache.put(name, Claims(user, None, credential=credential(name)), 0).unrestricted = True
    cache.doubt({"anna"}, {"t2"})
    assert [known.unrestricted for name in ("t1", "t2", "t3") if (known := cache.get(name, 1))] == [False, False, True]


def test_tokens_of_a_withdrawn_key_are_forgotten() -> None:
    cache = ClaimsCache()
    cache.put("t1", Claims("anna", None, credential=credential(key="k1")), 0)
    cache.put("t2", Claims("anna", None, credential=credential(key="k2")), 0)
    cache.forget_keys({"k1"})
    assert [cache.get(name, 1) is None for name in ("t1", "t2")] == [True, False]
