"""One job, from the claim to its end: look again, render, send, and do what the answer asks for.

Nothing is kept between the steps but the row. A worker that is killed at any of them leaves a lease that ends; who
claims the job then does the same again, under the same ids.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from chat.push.facts import NO_WISHES, Circumstances, Weighed, weigh
from chat.push.lanes import LaneRuntime
from chat.push.policy import DeviceState, PolicySettings, Reason, Send, Suppress, Wait, decide
from chat.push.ports import Devices, Preferences, Senders, States, Unread, Unreads, address_of, lane_name, lane_of
from chat.push.rendering import RenderingSettings, Seal, Telling, render
from chat.push.sending import (
    Accepted,
    Address,
    AddressGone,
    Content,
    CredentialsAtFault,
    Kind,
    Later,
    Notification,
    Provider,
    Push,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
    WebKeys,
)
from chat.push.timing import retry_at
from chat.push.tracing import Tracer
from storage.model.device import Device
from storage.model.push import Job, Step, Trace
from storage.mongo.push_jobs import PushJobs

log = structlog.get_logger(__name__)

_GONE_FROM_SCREEN: Final = frozenset({Reason.ALREADY_READ, Reason.NOTHING_LEFT, Reason.NOT_A_MEMBER})
_SEEN_ONLY: Final = frozenset({Provider.WEBPUSH})
"""Browsers revoke the subscription of who sends what cannot be seen: nothing is cleared there."""


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """A push that has failed `attempts` times is given up; one whose provider gave no reason that it could be expected
    to pass by itself, after `unexplained_attempts`. `deadline_s`: the longest that a sender is waited for; a lease has
    to be more than twice as long. `life_ms`: how long something is worth telling once do-not-disturb is over.
    """

    attempts: int = 5
    unexplained_attempts: int = 3
    deadline_s: float = 12.0
    crowded_ms: int = 1_000
    life_ms: int = 4 * 3_600_000
    content: Content = Content.FULL


@dataclass(frozen=True, slots=True)
class _Sending:
    """What is being sent, and what the row says once it was."""

    job: Job
    device: Device
    address: Address
    telling: Telling
    weighed: Weighed
    lane: LaneRuntime

    @property
    def shown(self) -> int:
        return self.telling.upto if self.telling.kind in (Kind.ALERT, Kind.QUIET) else 0


class Delivery:
    """Does jobs. `deliver` raises StorageError; the job is then anybody's when its lease ends."""

    def __init__(
        self,
        jobs: PushJobs,
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
        self._tracer = tracer
        self._devices = devices
        self._preferences = preferences
        self._unreads = unreads
        self._states = states
        self._senders = senders
        self._clock_ms = clock_ms
        self._random = random
        self._seal = seal
        self._on_accepted = on_accepted
        self._settings = settings or DeliverySettings()
        self._policy = policy or PolicySettings()
        self._rendering = rendering or RenderingSettings()

    async def deliver(self, job: Job, lane: LaneRuntime) -> None:
        """Do a claimed job. Safe to cancel."""
        if self._clock_ms() >= job.ends_at:
            await self._end(job, "expired", job.waited)
            return
        device = await self._devices.get(job.device)
        if device is None or not device.active or device.user != job.user:
            await self._end(job, "dropped", "no_device")
            return
        actual = lane_name(lane_of(device))
        if actual != job.lane:
            await self._jobs.wait(job, self._clock_ms(), now=self._clock_ms(), lane=actual)
            return
        async with lane.place(address_of(device), self._settings.crowded_ms / 1000) as found:
            if found:
                await self._look(job, device, lane)
            else:
                now = self._clock_ms()
                await self._hold(job, now + self._settings.crowded_ms, now)

    async def _look(self, job: Job, device: Device, lane: LaneRuntime) -> None:
        """Decide by what is unread now, and do that."""
        unread, around = await asyncio.gather(self._unreads.of(job.user, job.conversation), self._around(job, device))
        if unread is None:
            await self._end(job, "dropped", "no_conversation")
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
        self._trace(job, Step.DECIDED, "suppress", reason, upto=weighed.upto)
        now = self._clock_ms()
        if reason not in _GONE_FROM_SCREEN:
            await self._jobs.done(job, covered=weighed.upto, now=now)
            return
        if not job.may_be_shown or Provider(device.provider) in _SEEN_ONLY:
            await self._jobs.done(job, covered=weighed.upto, shown=0, now=now)
            return
        telling = Telling(device.id, Kind.CLEAR, unread, (), weighed.upto, Content.ID_ONLY, revision=job.touched)
        await self._send(_Sending(job, device, address_of(device), telling, weighed, lane))

    async def _waits(self, job: Job, weighed: Weighed, until: int, reason: Reason) -> None:
        self._trace(job, Step.DECIDED, "wait", reason, upto=weighed.upto, until=until)
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
        self._trace(job, Step.DECIDED, outcome, decision.reason, upto=weighed.upto)
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
            revision=job.touched,
            content_keys=None if keys is None else WebKeys(keys.p256dh, keys.auth),
        )
        await self._send(_Sending(job, device, address_of(device), telling, weighed, lane))

    async def _send(self, sending: _Sending) -> None:
        """Send it, a smaller one if it is too large, and do what the answer asks for."""
        now = self._clock_ms()
        if not sending.lane.has_room_for(sending.address, now):
            breakers = (sending.lane.breaker, sending.lane.breaker_of(sending.address))
            until = max(now + self._settings.crowded_ms, *(one.opens_at(now) for one in breakers))
            await self._hold(sending.job, until, now)
            return
        with sending.lane.sending(sending.address):
            verdict, notification = await self._attempt(sending, sending.telling)
            if isinstance(verdict, TooLarge) and sending.telling.content is not Content.GENERIC:
                self._trace_answer(sending, notification, verdict)
                verdict, notification = await self._attempt(sending, replace(sending.telling, content=Content.GENERIC))
        await self._answered(sending, notification, verdict)
        self._trace_answer(sending, notification, verdict)

    async def _attempt(self, sending: _Sending, telling: Telling) -> tuple[Verdict, Notification]:
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

    async def _answered(self, sending: _Sending, notification: Notification, verdict: Verdict) -> None:
        now, job, lane = self._clock_ms(), sending.job, sending.lane
        breaker = lane.breaker_of(sending.address)
        match verdict:
            case Accepted():
                breaker.succeeded()
                lane.breaker.answered()
                lane.deletions.there()
                await self._accepted(sending, notification, verdict, now)
            case Later(reason, "device", after_s):
                breaker.answered()
                limit = self._settings.unexplained_attempts if after_s is None else self._settings.attempts
                await self._retry(job, reason, limit, now, after_s)
            case Later(reason, scope, after_s):
                concerned = lane.breaker if scope == "lane" else breaker
                concerned.asked_for_time(now, reason, None if after_s is None else int(after_s * 1000))
                await self._hold(job, concerned.opens_at(now), now)
            case Unknown(reason):
                breaker.failed(now, reason)
                await self._retry(job, reason, self._settings.attempts, now)
            case CredentialsAtFault(reason):
                lane.breaker.refused(now, reason)
                log.warning("push_credentials_at_fault", lane=lane.name, reason=reason)
                await self._hold(job, lane.breaker.opens_at(now), now)
            case AddressGone(reason, since):
                breaker.answered()
                await self._gone(sending, reason, since, now)
            case TooLarge(reason) | Rejected(reason):
                breaker.answered()
                await self._bury(job, reason, now)

    async def _accepted(self, sending: _Sending, notification: Notification, verdict: Accepted, now: int) -> None:
        rang_at = now if notification.kind is Kind.ALERT and notification.sound else None
        # First of all: until this is written, whoever comes next sends it again.
        await self._jobs.done(sending.job, covered=sending.weighed.upto, shown=sending.shown, rang_at=rang_at, now=now)
        if self._on_accepted is not None:
            self._on_accepted((now - sending.job.due_at) / 1000)
        if verdict.environment is not None and verdict.environment != sending.device.environment:
            await self._devices.flip(sending.device, verdict.environment)
        await self._devices.succeeded(sending.device)

    async def _gone(self, sending: _Sending, reason: str, since: int | None, now: int) -> None:
        job, lane = sending.job, sending.lane
        if since is not None and since <= sending.device.confirmed_at:
            # It has registered since then: the provider will know soon.
            await self._retry(job, reason, self._settings.unexplained_attempts, now)
            return
        was_tripped = lane.deletions.tripped
        if not lane.deletions.gone(now):
            if not was_tripped:
                log.error("push_credentials_suspect", lane=lane.name, since=lane.deletions.suspect_since)
            lane.breaker.hold(now, "too_many_devices_gone", lane.suspicion_ms)
            await self._hold(job, lane.breaker.opens_at(now), now)
            return
        if await self._devices.tombstone(sending.device, reason=reason, at=now, since=since):
            await self._jobs.done(job, covered=sending.weighed.upto, shown=0, now=now)
        else:
            await self._jobs.wait(job, now, now=now)

    async def _retry(self, job: Job, reason: str, limit: int, now: int, after_s: float | None = None) -> None:
        attempts = job.attempts + 1
        if attempts >= limit:
            await self._bury(job, reason, now)
            return
        asked_ms = None if after_s is None else int(after_s * 1000)
        at = retry_at(now, attempts, ends_at=job.ends_at, random=self._random, asked_ms=asked_ms)
        if at is None:
            await self._end(job, "expired", reason)
        else:
            await self._jobs.wait(job, at, now=now, attempts=attempts)

    async def _hold(self, job: Job, until: int, now: int) -> None:
        """It is not the job's fault, so it costs none of its attempts."""
        if until >= job.ends_at:
            until = job.ends_at
        await self._jobs.wait(job, max(now + 1, self._spread(until)), now=now)

    def _spread(self, until: int) -> int:
        """Those who wait for the same do not come back at the same moment."""
        return until + int(self._settings.crowded_ms * self._random())

    async def _bury(self, job: Job, reason: str, now: int) -> None:
        log.warning("push_given_up", lane=job.lane, reason=reason, attempts=job.attempts + 1)
        await self._jobs.bury(replace(job, attempts=job.attempts + 1), reason, now=now)
        self._trace(job, Step.ENDED, "dead_letter", reason)

    async def _end(self, job: Job, outcome: str, reason: str) -> None:
        await self._jobs.done(job, now=self._clock_ms())
        self._trace(job, Step.ENDED, outcome, reason)

    def _trace_answer(self, sending: _Sending, notification: Notification, verdict: Verdict) -> None:
        self._trace(
            sending.job,
            Step.ANSWERED,
            f"{notification.kind.value}:{OUTCOMES[type(verdict)]}",
            "" if isinstance(verdict, Accepted) else verdict.reason,
            upto=notification.upto,
            notification=notification,
            provider_id=verdict.provider_id if isinstance(verdict, Accepted) else "",
        )

    def _trace(
        self,
        job: Job,
        step: Step,
        outcome: str,
        reason: str = "",
        *,
        upto: int | None = None,
        until: int | None = None,
        notification: Notification | None = None,
        provider_id: str = "",
    ) -> None:
        trace = Trace(
            self._clock_ms(),
            step,
            job.conversation,
            min(job.since, job.upto),
            max(job.upto, upto or 0),
            outcome,
            str(reason),
            job.user,
            job.device,
            job.lane,
            until,
            0 if notification is None else job.attempts + 1,
            "" if notification is None else notification.job_id,
            provider_id,
        )
        self._tracer.add(trace)


OUTCOMES: Final[Mapping[type[Verdict], str]] = {
    Accepted: "accepted",
    Later: "later",
    Unknown: "unknown",
    AddressGone: "address_gone",
    CredentialsAtFault: "credentials_at_fault",
    TooLarge: "too_large",
    Rejected: "rejected",
}
"""The names of verdicts, as traces and metrics have them."""
