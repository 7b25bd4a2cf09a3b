"""Push in one process: stores, planner and dispatcher as they are, a provider that does what it is told, and a screen.

The screen is what a person sees and hears: one banner for each collapse id, a sound for each job id that is new.
"""

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chat.push.breaker import BreakerSettings
from chat.push.clearing import Clearing
from chat.push.delivery import Delivery
from chat.push.dispatcher import Dispatcher, DispatcherSettings
from chat.push.lanes import LaneRuntime
from chat.push.planner import Planner, PlannerSettings
from chat.push.policy import DeviceState, PolicySettings
from chat.push.ports import lane_name, lane_of
from chat.push.sending import Accepted, Kind, Lane, Notification, Push, Verdict
from chat.push.settling import DeliverySettings
from chat.push.tracing import Tracer
from chat.push.unreading import StoredGroups, StoredUnreads
from storage.model import Entry, Marks
from storage.model.device import Device
from storage.model.push import Job
from storage.mongo.client import Database
from storage.mongo.push_jobs import PushJobs
from storage.mongo.push_pauses import PushPauses
from storage.mongo.push_traces import PushTraces
from storage.store import Store

DAY_MS = 24 * 3_600_000
START = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS + 22 * 3_600_000 + 800_000
"""Today at 22:13:20 UTC: the server removes by its own clock what was kept for days and is over."""

LEASE_MS = 40_000


def a_device(user: str = "ada", install: str = "phone", **changes: Any) -> Device:
    """A phone of the user, reached over APNs."""
    device = Device(
        user=user,
        install=install,
        provider="apns",
        app="app",
        address=f"token-{user}-{install}",
        address_kind="token",
        created_at=START,
        confirmed_at=START,
    )
    return replace(device, **changes)


@dataclass
class Screen:
    """Of one device."""

    banners: dict[str, Notification] = field(default_factory=dict)
    badge: int | None = None
    rings: int = 0
    seen: set[str] = field(default_factory=set)

    def show(self, notification: Notification) -> None:
        again = notification.job_id in self.seen
        self.seen.add(notification.job_id)
        if notification.badge is not None:
            self.badge = notification.badge
        if notification.kind is Kind.CLEAR:
            self.banners.pop(notification.collapse_id, None)
        elif notification.kind is not Kind.BADGE:
            self.banners[notification.collapse_id] = notification
            self.rings += notification.sound and not again

    @property
    def bodies(self) -> list[str]:
        return [banner.body for banner in self.banners.values()]


@dataclass
class Provider:
    """Shows everything on the screens, unless told to answer otherwise. A `Sender` and `Senders`."""

    screens: dict[str, Screen] = field(default_factory=dict)
    pushes: list[Push] = field(default_factory=list)
    answers: list[Verdict] = field(default_factory=list)
    """The next answers, instead of showing it."""
    answering: Callable[[Push], Verdict | None] = lambda push: None
    """For every push that there is no answer for: None shows it."""
    missing: bool = False

    def of(self, lane: Lane) -> "Provider | None":
        return None if self.missing else self

    async def send(self, push: Push) -> Verdict:
        self.pushes.append(push)
        answer = self.answers.pop(0) if self.answers else self.answering(push)
        if answer is None or isinstance(answer, Accepted):
            self.screen(push.address.device).show(push.notification)
        return answer or Accepted(f"id-{len(self.pushes)}")

    async def check(self) -> Verdict:
        return Accepted()

    def screen(self, device: str) -> Screen:
        return self.screens.setdefault(device, Screen())


@dataclass
class Now:
    """The time, which passes when somebody says so."""

    ms: int = START

    def __call__(self) -> int:
        return self.ms


@dataclass
class Doing:
    """What devices do, by user and device."""

    states: dict[str, dict[str, DeviceState]] = field(default_factory=dict)
    away: bool = False

    async def of(self, user: str, conversation: str) -> Mapping[str, DeviceState]:
        if self.away:
            raise ConnectionError("Redis is away")
        return self.states.get(user, {})


@dataclass
class Badges:
    """How much is unread, by user; 1 where nothing was said."""

    counts: dict[str, int] = field(default_factory=dict)

    async def __call__(self, user: str, conversation: str = "", n: int = 0, read: int = 0) -> int:
        return self.counts.get(user, 1)


