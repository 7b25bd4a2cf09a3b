"""Reads what all processes tell about themselves, every second while somebody watches, and keeps the recent past.

While nobody watches it reads every ten seconds, so that a page that is opened has something to draw: every process
reading the snapshots of all others each second, for nobody, would make the work on Redis grow with the square of their
number.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import Final, Literal, Protocol

import msgspec
import structlog

from chat.admin.history import History
from chat.admin.rates import Doing, Point, Track, together
from chat.health import Readiness
from chat.metrics.snapshot import Lane, Snapshot, decode
from realtime.ports import ProcessInfo

WATCHED_INTERVAL_S: Final = 1.0
IDLE_INTERVAL_S: Final = 10.0
READ_TIMEOUT_S: Final = 0.8
STALE_AFTER_S: Final = 5.0
GONE_KEPT_S: Final = 60.0
MAX_PROCESSES: Final = 512

_NOTHING_YET: Final = (b"", b"{}")
"""What a process that has its lease but was never asked says of itself."""

_log = structlog.get_logger(__name__)


class LivingProcesses(Protocol):
    """The processes with a lease, each with its latest snapshot."""

    async def living(self) -> Sequence[ProcessInfo]:
        """Raises ConnectionError or TimeoutError when Redis is away."""


class ReadinessSource(Protocol):
    """What `/readyz` says; see chat.health.Health."""

    async def readiness(self) -> Readiness:
        """Takes at most a second, never raises."""


State = Literal["live", "stale", "gone", "unknown"]
Source = Literal["all", "process"]


class ProcessView(msgspec.Struct, frozen=True, kw_only=True):
    """A process as the page lists it.

    `state`: `stale` tells nothing new for `STALE_AFTER_S`, `gone` has no lease any more, `unknown` cannot be asked
    about because Redis is away. `age_s` since it last told. Only `live` ones have rates, and only `live` and `stale`
    ones are part of the sums.
    """

    process: str
    node: str
    slot: str
    role: str
    pid: int
    version: str
    started_at: int
    state: State
    age_s: float
    doing: Point


class Counted(msgspec.Struct, frozen=True):
    """Of one label value (a code, a reason): since the living processes started, and in the last minute."""

    total: float
    last_minute: float


class HotConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A busy conversation over all processes. `processes`: where it has subscribers."""

    conversation: str
    deliveries_per_s: float
    subscribers: int
    processes: list[str]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at `at` (ms). `source` is `process` when only the asked process is known, because Redis is away."""

    at: int
    source: Source
    process: str
    health: Readiness
    total: Point
    nodes: dict[str, Point]
    processes: list[ProcessView]
    disconnects: dict[str, Counted]
    refused: dict[str, Counted]
    recoveries: dict[str, Counted]


class Live:
    """Made by `live`, which owns the task that reads."""

    def __init__(
        self,
        processes: LivingProcesses,
        own: Callable[[], Snapshot],
        health: ReadinessSource,
        *,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        """`own` is this process' latest snapshot: it needs no Redis. `clock` in ms, `monotonic` in seconds."""
        self._processes = processes
        self._own = own
        self._health = health
        self._clock = clock
        self._monotonic = monotonic
        self._tracks: dict[str, Track] = {}
        self._living: frozenset[str] = frozenset()
        self._overview: Overview | None = None
        self._watchers = 0
        self._wake = asyncio.Event()
        self._turned = asyncio.Event()
        self.history = History()
        self._closed = False

    async def overview(self) -> Overview:
        """The latest, at most two seconds old; read now if the last one is older. ConnectionError once closed."""
        latest = self._overview
        if self._closed or latest is None or self._clock() - latest.at > 2_000 * WATCHED_INTERVAL_S:
            with self.watching():
                latest = await self.next()
        return latest

    async def next(self) -> Overview:
        """Wait for the next reading: up to `IDLE_INTERVAL_S` unless `watching`. ConnectionError once closed."""
        if not self._closed:
            await self._turned.wait()
        if self._closed or self._overview is None:
            raise ConnectionError("the live view has ended")
        return self._overview

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While inside, read every second; the first time at once."""
        self._watchers += 1
        self._wake.set()
        try:
            yield
        finally:
            self._watchers -= 1

    def conversations(self, limit: int) -> list[HotConversation]:
        """The busiest conversations of the latest reading, busiest first. Deliveries are a lower bound."""
        found: dict[str, HotConversation] = {}
        for process in self._living:
            for hot in self._tracks[process].latest.hot:
                known = found.get(hot.conversation)
                found[hot.conversation] = HotConversation(
                    conversation=hot.conversation,
                    deliveries_per_s=round(hot.deliveries_per_s + (known.deliveries_per_s if known else 0.0), 2),
                    subscribers=hot.subscribers + (known.subscribers if known else 0),
                    processes=sorted([process, *(known.processes if known else [])]),
                )
        return sorted(found.values(), key=lambda hot: (-hot.deliveries_per_s, hot.conversation))[:limit]

    def push_lanes(self) -> dict[str, list[Lane]]:
        """The lanes of push of the latest reading, by process, of those that have any."""
        lanes = {process: self._tracks[process].latest.lanes for process in self._living}
        return {process: some for process, some in lanes.items() if some}

    async def read(self) -> None:
        """Read all processes once. Takes at most a second and a bit; never raises for a server that is away."""
        (snapshots, source), health = await asyncio.gather(self._read_snapshots(), self._health.readiness())
        now, at = self._monotonic(), self._clock()
        for process, snapshot in snapshots.items():
            self._tracks.setdefault(process, Track()).take(snapshot, now)
        self._living = frozenset(snapshots)
        if source == "all":
            gone = [process for process in self._tracks if process not in self._living]
            for process in gone:
                if self._tracks[process].age_s(now) > GONE_KEPT_S:
                    del self._tracks[process]
        self._overview = self._summarize(at, now, source, health)
        self.history.add(at, scopes(self._overview))
        turned, self._turned = self._turned, asyncio.Event()
        turned.set()

    async def run(self) -> None:
        """Read for ever."""
        while True:
            try:
                await self.read()
            except Exception:  # noqa: BLE001 - the boundary of the task, logged with its traceback
                # A page that stops is worse than a page that misses a second.
                _log.exception("live_view_failed")
            interval_s = WATCHED_INTERVAL_S if self._watchers else IDLE_INTERVAL_S
            self._wake.clear()
            try:
                async with asyncio.timeout(interval_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """Let everybody who waits go, and every open stream end: call it when the process begins to shut down.

        Otherwise the HTTP server waits for streams that never end.
        """
        self._closed = True
        self._turned.set()

    async def _read_snapshots(self) -> tuple[dict[str, Snapshot], Source]:
        own = self._own()
        source: Source = "all"
        snapshots: dict[str, Snapshot] = {}
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                living = await self._processes.living()
        except (ConnectionError, TimeoutError):
            source, living = "process", []
        for info in living[:MAX_PROCESSES]:
            try:
                snapshots[info.process] = decode(info.snapshot)
            except ValueError as error:
                if info.snapshot not in _NOTHING_YET:
                    _log.warning("snapshot_unreadable", process=info.process, reason=str(error))
        snapshots[own.who.process] = own
        return snapshots, source

    def _summarize(self, at: int, now: float, source: Source, health: Readiness) -> Overview:
        views: list[ProcessView] = []
        nodes: dict[str, list[Doing]] = {}
        for process, track in self._tracks.items():
            state = self._state(process, track, now, source)
            doing = track.doing(stale=state != "live")
            views.append(_view(track, state, now, doing))
            if process in self._living:
                nodes.setdefault(track.latest.who.node, []).append(doing)
        return Overview(
            at=at,
            source=source,
            process=self._own().who.process,
            health=health,
            total=together(chain.from_iterable(nodes.values())),
            nodes={node: together(nodes[node]) for node in sorted(nodes)},
            processes=sorted(views, key=lambda view: (view.node, view.role, view.slot, view.started_at)),
            disconnects=self._labelled("disconnects"),
            refused=self._labelled("refused"),
            recoveries=self._labelled("recoveries"),
        )

    def _state(self, process: str, track: Track, now: float, source: Source) -> State:
        if process not in self._living:
            return "gone" if source == "all" else "unknown"
        return "live" if track.age_s(now) <= STALE_AFTER_S else "stale"

    def _labelled(self, family: str) -> dict[str, Counted]:
        totals: dict[str, float] = {}
        lately: dict[str, float] = {}
        for process in self._living:
            track = self._tracks[process]
            for label, value in track.latest.labelled.get(family, {}).items():
                totals[label] = totals.get(label, 0.0) + value
            for label, value in track.last_minute(family).items():
                lately[label] = lately.get(label, 0.0) + value
        return {label: Counted(totals[label], lately.get(label, 0.0)) for label in sorted(totals)}


def scopes(overview: Overview) -> dict[str, Point]:
    """What the charts can show of it: `total`, `node:<node>` and `process:<process>`.

    Processes that are not there have no point. While there are some that cannot be asked about, sums have none either:
    a line that drops because Redis is away would tell a story that is not true.
    """
    known = {f"process:{view.process}": view.doing for view in overview.processes if view.state in ("live", "stale")}
    if any(view.state == "unknown" for view in overview.processes):
        return known
    return {"total": overview.total, **{f"node:{node}": point for node, point in overview.nodes.items()}, **known}


def _view(track: Track, state: State, now: float, doing: Doing) -> ProcessView:
    who = track.latest.who
    return ProcessView(
        process=who.process,
        node=who.node,
        slot=who.slot,
        role=who.role,
        pid=who.pid,
        version=who.version,
        started_at=who.started_at,
        state=state,
        age_s=round(track.age_s(now), 1),
        doing=together([doing]),
    )


@asynccontextmanager
async def running(live: Live) -> AsyncIterator[Live]:
    """While inside, `live` reads; afterwards everybody who waits on it is let go."""
    task = asyncio.create_task(live.run(), name="admin-live")
    try:
        yield live
    finally:
        task.cancel()
        await asyncio.wait([task])
        live.close()
