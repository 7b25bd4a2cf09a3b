"""What the jobs that are done side by side ask for, asked together: one question where there would be fifty.

Nothing is remembered: who asks gets what was read after that.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from chat.push.ports import Traces
from storage.model.device import Device, EnvironmentName
from storage.model.push import Trace
from storage.mongo.devices import Devices
from storage.mongo.push_traces import PushTraces
from storage.mongo.together import Together, UsersTogether


class DevicesTogether:
    """Implements `Devices` of ports.py. Made by `devices_together`."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self.by_id: Together[str, Device | None] = Together(self._get)
        self.by_user: UsersTogether[list[Device]] = UsersTogether(devices.of_users)

    async def get(self, device: str) -> Device | None:
        return await self.by_id.ask(device)

    async def of_users(self, users: Collection[str]) -> dict[str, list[Device]]:
        return await self.by_user.of_users(users)

    async def tombstone(self, device: Device, *, reason: str, at: int, since: int | None = None) -> bool:
        return await self._devices.tombstone(device, reason=reason, at=at, since=since)

    async def flip(self, device: Device, environment: EnvironmentName) -> bool:
        return await self._devices.flip(device, environment)

    async def succeeded(self, device: Device) -> None:
        await self._devices.succeeded(device)

    async def _get(self, devices: Sequence[str]) -> list[Device | None]:
        found = await self._devices.get_many(devices)
        return [found.get(device) for device in devices]


@asynccontextmanager
async def devices_together(devices: Devices) -> AsyncIterator[DevicesTogether]:
    together = DevicesTogether(devices)
    async with together.by_id, together.by_user:
        yield together


class _TracesTogether:
    def __init__(self, traces: Together[Trace, None]) -> None:
        self._traces = traces

    async def write(self, traces: Sequence[Trace]) -> None:
        await self._traces.ask_all(traces)


@asynccontextmanager
async def traces_together(traces: PushTraces) -> AsyncIterator[Traces]:
    async def write(some: Sequence[Trace]) -> list[None]:
        await traces.write(some)
        return [None] * len(some)

    async with Together(write, batch=500, shared=False) as together:
        yield _TracesTogether(together)
