"""From entries of the log to jobs: for every device that may have something unread now.

It decides only what needs no look at anybody's devices; the dispatcher decides the rest, when a job is due. Whoever
reads the log again plans the same, and jobs that were done are not made again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from chat.push.policy import Facts, PolicySettings, Reason, Suppress, Wait, decide, mentions_only
from chat.push.ports import Devices, Group, Groups, Members, Preferences, Traces, lane_name, lane_of
from chat.push.unreading import mentions
from storage.errors import StorageError
from storage.model import Entry, EntryKind, Member
from storage.model.device import Device
from storage.model.notifying import PushPreferences
from storage.model.push import Doubt, Step, Trace
from storage.mongo.mentions import everyone
from storage.mongo.push_jobs import PushJobs

log = structlog.get_logger(__name__)

_Reached: TypeAlias = Sequence[tuple[Member, Sequence[Device]]]
"""Members with their devices, one at least each."""

_CHANGES: Final = (EntryKind.MESSAGE_EDITED, EntryKind.MESSAGE_DELETED)


@dataclass(frozen=True, slots=True)
class PlannerSettings:
    """Times in milliseconds. `life_ms`: after that a notification is of no use to anybody.

    In a conversation where only mentions are told, members who want to hear of everything are looked for among at most
    `searched_members`; in a larger one nobody but who is mentioned is told. `page` members are looked at at once.
    `change_delay_ms`: edits and deletions that follow on each other are one update of the screen. `at_once`:
    conversations that are planned side by side.
    """

    life_ms: int = 4 * 3_600_000
    searched_members: int = 5_000
    page: int = 200
    change_delay_ms: int = 1_000
    at_once: int = 128


class Planner:
    """Makes jobs. Every method may raise StorageError, and may then be called again with the same."""

    def __init__(
        self,
        jobs: PushJobs,
        traces: Traces,
        groups: Groups,
        members: Members,
        devices: Devices,
        preferences: Preferences,
        *,
        clock_ms: Callable[[], int],
        wake: Callable[[], None] | None = None,
        policy: PolicySettings | None = None,
        settings: PlannerSettings | None = None,
    ) -> None:
        """`wake` is called when jobs were made: a hint, that may be lost."""
        self._jobs = jobs
        self._traces = traces
        self._groups = groups
        self._members = members
        self._devices = devices
        self._preferences = preferences
        self._clock_ms = clock_ms
        self._wake = wake
        self._policy = policy or PolicySettings()
        self._settings = settings or PlannerSettings()

    async def plan_for(self, messages: Sequence[Entry], users: Collection[str]) -> None:
        """Plan messages of one conversation for some of its members, who were not reached by then."""
        if messages:
            await self._plan(messages[0].conversation, messages, users)

    async def on_entries(self, entries: Sequence[Entry]) -> None:
        """For `Follower`. Takes as long as it takes to look at every member of conversations with news."""
        conversations: dict[str, list[Entry]] = {}
        for entry in entries:
            conversations.setdefault(entry.conversation, []).append(entry)
        at_once = asyncio.Semaphore(self._settings.at_once)

        async def planned(conversation: str, some: Sequence[Entry]) -> None:
            async with at_once:
                await self._plan(conversation, [entry for entry in some if entry.kind is EntryKind.MESSAGE_CREATED])
                await self._update(conversation, [entry for entry in some if entry.kind in _CHANGES])

        outcomes = await asyncio.gather(*(planned(*each) for each in conversations.items()), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None and not isinstance(outcome, StorageError):
                # A fault of ours in one conversation must not stop the others for ever.
                log.error("push_not_planned", exc_info=outcome)
        for outcome in outcomes:
            if isinstance(outcome, StorageError):
                raise outcome

    async def _update(self, conversation: str, changes: Sequence[Entry]) -> None:
        if not changes:
            return
        now = self._clock_ms()
        targets = [int(entry.body["target"]) for entry in changes]
        await self._jobs.changed(
            conversation,
            min(targets),
            due_at=now + self._settings.change_delay_ms,
            ends_at=now + self._settings.life_ms,
            now=now,
        )

    async def _plan(self, conversation: str, messages: Sequence[Entry], users: Collection[str] | None = None) -> None:
        """Several messages of one conversation are planned with one look at its members, or at `users`."""
        now = self._clock_ms()
        fresh = [entry for entry in messages if entry.at + self._settings.life_ms > now]
        group = await self._groups.of(conversation) if fresh else None
        if group is None:
            return
        planned = False
        async for reached in self._recipients(conversation, group, fresh, users):
            planned |= await self._plan_members(group, reached, fresh, now)
        if planned:
            self._hint()

    async def _recipients(
        self, conversation: str, group: Group, messages: Sequence[Entry], users: Collection[str] | None
    ) -> AsyncIterator[_Reached]:
        """Pages of those who may have to be told, and can be."""
        if users is not None:
            yield await self._peers(conversation, users, messages)
            return
        if group.peers is not None:
            yield await self._peers(conversation, group.peers, messages)
            return
        async for members in self._pages(conversation, group, messages):
            devices = await self._devices.of_users([member.user for member in members])
            yield [(member, some) for member in members if (some := devices.get(member.user))]

    async def _peers(self, conversation: str, peers: Collection[str], messages: Sequence[Entry]) -> _Reached:
        """Of a direct conversation, or of a few: who has no device costs no more than to know that."""
        others = [peer for peer in peers if any(entry.by != peer for entry in messages)]
        devices = await self._devices.of_users(others)
        found = [(await self._members.get(conversation, user), some) for user, some in devices.items() if some]
        return [(member, some) for member, some in found if member is not None and member.live]

    async def _pages(self, conversation: str, group: Group, messages: Sequence[Entry]) -> AsyncIterator[list[Member]]:
        at_large = Facts(now=0, upto=0, at=0, members_count=group.members_count)
        calls_everyone = any(everyone(conversation) in entry.body.get("meant", ()) for entry in messages)
        if (
            mentions_only(at_large, self._policy)
            and not calls_everyone
            and group.members_count > self._settings.searched_members
        ):
            await self._trace_large(conversation, messages)
            meant = {user: None for entry in messages for user in entry.body.get("meant", ())}
            found = [await self._members.get(conversation, user) for user in meant]
            yield [member for member in found if member is not None and member.live]
            return
        after, limit = "", self._settings.page
        while True:
            page = await self._members.page(conversation, after=after, limit=limit)
            if page:
                yield page
            if len(page) < limit:
                return
            after = page[-1].user

    async def _plan_members(self, group: Group, reached: _Reached, messages: Sequence[Entry], now: int) -> bool:
        """Whether any job was made."""
        if not reached:
            return False
        wishes = await self._preferences.of_users([member.user for member, _ in reached])
        doubts: list[Doubt] = []
        traces: list[Trace] = []
        for member, devices in reached:
            made, told = self._plan_member(group, member, devices, wishes, messages, now)
            doubts += made
            traces += told
        await self._jobs.put(doubts, now=now)
        await self._traces.write(traces)
        return bool(doubts)

    def _plan_member(
        self,
        group: Group,
        member: Member,
        devices: Sequence[Device],
        wishes: Mapping[str, PushPreferences],
        messages: Sequence[Entry],
        now: int,
    ) -> tuple[Iterable[Doubt], Iterable[Trace]]:
        doubts: dict[str, Doubt] = {}
        traces: list[Trace] = []
        for entry in messages:
            decision = decide(self._facts(group, member, wishes.get(member.user), entry, now), self._policy)
            if isinstance(decision, Suppress):
                # Nobody asks why their own phone did not ring for what they wrote themselves.
                if decision.reason is not Reason.OWN_MESSAGE:
                    traces.append(_trace(entry, now, "suppress", decision.reason, user=member.user))
                continue
            due_at = decision.until if isinstance(decision, Wait) else now
            for device in devices:
                lane = lane_name(lane_of(device))
                since = doubts[device.id].since if device.id in doubts else entry.offset
                due = min(due_at, doubts[device.id].due_at) if device.id in doubts else due_at
                doubts[device.id] = Doubt(
                    device.id,
                    member.user,
                    entry.conversation,
                    lane,
                    since,
                    entry.offset,
                    due,
                    ends_at=entry.at + self._settings.life_ms,
                )
                traces.append(_trace(entry, now, "job", user=member.user, device=device.id, lane=lane, until=due))
        return doubts.values(), traces

    def _facts(self, group: Group, member: Member, wishes: PushPreferences | None, entry: Entry, now: int) -> Facts:
        """What is known without a look at devices: nobody is online, and it is day."""
        return Facts(
            now=now,
            upto=entry.offset,
            at=entry.at,
            member=member.live and entry.offset > member.joined_offset,
            own=entry.by == member.user,
            nothing_left="deleted_at" in entry.body,
            mentioned=mentions(entry, member.user),
            members_count=group.members_count,
            muted_until=member.preferences.muted_until,
            notify=member.preferences.notify or (wishes.notify if wishes else None),
            read=member.read.offset,
        )

    async def _trace_large(self, conversation: str, messages: Sequence[Entry]) -> None:
        """One trace for the many who are not told."""
        now = self._clock_ms()
        await self._traces.write([_trace(entry, now, "suppress", Reason.LARGE_GROUP) for entry in messages])

    def _hint(self) -> None:
        if self._wake is not None:
            self._wake()


def _trace(
    entry: Entry,
    now: int,
    outcome: str,
    reason: str = "",
    *,
    user: str = "",
    device: str = "",
    lane: str = "",
    until: int | None = None,
) -> Trace:
    return Trace(
        now,
        Step.PLANNED,
        entry.conversation,
        entry.offset,
        entry.offset,
        outcome,
        str(reason),
        user,
        device,
        lane,
        until,
    )
