"""Durations and errors of methods."""

from prometheus_client import CollectorRegistry

from chat.metrics import methods
from chat.metrics.methods import MethodStats


def test_a_method_that_a_client_made_up_is_no_label() -> None:
    registry = CollectorRegistry()
    stats = MethodStats(registry, ["message.send"])
    for number in range(100):
        stats.failed(f"made.up{number}", "not_available")
    stats.failed("message.send", "conflict")

    errors = "hubbub_method_errors_total"
    assert registry.get_sample_value(errors, {"method": "unknown", "error": "not_available"}) == 100
    assert registry.get_sample_value(errors, {"method": "message.send", "error": "conflict"}) == 1
    assert len(stats.errors) == 2


def test_errors_are_bounded() -> None:
    stats = MethodStats(CollectorRegistry(), ["message.send"])
    for number in range(methods.MAX_ERRORS + 10):
        stats.failed("message.send", str(number))
    assert len(stats.errors) == methods.MAX_ERRORS


def test_the_ack_has_a_histogram_of_its_own() -> None:
    registry = CollectorRegistry()
    stats = MethodStats(registry, ["message.send", "history.page"])
    stats.ack.observe(0.004)
    stats.duration["history.page"].observe(0.001)

    assert registry.get_sample_value("hubbub_ack_duration_seconds_bucket", {"le": "0.005"}) == 1
    assert registry.get_sample_value("hubbub_method_duration_seconds_count", {"method": "history.page"}) == 1
