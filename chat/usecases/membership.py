"""Who comes into a conversation and who goes, and as what."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from msgspec import UNSET

from chat.usecases.access import Access, Standing, foreign
from chat.usecases.checking import check_new_users
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Announcer, Limits
from chat.usecases.rights import Right, outranks
from chat.usecases.views import Views
from chat.vocabulary import render
from chat.vocabulary.conversations import ConversationResult
from chat.vocabulary.members import (
    ConversationAddMembers,
    ConversationJoin,
    ConversationLeave,
    ConversationMembers,
    ConversationRemoveMember,
    ConversationSetRole,
    MembersPage,
)
from chat.vocabulary.shapes import Done
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import PreconditionFailed
from storage.model import Appended, ConversationKind, Role
from storage.store import Store

T = TypeVar("T")

ATTEMPTS: Final = 4
"""How often a change is decided anew when the log has moved under it: on a process that had not written there, once."""

_JOINABLE: Final = (ConversationKind.CHANNEL,)


async def decided(change: Callable[[], Awaitable[T]]) -> T:
    """Make a change whose `check` may fail: then what it was decided by is looked up again, in `change` itself.

    Raises ClientError; storage errors are told as such.
    """
    with told():
        for _ in range(ATTEMPTS - 1):
            try:
                return await change()
            except PreconditionFailed:
                continue
        return await change()


class Membership:
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

    async def join(self, user: str, request: ConversationJoin) -> ConversationResult:
        """Into a channel. Whoever is a member already, of whatever kind, just gets the conversation."""
        at = self._clock_ms()
        with told():
            record = await self._store.conversations.get(request.conversation)
            if record is None or record.kind not in _JOINABLE:
                if await self._views.member(request.conversation, user) is None:
                    raise foreign()
                return ConversationResult(await self._views.one(user, request.conversation))
            appended = await self._store.members.join(request.conversation, user, role=Role.READER, at=at)
        self._came(request.conversation, [user], appended, by=user, at=at)
        return ConversationResult(await self._views.one(user, request.conversation))

    async def leave(self, user: str, request: ConversationLeave) -> Done:
        """The last owner may not, while others are there."""
        await self._access.require(user, request.conversation, Right.LEAVE)
        at = self._clock_ms()
        with told():
            await self._store.members.leave(request.conversation, user, at=at, owned=True)
        self._went(request.conversation, user, by=user, at=at)
        return Done()

    async def add_members(self, user: str, request: ConversationAddMembers) -> Done:
        """Who is a member already stays as they are."""
        check_new_users(request.members, self._limits, "members")
        conversation, at = request.conversation, self._clock_ms()

        async def add() -> Appended | None:
            standing = await self._access.require(user, conversation, Right.ADD_MEMBERS)
            role = Role.READER if standing.kind is ConversationKind.CHANNEL else Role.MEMBER
            if request.role is not UNSET:
                role = Role(request.role)
            _require_giving(standing, role)
            return await self._store.members.add(
                conversation,
                [(member, role) for member in request.members],
                by=user,
                at=at,
                check=self._access.check(conversation, {user: standing}),
            )

        appended = await decided(add)
        self._came(conversation, _joined(appended), appended, by=user, at=at)
        return Done()

    async def remove_member(self, user: str, request: ConversationRemoveMember) -> Done:
        conversation, at = request.conversation, self._clock_ms()

        async def remove() -> None:
            standing = await self._access.require(user, conversation, Right.REMOVE_MEMBER)
            subject = await self._subject(standing, conversation, request.user)
            await self._store.members.remove(
                conversation,
                request.user,
                by=user,
                at=at,
                owned=True,
                check=self._access.check(conversation, {request.user: subject, user: standing}),
            )

        await decided(remove)
        self._went(conversation, request.user, by=user, at=at)
        return Done()

    async def set_role(self, user: str, request: ConversationSetRole) -> Done:
        """The last owner stays owner."""
        conversation, role, at = request.conversation, Role(request.role), self._clock_ms()

        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.SET_ROLE)
            subject = await self._subject(standing, conversation, request.user)
            _require_giving(standing, role)
            await self._store.members.set_role(
                conversation,
                request.user,
                role,
                by=user,
                at=at,
                owned=True,
                check=self._access.check(conversation, {request.user: subject, user: standing}),
            )

        await decided(change)
        self._access.forget(conversation, [request.user])
        return Done()

    async def members(self, user: str, request: ConversationMembers) -> MembersPage:
        await self._access.require(user, request.conversation, Right.READ)
        with told():
            rows = await self._store.members.page(request.conversation, after=request.after, limit=request.limit + 1)
        page = rows[: request.limit]
        following = page[-1].user if len(rows) > request.limit else None
        return MembersPage([render.member(row) for row in page], following)

    async def _subject(self, standing: Standing, conversation: str, user: str) -> Standing:
        """What somebody is on whom a member acts. Raises ClientError where there is nobody, or the rank is lacking."""
        subject = await self._access.standing(user, conversation)
        if subject is None:
            raise Unseen("not a member", "user")
        if not outranks(standing.role, subject.role):
            raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not act on a {subject.role}", "user")
        return subject

    def _came(self, conversation: str, users: Sequence[str], appended: Appended | None, *, by: str, at: int) -> None:
        self._access.forget(conversation, users)
        if appended is not None and users:
            self._announcer.let_in(conversation, users, position=appended.entry.position, by=by, at=at)

    def _went(self, conversation: str, user: str, *, by: str, at: int) -> None:
        self._access.forget(conversation, [user])
        self._announcer.put_out(conversation, [user], by=by, at=at)


def _require_giving(standing: Standing, role: Role) -> None:
    """Nobody gives a role that is not below their own; owners give any."""
    if not outranks(standing.role, role):
        raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not make somebody {role}", "role")


def _joined(appended: Appended | None) -> list[str]:
    return [] if appended is None else [member["user"] for member in appended.entry.body["members"]]