class Pushing:
    """Everything of push on one store, driven by hand: `plan`, let time `pass_`, and do what is due."""

    def __init__(
        self,
        db: Database,
        store: Store,
        *,
        planner: PlannerSettings | None = None,
        policy: PolicySettings | None = None,
        breakers: BreakerSettings | None = None,
        delivery: DeliverySettings | None = None,
    ) -> None:
        self.store = store
        self.now = Now()
        self.provider = Provider()
        self.doing = Doing()
        self.badges = Badges()
        self.jobs, self.traces, self.pauses = PushJobs(db), PushTraces(db), PushPauses(db)
        self.tracer = Tracer(self.traces)
        self.unreads = StoredUnreads(store, self.badges)
        self.breakers = breakers or BreakerSettings()
        self.delivery_settings, self.policy = delivery, policy
        self.lanes: dict[str, LaneRuntime] = {}
        self.hints = 0
        self.planner = Planner(
            self.jobs,
            self.traces,
            StoredGroups(store),
            store.members,
            store.devices,
            store.notifying,
            clock_ms=self.now,
            wake=self._hint,
            policy=policy,
            settings=planner,
        )

    def _hint(self) -> None:
        self.hints += 1

    def delivery(self, **instead: Any) -> Delivery:
        """Of a worker; `instead`: other parts than these."""
        parts: dict[str, Any] = {
            "jobs": self.jobs,
            "pauses": self.pauses,
            "tracer": self.tracer,
            "devices": self.store.devices,
            "preferences": self.store.notifying,
            "unreads": self.unreads,
            "states": self.doing,
            "senders": self.provider,
            **instead,
        }
        return Delivery(
            **parts, clock_ms=self.now, random=lambda: 0.5, settings=self.delivery_settings, policy=self.policy
        )

    def dispatcher(self, settings: DispatcherSettings | None = None, **instead: Any) -> Dispatcher:
        return Dispatcher(
            self.jobs,
            self.pauses,
            self.delivery(**instead),
            clock_ms=self.now,
            random=lambda: 0.5,
            settings=settings,
            breakers=self.breakers,
        )

    def lane(self, name: str) -> LaneRuntime:
        if name not in self.lanes:
            self.lanes[name] = LaneRuntime(name, 50, lambda: 0.5, self.breakers)
        return self.lanes[name]

    async def device(self, user: str = "ada", install: str = "phone", **changes: Any) -> Device:
        return (await self.store.devices.register(a_device(user, install, **changes))).device

    async def entries(self, conversation: str, after: int = 0) -> Sequence[Entry]:
        read = await self.store.log.range(conversation, after, limit=1000, max_bytes=1 << 20)
        return read.entries

    async def plan(self, conversation: str, after: int = 0) -> None:
        """As the follower would, for everything after that offset."""
        await self.planner.on_entries(await self.entries(conversation, after))

    async def read(self, conversation: str, offset: int, *, user: str = "ada") -> None:
        """The user reads up to there on some device, and the hub has noted it."""
        await self.store.reading.mark(conversation, user, Marks(read=offset))
        clearing = Clearing(self.jobs, clock_ms=self.now)
        clearing.note(user, conversation, offset)
        await clearing.flush()

    async def claim(self, device: Device) -> Job:
        (job,) = await self.jobs.claim(lane_name(lane_of(device)), 1, now=self.now.ms, lease_ms=LEASE_MS)
        return job

    async def work(self, **instead: Any) -> int:
        """Do what is due now, in lanes that are not left alone; how many jobs."""
        delivery = self.delivery(**instead)
        done = 0
        for waiting in await self.jobs.lanes():
            lane = self.lane(waiting.lane)
            while room := lane.room(self.now.ms):
                claimed = await self.jobs.claim(waiting.lane, room, now=self.now.ms, lease_ms=LEASE_MS)
                for job in claimed:
                    await delivery.deliver(job, lane)
                done += len(claimed)
                if not claimed:
                    break
        return done

    async def pass_(self, ms: int, *, step_ms: int = 500, **instead: Any) -> None:
        """Let time pass, with a worker at work."""
        end = self.now.ms + ms
        while self.now.ms < end:
            self.now.ms = min(end, self.now.ms + step_ms)
            await self.work(**instead)

    async def why(self, conversation: str, offset: int, device: Device) -> list[str]:
        """The trace of a message and a device."""
        await self.tracer.flush()
        traces = await self.traces.of_message(conversation, offset, user=device.user, device=device.id)
        return [f"{one.step}:{one.outcome}:{one.reason}".rstrip(":") for one in traces]


class Killed(BaseException):
    """The worker is gone, there and then."""


class Knife:
    """Kills the worker at the n-th step: before what it was about to do, or right after it was done."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._countdown = itertools.count(1)
        self._step = step
        self._after = after
        self.steps = 0

    def over(self, part: Any) -> Any:
        """The part, every awaited call of which is a step."""
        return _Blade(self, part)

    async def cut(self, call: Callable[[], Any]) -> Any:
        self.steps = step = next(self._countdown)
        if step == self._step and not self._after:
            raise Killed
        result = await call()
        # Others may have begun meanwhile.
        if step == self._step:
            raise Killed
        return result


class _Blade:
    def __init__(self, knife: Knife, part: Any) -> None:
        self._knife = knife
        self._part = part

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name == "of" and isinstance(self._part, Provider):
            return lambda lane: _Blade(self._knife, self._part)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._knife.cut(lambda: found(*args, **kwargs))

        return call
