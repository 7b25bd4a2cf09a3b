"""Claims what is due, lane by lane, and has it delivered. One in each worker; any number of workers.

No lane waits for another: each has its own room, claims are small questions to MongoDB, and nothing here waits for a
provider. How a job is done is in delivery.py.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from chat.push.breaker import BreakerSettings
from chat.push.delivery import Delivery
from chat.push.lanes import LaneRuntime, LaneStatus
from storage.errors import StorageError
from storage.model.push import Job
from storage.mongo.push_jobs import PushJobs
from storage.mongo.push_pauses import PushPauses

log = structlog.get_logger(__name__)

RETRY_S: Final = 1.0
MIN_PAUSE_S: Final = 0.02
_CROWDED_PAUSE_MS: Final = 300
_PAUSES_EVERY_MS: Final = 1_000
_REFILL: Final = 0.75
"""A lane that was full is filled again once it has no more under way than this share, or with the next poll."""


@dataclass(frozen=True, slots=True)
class DispatcherSettings:
    """`concurrency`: pushes of one lane at a time. `lease_ms`: for how long a killed worker's jobs are nobody's.
    `poll_s`: how long a job may be due without a hint. `drain_s`: how long those under way are given at the end.
    """

    concurrency: int = 50
    lease_ms: int = 40_000
    poll_s: float = 0.5
    drain_s: float = 5.0


class Dispatcher:
    """An async context manager with a task for itself and one for every job under way. Leaving waits for those, up to
    `drain_s`; what is not done by then is claimed by others when its lease ends.
    """

    def __init__(
        self,
        jobs: PushJobs,
        pauses: PushPauses,
        delivery: Delivery,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[], float],
        settings: DispatcherSettings | None = None,
        breakers: BreakerSettings | None = None,
    ) -> None:
        """`random` gives [0, 1)."""
        self._jobs = jobs
        self._pauses = pauses
        self._delivery = delivery
        self._clock_ms = clock_ms
        self._random = random
        self._settings = settings or DispatcherSettings()
        self._breakers = breakers or BreakerSettings()
        self._lanes: dict[str, LaneRuntime] = {}
        self._looked_at = 0
        self._full: set[str] = set()
        """Lanes that may have more that is due than there was room for."""
        self._running: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="push-dispatcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        running = set(self._running)
        if running:
            await asyncio.wait(running, timeout=self._settings.drain_s)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def wake(self) -> None:
        """There may be something due now: a hint, that may come too often and may be lost."""
        self._woken.set()

    def status(self) -> list[LaneStatus]:
        """Every lane that this worker has had to do with."""
        now = self._clock_ms()
        return [self._lanes[name].status(now) for name in sorted(self._lanes)]

    def reset(self, lane: str) -> bool:
        """Close the breakers of a lane: somebody has mended it. False: this worker does not know it."""
        if lane not in self._lanes:
            return False
        self._lanes[lane].reset()
        self.wake()
        return True

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                pause_s = await self._round()
            except StorageError as error:
                log.warning("push_interrupted", reason=str(error))
                pause_s = RETRY_S
            except Exception:
                log.exception("push_dispatcher_failed")
                pause_s = RETRY_S
            await self._pause(pause_s)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
        # However often it is woken: what comes at once is claimed at once.
        await asyncio.sleep(MIN_PAUSE_S)

    async def _round(self) -> float:
        """Claim what there is room for; how long until there may be more (seconds), unless somebody wakes us."""
        until = self._clock_ms() + int(self._settings.poll_s * 1000)
        await self._keep_to_pauses()
        for waiting in await self._jobs.lanes():
            now = self._clock_ms()
            if waiting.due_at > now:
                until = min(until, waiting.due_at)
                continue
            lane = self._lane(waiting.lane)
            room = lane.room(now)
            self._full.add(waiting.lane)
            if room == 0:
                # Full: woken when one ends. Left alone: until then.
                until = min(until, max(lane.breaker.opens_at(now), now + 1)) if lane.running == 0 else until
                continue
            if lane.crowded:
                until = min(until, now + _CROWDED_PAUSE_MS)
            taken = await self._jobs.take(waiting.lane, room, now=now, lease_ms=self._settings.lease_ms)
            if taken.next_due is None or taken.next_due > now:
                self._full.discard(waiting.lane)
                until = min(until, taken.next_due or until)
            for job in taken.jobs:
                self._start(job, lane)
        return max(MIN_PAUSE_S, (until - self._clock_ms()) / 1000)

    async def _keep_to_pauses(self) -> None:
        """What other workers were asked for, and those before this one."""
        now = self._clock_ms()
        if 0 <= now - self._looked_at < _PAUSES_EVERY_MS:
            return
        for pause in await self._pauses.at(now):
            self._lane(pause.lane).breaker_at(pause.origin).asked_for_time(now, pause.reason, pause.until - now)
        self._looked_at = now

    def _lane(self, name: str) -> LaneRuntime:
        if name not in self._lanes:
            self._lanes[name] = LaneRuntime(name, self._settings.concurrency, self._random, self._breakers)
        return self._lanes[name]

    def _start(self, job: Job, lane: LaneRuntime) -> None:
        lane.running += 1
        task = asyncio.create_task(self._deliver(job, lane), name=f"push-{lane.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, job: Job, lane: LaneRuntime) -> None:
        try:
            await self._delivery.deliver(job, lane)
        except StorageError as error:
            log.warning("push_not_delivered", lane=lane.name, reason=str(error))
        except Exception:
            # The job's lease ends, and it is tried again until its life does.
            log.exception("push_delivery_failed", lane=lane.name)
        finally:
            lane.running -= 1
            # A claim for one costs as much as one for many.
            if lane.name in self._full and max(lane.running, lane.waiting) <= lane.limit * _REFILL:
                self.wake()
