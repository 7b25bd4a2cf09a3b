"""Keeping people out of a conversation, and keeping members quiet."""

from collections.abc import Callable

from chat.usecases.access import Access
from chat.usecases.checking import check_new_user, check_until, given
from chat.usecases.failures import Unseen, told
from chat.usecases.membership import Membership, acted_on, decided, require_rank
from chat.usecases.ports import Announcer, Limits
from chat.usecases.rights import Right
from chat.vocabulary.moderation import (
    Ban,
    BansPage,
    ConversationBan,
    ConversationBans,
    ConversationMute,
    ConversationUnban,
    ConversationUnmute,
)
from chat.vocabulary.shapes import Done
from chat.vocabulary.types import END_OF_TIME
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import PreconditionFailed
from storage.model import Appended, Member
from storage.store import Store


class Moderation:
    """Every method raises ClientError."""

    def __init__(
        self,
        store: Store,
        access: Access,
        announcer: Announcer,
        membership: Membership,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._membership = membership
        self._limits = limits
        self._clock_ms = clock_ms

    async def ban(self, user: str, request: ConversationBan) -> Done:
        """End a membership below one's own, or keep a stranger out. Of who is banned already it sets the time."""
        conversation, at = request.conversation, self._clock_ms()
        until = given(request.until)

        async def put_out() -> Appended | None:
            standing = await self._access.require(user, conversation, Right.BAN)
            _check_other(user, request.user)
            check_until(request.until, at)
            subject = await self._access.standing(request.user, conversation)
            if subject is None:
                check_new_user(request.user, self._limits, "user")
                if not await self._store.members.keep_out(conversation, request.user, at=at, until=until):
                    raise PreconditionFailed("came in meanwhile")
                return None
            require_rank(standing, subject)
            appended = await self._store.members.ban(
                conversation,
                request.user,
                by=user,
                at=at,
                until=until,
                owned=True,
                check=self._access.check(conversation, {request.user: subject, user: standing}),
            )
            if appended is None:
                self._access.forget(conversation, [request.user])
                raise PreconditionFailed("left meanwhile")
            return appended

        if (appended := await decided(put_out)) is not None:
            self._membership.went(conversation, request.user, appended, by=user, at=at)
        return Done()

    async def unban(self, user: str, request: ConversationUnban) -> Done:
        """Let somebody come back. Nothing happens where they may already."""
        await self._access.require(user, request.conversation, Right.BAN)
        with told():
            await self._store.members.unban(request.conversation, request.user)
        return Done()

    async def bans(self, user: str, request: ConversationBans) -> BansPage:
        """Who is kept out now, by user id."""
        await self._access.require(user, request.conversation, Right.BAN)
        with told():
            rows = await self._store.members.bans(
                request.conversation, at=self._clock_ms(), after=request.after, limit=request.limit + 1
            )
        page = rows[: request.limit]
        return BansPage([_ban(row) for row in page], page[-1].user if len(rows) > request.limit else None)

    async def mute(self, user: str, request: ConversationMute) -> Done:
        """A member below oneself reads and does not write."""
        until = given(request.until) or END_OF_TIME

        def check(at: int) -> None:
            _check_other(user, request.user)
            check_until(request.until, at)

        return await self._mute(user, request.conversation, request.user, until, check)

    async def unmute(self, user: str, request: ConversationUnmute) -> Done:
        """Let a member write again. Nothing happens where they may already."""
        return await self._mute(user, request.conversation, request.user, None, lambda _: None)

    async def _mute(
        self, user: str, conversation: str, muted: str, until: int | None, check: Callable[[int], None]
    ) -> Done:
        at = self._clock_ms()

        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.MUTE)
            check(at)
            subject = await acted_on(self._access, standing, conversation, muted)
            await self._store.members.mute(
                conversation,
                muted,
                until,
                by=user,
                at=at,
                check=self._access.check(conversation, {muted: subject, user: standing}),
            )

        await decided(change)
        self._access.forget(conversation, [muted])
        self._announcer.outdated(conversation, [muted])
        return Done()


def _check_other(user: str, other: str) -> None:
    if user == other:
        raise ClientError(codes.BAD_REQUEST, "must be somebody else", "user")


def _ban(row: Member) -> Ban:
    if row.banned_at is None:
        raise Unseen("not banned", "user")
    return Ban(row.user, row.banned_at, row.banned_until)
