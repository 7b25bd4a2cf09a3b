"""Invites: codes that are passed on outside, and coming in by one.

Whoever has a code that is no longer good learns nothing by it: not whether it ever was, nor what of.
"""

import secrets
from collections.abc import Callable
from typing import Final

from chat.usecases.access import Access
from chat.usecases.checking import given
from chat.usecases.failures import Unseen, told
from chat.usecases.membership import Membership, banned, role_given
from chat.usecases.rights import Right, allowed, outranks
from chat.usecases.views import Views
from chat.vocabulary import invites as words
from chat.vocabulary.conversations import ConversationResult
from chat.vocabulary.shapes import Done
from storage.errors import Banned, NotFound
from storage.model import ConversationKind, Invite, Member, ids
from storage.store import Store

_MS: Final = 1000


def _no_such() -> Unseen:
    """The same for codes that are unknown, expired, revoked or used up."""
    return Unseen("no such invite, or it is no longer good", "code")


class Invites:
    """Every method raises ClientError. `random(k)` gives k unpredictable bytes."""

    def __init__(
        self,
        store: Store,
        access: Access,
        membership: Membership,
        views: Views,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._access = access
        self._membership = membership
        self._views = views
        self._clock_ms = clock_ms
        self._random = random

    async def create(self, user: str, request: words.InviteCreate) -> words.InviteResult:
        """A new invite, with its code, which is told here and nowhere else."""
        standing = await self._access.require(user, request.conversation, Right.INVITE)
        at, code = self._clock_ms(), ids.invite_code(self._random)
        invite = Invite(
            id=ids.invite_id(code),
            conversation=request.conversation,
            by=user,
            role=role_given(standing, request.role),
            created_at=at,
            expires_at=at + request.expires_in_s * _MS if request.expires_in_s else None,
            max_uses=given(request.max_uses),
            uses=0,
        )
        with told():
            await self._store.invites.create(invite)
        return words.InviteResult(_rendered(invite, code))

    async def list_of(self, user: str, request: words.InviteList) -> words.InvitesResult:
        """Those that are good now, without their codes."""
        await self._access.require(user, request.conversation, Right.INVITE)
        at = self._clock_ms()
        with told():
            every = await self._store.invites.list(request.conversation)
        return words.InvitesResult([_rendered(invite) for invite in every if invite.good(at)])

    async def revoke(self, user: str, request: words.InviteRevoke) -> Done:
        """Nobody comes by it any more. Nothing happens where nobody could."""
        await self._access.require(user, request.conversation, Right.INVITE)
        with told():
            await self._store.invites.revoke(request.conversation, request.invite)
        return Done()

    async def get(self, user: str, request: words.InviteGet) -> words.InvitePreview:
        """What one is invited to."""
        del user  # whoever has the code may look
        invite = await self._find(request.code)
        with told():
            record = await self._store.conversations.get(invite.conversation)
            maker = await self._store.members.get(invite.conversation, invite.by)
        if record is None or not self._allows(record.kind, invite, maker):
            raise _no_such()
        return words.InvitePreview(record.kind.value, record.title, record.avatar_url, record.members_count)

    async def accept(self, user: str, request: words.InviteAccept) -> ConversationResult:
        """Come in. Whoever is a member already just gets the conversation, and no use is counted."""
        invite = await self._find(request.code)
        conversation, at = invite.conversation, self._clock_ms()
        if await self._views.member(conversation, user) is None:
            with told():
                record = await self._store.conversations.get(conversation)
            if record is None:
                raise _no_such()
            kind = record.kind
            with told():
                try:
                    appended = await self._store.invites.accept(
                        invite, user, at=at, allows=lambda found, maker: self._allows(kind, found, maker)
                    )
                except Banned:
                    raise banned() from None
                except NotFound:
                    raise _no_such() from None
            self._membership.came(conversation, [user], appended, by=user, at=at)
        return ConversationResult(await self._views.one(user, conversation))

    async def _find(self, code: str) -> Invite:
        with told():
            invite = await self._store.invites.get(ids.invite_id(code))
        if invite is None:
            raise _no_such()
        return invite

    def _allows(self, kind: ConversationKind, invite: Invite, maker: Member | None) -> bool:
        """Whether somebody may come by it now: it is good, and who made it could still make it."""
        if maker is None or not maker.live or not invite.good(self._clock_ms()):
            return False
        return allowed(Right.INVITE, kind, maker.role) and outranks(maker.role, invite.role)


def _rendered(invite: Invite, code: str | None = None) -> words.Invite:
    return words.Invite(
        id=invite.id,
        conversation=invite.conversation,
        by=invite.by,
        role=invite.role.value,
        created_at=invite.created_at,
        uses=invite.uses,
        code=code,
        expires_at=invite.expires_at,
        max_uses=invite.max_uses,
    )
