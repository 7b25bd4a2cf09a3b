"""How old a provider token may get, and how soon it may be replaced."""

import base64
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.apns.settings import TokenSettings
from chat.push.apns.tokens import InvalidKey, Key, ProviderToken
from support.apns_lab import KEY_ID, NOW_S, TEAM, Clock, key_of

MINUTE_S = 60.0


class Clocks:
    """Both of a process, by hand: `sleep` is a machine that stands still."""

    def __init__(self) -> None:
        self.wall = Clock()
        self.monotonic = Clock(1000.0)

    def move(self, seconds: float) -> None:
        self.wall.now_s += seconds
        self.monotonic.now_s += seconds

    def token(self, key: Key | None = None, random: float = 0.5) -> ProviderToken:
        return ProviderToken(key or key_of(), clock=self.wall, monotonic=self.monotonic, random=lambda: random)


def _part(token: str, number: int) -> dict[str, object]:
    part = token.split(".")[number]
    found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(found, dict)
    return found


def test_it_says_who_and_when_and_nothing_else() -> None:
    token = Clocks().token().current()
    assert _part(token, 0) == {"alg": "ES256", "kid": KEY_ID, "typ": "JWT"}
    assert _part(token, 1) == {"iss": TEAM, "iat": int(NOW_S)}


@pytest.mark.parametrize(("random", "minutes"), [(0.0, 40), (0.5, 45), (0.999, 49.98)])
def test_it_serves_between_40_and_50_minutes(random: float, minutes: float) -> None:
    clocks = Clocks()
    token = clocks.token(random=random)
    first = token.current()
    clocks.move(minutes * MINUTE_S - 2)
    assert token.current() == first
    clocks.move(5)
    second = token.current()
    assert second != first
    assert _part(second, 1)["iat"] == int(clocks.wall.now_s)


def test_one_that_is_refused_is_replaced_when_it_is_20_minutes_old() -> None:
    clocks = Clocks()
    token = clocks.token()
    first = token.current()
    clocks.move(19 * MINUTE_S)
    assert token.after(first) is None
    assert token.renewable_in_s == pytest.approx(MINUTE_S)
    assert token.current() == first
    clocks.move(MINUTE_S)
    assert token.renewable_in_s == 0
    second = token.after(first)
    assert second not in {None, first}
    assert token.current() == second


def test_a_crowd_that_is_refused_gets_one_new_token() -> None:
    clocks = Clocks()
    token = clocks.token()
    first = token.current()
    clocks.move(30 * MINUTE_S)
    assert len({token.after(first) for _ in range(100)}) == 1


def test_a_machine_that_slept_makes_a_new_one() -> None:
    clocks = Clocks()
    token = clocks.token()
    first = token.current()
    clocks.wall.now_s += 3 * 3600
    assert token.current() != first


def test_a_clock_that_is_set_back_makes_no_token_live_longer() -> None:
    clocks = Clocks()
    token = clocks.token()
    first = token.current()
    clocks.wall.now_s -= 10 * 3600
    clocks.move(46 * MINUTE_S)
    assert token.current() != first


@given(st.lists(st.tuples(st.floats(0, 3000), st.booleans()), min_size=1, max_size=60), st.floats(0, 0.999))
def test_never_two_within_20_minutes_and_never_one_of_an_hour(steps: list[tuple[float, bool]], random: float) -> None:
    clocks = Clocks()
    token = clocks.token(random=random)
    made: dict[str, float] = {}
    for seconds, refused in steps:
        clocks.move(seconds)
        used = token.current()
        made.setdefault(used, clocks.wall.now_s)
        assert clocks.wall.now_s - made[used] <= 50 * MINUTE_S
        if refused and (newer := token.after(used)) is not None:
            made.setdefault(newer, clocks.wall.now_s)
    times = sorted(made.values())
    assert all(later - earlier >= 20 * MINUTE_S - 1 for earlier, later in pairwise(times))


def test_settings_cannot_make_it_change_faster_than_allowed() -> None:
    clocks = Clocks()
    settings = TokenSettings(refresh_after_s=1, refresh_before_s=2)
    token = ProviderToken(key_of(), settings, clock=clocks.wall, monotonic=clocks.monotonic, random=lambda: 0.0)
    first = token.current()
    clocks.move(19 * MINUTE_S)
    assert token.current() == first


@pytest.mark.parametrize("pem", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused_without_being_told(pem: str) -> None:
    with pytest.raises(InvalidKey) as caught:
        ProviderToken(Key(TEAM, KEY_ID, pem))
    assert not pem or pem not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_key_is_in_no_repr() -> None:
    key = key_of()
    token = Clocks().token(key)
    token.current()
    for text in (repr(key), repr(token)):
        assert "PRIVATE" not in text
        assert token.current() not in text
