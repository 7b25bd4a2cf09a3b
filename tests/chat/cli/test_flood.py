"""A log that says the same thing a thousand times a second says it a few times, and how often it did not."""

import pytest
from structlog import DropEvent

from chat.cli.flood import MAX_EVENTS, Flood


class Log:
    def __init__(self) -> None:
        self.now = 0.0
        self.flood = Flood(burst=20, per_s=10, monotonic=lambda: self.now)

    def say(self, event: str, method: str = "info") -> int | None:
        """How many were left out before this line; None if it is left out itself."""
        try:
            return int(self.flood(None, method, {"event": event}).get("left_out", 0))
        except DropEvent:
            return None


@pytest.mark.parametrize("count", [pytest.param(100_000, id="D10-a-hundred-thousand-lines-in-a-second")])
def test_a_flood_is_a_burst_and_then_a_trickle_that_counts(count: int) -> None:
    log = Log()
    said = []
    for _ in range(count):
        log.now += 1 / count
        said.append(log.say("origin_refused"))
    lines = [left_out for left_out in said if left_out is not None]
    assert 20 <= len(lines) <= 31
    log.now += 60
    assert sum(lines) + (log.say("origin_refused") or 0) == count - len(lines)


def test_other_events_are_not_concerned() -> None:
    log = Log()
    for _ in range(1000):
        log.say("origin_refused")
    assert log.say("serving") == 0


def test_faults_are_all_told() -> None:
    log = Log()
    assert [log.say("request_failed", "exception") for _ in range(1000)] == [0] * 1000


def test_any_number_of_events_takes_bounded_memory() -> None:
    log = Log()
    for number in range(5 * MAX_EVENTS):
        log.say(f"event {number}")
    assert len(log.flood._buckets) <= MAX_EVENTS + 1
