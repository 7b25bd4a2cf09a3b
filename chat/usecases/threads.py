"""Threads: replying below a message, and following what is said there."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from chat.usecases.access import Access, parent_of
from chat.usecases.failures import Denied, Unseen, told
from chat.usecases.ports import Announcer
from chat.usecases.rights import Right
from chat.usecases.views import Views
from chat.vocabulary.cursor import decode_cursor, encode_cursor
from chat.vocabulary.shapes import Done
from chat.vocabulary.threads import ThreadFollow, ThreadList, ThreadPage, ThreadResult, ThreadUnfollow
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import Conflict, NotFound
from storage.model import Appended, AppendOutcome, NewEntry, Position
from storage.store import Store

MAX_REMEMBERED: Final = 20_000
"""Followers of whom it is remembered that they follow. The reply of another one looks first."""

MAX_AGE_S: Final = 600.0


class Threads:
    def __init__(
        self,
        store: Store,
        access: Access,
        announcer: Announcer,
        views: Views,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._access = access
        self._announcer = announcer
        self._views = views
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._following: OrderedDict[tuple[str, str], float] = OrderedDict()

    def append(
        self,
        new: NewEntry,
        answered: Callable[[AppendOutcome], None],
        *,
        check: Callable[[], bool],
        refused: Callable[[], None],
    ) -> None:
        """As `Appender.append_then`. Of a thread, what is missing is made: the thread, and that its writer follows it.

        That is a transaction. Whoever is known to follow the thread writes there as anywhere. `answered` may also get
        Denied where there is no message that the thread could be below.
        """
        if parent_of(new.conversation) is None or self._known(new.conversation, new.by):
            self._store.appender.append_then(new, answered, check=check, refused=refused)
            return
        appending, came = self._store.threads.append(new, check=check, refused=refused)

        def done(source: "asyncio.Future[Appended | None]") -> None:
            try:
                appended = source.result()
            except Exception as error:  # noqa: BLE001 - it is the caller's
                answered(_refusal(error))
                return
            if appended is not None and not appended.duplicate:
                self._remember(new.conversation, new.by)
                self._told_of(appended, came)
            answered(appended)

        appending.add_done_callback(done)

    async def coming(self, user: str, conversation: str) -> None:
        """Before a reply: who is not known to follow the thread follows it, together with whoever else comes just now.

        So what hundreds of people reply at once are not hundreds of transactions one after the other. A thread that is
        not there yet is made by the reply. Raises ClientError.
        """
        if parent_of(conversation) is None or self._known(conversation, user):
            return
        with told():
            try:
                await self._follow(conversation, user)
            except NotFound:
                return

    async def follow(self, user: str, request: ThreadFollow) -> ThreadResult:
        thread = request.conversation
        await self._access.require(user, thread, Right.READ)
        with told():
            try:
                await self._follow(thread, user)
            except NotFound:
                raise Unseen("nobody has replied there yet", "conversation") from None
        return ThreadResult(await self._views.one(user, thread))

    async def unfollow(self, user: str, request: ThreadUnfollow) -> Done:
        """Nothing where the user did not follow it."""
        thread, at = request.conversation, self._clock_ms()
        await self._access.require(user, thread, Right.READ)
        with told():
            gone = await self._store.threads.unfollow(thread, user, at=at)
        self.forget(thread, [user])
        if gone:
            self._announcer.unfollowed(thread, user, at=at)
        return Done()

    async def list_of(self, user: str, request: ThreadList) -> ThreadPage:
        before = decode_cursor(request.before) if isinstance(request.before, str) else None
        with told():
            rows = await self._store.threads.list(user, limit=request.limit + 1, before=before)
        threads = await self._views.of(rows[: request.limit])
        following = encode_cursor(threads[-1].activity_at, threads[-1].id) if len(rows) > len(threads) else None
        return ThreadPage(threads, following)

    async def _follow(self, thread: str, user: str) -> None:
        at = self._clock_ms()
        followed = await self._store.threads.follow(thread, user, at=at)
        self._remember(thread, user)
        if followed.changed:
            self._announcer.followed(thread, {user: followed.read}, after=followed.read, at=at)

    def forget(self, conversation: str, users: Collection[str]) -> None:
        """It is not known any more whether these follow the thread."""
        for user in users:
            self._following.pop((conversation, user), None)

    def _told_of(self, appended: Appended, came: dict[str, Position]) -> None:
        entry = appended.entry
        if came:
            before = Position(entry.offset - 1, entry.n - 1)
            self._announcer.followed(entry.conversation, came, after=before, at=entry.at)

    def _known(self, thread: str, user: str) -> bool:
        known_at = self._following.get((thread, user))
        return known_at is not None and self._monotonic() - known_at < MAX_AGE_S

    def _remember(self, thread: str, user: str) -> None:
        self._following[thread, user] = self._monotonic()
        self._following.move_to_end((thread, user))
        if len(self._following) > MAX_REMEMBERED:
            self._following.popitem(last=False)


def _refusal(error: Exception) -> Exception:
    match error:
        case NotFound():
            return Denied(Unseen("there is no message to reply to", "conversation"))
        case Conflict():
            return Denied(ClientError(codes.CONFLICT, "the message was deleted", "conversation"))
        case _:
            return error
