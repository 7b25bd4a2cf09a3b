"""Conversations: create, list, change. Their members are in `membership`."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from chat.usecases.access import Access
from chat.usecases.checking import check_new_users, check_until, checked_custom, given
from chat.usecases.failures import told
from chat.usecases.membership import decided
from chat.usecases.ports import Announcer, Limits
from chat.usecases.rights import Right
from chat.usecases.views import Views
from chat.vocabulary import render
from chat.vocabulary.conversations import (
    ConversationCreate,
    ConversationCreated,
    ConversationGet,
    ConversationList,
    ConversationPage,
    ConversationResult,
    ConversationSetPreferences,
    ConversationUpdate,
    PreferencesResult,
    SettingsChange,
)
from chat.vocabulary.cursor import decode_cursor, encode_cursor
from chat.vocabulary.events import PreferencesChanged
from chat.vocabulary.members import MAX_MEMBERS_AT_ONCE
from chat.vocabulary.shapes import Conversation
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import Conflict
from storage.model import ConversationKind, ConversationSettings, Notify, Preferences, Role
from storage.mongo.conversations import Created
from storage.store import Store

MAX_MEMBERS: Final = MAX_MEMBERS_AT_ONCE
"""Of a new conversation, its creator included."""

_UPDATABLE: Final = ("title", "avatar_url", "description", "custom", "settings")
_PREFERENCES: Final = ("archived", "pinned", "muted_until", "notify")

MAX_PAGE_BYTES: Final = 56 * 1024
"""A larger reply would hold up pings and, on a slow socket, end the connection."""


class Conversations:
    def __init__(
        self,
        store: Store,
        access: Access,
        announcer: Announcer,
        views: Views,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._views = views
        self._limits = limits
        self._clock_ms = clock_ms

    async def create(self, user: str, request: ConversationCreate) -> ConversationCreated:
        """Make it, or find the one that the pair of users, the key or the external id stands for.

        Raises ClientError: conflict where one of them stands for another conversation than the one asked for.
        """
        check_new_users(request.members, self._limits, "members")
        kind = ConversationKind(request.kind)
        members = _members(user, kind, request.members)
        created = await self._create(user, request, kind, members)
        record = created.conversation
        if kind is ConversationKind.DIRECT and record.peers != tuple(sorted(name for name, _ in members)):
            # What is meant for one must not go to another.
            raise _taken(request)
        if created.entry is not None:
            users = [name for name, _ in members]
            self._announcer.let_in(record.id, users, position=created.entry.position, by=user, at=created.entry.at)
        member = await self._views.member(record.id, user)
        if member is None:
            raise _taken(request)
        return ConversationCreated((await self._views.of([(member, record)]))[0], created.duplicate)

    async def _create(
        self, user: str, request: ConversationCreate, kind: ConversationKind, members: list[tuple[str, Role]]
    ) -> Created:
        custom = checked_custom(request.custom, self._limits)
        if kind is ConversationKind.DIRECT:
            _check_direct(request)
        with told():
            try:
                return await self._store.conversations.create(
                    kind=kind,
                    by=user,
                    members=members,
                    at=self._clock_ms(),
                    title="" if kind is ConversationKind.DIRECT else request.title,
                    avatar_url=request.avatar_url,
                    description=request.description,
                    custom=custom,
                    settings=ConversationSettings(**_settings(request.settings)),
                    external_id=given(request.external_id),
                    idempotency_key=given(request.idempotency_key),
                )
            except Conflict:
                # The store says which conversation it is, and it may be somebody else's.
                raise _taken(request) from None

    async def get(self, user: str, request: ConversationGet) -> ConversationResult:
        return ConversationResult(await self._views.one(user, request.conversation))

    async def list_of(self, user: str, request: ConversationList) -> ConversationPage:
        """As many as asked for, or fewer that fit a reply; `next` tells whether there are more."""
        before = decode_cursor(request.before) if isinstance(request.before, str) else None
        with told():
            rows = await self._store.inbox.list(
                user, limit=request.limit + 1, before=before, archived=request.archived, pinned=given(request.pinned)
            )
        page = _fitting(await self._views.of(rows[: request.limit]))
        following = None
        if len(rows) > len(page):
            last = page[-1]
            following = encode_cursor(last.activity_at, last.id)
        return ConversationPage(page, following)

    async def update(self, user: str, request: ConversationUpdate) -> ConversationResult:
        """One entry that names what changed; none where nothing did."""
        conversation, at = request.conversation, self._clock_ms()
        custom = checked_custom(request.custom, self._limits)

        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.UPDATE)
            await self._store.conversations.update(
                conversation,
                by=user,
                at=at,
                title=given(request.title),
                avatar_url=given(request.avatar_url),
                description=given(request.description),
                custom=custom,
                settings=_settings(request.settings),
                check=self._access.check(conversation, {user: standing}),
            )

        if all(getattr(request, name) is UNSET for name in _UPDATABLE):
            await self._access.require(user, conversation, Right.UPDATE)
            raise ClientError(codes.BAD_REQUEST, f"give one of {', '.join(_UPDATABLE)}", "title")
        await decided(change)
        return ConversationResult(await self._views.one(user, conversation))

    async def set_preferences(self, user: str, request: ConversationSetPreferences) -> PreferencesResult:
        """How the user keeps it: told to the user's own devices only."""
        conversation, at = request.conversation, self._clock_ms()
        await self._access.require(user, conversation, Right.READ)
        if all(getattr(request, name) is UNSET for name in _PREFERENCES):
            raise ClientError(codes.BAD_REQUEST, f"give one of {', '.join(_PREFERENCES)}", "archived")
        if request.muted_until:
            check_until(request.muted_until, at, "muted_until")
        with told():
            kept, changed = await self._store.preferring.change(
                conversation, user, partial(_preferred, request, at), at=at
            )
        preferences = render.preferences(kept)
        if changed:
            self._announcer.personal(user, PreferencesChanged(conversation, preferences))
        return PreferencesResult(preferences)


