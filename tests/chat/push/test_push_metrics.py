"""What a worker counts of push, as it is scraped."""

import pytest
from prometheus_client import CollectorRegistry

from chat.push.breaker import BreakerSettings
from chat.push.lanes import LaneRuntime
from chat.push.metrics import PushMetrics
from storage.model.push import Step, Trace

LANE = "apns|production|org.example.app"
NOW = 1_700_000_000_000


def step(kind: Step, outcome: str, reason: str = "") -> Trace:
    return Trace(NOW, kind, "conversation", 1, 2, outcome, reason, "ada", "ada|phone", LANE)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> PushMetrics:
    return PushMetrics(registry)


def test_every_step_is_counted_by_what_came_of_it(registry: CollectorRegistry, metrics: PushMetrics) -> None:
    for trace in (
        step(Step.PLANNED, "job"),
        step(Step.DECIDED, "send", "offline"),
        step(Step.DECIDED, "send", "offline"),
        step(Step.DECIDED, "suppress", "muted"),
        step(Step.ANSWERED, "alert:accepted"),
        step(Step.ANSWERED, "clear:later", "busy"),
        step(Step.ENDED, "dead_letter", "busy"),
        step(Step.CONFIRMED, "shown"),
    ):
        metrics.count(trace)
    value = registry.get_sample_value
    assert value("hubbub_push_decisions_total", {"outcome": "send", "reason": "offline"}) == 2
    assert value("hubbub_push_decisions_total", {"outcome": "suppress", "reason": "muted"}) == 1
    assert value("hubbub_push_answers_total", {"provider": "apns", "kind": "alert", "outcome": "accepted"}) == 1
    assert value("hubbub_push_answers_total", {"provider": "apns", "kind": "clear", "outcome": "later"}) == 1
    assert value("hubbub_push_ended_total", {"outcome": "dead_letter"}) == 1
    told = [sample for family in registry.collect() for sample in family.samples if sample.name.endswith("_total")]
    assert len(told) == 6


def test_no_label_names_a_user_a_device_or_a_conversation(registry: CollectorRegistry, metrics: PushMetrics) -> None:
    for kind in Step:
        metrics.count(step(kind, "alert:accepted", "offline"))
    metrics.lanes = lambda: [LaneRuntime(LANE, 5, lambda: 0.5, BreakerSettings()).status(NOW)]
    labels = {name for family in registry.collect() for sample in family.samples for name in sample.labels}
    assert labels == {"outcome", "reason", "provider", "kind", "lane", "le"}


def test_how_late_pushes_are_is_told_in_seconds_and_never_below_zero(
    registry: CollectorRegistry, metrics: PushMetrics
) -> None:
    for delay_s in (-1.0, 0.3, 700.0):
        metrics.accepted(delay_s)
    value = registry.get_sample_value
    name = "hubbub_push_accepted_delay_seconds"
    assert value(f"{name}_count") == 3
    assert value(f"{name}_sum") == pytest.approx(700.3)
    assert [value(f"{name}_bucket", {"le": le}) for le in ("0.25", "0.5", "512.0", "+Inf")] == [1, 2, 2, 3]


def test_lanes_and_lost_traces_are_as_they_are_when_it_is_scraped(
    registry: CollectorRegistry, metrics: PushMetrics
) -> None:
    def told() -> tuple[float | None, ...]:
        names = ("running", "lane_open", "lane_suspect")
        return tuple(registry.get_sample_value(f"hubbub_push_{name}", {"lane": LANE}) for name in names)

    assert told() == (None, None, None)
    lane = LaneRuntime(LANE, 5, lambda: 0.5, BreakerSettings(gone=0, gone_share=0.0))
    metrics.lanes = lambda: [lane.status(NOW)]
    metrics.traces_lost = lambda: 3
    lane.running = 2
    assert told() == (2, 0, 0)
    lane.breaker.refused(NOW, "invalid_provider_token")
    lane.deletions.gone(NOW)
    assert told() == (2, 1, 1)
    assert registry.get_sample_value("hubbub_push_traces_lost_total") == 3
