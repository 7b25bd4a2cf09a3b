"""What a process lets in besides what its configuration says."""

import resource

import pytest

from chat import gate
from chat.gate import used_memory_bytes, within_descriptors


@pytest.mark.parametrize(
    ("descriptors", "limit", "expected"),
    [
        (20_000, 50_000, 18_000),
        (20_000, 0, 18_000),
        (20_000, 100, 100),
        (1024, 50_000, 768),
        (100, 50_000, 1),
        (resource.RLIM_INFINITY, 50_000, 50_000),
        (resource.RLIM_INFINITY, 0, 0),
    ],
)
def test_no_more_connections_than_descriptors(monkeypatch, descriptors, limit, expected):
    monkeypatch.setattr(gate.resource, "getrlimit", lambda _: (descriptors, descriptors))
    assert within_descriptors(limit) == expected


def test_memory_is_what_the_system_says():
    assert 1 << 20 < used_memory_bytes() < 1 << 40
