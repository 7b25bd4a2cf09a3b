"""Brings back devices that a provider said are gone, and was wrong: they are told what they missed that is unread."""

from collections.abc import Callable, Collection
from typing import Final

from chat.config.push import PushSection
from chat.push.configured import planning_of, policy_of
from chat.push.planner import Planner
from chat.push.sending import Lane
from chat.push.sweeping import messages_since
from chat.push.unreading import StoredGroups
from storage.mongo.inbox import MAX_CONVERSATIONS
from storage.store import Store

PAGE: Final = 100
"""Devices that are brought back before what they missed is planned: a process that dies loses the plans of so many."""

_USERS: Final = 25
"""Whose conversations are looked at at once."""


class Reviving:
    """`bring_back` may raise StorageError, and may then be called again."""

    def __init__(self, store: Store, planner: Planner, *, life_ms: int, clock_ms: Callable[[], int]) -> None:
        """What is older than `life_ms` is told to nobody."""
        self._store = store
        self._planner = planner
        self._life_ms = life_ms
        self._clock_ms = clock_ms

    async def bring_back(self, lane: Lane, *, since: int) -> int:
        """All devices of a lane that were ended from `since` (ms UTC) on; how many. Takes as long as it takes to look
        at their users' conversations.
        """
        until, count = self._clock_ms() + 1, 0
        while True:
            devices = await self._store.devices.undo(
                provider=lane.provider.value,
                app=lane.app,
                environment=lane.environment,
                since=since,
                until=until,
                limit=PAGE,
            )
            count += len(devices)
            await self._plan({device.user for device in devices})
            if len(devices) < PAGE:
                return count

    async def _plan(self, users: Collection[str]) -> None:
        """What they were told before, or have read, makes no job."""
        since = self._clock_ms() - self._life_ms
        for conversation, concerned in (await self._unread(users, since)).items():
            messages = await messages_since(self._store, conversation, since)
            await self._planner.plan_for(messages, concerned)

    async def _unread(self, users: Collection[str], since: int) -> dict[str, list[str]]:
        """By conversation, who has something unread in it that may be as new as that."""
        store, every, found = self._store, sorted(users), dict[str, list[str]]()
        for start in range(0, len(every), _USERS):
            of_users = await store.members.of_users(every[start : start + _USERS], MAX_CONVERSATIONS)
            members = [member for some in of_users.values() for member in some]
            records = await store.conversations.get_many({member.conversation for member in members})
            for member in members:
                record = records.get(member.conversation)
                if record is not None and record.activity_at >= since and record.head.n > member.read.n:
                    found.setdefault(record.id, []).append(member.user)
        return found


def reviving_of(push: PushSection, store: Store, *, clock_ms: Callable[[], int]) -> Reviving:
    """By the rules there are."""
    settings = planning_of(push)
    planner = Planner(
        store.push_jobs,
        store.push_traces,
        StoredGroups(store),
        store.members,
        store.devices,
        store.notifying,
        clock_ms=clock_ms,
        policy=policy_of(push),
        settings=settings,
    )
    return Reviving(store, planner, life_ms=settings.life_ms, clock_ms=clock_ms)
