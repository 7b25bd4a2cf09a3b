"""One run: people at work, faults, healing, reading everything back, a verdict."""

import asyncio
import contextlib
import inspect
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from chaos import checker, reading
from chaos.cluster import LiveCluster
from chaos.configuring import API_KEY, DATABASE
from chaos.device import Address
from chaos.fault import Fault
from chaos.history import CaughtUp, Event, Happened, History, Sample, Waited, as_mapping, now
from chaos.history import Fault as FaultEvent
from chaos.servers import slowness, waited_s
from chaos.starving import HARNESS
from chaos.verdict import Verdict
from chaos.workload import Plan, Workload

WARM_S: Final = 2.5
AFTER_S: Final = 1.5
HEAL_MOST_S: Final = 45.0
"""How long is waited for what should have taken much less, so that the report can say how long it took."""
QUIET_S: Final = 15.0
POLL_S: Final = 0.1
MOST_PATIENCE: Final = 6.0
KEPT: Final = ("hubbub_bus_", "hubbub_queue", "hubbub_append", "process_", "hubbub_connections")


class NeverCame(Exception):
    """What a fault waited for did not happen."""


@dataclass(slots=True)
class Requirement:
    name: str
    holds: bool
    told: str


@dataclass(frozen=True, slots=True)
class Act:
    """Faults that happen together, each after so many seconds, for so long. `strict`: their own requirements count."""

    faults: Sequence[Fault]
    delays_s: Sequence[float] = (0.0,)
    strict: bool = True

    @property
    def name(self) -> str:
        return "+".join(name_of(fault) for fault in self.faults)


def name_of(fault: Fault) -> str:
    return f"F{fault.number}" if fault.number else fault.title


@dataclass
class Result:
    """What came of one run."""

    name: str
    title: str
    seed: int
    verdict: Verdict = field(default_factory=Verdict)
    requirements: list[Requirement] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    """Tracebacks in logs, processes that died by themselves, what could not be read."""
    skipped: str | None = None
    took_s: float = 0.0
    history: Path | None = None

    @property
    def holds(self) -> bool:
        return self.verdict.holds and not self.findings and all(one.holds for one in self.requirements)


class Conductor:
    """Implements `fault.Run`."""

    def __init__(self, cluster: LiveCluster, workload: Workload, history: History, random: Random) -> None:
        self.cluster = cluster
        self.random = random
        self.notes: dict[str, object] = {}
        self.requirements: list[Requirement] = []
        self._workload = workload
        self._history = history

    def note(self, name: str, value: object) -> None:
        self.notes[name] = value

    def require(self, name: str, holds: bool, told: str) -> None:
        self.requirements.append(Requirement(name, bool(holds), told))

    async def until(self, condition: Callable[[], object], *, within_s: float, told: str) -> float:
        started = time.monotonic()
        while True:
            answer = condition()
            if inspect.isawaitable(answer):
                answer = await answer
            took_s = time.monotonic() - started
            if answer:
                return took_s
            if took_s > within_s * self.patience():
                self.require(told, False, f"not within {within_s:g} s, {self.patience():.1f} times over")
                raise NeverCame(told)
            await asyncio.sleep(0.02)

    def acked(self) -> int:
        return self._workload.acked

    def patience(self) -> float:
        return min(self.slowness(), MOST_PATIENCE)

    def slowness(self) -> float:
        return max((slowness(hub.pid) for hub in self.cluster.hubs if hub.running), default=1.0)

    def people(self) -> Mapping[str, Sequence[str]]:
        roaming = self._workload.roaming
        return {
            conv: [user for user in members if user not in roaming.get(conv, ())]
            for conv, members in self._workload.members.items()
        }

    async def history(self) -> AsyncIterator[Mapping[str, object]]:
        mine: list[Event] = []
        self._history.listeners.append(mine)
        try:
            while True:
                while mine:
                    yield as_mapping(mine.pop(0))
                await asyncio.sleep(0.02)
        finally:
            # Not by `remove`: two who have nothing to hear just now are equal, and not the same.
            self._history.listeners = [one for one in self._history.listeners if one is not mine]


