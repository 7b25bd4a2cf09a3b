"""Putting the samples of several processes together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from chat.metrics import families as module
from chat.metrics.families import Exposed, Family, ProcessSamples, Retired, merge, retire, take
from chat.metrics.registry import process_registry

NOTHING_RETIRED = Retired([], [])


def samples(process: str, families: list[Family], *, slot: str = "0", written_at: int = 1_000) -> ProcessSamples:
    return ProcessSamples(process, slot, 1, written_at, families)


def counted(value: float, name: str = "hubbub_deliveries") -> list[Family]:
    return [Family(name, "Help.", "counter", [(f"{name}_total", (), value)])]


def value(families: list[Family], name: str, **labels: str) -> float | None:
    wanted = tuple(sorted(labels.items()))
    found = [
        value
        for family in families
        for sample, sample_labels, value in family.samples
        if sample == name and tuple(sorted(sample_labels)) == wanted
    ]
    assert len(found) <= 1
    return found[0] if found else None


def test_counters_and_gauges_of_processes_are_summed() -> None:
    gauge = [Family("hubbub_connections", "Help.", "gauge", [("hubbub_connections", (("codec", "json"),), 4.0)])]
    merged = merge(
        [samples("a", counted(3) + gauge), samples("b", counted(5) + gauge, slot="1")], NOTHING_RETIRED, now=1_000
    )

    assert value(merged, "hubbub_deliveries_total") == 8
    assert value(merged, "hubbub_connections", codec="json") == 8
    assert value(merged, "hubbub_processes") == 2


def test_a_bus_that_is_dead_for_one_process_shows_as_dead() -> None:
    def bus(alive: float) -> list[Family]:
        return [Family("hubbub_bus_alive", "Help.", "gauge", [("hubbub_bus_alive", (), alive)])]

    merged = merge([samples("a", bus(1)), samples("b", bus(0)), samples("c", bus(1))], NOTHING_RETIRED, now=1_000)
    assert value(merged, "hubbub_bus_alive") == 0


def test_what_belongs_to_a_process_stays_apart_by_slot() -> None:
    memory = [Family("process_resident_memory_bytes", "H.", "gauge", [("process_resident_memory_bytes", (), 7.0)])]
    merged = merge([samples("a", memory), samples("b", memory, slot="1")], NOTHING_RETIRED, now=1_000)

    assert value(merged, "process_resident_memory_bytes", process="0") == 7
    assert value(merged, "process_resident_memory_bytes", process="1") == 7


def test_a_process_that_hangs_shows_by_the_age_of_its_samples() -> None:
    merged = merge([samples("a", [], written_at=500), samples("b", [], slot="1")], NOTHING_RETIRED, now=8_000)
    assert value(merged, "hubbub_process_sample_age_seconds", process="0") == 7.5
    assert value(merged, "hubbub_process_sample_age_seconds", process="1") == 7.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(min_value=0, max_value=50), st.booleans()), max_size=40))
def test_counters_never_go_backwards_whatever_ends_and_starts(steps: list[tuple[str, int, bool]]) -> None:
    retired, living, generation, before = NOTHING_RETIRED, dict[str, float](), 0, 0.0
    for process, increment, ends in steps:
        living[process] = living.get(process, 0.0) + increment
        if ends:
            generation += 1
            retired = retire(retired, [samples(f"{process}{generation}", counted(living.pop(process)))])
        merged = merge([samples(p, counted(v)) for p, v in living.items()], retired, now=0)
        now = value(merged, "hubbub_deliveries_total") or 0.0
        assert now == before + increment
        before = now


def test_retiring_a_process_twice_counts_it_once() -> None:
    ended = [samples("a", counted(3))]
    once = retire(NOTHING_RETIRED, ended)
    assert retire(once, ended) == once


def test_only_counters_and_histograms_outlive_their_process() -> None:
    registry = process_registry("1.0")
    Gauge("hubbub_users", "H.", registry=registry).set(4)
    Counter("hubbub_deliveries", "H.", registry=registry).inc(2)
    Histogram("hubbub_ack_duration_seconds", "H.", registry=registry).observe(0.1)
    merged = merge([], retire(NOTHING_RETIRED, [samples("a", take(registry.collect()))]), now=0)

    assert value(merged, "hubbub_deliveries_total") == 2
    assert value(merged, "hubbub_ack_duration_seconds_count") == 1
    assert value(merged, "hubbub_users") is None
    assert not [family for family in merged if family.name.startswith(("process_", "python_"))]


def test_one_process_looks_as_prometheus_client_would_show_it() -> None:
    registry = CollectorRegistry()
    Counter("hubbub_deliveries", 'With "quotes"\nand lines.', ["codec"], registry=registry).labels('a"b\n').inc(2)
    Histogram("hubbub_ack_duration_seconds", "H.", registry=registry).observe(0.1)
    expected = [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]

    exposed = generate_latest(Exposed(take(registry.collect()))).decode().splitlines()
    assert sorted(exposed) == sorted(expected)


def test_series_without_bound_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SERIES", 100)
    runaway = [Family("hubbub_x", "H.", "counter", [("hubbub_x_total", (("l", str(i)),), 1.0) for i in range(500)])]
    merged = merge([samples("a", runaway)], retire(NOTHING_RETIRED, [samples("b", runaway)]), now=0)
    assert sum(len(family.samples) for family in merged) == 100


def test_a_family_that_changed_its_type_between_releases_keeps_one() -> None:
    as_gauge = [Family("hubbub_deliveries", "H.", "gauge", [("hubbub_deliveries", (), 1.0)])]
    merged = merge([samples("a", counted(3)), samples("b", as_gauge)], NOTHING_RETIRED, now=0)
    assert [family.type for family in merged if family.name == "hubbub_deliveries"] == ["counter"]
