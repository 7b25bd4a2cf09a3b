"""Quiet hours by the clocks on the wall, over every change of them, and how long to wait for another try."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.push.timing import BACKOFF_MS, DoNotDisturb, backoff_ms, quiet_until, retry_at
from storage.model.notifying import QuietHours

BERLIN = "Europe/Berlin"
EVERY_DAY = tuple(range(7))
NIGHT = QuietHours(22 * 60, 7 * 60, EVERY_DAY)
MINUTE = 60_000


def ms(text: str, zone: str = "UTC", *, fold: int = 0) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def at_night(*hours: QuietHours, zone: str = BERLIN) -> DoNotDisturb:
    return DoNotDisturb(zone, hours or (NIGHT,))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ("2026-11-22 21:59:59", None),
        ("2026-11-22 22:00", "2026-11-23 07:00"),
        ("2026-11-23 00:00", "2026-11-23 07:00"),
        ("2026-11-23 06:59:59", "2026-11-23 07:00"),
        ("2026-11-23 07:00", None),
        # The night in which the clocks go forward, and the one in which they go back.
        ("2026-03-28 23:00", "2026-03-29 07:00"),
        ("2026-10-24 23:00", "2026-10-25 07:00"),
    ],
)
def test_a_night_is_quiet_by_the_clocks_on_the_wall(now: str, ends: str | None) -> None:
    assert quiet_until(at_night(), ms(now, BERLIN)) == (None if ends is None else ms(ends, BERLIN))


def test_the_night_of_the_change_is_an_hour_shorter_or_longer() -> None:
    def length_h(evening: str) -> float:
        starts = ms(evening, BERLIN)
        end = quiet_until(at_night(), starts)
        assert end is not None
        return (end - starts) / 3_600_000

    assert [length_h(f"2026-{day} 22:00") for day in ("03-27", "03-28", "10-24")] == [9, 8, 10]


def test_what_ends_in_the_hour_that_is_left_out_ends_when_it_is() -> None:
    wishes = at_night(QuietHours(22 * 60, 2 * 60 + 30, EVERY_DAY))
    assert quiet_until(wishes, ms("2026-03-28 23:00", BERLIN)) == ms("2026-03-29 03:00", BERLIN)


def test_what_begins_in_the_hour_that_is_left_out_begins_when_it_is() -> None:
    wishes, change = at_night(QuietHours(2 * 60 + 30, 5 * 60, EVERY_DAY)), ms("2026-03-29 03:00", BERLIN)
    assert quiet_until(wishes, change - 1) is None
    assert quiet_until(wishes, change) == ms("2026-03-29 05:00", BERLIN)


def test_an_hour_that_comes_twice_is_quiet_from_its_first_time_to_its_second() -> None:
    ending = at_night(QuietHours(22 * 60, 2 * 60 + 30, EVERY_DAY))
    assert quiet_until(ending, ms("2026-10-24 23:00", BERLIN)) == ms("2026-10-25 02:30", BERLIN, fold=1)
    beginning, first = at_night(QuietHours(2 * 60 + 30, 5 * 60, EVERY_DAY)), ms("2026-10-25 02:30", BERLIN)
    assert quiet_until(beginning, first - 1) is None
    assert quiet_until(beginning, first) == ms("2026-10-25 05:00", BERLIN)


def test_a_night_ends_in_the_morning_also_where_the_day_after_is_left_out() -> None:
    # Samoa went from the 29th of December 2011 to the 31st.
    wishes = at_night(zone="Pacific/Apia")
    assert quiet_until(wishes, ms("2011-12-29 23:00", "Pacific/Apia")) == ms("2011-12-31 07:00", "Pacific/Apia")


def test_only_nights_that_begin_on_the_chosen_days_are_quiet() -> None:
    wishes = at_night(QuietHours(22 * 60, 7 * 60, (4,)))  # Fridays
    assert quiet_until(wishes, ms("2026-11-27 23:00", BERLIN)) == ms("2026-11-28 07:00", BERLIN)
    assert quiet_until(wishes, ms("2026-11-28 06:00", BERLIN)) == ms("2026-11-28 07:00", BERLIN)
    assert quiet_until(wishes, ms("2026-11-28 23:00", BERLIN)) is None


def test_quiet_times_that_follow_on_each_other_are_one() -> None:
    weekend = at_night(NIGHT, QuietHours(0, 0, (5, 6)))
    assert quiet_until(weekend, ms("2026-11-27 22:30", BERLIN)) == ms("2026-11-30 07:00", BERLIN)


def test_quiet_at_all_hours_has_an_end_to_look_again() -> None:
    now = ms("2026-11-22 12:00")
    end = quiet_until(at_night(QuietHours(0, 0, EVERY_DAY)), now)
    assert end is not None
    assert timedelta(days=8) <= timedelta(milliseconds=end - now) <= timedelta(days=9)


def test_a_snooze_goes_over_into_the_night() -> None:
    now = ms("2026-11-22 20:00", BERLIN)
    assert quiet_until(DoNotDisturb(BERLIN, (NIGHT,), now + 1), now) == now + 1
    assert quiet_until(DoNotDisturb(BERLIN, (NIGHT,), now + 150 * MINUTE), now) == ms("2026-11-23 07:00", BERLIN)
    assert quiet_until(DoNotDisturb(BERLIN, (), now), now) is None


def test_a_zone_nobody_knows_counts_as_utc() -> None:
    assert quiet_until(at_night(zone="Mars/Olympus"), ms("2026-11-22 22:00")) == ms("2026-11-23 07:00")
    assert quiet_until(at_night(zone="../../etc/passwd"), ms("2026-11-22 12:00")) is None


zones = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"])
hours = st.builds(QuietHours, st.integers(0, 1439), st.integers(0, 1439), st.lists(st.integers(0, 6)).map(tuple))
moments = st.integers(ms("2024-01-01"), ms("2028-01-01"))


@given(zones, st.lists(hours, max_size=4), moments)
def test_at_its_end_a_quiet_time_is_over_unless_there_is_no_end(zone: str, some: list[QuietHours], now: int) -> None:
    wishes = DoNotDisturb(zone, tuple(some))
    end = quiet_until(wishes, now)
    if end is not None:
        assert end > now
        # A moment before it is quiet still, and until the same time.
        assert quiet_until(wishes, end - 1) in {end, quiet_until(wishes, end)}
        if end - now < 8 * 24 * 60 * MINUTE:
            assert quiet_until(wishes, end) is None


@given(zones, hours, moments)
def test_a_time_that_the_clocks_show_within_the_hours_is_quiet(zone: str, one: QuietHours, now: int) -> None:
    shown = datetime.fromtimestamp(now / 1000, ZoneInfo(zone))
    minute = shown.hour * 60 + shown.minute
    if one.start < one.end:
        inside = one.start <= minute < one.end and shown.weekday() in one.days
    else:
        yesterday = (shown.weekday() - 1) % 7
        inside = (minute >= one.start and shown.weekday() in one.days) or (minute < one.end and yesterday in one.days)
    if inside:
        assert quiet_until(DoNotDisturb(zone, (one,)), now) is not None


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_anything_up_to_its_step(attempt: int, dice: float) -> None:
    assert 0 <= backoff_ms(attempt, lambda: dice) < BACKOFF_MS[min(attempt, 5) - 1]


def test_nothing_is_tried_again_after_its_life() -> None:
    def half() -> float:
        return 0.5

    assert retry_at(1000, 1, ends_at=10_000, random=half) == 2000
    assert retry_at(1000, 2, ends_at=5000, random=half) is None
    assert retry_at(1000, 1, ends_at=10_000, random=half, asked_ms=3000) == 5000
    assert retry_at(1000, 1, ends_at=10_000, random=half, asked_ms=60_000) is None
