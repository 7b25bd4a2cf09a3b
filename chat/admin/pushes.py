"""Push, as the admin page shows it: lanes and how late they are, what was given up, tests, and traces.

Jobs and dead letters are read from the store; how a lane goes is what each worker last told of itself, since each has
breakers of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from chat.metrics import snapshot
from chat.push.ports import lane_name, named_lane
from chat.push.reviving import Reviving
from chat.push.sending import Lane
from storage.model.device import Device
from storage.model.push import DeadLetter, Trace
from storage.store import Store

MAX_DEAD: Final = 50
LIFE_MS: Final = 4 * 3_600_000
"""For how long something that is sent again is worth telling."""


class WorkerLane(msgspec.Struct, frozen=True, kw_only=True):
    """A lane as one worker knows it. `state`: `closed` sends, `open` is left alone `until`, `probing` tries one push.

    `suspect_since`: so many devices were said to be gone that none is believed any more.
    """

    process: str
    state: str
    running: int
    reason: str
    until: int | None
    suspect_since: int | None
    origins: int


class LaneView(msgspec.Struct, frozen=True, kw_only=True):
    """`due_at`: when its first job is or was due, None if it has none. `due`: how many are due now, as far as they were
    counted.
    """

    lane: str
    provider: str
    environment: str
    app: str
    due_at: int | None
    due: int
    workers: list[WorkerLane]


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device that a test can be sent to. Where it is reached is not told."""

    id: str
    name: str
    provider: str
    app: str
    environment: str
    platform: str
    confirmed_at: int
    failures: int


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at `at`. `dead` are the first by id, those above what was asked for; `more`: there are others."""

    at: int
    lanes: list[LaneView]
    dead: list[DeadLetter]
    more: bool


class Trials(Protocol):
    async def begin(self, device: Device) -> tuple[str, int]:
        """Have a test sent; the conversation and the offset that it is traced as. Raises StorageError."""


class Pushes:
    """Every method may raise StorageError."""

    def __init__(
        self,
        store: Store,
        trials: Trials,
        reviving: Reviving,
        workers: Callable[[], Mapping[str, Sequence[snapshot.Lane]]],
        *,
        clock_ms: Callable[[], int],
        tell_reset: Callable[[str], None],
    ) -> None:
        """`workers` tells the lanes of each worker, by process. `tell_reset` tells all workers of a lane whose breakers
        are to be closed, as far as they can be reached.
        """
        self._store = store
        self._trials = trials
        self._reviving = reviving
        self._workers = workers
        self._clock_ms = clock_ms
        self._tell_reset = tell_reset

    async def overview(self, *, after: str = "") -> Overview:
        """Lanes that have jobs and lanes that workers know, by name."""
        now = self._clock_ms()
        waiting = {one.lane: one.due_at for one in await self._store.push_jobs.lanes()}
        known = self._known()
        lanes = [
            await self._lane(name, waiting.get(name), known.get(name, []), now) for name in sorted({*waiting, *known})
        ]
        dead = await self._store.push_jobs.dead(after=after, limit=MAX_DEAD + 1)
        return Overview(at=now, lanes=lanes, dead=dead[:MAX_DEAD], more=len(dead) > MAX_DEAD)

    async def replay(self, letter: str) -> bool:
        """Send it again. False: there is none."""
        return await self._store.push_jobs.replay(letter, now=self._clock_ms(), life_ms=LIFE_MS)

    async def discard(self, letter: str) -> bool:
        """Forget it. False: there is none."""
        return await self._store.push_jobs.discard(letter)

    async def reset(self, lane: str) -> int:
        """Have the workers close the breakers of a lane, and do at once what has waited for that; how many jobs.

        ValueError: no lane is called that.
        """
        _named(lane)
        await self._store.push_pauses.lift(lane)
        hurried = await self._store.push_jobs.hurry(lane, now=self._clock_ms())
        # Afterwards: who hears of it looks for what is due.
        self._tell_reset(lane)
        return hurried

    async def undo(self, lane: str, *, since: int) -> int:
        """Devices of a lane that its provider has said are gone, from `since` (ms UTC) on, are there again and are told
        what they missed; how many.

        Those that have registered meanwhile stay as they are. ValueError: no lane is called that.
        """
        return await self._reviving.bring_back(_named(lane), since=since)

    async def devices(self, user: str) -> list[DeviceView]:
        """The active ones, last confirmed first."""
        return [_device(one) for one in await self._store.devices.of_user(user)]

    async def test(self, device: str) -> tuple[str, int] | None:
        """Send a test; what it is traced as. None: there is no such device."""
        found = await self._store.devices.get(device)
        return None if found is None or not found.active else await self._trials.begin(found)

    async def trace(self, conversation: str, offset: int, *, user: str = "") -> list[Trace]:
        """What became of a message, in order."""
        return await self._store.push_traces.of_message(conversation, offset, user=user)

    def _known(self) -> dict[str, list[WorkerLane]]:
        known: dict[str, list[WorkerLane]] = {}
        for process, lanes in self._workers().items():
            for one in lanes:
                known.setdefault(one.lane, []).append(
                    WorkerLane(
                        process=process,
                        state=one.state,
                        running=one.running,
                        reason=one.reason,
                        until=one.until,
                        suspect_since=one.suspect_since,
                        origins=one.origins,
                    )
                )
        return known

    async def _lane(self, name: str, due_at: int | None, workers: list[WorkerLane], now: int) -> LaneView:
        provider, environment, app = name.split("|", 2)
        late = due_at is not None and due_at <= now
        return LaneView(
            lane=name,
            provider=provider,
            environment=environment,
            app=app,
            due_at=due_at,
            due=await self._store.push_jobs.count(name, due_before=now) if late else 0,
            workers=workers,
        )


def _named(lane: str) -> Lane:
    """Raises ValueError unless there may be one of that name."""
    named = named_lane(lane)
    if lane_name(named) != lane:
        raise ValueError(lane)
    return named


def _device(device: Device) -> DeviceView:
    return DeviceView(
        id=device.id,
        name=device.install,
        provider=device.provider,
        app=device.app,
        environment=device.environment,
        platform=device.platform,
        confirmed_at=device.confirmed_at,
        failures=device.failures,
    )
