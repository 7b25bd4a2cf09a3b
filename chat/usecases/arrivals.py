"""Users on first sight: they are created, and what their token tells of them is filled in."""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from chat.usecases.checking import check_new_user
from chat.usecases.failures import told
from chat.usecases.ports import Limits
from realtime.protocol.messages import Payload
from storage.store import Store

MAX_REMEMBERED: Final = 20_000

_URL: Final = re.compile(r"https?://\S{1,2000}")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a token's `info` may tell of a new user."""

    name: str | None
    avatar_url: str | None


class Arrivals:
    """Bound: remembers the last `MAX_REMEMBERED` users with what was told of them; others are looked at again."""

    def __init__(self, store: Store, limits: Limits, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._limits = limits
        self._clock_ms = clock_ms
        self._told: OrderedDict[str, Profile] = OrderedDict()

    async def arrived(self, user: str, info: Payload) -> None:
        """Make sure that the user exists, and fill in what neither the application nor the user has set yet.

        Costs nothing for whoever was here before with the same `info`. Raises ClientError.
        """
        check_new_user(user, self._limits, "user")
        with told():
            await self._store.users.ensure([user], at=self._clock_ms())
            profile = profile_of(info)
            if profile is not None and self._told.get(user) != profile:
                await self._fill_in(user, profile)
                self._remember(user, profile)

    async def _fill_in(self, user: str, profile: Profile) -> None:
        known = await self._store.users.get(user)
        name = profile.name if known is None or not known.name else None
        avatar_url = profile.avatar_url if known is None or not known.avatar_url else None
        if name is not None or avatar_url is not None:
            await self._store.users.upsert(user, at=self._clock_ms(), name=name, avatar_url=avatar_url)

    def _remember(self, user: str, profile: Profile) -> None:
        self._told[user] = profile
        self._told.move_to_end(user)
        if len(self._told) > MAX_REMEMBERED:
            self._told.popitem(last=False)


def profile_of(info: Payload) -> Profile | None:
    """Name and picture from a token's `info`, where it has them in the usual places."""
    if not info:
        return None
    try:
        fields = msgspec.json.decode(info, type=dict[str, object])
    except msgspec.MsgspecError:
        return None
    name, avatar_url = fields.get("name"), fields.get("avatar_url")
    name = name[:100] if isinstance(name, str) and name else None
    if not (isinstance(avatar_url, str) and _URL.fullmatch(avatar_url)):
        avatar_url = None
    return Profile(name, avatar_url) if name or avatar_url else None