async def conduct(
    cluster: LiveCluster,
    acts: Sequence[Act],
    *,
    seed: int,
    directory: Path,
    plan: Plan | None = None,
    patience_s: float = HEAL_MOST_S,
) -> Result:
    """Run the acts one after the other, under one workload; says whether everything held. Never raises for a fault.

    `patience_s`: how long is waited for it to heal.
    """
    name = ",".join(act.name for act in acts)
    result = Result(name, "; ".join(fault.title for act in acts for fault in act.faults), seed)
    random, started = Random(f"{seed} {name}"), time.monotonic()
    sizes, died = cluster.log_sizes(), len(cluster.died())
    # File names have an end.
    result.history = directory / f"{name[:60]}-{random.getrandbits(16):04x}.jsonl"
    with History(result.history) as history:

        def observe(server: str, what: str) -> None:
            history.add(Happened(now(), server, what))

        cluster.observers.append(observe)
        try:
            workload = _workload(cluster, history, random, plan)
            async with workload.running():
                conductor = Conductor(cluster, workload, history, random)
                await _perform(cluster, workload, conductor, history, acts, result, patience_s)
        except* Exception as group:  # noqa: BLE001 - it is told in the result
            # A fault of the harness is no verdict on the hubs, and no reason to end the other runs either.
            result.findings += [f"the harness failed: {_told(error)}" for error in _leaves(group)]
        finally:
            cluster.observers.remove(observe)
        result.verdict = checker.check(sorted(history.events, key=lambda event: event.t))
    known = [mark for act in acts for fault in act.faults for mark in fault.tracebacks]
    result.findings += [told for told in cluster.tracebacks(since=sizes) if not any(mark in told for mark in known)]
    result.findings += cluster.died()[died:]
    result.took_s = time.monotonic() - started
    return result


def _workload(cluster: LiveCluster, history: History, random: Random, plan: Plan | None) -> Workload:
    hubs = [Address(name, port) for name, port in cluster.client_ports().items()]
    tag = f"r{random.getrandbits(24):06x}"
    return Workload(hubs, history, Random(random.getrandbits(64)), cluster.token, tag, plan or Plan())


async def _perform(
    cluster: LiveCluster,
    workload: Workload,
    conductor: Conductor,
    history: History,
    acts: Sequence[Act],
    result: Result,
    patience_s: float,
) -> None:
    sampling = asyncio.create_task(_sample_on(cluster, history))
    try:
        await asyncio.sleep(WARM_S)
        await _sample(cluster, history, "before")
        for act in acts:
            await _one(cluster, workload, conductor, history, act, patience_s)
            if act.strict:
                result.requirements += conductor.requirements
            else:
                result.notes[f"{act.name} told"] = [one.told for one in conductor.requirements if not one.holds]
            conductor.requirements = []
        result.notes.update(conductor.notes)
        result.notes["the machine is slower than by itself"] = f"{conductor.slowness():.1f} times"
        await asyncio.sleep(AFTER_S)
        await workload.quiet(QUIET_S)
        await _read_back(cluster, workload, history, result)
        await _sample(cluster, history, "after")
    finally:
        sampling.cancel()
        await asyncio.wait({sampling})


