"""What happens when: the named schedules, and random ones that a seed decides. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from chaos.conducting import Act
from chaos.fault import Fault, Topology

NAMED: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    # A rolling restart while a key is changed and a client is slow.
    "deploy": (("16",), ("16", "21"), ("32",)),
    # Everything stutters at once: the brokers, the database, the network.
    "cloud-blip": (("1", "9"), ("25",), ("4", "20")),
    # What Jepsen does to a replica set: the primary goes, and a process of ours with it.
    "jepsen-pair": (("10", "15"), ("8", "3")),
    # One thing after the other, each before the last is forgotten.
    "bad-night": (("3",), ("15",), ("9",), ("2", "26"), ("8",), ("16", "5")),
}
"""Acts of overlapping faults, by their numbers."""

SEGMENT_S: Final = 240.0
"""After so long the workload of a soak begins anew: memory and histories have an end."""
LASTS_S: Final = (4.0, 12.0)
GAP_S: Final = 9.0
"""What an act takes besides its faults, roughly: healing, and looking."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Acts under one workload, on one topology."""

    topology: Topology
    acts: Sequence[Act]


def together(faults: Iterable[Fault]) -> Topology:
    """What all of the faults can happen on. Raises ValueError where their settings are not compatible."""
    settings: dict[str, object] = {}
    shape = Topology()
    for fault in faults:
        wanted = fault.topology
        shape = Topology(
            hubs=max(shape.hubs, wanted.hubs),
            workers=max(shape.workers, wanted.workers),
            mongods=max(shape.mongods, wanted.mongods),
            redises=max(shape.redises, wanted.redises),
            phones=shape.phones or wanted.phones,
        )
        for key, value in wanted.settings.items():
            if settings.setdefault(key, value) != value:
                raise ValueError(f"{fault.title} wants another {key}")
    return replace(shape, settings=settings)


def area(fault: Fault) -> str:
    """What a fault is about: two of one area would get into each other's way."""
    return fault.area or str(getattr(fault.inject, "__module__", "")).rpartition(".")[2]


def soak(faults: Sequence[Fault], *, seed: int, minutes: float) -> list[Segment]:
    """A random schedule. The same seed, duration and faults give the same one."""
    random = Random(f"soak {seed}")
    by_mongods = {
        count: [one for one in faults if one.topology.mongods == count and not one.topology.settings]
        for count in sorted({one.topology.mongods for one in faults})
    }
    left_s, segments = minutes * 60, list[Segment]()
    while left_s > 0:
        mongods = random.choice([count for count, some in by_mongods.items() if some])
        some = by_mongods[mongods] + (by_mongods.get(1, []) if mongods > 1 else [])
        acts: list[Act] = []
        spent_s = 0.0
        while spent_s < min(SEGMENT_S, left_s):
            act = _act(some, random)
            acts.append(act)
            spent_s += GAP_S + max(
                fault.lasts_s + delay_s for fault, delay_s in zip(act.faults, act.delays_s, strict=True)
            )
        segments.append(Segment(together(fault for act in acts for fault in act.faults), acts))
        left_s -= spent_s
    return segments


def _act(faults: Sequence[Fault], random: Random) -> Act:
    first = random.choice(faults)
    others = [fault for fault in faults if area(fault) != area(first) and fault.number != first.number]
    chosen = [first, *([random.choice(others)] if others and random.random() < 0.5 else [])]
    lasting = [
        replace(one, lasts_s=round(random.uniform(*LASTS_S), 1), heals_within_s=max(one.heals_within_s, 15.0))
        for one in chosen
    ]
    delays = [0.0, *(round(random.uniform(0.0, 4.0), 1) for _ in lasting[1:])]
    return Act(tuple(lasting), tuple(delays), strict=False)


def named(name: str, faults: Sequence[Fault]) -> Segment:
    """A named schedule, without what this machine cannot do. Raises KeyError, LookupError where nothing is left."""
    by_number = {fault.number: fault for fault in faults if fault.skipped() is None}
    acts: list[Act] = []
    for numbers in NAMED[name]:
        some = [by_number[number] for number in numbers if number in by_number]
        if some:
            lenient = tuple(replace(one, heals_within_s=max(one.heals_within_s, 15.0)) for one in some)
            acts.append(Act(lenient, tuple(1.5 * place for place in range(len(some))), strict=False))
    if not acts:
        raise LookupError(f"none of the faults of {name} can be done here")
    return Segment(together(fault for act in acts for fault in act.faults), acts)


def grouped(faults: Sequence[Fault]) -> list[tuple[Topology, list[Fault]]]:
    """Faults by what they need, so that a cluster serves several; the plainest first."""
    groups: list[tuple[Topology, list[Fault]]] = []
    for fault in faults:
        for topology, some in groups:
            if topology == fault.topology:
                some.append(fault)
                break
        else:
            groups.append((fault.topology, [fault]))
    return sorted(groups, key=lambda group: (group[0].mongods, len(group[0].settings), group[0].hubs))
