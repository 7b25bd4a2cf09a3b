"""What faults look at while they are injected: what clients record, what hubs count, how long answers take."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.fault import Hub, Run, Server

DEAD_WITHIN_S: Final = 4.0
"""In which a hub must know that its bus is dead: 0.5 s between heartbeats, 1.5 s of silence, a busy machine."""
BACK_WITHIN_S: Final = 10.0
ANSWER_S: Final = 5.0
"""In which SDKs want an answer."""
STORE_UNKNOWN_S: Final = 3.5
"""After which a send to a store that hangs is answered with an error: its deadline, and a moment."""


@dataclass
class Watch:
    """Events since it was opened, in order. Times are those of `time.monotonic_ns`."""

    events: list[Mapping[str, Any]] = field(default_factory=list)

    def sends(self, kind: str, *, since: int = 0, until: int | None = None, hub: str = "") -> list[Mapping[str, Any]]:
        """Outcomes of sends in a time: `invoke`, `ok`, `fail` or `info`."""
        return [
            event
            for event in self.events
            if event["f"] == "send"
            and event["type"] == kind
            and event["t"] >= since
            and (until is None or event["t"] < until)
            and (not hub or event["hub"] == hub)
        ]

    def latencies_s(self, *, since: int = 0, until: int | None = None, hub: str = "") -> list[float]:
        """How long each acknowledged send took whose answer came in that time."""
        begun = {_attempt(event): event["t"] for event in self.sends("invoke")}
        return [
            (event["t"] - begun[_attempt(event)]) / 1e9
            for event in self.sends("ok", since=since, until=until, hub=hub)
            if _attempt(event) in begun
        ]

    def closes(self, *, since: int = 0, hub: str = "") -> list[Mapping[str, Any]]:
        return [
            event
            for event in self.events
            if event["f"] == "connection"
            and event["type"] == "close"
            and event["t"] >= since
            and (not hub or event["hub"] == hub)
        ]

    def received(self, *, since: int = 0, hub: str = "") -> list[Mapping[str, Any]]:
        return [
            event
            for event in self.events
            if event["f"] == "recv" and event["t"] >= since and (not hub or event["hub"] == hub)
        ]


def _attempt(event: Mapping[str, Any]) -> tuple[Any, ...]:
    return (event["device"], event["conv"], event["key"], event["attempt"])


@asynccontextmanager
async def watching(run: Run) -> AsyncIterator[Watch]:
    watch = Watch()

    async def collect() -> None:
        async for event in run.history():
            watch.events.append(event)

    task = asyncio.create_task(collect(), name="watch")
    await asyncio.sleep(0)
    try:
        yield watch
    finally:
        await asyncio.sleep(0.05)  # what was recorded last is handed over at intervals
        task.cancel()
        await asyncio.wait({task})


def now() -> int:
    return time.monotonic_ns()


def percentile(values: Sequence[float], share: float) -> float:
    """0 where there are none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


async def counted(hub: Hub, name: str) -> float:
    """A metric of a hub, summed over its labels. 0 where it does not answer or has none."""
    try:
        samples = await hub.metrics()
    except Exception:  # noqa: BLE001 - a hub that is down counts nothing, for whatever reason it does not answer
        return 0.0
    return sum(value for sample, value in samples.items() if sample == name or sample.startswith(f"{name}{{"))


async def total(run: Run, name: str) -> float:
    return sum([await counted(hub, name) for hub in run.cluster.hubs])


def buses(run: Run, state: float) -> Callable[[], Any]:
    """Whether all hubs (that run) take their bus for alive (1) or dead (0)."""

    async def condition() -> bool:
        for hub in run.cluster.hubs:
            if hub.running and await counted(hub, "hubbub_bus_alive") != state:
                return False
        return True

    return condition


def acks_go_on(run: Run, watch: Watch, since: int, what: str, *, most_s: float | None = None) -> None:
    """Require that sends were acknowledged since, and in about the time that they take otherwise."""
    before, during = watch.latencies_s(until=since), watch.latencies_s(since=since)
    was, took = percentile(before, 0.99), percentile(during, 0.99)
    run.note(f"ack p99 before, {what}", f"{was * 1000:.0f} ms, {took * 1000:.0f} ms ({len(during)} acks)")
    run.require(f"sends are acknowledged {what}", len(during) > 0, f"{len(during)} acks")
    if before and during:
        # On a machine that is busy with other things a p99 of some tens of milliseconds says nothing.
        most = most_s if most_s is not None else max(2 * was, run.slowness())
        run.require(
            f"as fast {what} as before", took <= most, f"p99 {took * 1000:.0f} ms, at most {most * 1000:.0f} ms"
        )


async def gone(servers: Iterable[Server]) -> None:
    """Kill them all at once."""
    await asyncio.gather(*(server.kill() for server in servers))


async def status_of(hub: Hub, status: int) -> bool:
    return (await hub.readiness())[0] == status