async def _one(
    cluster: LiveCluster,
    workload: Workload,
    conductor: Conductor,
    history: History,
    act: Act,
    patience_s: float,
) -> None:
    """Let the act happen, and wait until nothing is left of it."""
    history.add(FaultEvent(now(), "begin", act.name))
    delays = (*act.delays_s, *(0.0 for _ in act.faults))
    outcomes = await asyncio.gather(
        *(_inject(fault, conductor, delay_s) for fault, delay_s in zip(act.faults, delays, strict=False)),
        return_exceptions=True,
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, NeverCame):
            conductor.require("the fault could be injected", False, _told(outcome))
    try:
        await cluster.as_before()
    except Exception as error:  # noqa: BLE001 - told, and the run goes on to say what that did to it
        conductor.require("the cluster could be put right", False, _told(error))
    within_s = max(fault.heals_within_s for fault in act.faults)
    history.add(FaultEvent(now(), "end", act.name, within_s=within_s))
    ended, heads = now(), dict(workload.heads)
    deadline = time.monotonic() + patience_s
    while why := await _unwell(cluster, workload, heads, ended):
        if time.monotonic() > deadline:
            history.add(FaultEvent(now(), "unhealed", act.name, why="; ".join(why)[:500]))
            return
        await asyncio.sleep(POLL_S)
    history.add(FaultEvent(now(), "healed", act.name))


async def _inject(fault: Fault, conductor: Conductor, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    async with fault.inject(conductor):
        await asyncio.sleep(fault.lasts_s)


async def _unwell(cluster: LiveCluster, workload: Workload, heads: dict[str, int], since: int) -> list[str]:
    """What is not yet as before."""
    if behind := workload.behind(heads):
        return behind
    found = [
        f"{hub.name} has acknowledged nothing" for hub in cluster.hubs if workload.last_ok.get(hub.name, 0) < since
    ]
    if found:
        return found
    answers = await asyncio.gather(*(hub.readiness() for hub in cluster.hubs))
    return [
        f"{hub.name} is not ready: {status} {body[:100]}"
        for hub, (status, body) in zip(cluster.hubs, answers, strict=True)
        if status != 200 or '"degraded"' in body
    ]


async def _read_back(cluster: LiveCluster, workload: Workload, history: History, result: Result) -> None:
    """The end: every device has had its time to catch up; what is where."""
    deadline = time.monotonic() + QUIET_S
    while workload.behind(workload.heads) and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
    await asyncio.sleep(0.5)
    for device in workload.devices:
        if device.connected and not device.filling:
            for conv in device.at:
                history.add(CaughtUp(now(), device.about.device, conv))
    readers = {conv: members[0] for conv, members in workload.members.items()}
    api = [hub.http for hub in cluster.hubs]
    reader = reading.Reader(
        history, workload.hubs, api, API_KEY, workload.rest, cluster.token, workload.heads.__getitem__
    )
    failed = await reader.read(readers, cluster.mongodb_url, DATABASE)
    result.findings += [f"could not read {one}" for one in failed]
    result.findings += [f"in the end {one}" for one in workload.behind(workload.heads)[:5]]


async def _sample_on(cluster: LiveCluster, history: History) -> None:
    while True:
        for _ in range(4):
            _note_waiting(cluster, history)
            await asyncio.sleep(0.25)
        await _sample(cluster, history, "during")


def _note_waiting(cluster: LiveCluster, history: History) -> None:
    history.add(Waited(now(), HARNESS, waited_s(os.getpid())))
    for server in (*cluster.hubs, *cluster.mongods):
        if server.running:
            history.add(Waited(now(), server.name, waited_s(server.pid)))


async def _sample(cluster: LiveCluster, history: History, phase: str) -> None:
    for hub in cluster.hubs:
        metrics: Mapping[str, float] = {}
        with contextlib.suppress(Exception):  # frozen, gone, or busy: then there is no sample of these
            metrics = await asyncio.wait_for(hub.metrics(), 0.7)
        kept = {name: value for name, value in metrics.items() if name.startswith(KEPT)}
        # Not those of clients, who change places, nor of the pool of MongoDB, which stays as large as it ever was.
        ways = (f"{hub.name}-mongod", f"clients-{hub.name}")
        pooled = sum(link.connections for link in cluster.links if link.name.startswith(ways))
        history.add(Sample(now(), hub.name, phase, hub.descriptors() - pooled, hub.resident_bytes(), kept))


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _told(error: BaseException) -> str:
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{error!r}{where}"[:400]
