"""One job, from the claim to the answer: look again, decide, render, send. What the answer asks for is in settling.py.

Nothing is kept between the steps but the row. A worker that is killed at any of them leaves a lease that ends; who
claims the job then does the same again, under the same ids.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import structlog

from chat.push.facts import NO_WISHES, Circumstances, Weighed, weigh
from chat.push.lanes import LaneRuntime
from chat.push.policy import GONE, DeviceState, PolicySettings, Reason, Send, Suppress, Wait, decide, is_in_front
from chat.push.ports import Devices, Preferences, Senders, States, Unread, Unreads, address_of, lane_name, lane_of
from chat.push.rendering import RenderingSettings, Seal, Telling, number_alone, render
from chat.push.sending import (
    SEEN_ONLY,
    Content,
    CredentialsAtFault,
    Kind,
    Notification,
    Provider,
    Push,
    TooLarge,
    Unknown,
    Verdict,
    WebKeys,
)
from chat.push.settling import DeliverySettings, Sending, Settling
from chat.push.tracing import Tracer
from storage.model.device import Device
from storage.model.push import Job, Step
from storage.mongo.push_jobs import PushJobs
from storage.mongo.push_pauses import PushPauses

log = structlog.get_logger(__name__)

_GONE_FROM_SCREEN: Final = frozenset({Reason.ALREADY_READ, Reason.NOTHING_LEFT, Reason.NOT_A_MEMBER})


class Delivery:
    """Does jobs. `deliver` raises StorageError; the job is then anybody's when its lease ends."""

    def __init__(
        self,
        jobs: PushJobs,
        pauses: PushPauses,
        tracer: Tracer,
        devices: Devices,
        preferences: Preferences,
        unreads: Unreads,
        states: States,
        senders: Senders,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[], float],
        seal: Seal | None = None,
        on_accepted: Callable[[float], None] | None = None,
        settings: DeliverySettings | None = None,
        policy: PolicySettings | None = None,
        rendering: RenderingSettings | None = None,
    ) -> None:
        """`random` gives [0, 1). Without `seal` nothing is encrypted for a device: it gets what `generic` says.
        `on_accepted` is told how long after it was due (s) a provider took a push over.
        """
        self._jobs = jobs
        self._devices = devices
        self._preferences = preferences
        self._unreads = unreads
        self._states = states
        self._senders = senders
        self._clock_ms = clock_ms
        self._seal = seal
        self._settings = settings or DeliverySettings()
        self._policy = policy or PolicySettings()
        self._rendering = rendering or RenderingSettings()
        self._settling = Settling(
            jobs,
            pauses,
            tracer,
            devices,
            clock_ms=clock_ms,
            random=random,
            on_accepted=on_accepted,
            settings=self._settings,
        )

    async def deliver(self, job: Job, lane: LaneRuntime) -> None:
        """Do a claimed job. Safe to cancel."""
        if self._clock_ms() >= job.ends_at:
            await self._settling.end(job, "expired", job.waited)
            return
        device = await self._devices.get(job.device)
        if device is None or not device.active or device.user != job.user:
            await self._settling.drop(job, may_come_back=device is not None and device.user == job.user)
            return
        actual = lane_name(lane_of(device))
        if actual != job.lane:
            await self._jobs.wait(job, self._clock_ms(), now=self._clock_ms(), lane=actual)
            return
        async with lane.place(address_of(device), self._settings.crowded_ms / 1000) as found:
            if found and job.is_number:
                await self._number(job, device, lane)
            elif found:
                await self._look(job, device, lane)
            else:
                now = self._clock_ms()
                await self._settling.hold(job, now + self._settings.crowded_ms, now)

    async def _look(self, job: Job, device: Device, lane: LaneRuntime) -> None:
        """Decide by what is unread now, and do that."""
        unread, around = await asyncio.gather(self._unreads.of(job.user, job.conversation), self._around(job, device))
        if unread is None:
            await self._settling.end(job, "dropped", "no_conversation")
            return
        weighed = weigh(job, unread, around, self._policy)
        decision = decide(weighed.facts, self._policy)
        match decision:
            case Suppress(reason):
                await self._suppressed(job, device, unread, weighed, reason, lane)
            case Wait(until, reason):
                await self._waits(job, weighed, until, reason)
            case Send():
                await self._tell(job, device, unread, weighed, decision, around, lane)

    async def _number(self, job: Job, device: Device, lane: LaneRuntime) -> None:
        """Something was read: tell the device what is left, if it was told another number."""
        now = self._clock_ms()
        again_at = job.numbered_at + self._settings.number_gap_ms
        if now < again_at:
            await self._jobs.wait(job, again_at, now=now)
            return
        badge, states = await asyncio.gather(self._unreads.badge(job.user), self._what_devices_do(job))
        # An app that is in front sets its own number, and who looks at it does not see the icon.
        if badge == job.badge or Provider(device.provider) in SEEN_ONLY or is_in_front(states.get(device.id, GONE)):
            await self._jobs.done(job, badge=badge, now=now)
            return
        telling = number_alone(device.id, job.user, badge, job.touched)
        await self._send(Sending(job, device, address_of(device), telling, lane))

    async def _around(self, job: Job, device: Device) -> Circumstances:
        now = self._clock_ms()
        since = min(now - 60_000, job.waited_until or now)
        wishes, states, rang = await asyncio.gather(
            self._preferences.of_users([job.user]),
            self._what_devices_do(job),
            self._jobs.rang(job.device, since=since),
        )
        return Circumstances(now, wishes.get(job.user, NO_WISHES), device.time_zone, states, rang)

    async def _what_devices_do(self, job: Job) -> Mapping[str, DeviceState]:
        try:
            return await self._states.of(job.user, job.conversation)
        except (ConnectionError, TimeoutError):
            log.warning("push_without_states")
            return {}

    async def _suppressed(
        self, job: Job, device: Device, unread: Unread, weighed: Weighed, reason: Reason, lane: LaneRuntime
    ) -> None:
        self._settling.trace(job, Step.DECIDED, "suppress", reason, upto=weighed.upto)
        now = self._clock_ms()
        if reason not in _GONE_FROM_SCREEN:
            await self._jobs.done(job, covered=weighed.upto, now=now)
            return
        if not job.may_be_shown or Provider(device.provider) in SEEN_ONLY:
            await self._jobs.done(job, covered=weighed.upto, shown=0, now=now)
            return
        telling = Telling(
            device.id,
            Kind.CLEAR,
            unread,
            (),
            weighed.upto,
            Content.ID_ONLY,
            revision=job.touched,
            kept=await self._is_last(job, device),
        )
        await self._send(Sending(job, device, address_of(device), telling, lane))

    async def _waits(self, job: Job, weighed: Weighed, until: int, reason: Reason) -> None:
        self._settling.trace(job, Step.DECIDED, "wait", reason, upto=weighed.upto, until=until)
        # What waits for the end of a night is to be told then, however long it was.
        ends_at = until + self._settings.life_ms if reason is Reason.DO_NOT_DISTURB else None
        await self._jobs.wait(job, until, now=self._clock_ms(), reason=reason.value, ends_at=ends_at)

    async def _tell(
        self,
        job: Job,
        device: Device,
        unread: Unread,
        weighed: Weighed,
        decision: Send,
        around: Circumstances,
        lane: LaneRuntime,
    ) -> None:
        outcome = "send_quiet" if decision.quiet else "send"
        self._settling.trace(job, Step.DECIDED, outcome, decision.reason, upto=weighed.upto)
        wished = around.preferences.content
        keys = device.content_keys
        telling = Telling(
            device.id,
            Kind.QUIET if decision.quiet else Kind.ALERT,
            unread,
            weighed.told,
            weighed.upto,
            self._settings.content if wished is None else Content(wished.value),
            more=unread.more,
            # What rings is the same whatever has happened to it since it was sent first: else it would ring again.
            revision=job.touched if decision.quiet else 0,
            content_keys=None if keys is None else WebKeys(keys.p256dh, keys.auth),
            locale=device.locale,
            kept=decision.reason is not Reason.UPDATE or await self._is_last(job, device),
        )
        await self._send(Sending(job, device, address_of(device), telling, lane))

    async def _is_last(self, job: Job, device: Device) -> bool:
        """Whether what changes on the screen is all that waits for the device, should it be away: another conversation
        must not be displaced by that.
        """
        if device.provider != Provider.APNS.value:
            return True
        return await self._jobs.last_told(device.id) in ("", job.conversation)

    async def _send(self, sending: Sending) -> None:
        """Send it, a smaller one if it is too large, and do what the answer asks for."""
        now = self._clock_ms()
        if not sending.lane.has_room_for(sending.address, now):
            breakers = (sending.lane.breaker, sending.lane.breaker_of(sending.address))
            until = max(now + self._settings.crowded_ms, *(one.opens_at(now) for one in breakers))
            await self._settling.hold(sending.job, until, now)
            return
        with sending.lane.sending(sending.address):
            verdict, notification = await self._attempt(sending, sending.telling)
            if isinstance(verdict, TooLarge) and sending.telling.content is not Content.GENERIC:
                self._settling.trace_answer(sending, notification, verdict)
                verdict, notification = await self._attempt(sending, replace(sending.telling, content=Content.GENERIC))
        await self._settling.answered(sending, notification, verdict)
        self._settling.trace_answer(sending, notification, verdict)

    async def _attempt(self, sending: Sending, telling: Telling) -> tuple[Verdict, Notification]:
        notification = render(telling, self._rendering, self._seal)
        sender = self._senders.of(lane_of(sending.device))
        if sender is None:
            return CredentialsAtFault("not_set_up"), notification
        push = Push(sending.address, notification, sending.job.ends_at / 1000, sending.job.attempts + 1)
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                return await sender.send(push), notification
        except TimeoutError:
            return Unknown("deadline"), notification
        except Exception:
            # A fault of ours in one sender must not stop the others.
            log.exception("sender_failed", lane=sending.lane.name)
            return Unknown("sender_failed"), notification
