"""How often a sign-in may fail."""

import pytest

from chat.admin.throttle import MAX_ADDRESSES, Throttle


def failures_until_refused(throttle: Throttle, address: str, now: float) -> int:
    count = 0
    while throttle.wait_s(address, now) == 0:
        throttle.failed(address, now)
        count += 1
    return count


def test_a_burst_is_allowed_and_then_one_after_another() -> None:
    throttle = Throttle(burst=5, every_s=6.0)
    assert failures_until_refused(throttle, "203.0.113.1", 0.0) == 5
    assert throttle.wait_s("203.0.113.1", 0.0) == pytest.approx(6.0)
    assert failures_until_refused(throttle, "203.0.113.1", 6.0) == 1
    assert failures_until_refused(throttle, "203.0.113.1", 1_000.0) == 5


def test_addresses_do_not_disturb_each_other() -> None:
    throttle = Throttle(burst=2, every_s=6.0)
    failures_until_refused(throttle, "203.0.113.1", 0.0)
    assert throttle.wait_s("203.0.113.2", 0.0) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8::1", "2001:db8:0:0:ffff::9"),
        ("::ffff:203.0.113.1", "203.0.113.1"),
        ("fe80::1%eth0", "fe80::2"),
        ("", "no address"),
    ],
)
def test_addresses_of_one_host_are_one(one: str, other: str) -> None:
    throttle = Throttle(burst=2, every_s=6.0)
    failures_until_refused(throttle, one, 0.0)
    assert throttle.wait_s(other, 0.0) > 0


def test_any_number_of_addresses_takes_bounded_memory() -> None:
    throttle = Throttle(burst=2, every_s=6.0)
    for number in range(3 * MAX_ADDRESSES):
        throttle.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(throttle._empty_at) == MAX_ADDRESSES