def _preferred(request: ConversationSetPreferences, at: int, present: Preferences) -> Preferences:
    """What is asked for, on top of what is so. What is so already keeps its time."""

    def since(wanted: bool | UnsetType, time: int | None) -> int | None:
        if isinstance(wanted, UnsetType):
            return time
        return (time or at) if wanted else None

    muted_until = present.muted_until if isinstance(request.muted_until, UnsetType) else request.muted_until or None
    return Preferences(
        archived_at=since(request.archived, present.archived_at),
        pinned_at=since(request.pinned, present.pinned_at),
        muted_until=muted_until,
        notify=_level(request.notify, present.notify),
    )


def _level(wanted: str | UnsetType, present: Notify | None) -> Notify | None:
    if isinstance(wanted, UnsetType):
        return present
    return None if wanted == "default" else Notify(wanted)


def _settings(change: SettingsChange | UnsetType) -> dict[str, int]:
    """The settings that a request gives."""
    return {} if isinstance(change, UnsetType) else msgspec.to_builtins(change)


def _check_direct(request: ConversationCreate) -> None:
    """Raises ClientError for what a direct conversation does not have."""
    for name in ("avatar_url", "description"):
        if getattr(request, name):
            raise ClientError(codes.BAD_REQUEST, "a direct conversation has none", name)
    if request.settings is not UNSET:
        raise ClientError(codes.BAD_REQUEST, "a direct conversation has none", "settings")


def _fitting(views: list[Conversation]) -> list[Conversation]:
    """As many from the start as fit a reply, one at least."""
    size = 0
    for index, view in enumerate(views):
        size += len(msgspec.json.encode(view))
        if size > MAX_PAGE_BYTES and index:
            return views[:index]
    return views


def _taken(request: ConversationCreate) -> ClientError:
    """The same whatever the other conversation is: its kind and id are for its members."""
    field = "idempotency_key" if request.external_id is UNSET else "external_id"
    return ClientError(codes.CONFLICT, "stands for another conversation", field)


def _members(creator: str, kind: ConversationKind, others: Iterable[str]) -> list[tuple[str, Role]]:
    """Everyone in a new conversation, with their roles. Raises ClientError where there are too many or too few."""
    names = [name for name in dict.fromkeys(others) if name != creator]
    if kind is ConversationKind.DIRECT:
        if len(names) != 1:
            raise ClientError(codes.BAD_REQUEST, "a direct conversation has exactly one other member", "members")
        return [(creator, Role.MEMBER), (names[0], Role.MEMBER)]
    if len(names) >= MAX_MEMBERS:
        raise ClientError(codes.BAD_REQUEST, f"must have at most {MAX_MEMBERS - 1} others", "members")
    role = Role.READER if kind is ConversationKind.CHANNEL else Role.MEMBER
    return [(creator, Role.OWNER), *((name, role) for name in names)]
