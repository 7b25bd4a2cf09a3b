"""When not to disturb somebody, and when to try again. Pure; times are integer milliseconds UTC."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from storage.model.notifying import QuietHours

MINUTES_OF_DAY: Final = 24 * 60

MAX_QUIET_DAYS: Final = 8
"""Quiet times that follow on each other without a gap are taken for one, up to here."""

BACKOFF_MS: Final = (2_000, 8_000, 30_000, 120_000, 480_000)

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - a point on a clock on the wall, which has no zone
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class DoNotDisturb:
    """What a user has asked for: hours of the week by the clocks of `zone` (IANA), and until `snoozed_until`, if set.

    A zone that this machine does not know counts as UTC.
    """

    zone: str = "UTC"
    hours: tuple[QuietHours, ...] = field(default=())
    snoozed_until: int | None = None


NEVER: Final = DoNotDisturb()


def quiet_until(wishes: DoNotDisturb, now: int) -> int | None:
    """When the quiet time ends that it is now, None if it is none. At the end itself it is over.

    On the day the clocks go forward, what begins or ends in the hour that there is not does so when that hour would
    have been. On the day they go back, it begins with the first of the two hours and ends with the second: in doubt
    it is quiet.
    """
    until = max(now, wishes.snoozed_until or now)
    zone = _zone(wishes.zone)
    horizon = now + MAX_QUIET_DAYS * MINUTES_OF_DAY * 60_000
    while until < horizon:
        later = _end_of(wishes.hours, zone, until)
        if later is None:
            break
        until = later
    return until if until > now else None


def backoff_ms(attempt: int, random: Callable[[], float]) -> int:
    """How long to wait after the attempt, counted from 1: anything up to its step, so that nobody comes all at once.

    `random` gives [0, 1).
    """
    step = BACKOFF_MS[min(max(attempt, 1), len(BACKOFF_MS)) - 1]
    return int(step * random())


def retry_at(
    now: int, attempt: int, *, ends_at: int, random: Callable[[], float], asked_ms: int | None = None
) -> int | None:
    """When to try again, None if the job's life is over by then. What the provider asked for is waited at least."""
    at = now + backoff_ms(attempt, random) + (asked_ms or 0)
    return at if at < ends_at else None


def _end_of(hours: tuple[QuietHours, ...], zone: ZoneInfo, now: int) -> int | None:
    """The last end of those that it is quiet by now."""
    today = datetime.fromtimestamp(now / 1000, zone).date()
    # A day before for what goes over midnight, and one either side for zones that leave out a day.
    days = [today + timedelta(days=shift) for shift in (-2, -1, 0, 1)]
    ends = [
        end
        for one in hours
        for day in days
        if day.weekday() in one.days
        for start, end in (_span(one, day, zone),)
        if start <= now < end
    ]
    return max(ends, default=None)


def _span(one: QuietHours, day: date, zone: ZoneInfo) -> tuple[int, int]:
    last = day if one.end > one.start else day + timedelta(days=1)
    return _instants(day, one.start, zone)[0], _instants(last, one.end, zone)[-1]


def _instants(day: date, minutes: int, zone: ZoneInfo) -> tuple[int, ...]:
    """When the clocks show it: once, twice when they go back; where they leave it out, when they do."""
    shown = datetime.combine(day, time(minutes // 60, minutes % 60))
    first, second = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return (_ms(first),)
    if first < second:
        return _ms(first), _ms(second)
    # There is no such time: the change lies between the two readings of it.
    before, after = second, first
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return (_ms(after.replace(microsecond=0)),)


def _ms(at: datetime) -> int:
    return (at.replace(tzinfo=None) - _EPOCH) // timedelta(milliseconds=1)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
