"""When users were last active, as the application says, and last connected, as we see."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from chat.usecases.failures import told
from chat.usecases.ports import Online
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Status:
    """Seconds since 1970 UTC; 0: never. `online` is now while there is a connection."""

    user: str
    active: int = 0
    online: int = 0


class Statuses:
    """Every method raises ClientError. `clock_ms` gives ms UTC."""

    def __init__(self, store: Store, online: Online, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._online = online
        self._clock_ms = clock_ms

    async def get(self, users: Collection[str]) -> list[Status]:
        """One of each, in their order. Raises ConnectionError or TimeoutError when it cannot be known who is
        connected.
        """
        asked = list(dict.fromkeys(users))
        connected = await self._online.online(asked)
        with told():
            known = await self._store.users.times(asked)
        now = self._clock_ms()
        statuses = []
        for user in asked:
            active_at, last_seen_at = known.get(user, (0, 0))
            seen_at = now if user in connected else last_seen_at
            statuses.append(Status(user, active_at // 1000, seen_at // 1000))
        return statuses

    async def update(self, users: Collection[str]) -> None:
        """They are active now. Users that were never seen are created."""
        at = self._clock_ms()
        with told():
            await self._store.users.ensure(users, at=at)
            await self._store.users.touch_active(users, at=at)

    async def delete(self, users: Collection[str]) -> None:
        """Forget both times."""
        with told():
            await self._store.users.forget_times(users)
