"""Who comes into a conversation and who goes, and as what."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from msgspec import UnsetType

from chat.usecases.access import Access, Standing, foreign, parent_of
from chat.usecases.checking import check_new_users
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Announcer, Limits
from chat.usecases.receipts import Receipts
from chat.usecases.rights import Right, outranks
from chat.usecases.views import Views
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
from storage.errors import Banned, PreconditionFailed
from storage.model import Appended, ConversationKind, Role
from storage.store import Store

T = TypeVar("T")

ATTEMPTS: Final = 4
"""How often a change is decided anew when the log has moved under it: on a process that had not written there, once."""

STEP: Final = 200
"""Members of one entry. It is a transaction with a row of each, for which others wait, and which everybody online
hears of: between two of them the others come in.
"""

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


def banned() -> ClientError:
    """What is told to who was banned and comes again: they know of the conversation."""
    return ClientError(codes.PERMISSION_DENIED, "banned here", "conversation")


async def acted_on(access: Access, standing: Standing, conversation: str, user: str) -> Standing:
    """What somebody is on whom a member acts. Raises ClientError where there is nobody, or the rank is lacking."""
    subject = await access.standing(user, conversation)
    if subject is None:
        raise Unseen("not a member", "user")
    require_rank(standing, subject)
    return subject


def require_rank(standing: Standing, subject: Standing) -> None:
    """Raises ClientError where the one may not act on the other."""
    if not outranks(standing.role, subject.role):
        raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not act on a {subject.role}", "user")


def require_giving(standing: Standing, role: Role) -> None:
    """Nobody gives a role that is not below their own; owners give any. Raises ClientError."""
    if not outranks(standing.role, role):
        raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not make somebody {role}", "role")


def role_given(standing: Standing, role: str | UnsetType) -> Role:
    """As what somebody is to come, by who has this standing: a reader of a channel, a member of others, or as asked.

    Raises ClientError where nobody may give it.
    """
    usual = Role.READER if standing.kind is ConversationKind.CHANNEL else Role.MEMBER
    chosen = usual if isinstance(role, UnsetType) else Role(role)
    require_giving(standing, chosen)
    return chosen


class Membership:
    def __init__(
        self,
        store: Store,
        access: Access,
        announcer: Announcer,
        views: Views,
        receipts: Receipts,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._views = views
        self._receipts = receipts
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
            try:
                appended = await self._store.members.join(request.conversation, user, role=Role.READER, at=at)
            except Banned:
                raise banned() from None
        self.came(request.conversation, [user], appended, by=user, at=at)
        return ConversationResult(await self._views.one(user, request.conversation))

    async def leave(self, user: str, request: ConversationLeave) -> Done:
        """The last owner may not, while others are there."""
        await self._access.require(user, request.conversation, Right.LEAVE)
        at = self._clock_ms()
        with told():
            appended = await self._store.members.leave(request.conversation, user, at=at, owned=True)
        self.went(request.conversation, user, appended, by=user, at=at)
        return Done()

    async def add_members(self, user: str, request: ConversationAddMembers) -> Done:
        """Who is a member already stays as they are. More than `STEP` come in steps: what is given up on the way may be
        asked for again.
        """
        check_new_users(request.members, self._limits, "members")
        conversation, members = request.conversation, list(dict.fromkeys(request.members))
        if len(members) > STEP:
            await self._access.require(user, conversation, Right.ADD_MEMBERS)
            with told(), _naming_banned():
                await self._store.members.require_unbanned(conversation, members, at=self._clock_ms())
        for start in range(0, len(members), STEP):
            await self._add(user, request, members[start : start + STEP])
        return Done()

    async def _add(self, user: str, request: ConversationAddMembers, members: Sequence[str]) -> None:
        """In one entry."""
        conversation, at = request.conversation, self._clock_ms()

        async def add() -> Appended | None:
            standing = await self._access.require(user, conversation, Right.ADD_MEMBERS)
            role = role_given(standing, request.role)
            check = self._access.check(conversation, {user: standing})
            with _naming_banned():
                return await self._store.members.add(
                    conversation, [(member, role) for member in members], by=user, at=at, check=check
                )

        appended = await decided(add)
        self.came(conversation, _joined(appended), appended, by=user, at=at)

    async def remove_member(self, user: str, request: ConversationRemoveMember) -> Done:
        conversation, at = request.conversation, self._clock_ms()

        async def remove() -> Appended | None:
            standing = await self._access.require(user, conversation, Right.REMOVE_MEMBER)
            subject = await acted_on(self._access, standing, conversation, request.user)
            return await self._store.members.remove(
                conversation,
                request.user,
                by=user,
                at=at,
                owned=True,
                check=self._access.check(conversation, {request.user: subject, user: standing}),
            )

        self.went(conversation, request.user, await decided(remove), by=user, at=at)
        return Done()

    async def set_role(self, user: str, request: ConversationSetRole) -> Done:
        """The last owner stays owner."""
        conversation, role, at = request.conversation, Role(request.role), self._clock_ms()

        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.SET_ROLE)
            subject = await acted_on(self._access, standing, conversation, request.user)
            require_giving(standing, role)
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
        self._announcer.outdated(conversation, [request.user])
        return Done()

    async def members(self, user: str, request: ConversationMembers) -> MembersPage:
        """Of a thread those of the conversation that it belongs to: who follows it is private."""
        conversation = parent_of(request.conversation) or request.conversation
        await self._access.require(user, conversation, Right.READ)
        with told():
            rows = await self._store.members.page(conversation, after=request.after, limit=request.limit + 1)
        page = rows[: request.limit]
        following = page[-1].user if len(rows) > request.limit else None
        return MembersPage(await self._receipts.members(user, conversation, page), following)

    def came(self, conversation: str, users: Sequence[str], appended: Appended | None, *, by: str, at: int) -> None:
        """Tell of members that an entry brought in."""
        self._access.forget(conversation, users)
        if appended is not None and users:
            self._announcer.let_in(conversation, users, position=appended.entry.position, by=by, at=at)

    def went(self, conversation: str, user: str, appended: Appended | None, *, by: str, at: int) -> None:
        """Tell of a member who is none any more, by an entry that was appended now or, without one, before."""
        self._access.forget(conversation, [user])
        offset = 0 if appended is None else appended.entry.offset
        self._announcer.put_out(conversation, [user], offset=offset, by=by, at=at)


@contextmanager
def _naming_banned() -> Iterator[None]:
    try:
        yield
    except Banned as error:
        raise ClientError(codes.CONFLICT, str(error), "members") from None


def _joined(appended: Appended | None) -> list[str]:
    return [] if appended is None else [member["user"] for member in appended.entry.body["members"]]
