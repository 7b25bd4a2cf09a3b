"""The counters of a hub as Prometheus sees them."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from realtime.stats import COMMANDS, MAX_CODES, Stats


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def stats(registry: CollectorRegistry) -> Stats:
    return Stats(registry)


def test_integers_become_samples_only_when_scraped(registry: CollectorRegistry, stats: Stats) -> None:
    stats.deliveries += 3
    stats.connections["protobuf"] += 2
    stats.bytes_out += 150

    assert registry.get_sample_value("hubbub_deliveries_total") == 3
    assert registry.get_sample_value("hubbub_connections", {"codec": "protobuf"}) == 2
    assert registry.get_sample_value("hubbub_connections", {"codec": "json"}) == 0
    assert registry.get_sample_value("hubbub_sent_bytes_total") == 150


def test_disconnects_unsubscribes_and_errors_are_counted_by_code(registry: CollectorRegistry, stats: Stats) -> None:
    stats.disconnected(3008)
    stats.disconnected(3008)
    stats.disconnected(0)
    stats.unsubscribed(2502)
    stats.failed(103)

    assert registry.get_sample_value("hubbub_disconnects_total", {"code": "3008"}) == 2
    assert registry.get_sample_value("hubbub_disconnects_total", {"code": "0"}) == 1
    assert registry.get_sample_value("hubbub_unsubscribes_total", {"code": "2502"}) == 1
    assert registry.get_sample_value("hubbub_errors_total", {"code": "103"}) == 1


def test_any_number_of_codes_makes_a_bounded_number_of_series(registry: CollectorRegistry, stats: Stats) -> None:
    for code in range(4000, 5000):
        stats.disconnected(code)

    assert len(stats.disconnects) == MAX_CODES + 1
    assert registry.get_sample_value("hubbub_disconnects_total", {"code": "other"}) == 1000 - MAX_CODES


def test_every_command_has_its_duration_without_a_lookup_by_label(registry: CollectorRegistry, stats: Stats) -> None:
    stats.command_duration["rpc"].observe(0.003)

    assert set(stats.command_duration) == set(COMMANDS)
    assert registry.get_sample_value("hubbub_command_duration_seconds_count", {"command": "rpc"}) == 1


def test_names_follow_the_conventions(registry: CollectorRegistry, stats: Stats) -> None:
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))

    assert all(family.name.startswith("hubbub_") for family in families)
    assert all(family.documentation.endswith(".") for family in families if not family.name.endswith("_created"))
    for family in families:
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total"}
    assert len({family.name for family in families}) == len(families)


def test_it_keeps_no_dict_of_attributes(stats: Stats) -> None:
    assert not hasattr(stats, "__dict__")
