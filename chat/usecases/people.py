"""Users: profiles, who is online, who is typing."""

from collections.abc import Callable

from msgspec import UnsetType, structs

from chat.usecases.access import Access
from chat.usecases.checking import check_new_user, checked_custom, given
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Announcer, Limits, Online
from chat.vocabulary import render
from chat.vocabulary.events import UserChanged
from chat.vocabulary.people import (
    Nothing,
    PresenceGet,
    PresenceOf,
    PresenceResult,
    PrivacyUpdate,
    UserGet,
    UserResult,
    UserUpdate,
    UserUpsert,
)
from storage.store import Store


class People:
    def __init__(
        self,
        store: Store,
        access: Access,
        announcer: Announcer,
        online: Online,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._online = online
        self._limits = limits
        self._clock_ms = clock_ms

    async def get(self, user: str, request: UserGet) -> UserResult:
        """Profiles are for every signed-in user; what one shows of oneself is told to oneself only."""
        with told():
            record = await self._store.users.get(request.user)
        if record is None:
            raise Unseen("no such user", "user")
        return UserResult(render.user(record, own=request.user == user))

    async def me(self, user: str, request: Nothing) -> UserResult:
        del request
        return await self.get(user, UserGet(user))

    async def update(self, user: str, request: UserUpdate) -> UserResult:
        with told():
            await self._store.users.ensure([user], at=self._clock_ms())
        return await self._change(user, request)

    async def upsert(self, request: UserUpsert) -> UserResult:
        """The application's own call: the user is created if it is new."""
        check_new_user(request.user, self._limits, "user")
        return await self._change(request.user, request)

    async def _change(self, user: str, request: UserUpdate | UserUpsert) -> UserResult:
        at = self._clock_ms()
        custom = checked_custom(request.custom, self._limits)
        with told():
            record = await self._store.users.upsert(
                user,
                at=at,
                name=given(request.name),
                avatar_url=given(request.avatar_url),
                locale=given(request.locale),
                custom=custom,
                privacy=_privacy(request.privacy),
            )
        self._announcer.personal(user, UserChanged(user, at))
        return UserResult(render.user(record, own=True))

    async def presence(self, user: str, request: PresenceGet) -> PresenceResult:
        """Who is online, and when they were last seen. With the broker away nobody is told to be online."""
        del user
        try:
            online = await self._online.online(request.users)
        except (ConnectionError, TimeoutError):
            online = set()
        with told():
            records = await self._store.users.get_many(request.users)
        return PresenceResult(
            [
                PresenceOf(name, name in online, records[name].last_seen_at if name in records else None)
                for name in dict.fromkeys(request.users)
            ]
        )


def _privacy(privacy: PrivacyUpdate | UnsetType) -> dict[str, bool]:
    """What of it was given."""
    given_fields = {} if isinstance(privacy, UnsetType) else structs.asdict(privacy)
    return {name: value for name, value in given_fields.items() if not isinstance(value, UnsetType)}
