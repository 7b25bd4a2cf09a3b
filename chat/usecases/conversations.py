"""Conversations and their members: create, list, change, come and go."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType
from storage.store import Store

from chat.usecases.access import Access, Standing, foreign
from chat.usecases.failures import Unseen, told
from chat.usecases.ports import Announcer, Limits
from chat.usecases.rights import Right, outranks
from chat.vocabulary import render
from chat.vocabulary.cursor import decode_cursor, encode_cursor
from chat.vocabulary.requests import (
    ConversationAddMembers,
    ConversationCreate,
    ConversationGet,
    ConversationJoin,
    ConversationLeave,
    ConversationList,
    ConversationMembers,
    ConversationRemoveMember,
    ConversationSetRole,
    ConversationUpdate,
)
from chat.vocabulary.results import (
    Conversation,
    ConversationCreated,
    ConversationPage,
    ConversationResult,
    Done,
    MembersPage,
)
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage import model
from storage.model import Appended, ConversationKind, Role

_JOINABLE: Final = (ConversationKind.CHANNEL,)


class Conversations:
    def __init__(
        self, store: Store, access: Access, announcer: Announcer, limits: Limits, clock_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._limits = limits
        self._clock_ms = clock_ms

    async def create(self, user: str, request: ConversationCreate) -> ConversationCreated:
        kind = ConversationKind(request.kind)
        custom = self._custom(request.custom)
        members = _members(user, kind, request.members)
        at = self._clock_ms()
        with told():
            await self._store.users.ensure([name for name, _ in members], at=at)
            created = await self._store.conversations.create(
                kind=kind,
                by=user,
                members=members,
                at=at,
                title="" if kind is ConversationKind.DIRECT else request.title,
                custom=custom,
                external_id=_given(request.external_id),
                idempotency_key=_given(request.idempotency_key),
            )
        record = created.conversation
        if created.entry is not None and not created.duplicate:
            users = [name for name, _ in members]
            self._announcer.let_in(record.id, users, offset=created.entry.offset, by=user, at=at)
        member = await self._member(record.id, user)
        if member is None:
            # An `external_id` of a conversation that the caller does not belong to.
            raise ClientError(codes.CONFLICT, "taken by another conversation", "external_id")
        return ConversationCreated((await self._views([(member, record)]))[0], created.duplicate)

    async def get(self, user: str, request: ConversationGet) -> ConversationResult:
        return ConversationResult(await self._view(user, request.conversation))

    async def list_of(self, user: str, request: ConversationList) -> ConversationPage:
        before = decode_cursor(request.before) if isinstance(request.before, str) else None
        with told():
            rows = await self._store.inbox.list(user, limit=request.limit + 1, before=before)
        page = rows[: request.limit]
        following = None
        if len(rows) > request.limit:
            last = page[-1][1]
            following = encode_cursor(last.activity_at, last.id)
        return ConversationPage(await self._views(page), following)

    async def update(self, user: str, request: ConversationUpdate) -> ConversationResult:
        standing = await self._access.require(user, request.conversation, Right.UPDATE)
        if request.title is UNSET and request.custom is UNSET:
            raise ClientError(codes.BAD_REQUEST, "give a title or custom", "title")
        with told():
            await self._store.conversations.update(
                request.conversation,
                by=user,
                at=self._clock_ms(),
                title=_given(request.title),
                custom=None if request.custom is UNSET else self._custom(request.custom),
                check=self._check(user, request.conversation, standing),
            )
        return ConversationResult(await self._view(user, request.conversation))

    async def join(self, user: str, request: ConversationJoin) -> ConversationResult:
        at = self._clock_ms()
        with told():
            record = await self._store.conversations.get(request.conversation)
            if record is None or record.kind not in _JOINABLE:
                if await self._member(request.conversation, user) is None:
                    raise foreign()
                return ConversationResult(await self._view(user, request.conversation))
            await self._store.users.ensure([user], at=at)
            appended = await self._store.members.join(request.conversation, user, role=Role.READER, at=at)
        self._came(request.conversation, [user], appended, by=user, at=at)
        return ConversationResult(await self._view(user, request.conversation))

    async def leave(self, user: str, request: ConversationLeave) -> Done:
        await self._access.require(user, request.conversation, Right.LEAVE)
        at = self._clock_ms()
        with told():
            await self._store.members.leave(request.conversation, user, at=at)
        self._went(request.conversation, user, by=user, at=at)
        return Done()

    async def add_members(self, user: str, request: ConversationAddMembers) -> Done:
        standing = await self._access.require(user, request.conversation, Right.ADD_MEMBERS)
        role = Role.READER if standing.kind is ConversationKind.CHANNEL else Role.MEMBER
        if request.role is not UNSET:
            role = Role(request.role)
        if not outranks(standing.role, role):
            raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not make somebody {role}", "role")
        at = self._clock_ms()
        members = [(member, role) for member in dict.fromkeys(request.members)]
        with told():
            await self._store.users.ensure([member for member, _ in members], at=at)
            appended = await self._store.members.add(
                request.conversation,
                members,
                by=user,
                at=at,
                check=self._check(user, request.conversation, standing),
            )
        self._came(request.conversation, _joined(appended), appended, by=user, at=at)
        return Done()

    async def remove_member(self, user: str, request: ConversationRemoveMember) -> Done:
        standing = await self._access.require(user, request.conversation, Right.REMOVE_MEMBER)
        await self._require_rank(standing, request.conversation, request.user)
        at = self._clock_ms()
        with told():
            await self._store.members.remove(
                request.conversation,
                request.user,
                by=user,
                at=at,
                check=self._check(user, request.conversation, standing),
            )
        self._went(request.conversation, request.user, by=user, at=at)
        return Done()

    async def set_role(self, user: str, request: ConversationSetRole) -> Done:
        standing = await self._access.require(user, request.conversation, Right.SET_ROLE)
        role = Role(request.role)
        await self._require_rank(standing, request.conversation, request.user)
        if not outranks(standing.role, role):
            raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not make somebody {role}", "role")
        with told():
            await self._store.members.set_role(
                request.conversation,
                request.user,
                role,
                by=user,
                at=self._clock_ms(),
                check=self._check(user, request.conversation, standing),
            )
        self._access.forget(request.conversation, [request.user])
        return Done()

    async def members(self, user: str, request: ConversationMembers) -> MembersPage:
        await self._access.require(user, request.conversation, Right.READ)
        with told():
            rows = await self._store.members.page(request.conversation, after=request.after, limit=request.limit + 1)
        page = rows[: request.limit]
        following = page[-1].user if len(rows) > request.limit else None
        return MembersPage([render.member(row) for row in page], following)

    async def _require_rank(self, standing: Standing, conversation: str, subject: str) -> None:
        member = await self._member(conversation, subject)
        if member is None:
            raise Unseen("not a member", "user")
        if not outranks(standing.role, member.role):
            raise ClientError(codes.PERMISSION_DENIED, f"a {standing.role} may not act on a {member.role}", "user")

    async def _member(self, conversation: str, user: str) -> model.Member | None:
        with told():
            member = await self._store.members.get(conversation, user)
        return member if member is not None and member.live else None

    async def _view(self, user: str, conversation: str) -> Conversation:
        with told():
            record = await self._store.conversations.get(conversation)
        member = await self._member(conversation, user)
        if record is None or member is None:
            raise foreign()
        return (await self._views([(member, record)]))[0]

    async def _views(self, rows: Sequence[tuple[model.Member, model.Conversation]]) -> list[Conversation]:
        """Rows as their member sees them, with the peers of the direct ones in one query."""
        peers = {peer for member, record in rows for peer in record.peers or () if peer != member.user}
        with told():
            users = await self._store.users.get_many(peers) if peers else {}
        return [render.conversation(record, member, users) for member, record in rows]

    def _came(self, conversation: str, users: Sequence[str], appended: Appended | None, *, by: str, at: int) -> None:
        self._access.forget(conversation, users)
        if appended is not None and users:
            self._announcer.let_in(conversation, users, offset=appended.entry.offset, by=by, at=at)

    def _went(self, conversation: str, user: str, *, by: str, at: int) -> None:
        self._access.forget(conversation, [user])
        self._announcer.put_out(conversation, [user], by=by, at=at)

    def _check(self, user: str, conversation: str, standing: Standing) -> Callable[[], bool]:
        return lambda: self._access.still(user, conversation, standing)

    def _custom(self, custom: dict[str, object] | UnsetType) -> dict[str, object]:
        if isinstance(custom, UnsetType):
            return {}
        size = len(msgspec.json.encode(custom))
        if size > self._limits.custom_bytes:
            raise ClientError(
                codes.BAD_REQUEST, f"must have at most {self._limits.custom_bytes} bytes, has {size}", "custom"
            )
        return custom


def _given(value: str | UnsetType) -> str | None:
    return None if isinstance(value, UnsetType) else value


def _joined(appended: Appended | None) -> list[str]:
    return [] if appended is None else [member["user"] for member in appended.entry.body["members"]]


def _members(creator: str, kind: ConversationKind, others: Iterable[str]) -> list[tuple[str, Role]]:
    """Everyone in a new conversation, with their roles. Raises ClientError where a direct one is not of two."""
    names = [name for name in dict.fromkeys(others) if name != creator]
    if kind is ConversationKind.DIRECT:
        if len(names) != 1:
            raise ClientError(codes.BAD_REQUEST, "a direct conversation has exactly one other member", "members")
        return [(creator, Role.MEMBER), (names[0], Role.MEMBER)]
    role = Role.READER if kind is ConversationKind.CHANNEL else Role.MEMBER
    return [(creator, Role.OWNER), *((name, role) for name in names)]
