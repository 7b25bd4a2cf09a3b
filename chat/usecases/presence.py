"""Who is online, and when they were last here: told when asked, and to those who share small conversations with them.

Nobody is told of somebody who does not want it, with whom they share no conversation, or where one of the two blocks
the other: they look offline, as anybody does who is.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from chat.usecases.blocks import BlockLists
from chat.usecases.failures import told
from chat.usecases.ports import Announcer, Limits, Online
from chat.vocabulary import events
from chat.vocabulary.people import PresenceGet, PresenceOf, PresenceResult
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage import model
from storage.mongo.circles import Place
from storage.store import Store

NEWEST: Final = 50
"""Conversations of a user, by activity, in which they are seen to come and go."""

_LISTS_AT_ONCE: Final = 100


class Presence:
    def __init__(
        self,
        store: Store,
        block_lists: BlockLists,
        announcer: Announcer,
        online: Online,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._block_lists = block_lists
        self._announcer = announcer
        self._online = online
        self._members = limits.presence_members
        self._clock_ms = clock_ms

    async def get(self, user: str, request: PresenceGet) -> PresenceResult:
        """Raises ClientError, also where it cannot be known: nobody is said to be offline who may be online."""
        names = list(dict.fromkeys(request.users))
        visible = await self._visible(user, names)
        try:
            online = await self._online.online([*visible]) if visible else set()
        except (ConnectionError, TimeoutError):
            raise ClientError(codes.UNAVAILABLE, "it is not known just now who is online") from None
        return PresenceResult(
            [
                PresenceOf(name, name in online, visible[name].last_seen_at) if name in visible else PresenceOf(name)
                for name in names
            ]
        )

    async def announce(self, came: Collection[str], left: Mapping[str, int]) -> int:
        """Tell of users who have come, and of those who left, when; returns in how many conversations.

        Who is there again by now did not leave, and who is gone again did not come. Raises ClientError where it cannot
        be told now, ConnectionError and TimeoutError.
        """
        everyone = [*came, *(user for user in left if user not in came)]
        online = await self._online.online(everyone)
        gone = {user: at for user, at in left.items() if user not in online}
        here = [user for user in came if user in online]
        with told():
            await self._store.users.touch_last_seen(gone)
            records = await self._store.users.get_many([*here, *gone])
        shown = [user for user, record in records.items() if record.privacy.presence]
        return await self._tell({user: (user in online, gone.get(user)) for user in shown})

    async def privacy_changed(self, user: str, *, shown: bool) -> None:
        """The user shows their presence from now on, or does not. Who may see it is told. Raises ClientError."""
        try:
            online = shown and user in await self._online.online([user])
        except (ConnectionError, TimeoutError):
            return
        if online or not shown:
            await self._tell({user: (online, None)})

    async def _tell(self, states: Mapping[str, tuple[bool, int | None]]) -> int:
        """Publish of each user whether they are online, and when they were last seen."""
        if not self._members or not states:
            return 0
        with told():
            circles = await self._store.circles.of(states, newest=NEWEST, members=self._members)
        apart = await self._apart(circles)
        at, count = self._clock_ms(), 0
        for user, (online, last_seen_at) in states.items():
            for place in circles[user]:
                if place.peers is None or place.peers not in apart:
                    event = events.Presence(place.conversation, user, at, online, last_seen_at)
                    self._announcer.ephemeral(place.conversation, event)
                    count += 1
        return count

    async def _apart(self, circles: Mapping[str, Sequence[Place]]) -> set[tuple[str, str]]:
        """The pairs of direct conversations of whom one blocks the other."""
        pairs = {place.peers for places in circles.values() for place in places if place.peers is not None}
        users = sorted({user for pair in pairs for user in pair})
        lists: dict[str, frozenset[str]] = {}
        for start in range(0, len(users), _LISTS_AT_ONCE):
            lists |= await self._block_lists.of(*users[start : start + _LISTS_AT_ONCE])
        return {(one, two) for one, two in pairs if two in lists[one] or one in lists[two]}

    async def _visible(self, user: str, names: Sequence[str]) -> dict[str, model.User]:
        """Of those that there are, whom the user may know to be online or not."""
        with told():
            sharing = await self._store.circles.sharing(user, names)
            records = await self._store.users.get_many([name for name in names if name in sharing or name == user])
        lists: dict[str, frozenset[str]] = await self._block_lists.of(user)
        others = [name for name in records if name != user]
        if others:
            lists |= await self._block_lists.of(*others)
        return {
            name: record
            for name, record in records.items()
            if name == user or (record.privacy.presence and name not in lists[user] and user not in lists[name])
        }
