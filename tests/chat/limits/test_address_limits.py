"""What may come from one address."""

from collections import Counter

from chat.limits.addresses import AddressLimits
from chat.limits.buckets import Buckets
from realtime.rates import Rate


def limits(counts: Counter[str], *, upgrades: Rate | None = None, failed: Rate | None = None) -> AddressLimits:
    return AddressLimits(upgrades, failed, counted=lambda limit: counts.update([limit]), monotonic=lambda: 1000.0)


def test_so_many_upgrades_pass_and_one_more_is_told_how_long_to_wait():
    counts = Counter()
    addresses = limits(counts, upgrades=Rate(2, 3))
    assert [addresses.upgrade("8.8.8.8") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert addresses.upgrade("8.8.8.9") == 0
    assert counts == {"address_upgrades": 1}


def test_an_ipv6_host_does_not_get_around_it_by_another_address_of_its_network():
    addresses = limits(Counter(), upgrades=Rate(1, 1))
    assert addresses.upgrade("2a00:1:2:3::1") == 0
    assert addresses.upgrade("2a00:1:2:3:ffff::9") > 0
    assert addresses.upgrade("2a00:1:2:4::1") == 0


def test_private_addresses_open_as_many_connections_as_they_like():
    addresses = limits(Counter(), upgrades=Rate(1, 1))
    assert all(addresses.upgrade(private) == 0 for private in ("127.0.0.1", "10.0.0.1", "::1", "") for _ in range(10))


def test_so_many_sign_ins_may_fail_and_one_more_is_refused():
    counts = Counter()
    addresses = limits(counts, failed=Rate(1 / 6, 3, "failed sign-ins", "from one address"))
    assert [addresses.failed("10.0.0.1") for _ in range(3)] == [None] * 3
    refusal = addresses.failed("10.0.0.1")
    assert refusal is not None
    assert refusal.detail == "10 failed sign-ins a minute from one address, 3 at once; retry_after_ms=6000"
    assert addresses.failed_fields("10.0.0.1") == {
        "RateLimit-Policy": '"failed-sign-ins";q=3;w=18',
        "RateLimit": '"failed-sign-ins";r=0;t=18',
    }
    assert counts == {"address_failed_sign_ins": 1}


def test_without_limits_everything_passes():
    addresses = limits(Counter())
    assert all(addresses.upgrade("8.8.8.8") == 0 and addresses.failed("8.8.8.8") is None for _ in range(1000))
    assert addresses.failed_fields("8.8.8.8") == {}


def test_any_number_of_addresses_takes_bounded_memory():
    buckets = Buckets(Rate(1, 2), most=100)
    for number in range(300):
        buckets.take(f"key{number}", 0.0)
    assert len(buckets) == 100
    assert buckets.take("key299", 0.0) == 0
    assert buckets.take("key299", 0.0) > 0
    assert buckets.take("key0", 0.0) == 0
