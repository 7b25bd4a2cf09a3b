"""Users: profiles, who is online, who is typing."""

from collections.abc import Callable

from msgspec import UnsetType, structs

from chat.usecases.access import Access
from chat.usecases.checking import check_new_user, checked_custom, given
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Announcer, Limits
from chat.usecases.presence import Presence
from chat.vocabulary import render
from chat.vocabulary.events import UserChanged
from chat.vocabulary.people import (
    Nothing,
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
        presence: Presence,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._presence = presence
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
        privacy = _privacy(request.privacy)
        with told():
            before = await self._store.users.get(user) if "presence" in privacy else None
            record = await self._store.users.upsert(
                user,
                at=at,
                name=given(request.name),
                avatar_url=given(request.avatar_url),
                locale=given(request.locale),
                custom=custom,
                privacy=privacy,
            )
        self._announcer.personal(user, UserChanged(user, at))
        if before is not None and before.privacy.presence is not record.privacy.presence:
            await self._presence.privacy_changed(user, shown=record.privacy.presence)
        return UserResult(render.user(record, own=True))


def _privacy(privacy: PrivacyUpdate | UnsetType) -> dict[str, bool]:
    """What of it was given."""
    given_fields = {} if isinstance(privacy, UnsetType) else structs.asdict(privacy)
    return {name: value for name, value in given_fields.items() if not isinstance(value, UnsetType)}
