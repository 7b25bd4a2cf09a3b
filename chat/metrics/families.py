"""Samples of several processes become those of one node. Pure: takes what a registry collected, gives what it exposes.

Counters and histograms are summed, with those of processes that ended as a base, so that they never go backwards.
Gauges are summed where a sum means something, else the lowest or highest is taken; what belongs to an operating-system
process (`process_*`, `python_*`) stays apart under a `process` label: the slot of the process, not its id, so that
restarts do not make new series.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

MAX_SERIES: Final = 20_000
"""Series of one node. A bug that makes labels without bound is cut off here, not in the memory of whoever scrapes."""

_LABELLED: Final = ("process_", "python_")
_LOWEST: Final = frozenset({"hubbub_bus_alive", "hubbub_log_available"})
_HIGHEST: Final = frozenset({"hubbub_build"})
_SUMMED: Final = frozenset({"counter", "histogram", "summary", "gaugehistogram"})

Labels = tuple[tuple[str, str], ...]


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric family. `samples`: (name, labels, value), the name as exposed (`…_total`, `…_bucket`)."""

    name: str
    help: str
    type: str
    samples: list[tuple[str, Labels, float]]


class ProcessSamples(msgspec.Struct, frozen=True, array_like=True):
    """What one process last wrote, at `written_at` (ms). `slot` is its place on its node: `0`, `1`, `worker`."""

    process: str
    slot: str
    pid: int
    written_at: int
    families: list[Family]


class Retired(msgspec.Struct, frozen=True, array_like=True):
    """The counters of processes that ended. `folded`: those of them whose files may still be there."""

    folded: list[str]
    families: list[Family]


def take(collected: Iterable[Metric]) -> list[Family]:
    """What a registry collected, without the creation times (of no use once summed)."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [
                (sample.name, tuple(sample.labels.items()), float(sample.value))
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ],
        )
        for metric in collected
    ]


def retire(base: Retired, ended: Sequence[ProcessSamples]) -> Retired:
    """`base` with the counters and histograms of the processes that `ended`; those it contains already are left out."""
    fresh = [samples for samples in ended if samples.process not in base.folded]
    merge = _Merge()
    merge.add_all(base.families)
    for samples in fresh:
        merge.add_all(family for family in samples.families if family.type in _SUMMED and not _is_labelled(family))
    return Retired([*base.folded, *(samples.process for samples in fresh)], merge.families())


def merge(living: Sequence[ProcessSamples], retired: Retired, *, now: int) -> list[Family]:
    """The samples of a node at `now` (ms), sorted by name. At most `MAX_SERIES`: what is above is left out."""
    result = _Merge()
    result.add_all(retired.families)
    ages: list[tuple[str, Labels, float]] = []
    for samples in living:
        result.add_all(samples.families, slot=samples.slot)
        age_s = max(0, now - samples.written_at) / 1000
        ages.append(("hubbub_process_sample_age_seconds", (("process", samples.slot),), age_s))
    result.add_all(
        [
            Family(
                "hubbub_process_sample_age_seconds",
                "How long ago a process wrote its samples; grows if it hangs.",
                "gauge",
                ages,
            ),
            Family("hubbub_processes", "Living processes.", "gauge", [("hubbub_processes", (), float(len(living)))]),
        ]
    )
    return result.families()


class Exposed(Collector):
    """Families as something that prometheus_client's encoders take."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Each family with its samples."""
        for family in self._families:
            metric = Metric(family.name, family.help, family.type)
            for name, labels, value in family.samples:
                metric.add_sample(name, dict(labels), value)
            yield metric


def _is_labelled(family: Family) -> bool:
    return family.name.startswith(_LABELLED)


@dataclass(slots=True)
class _Merged:
    help: str
    type: str
    samples: dict[tuple[str, Labels], float] = field(default_factory=dict)


class _Merge:
    """Families under construction, bounded by `MAX_SERIES` in all."""

    def __init__(self) -> None:
        self._families: dict[str, _Merged] = {}
        self._series = 0

    def add_all(self, families: Iterable[Family], *, slot: str = "") -> None:
        for family in families:
            merged = self._families.setdefault(family.name, _Merged(family.help, family.type))
            if merged.type != family.type:
                continue  # another release made it something else; the first one seen stands until that one is gone
            extra: Labels = (("process", slot),) if slot and _is_labelled(family) else ()
            for name, labels, value in family.samples:
                self._add(merged, family.name, (name, labels + extra), value)

    def _add(self, merged: _Merged, family: str, key: tuple[str, Labels], value: float) -> None:
        present = merged.samples.get(key)
        if present is None:
            if self._series >= MAX_SERIES:
                return
            self._series += 1
            merged.samples[key] = value
        elif family in _LOWEST:
            merged.samples[key] = min(present, value)
        elif family in _HIGHEST:
            merged.samples[key] = max(present, value)
        else:
            merged.samples[key] = present + value

    def families(self) -> list[Family]:
        return [
            Family(
                name,
                merged.help,
                merged.type,
                [(sample, labels, value) for (sample, labels), value in merged.samples.items()],
            )
            for name, merged in sorted(self._families.items())
        ]
