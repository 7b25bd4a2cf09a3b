"""Why a device rang, or did not: the trace of a message, what a device confirms, and tests."""

from collections.abc import Callable
from typing import Final, Protocol

from chat.usecases.failures import Unseen, told
from chat.vocabulary import push as words
from chat.vocabulary.push import PushAck, PushTest, PushTestResult, PushTrace, PushTraceResult
from chat.vocabulary.shapes import Done
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model.device import Device, device_id
from storage.model.push import Step, Trace
from storage.store import Store

MAX_STEPS: Final = 200
"""Of one message and one user: some devices, each decided about a few times."""


class Trials(Protocol):
    async def begin(self, device: Device) -> tuple[str, int]:
        """Have a test sent; the conversation and the offset that it is traced as. Raises StorageError."""


class Ringing:
    """Every method raises ClientError."""

    def __init__(self, store: Store, trials: Trials, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._trials = trials
        self._clock_ms = clock_ms

    async def trace(self, user: str, request: PushTrace) -> PushTraceResult:
        """What is about the user's own devices. Nothing is told of a conversation that the user is not in, but what
        was about these devices while they were.
        """
        device = "" if request.device is None else device_id(user, request.device)
        with told():
            found = await self._store.push_traces.of_message(
                request.conversation, request.offset, user=user, device=device, limit=MAX_STEPS
            )
            if any(not one.user for one in found):
                member = await self._store.members.get(request.conversation, user)
                if member is None or not member.live:
                    found = [one for one in found if one.user]
            devices = await self._store.devices.of_user(user) if found else []
        names = {one.id: one.install for one in devices}
        if request.device is not None:
            names[device] = request.device
        return PushTraceResult([rendered(one, names.get(one.device, one.device)) for one in found])

    async def ack(self, user: str, request: PushAck) -> Done:
        """Remember it for as long as traces are kept. What was never sent is found by nobody."""
        confirmed = Trace(
            at=self._clock_ms(),
            step=Step.CONFIRMED,
            conversation="",
            since=0,
            upto=0,
            outcome="shown",
            user=user,
            device=device_id(user, request.device),
            job=request.job,
        )
        with told():
            await self._store.push_traces.write([confirmed])
        return Done()

    async def test(self, user: str, request: PushTest) -> PushTestResult:
        """Have a worker send it."""
        with told():
            device = await self._store.devices.get(device_id(user, request.device))
            if device is None:
                raise Unseen("no such device: register it first", "device")
            if not device.active:
                raise ClientError(
                    codes.CONFLICT, f"its provider says {device.reason}: it has to register again", "device"
                )
            conversation, offset = await self._trials.begin(device)
        return PushTestResult(conversation, offset)


def rendered(trace: Trace, device: str) -> words.PushStep:
    """A step as its user sees it. Pure."""
    return words.PushStep(
        at=trace.at,
        step=trace.step.value,
        outcome=trace.outcome,
        since=trace.since,
        upto=trace.upto,
        reason=trace.reason,
        device=device,
        provider=trace.lane.partition("|")[0],
        until=trace.until,
        attempt=trace.attempt,
        job=trace.job,
    )
