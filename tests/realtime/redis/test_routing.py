import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.redis.routing import Routing

SERVERS = ["a:6379/0", "b:6379/0", "c:6379/0"]
CHANNELS = [f"conv:{number}" for number in range(3_000)]


@given(st.permutations(SERVERS), st.text(max_size=30))
def test_the_order_of_the_list_does_not_matter(servers: list[str], channel: str) -> None:
    assert servers[Routing(servers).server_of(channel)] == SERVERS[Routing(SERVERS).server_of(channel)]


def test_channels_are_spread_evenly() -> None:
    routing = Routing(SERVERS)
    counts = [0, 0, 0]
    for channel in CHANNELS:
        counts[routing.server_of(channel)] += 1

    assert all(900 < count < 1_100 for count in counts)


def test_without_a_server_only_its_channels_move() -> None:
    three, two = Routing(SERVERS), Routing(SERVERS[:2])

    assert all(three.server_of(channel) in (2, two.server_of(channel)) for channel in CHANNELS)


@pytest.mark.parametrize("servers", [[], ["a:6379/0", "a:6379/0"]])
def test_a_list_that_cannot_be_meant_is_refused(servers: list[str]) -> None:
    with pytest.raises(ValueError):
        Routing(servers)
