"""What becomes of a job: what a provider's answer asks for, and how a job ends without one.

Each outcome is written to the job's row before anything else: until it is, whoever comes next does it again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from chat.push.lanes import LaneRuntime, origin_of
from chat.push.ports import Devices
from chat.push.rendering import Telling
from chat.push.sending import (
    SEEN_ONLY,
    Accepted,
    Address,
    AddressGone,
    Content,
    CredentialsAtFault,
    Kind,
    Later,
    Notification,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
)
from chat.push.timing import retry_at
from chat.push.tracing import Tracer
from storage.errors import StorageError
from storage.model.device import Device
from storage.model.push import Job, Pause, Step, Trace
from storage.mongo.push_jobs import PushJobs
from storage.mongo.push_pauses import PushPauses

log = structlog.get_logger(__name__)

_WORTH_TELLING_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """A push that has failed `attempts` times is given up; one whose provider gave no reason that it could be expected
    to pass by itself, after `unexplained_attempts`. `deadline_s`: the longest that a sender is waited for; a lease has
    to be more than twice as long. `life_ms`: how long something is worth telling once do-not-disturb is over.
    `number_gap_ms`: a device is told its number by itself at most that often.
    """

    attempts: int = 5
    unexplained_attempts: int = 3
    deadline_s: float = 12.0
    crowded_ms: int = 1_000
    life_ms: int = 4 * 3_600_000
    number_gap_ms: int = 10_000
    content: Content = Content.FULL


@dataclass(frozen=True, slots=True)
class Sending:
    """What is being sent, and what the row says once it was."""

    job: Job
    device: Device
    address: Address
    telling: Telling
    lane: LaneRuntime

    @property
    def shown(self) -> int:
        """What is on the screen once it has arrived."""
        return self.telling.upto if self.telling.kind in (Kind.ALERT, Kind.QUIET) else 0


class Settling:
    """Every method that is awaited may raise StorageError; the job is then anybody's when its lease ends."""

    def __init__(
        self,
        jobs: PushJobs,
        pauses: PushPauses,
        tracer: Tracer,
        devices: Devices,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[], float],
        on_accepted: Callable[[float], None] | None,
        settings: DeliverySettings,
    ) -> None:
        """See `Delivery`."""
        self._jobs = jobs
        self._pauses = pauses
        self._tracer = tracer
        self._devices = devices
        self._clock_ms = clock_ms
        self._random = random
        self._on_accepted = on_accepted
        self._settings = settings

    async def answered(self, sending: Sending, notification: Notification, verdict: Verdict) -> None:
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
                await self._retry(sending, reason, limit, now, after_s)
            case Later(reason, "lane", after_s):
                await self._leave_alone(sending, "", reason, after_s, now)
            case Later(reason, _, after_s):
                await self._leave_alone(sending, origin_of(sending.address) or "", reason, after_s, now)
            case Unknown(reason):
                breaker.failed(now, reason)
                await self._retry(sending, reason, self._settings.attempts, now)
            case CredentialsAtFault(reason):
                lane.breaker.refused(now, reason)
                log.warning("push_credentials_at_fault", lane=lane.name, reason=reason)
                await self.hold(job, lane.breaker.opens_at(now), now)
            case AddressGone(reason, since):
                breaker.answered()
                await self._gone(sending, reason, since, now)
            case TooLarge(reason) | Rejected(reason):
                breaker.answered()
                await self._bury(sending, reason, now)

    async def _accepted(self, sending: Sending, notification: Notification, verdict: Accepted, now: int) -> None:
        job = sending.job
        rang_at = now if notification.kind is Kind.ALERT and notification.sound else None
        badge = None if sending.address.provider in SEEN_ONLY else notification.badge
        # First of all: until this is written, whoever comes next sends it again.
        await self._jobs.done(
            job,
            covered=sending.telling.upto,
            shown=sending.shown,
            rang_at=rang_at,
            badge=badge,
            last=notification.kept,
            now=now,
        )
        if self._on_accepted is not None and not job.is_number:
            self._on_accepted((now - job.due_at) / 1000)
        if verdict.environment is not None and verdict.environment != sending.device.environment:
            await self._devices.flip(sending.device, verdict.environment)
        await self._devices.succeeded(sending.device)

    async def _leave_alone(self, sending: Sending, origin: str, reason: str, after_s: float | None, now: int) -> None:
        """The lane, or one origin of it: for as long as was asked for, by all workers."""
        lane, concerned = sending.lane, sending.lane.breaker_at(origin)
        before = concerned.opens_at(now)
        concerned.asked_for_time(now, reason, None if after_s is None else int(after_s * 1000))
        until = concerned.opens_at(now)
        # Of many that are told the same at once, one tells the others.
        if after_s is not None and until > before + _WORTH_TELLING_MS:
            try:
                await self._pauses.keep(Pause(lane.name, origin, until, reason))
            except StorageError as error:
                log.warning("push_pause_not_kept", lane=lane.name, reason=str(error))
        await self.hold(sending.job, until, now)

    async def _gone(self, sending: Sending, reason: str, since: int | None, now: int) -> None:
        job, lane = sending.job, sending.lane
        if since is not None and since <= sending.device.confirmed_at:
            # It has registered since then: the provider will know soon.
            await self._retry(sending, reason, self._settings.unexplained_attempts, now)
            return
        was_tripped = lane.deletions.tripped
        if not lane.deletions.gone(now):
            if not was_tripped:
                log.error("push_credentials_suspect", lane=lane.name, since=lane.deletions.suspect_since)
            lane.breaker.hold(now, "too_many_devices_gone", lane.suspicion_ms)
            await self.hold(job, lane.breaker.opens_at(now), now)
            return
        if await self._devices.tombstone(sending.device, reason=reason, at=now, since=since):
            await self._jobs.shelve(job, now=now)
        else:
            await self._jobs.wait(job, now, now=now)

    async def _retry(self, sending: Sending, reason: str, limit: int, now: int, after_s: float | None = None) -> None:
        job, attempts = sending.job, sending.job.attempts + 1
        if attempts >= limit:
            await self._bury(sending, reason, now)
            return
        asked_ms = None if after_s is None else int(after_s * 1000)
        at = retry_at(now, attempts, ends_at=job.ends_at, random=self._random, asked_ms=asked_ms)
        if at is None:
            await self.end(job, "expired", reason)
        else:
            await self._jobs.wait(job, at, now=now, attempts=attempts)

    async def hold(self, job: Job, until: int, now: int) -> None:
        """It is not the job's fault, so it costs none of its attempts."""
        if until >= job.ends_at:
            until = job.ends_at
        await self._jobs.wait(job, max(now + 1, self._spread(until)), now=now)

    def _spread(self, until: int) -> int:
        """Those who wait for the same do not come back at the same moment."""
        return until + int(self._settings.crowded_ms * self._random())

    async def _bury(self, sending: Sending, reason: str, now: int) -> None:
        job = sending.job
        if job.is_number:
            # Not worth anybody's look: the next one is right again.
            await self.end(job, "dropped", reason)
            return
        log.warning("push_given_up", lane=job.lane, reason=reason, attempts=job.attempts + 1)
        shown = sending.shown if sending.shown and job.may_be_shown else None
        await self._jobs.bury(replace(job, attempts=job.attempts + 1), reason, shown=shown, now=now)
        self.trace(job, Step.ENDED, "dead_letter", reason)

    async def end(self, job: Job, outcome: str, reason: str) -> None:
        # What may be on the screen is taken away when it is read, like what certainly is.
        await self._jobs.done(job, shown=job.upto if job.may_be_shown else None, now=self._clock_ms())
        self.trace(job, Step.ENDED, outcome, reason)

    async def drop(self, job: Job, *, may_come_back: bool) -> None:
        """There is no such device any more, or only the tombstone of it."""
        if not may_come_back:
            await self.end(job, "dropped", "no_device")
            return
        await self._jobs.shelve(job, now=self._clock_ms())
        self.trace(job, Step.ENDED, "dropped", "no_device")

    def trace_answer(self, sending: Sending, notification: Notification, verdict: Verdict) -> None:
        self.trace(
            sending.job,
            Step.ANSWERED,
            f"{notification.kind.value}:{OUTCOMES[type(verdict)]}",
            "" if isinstance(verdict, Accepted) else verdict.reason,
            upto=notification.upto,
            notification=notification,
            provider_id=verdict.provider_id if isinstance(verdict, Accepted) else "",
        )

    def trace(
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
