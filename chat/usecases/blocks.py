"""Whom a user does not want to hear from.

In a direct conversation neither can write while one blocks the other. In groups a block changes nothing of what is
sent, as all members have one log: clients hide what `user.blocked` lists.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from chat.usecases.checking import check_new_user
from chat.usecases.failures import told
from chat.usecases.freshness import Freshness
from chat.usecases.ports import Announcer, Limits, Outdating
from chat.vocabulary.blocks import BlockedPage, BlockedUser, UserBlock, UserBlocked, UserUnblock
from chat.vocabulary.events import UserChanged
from chat.vocabulary.shapes import Done
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.store import Store

MAX_USERS: Final = 20_000

_Known = tuple[frozenset[str], float]


class BlockLists:
    """Whom users block, remembered: exact for what changes through this process, late by a notice for what others do,
    or as long as `Freshness` says.

    Bound: the lists of the `MAX_USERS` users that were asked about last; beyond them it asks again.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float], freshness: Freshness | None = None) -> None:
        self._store = store
        self._monotonic = monotonic
        self._freshness = freshness or Freshness(monotonic)
        self._lists: OrderedDict[str, _Known] = OrderedDict()
        self._changes = 0

    async def apart(self, user: str, other: str) -> bool:
        """Whether one of the two blocks the other. Costs nothing where both were asked about lately.

        Raises ClientError when it cannot be known.
        """
        one, two = self._known(user), self._known(other)
        if one is None or two is None:
            lists = await self.of(user, other)
            one, two = lists[user], lists[other]
        return other in one or user in two

    async def of(self, *users: str) -> dict[str, frozenset[str]]:
        """Whom each of these blocks. Raises ClientError when it cannot be known."""
        now = self._monotonic()
        found: dict[str, frozenset[str]] = {}
        for user in users:
            known = self._known(user)
            if known is not None:
                found[user] = known
        unknown = [user for user in users if user not in found]
        if unknown:
            found |= await self._read(unknown, now)
        return found

    def _known(self, user: str) -> frozenset[str] | None:
        known = self._lists.get(user)
        if known is None or not self._freshness.holds(known[1]):
            return None
        self._lists.move_to_end(user)
        return known[0]

    def forget(self, user: str) -> None:
        """The user's list changed. What is just being read is not remembered."""
        self._changes += 1
        self._lists.pop(user, None)

    async def _read(self, users: list[str], now: float) -> dict[str, frozenset[str]]:
        before = self._changes
        with told():
            lists = await self._store.blocks.of_users(users)
        if self._changes == before:
            for user, blocked in lists.items():
                self._lists[user] = (blocked, now)
                self._lists.move_to_end(user)
            while len(self._lists) > MAX_USERS:
                self._lists.popitem(last=False)
        return lists


class Blocks:
    """Every method raises ClientError."""

    def __init__(
        self,
        store: Store,
        lists: BlockLists,
        announcer: Announcer,
        outdating: Outdating,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._lists = lists
        self._announcer = announcer
        self._outdating = outdating
        self._limits = limits
        self._clock_ms = clock_ms

    async def block(self, user: str, request: UserBlock) -> Done:
        """Nothing happens where it is so already."""
        if request.user == user:
            raise ClientError(codes.BAD_REQUEST, "must be somebody else", "user")
        check_new_user(request.user, self._limits, "user")
        at = self._clock_ms()
        with told():
            changed = await self._store.blocks.block(user, request.user, at=at)
        return self._done(user, at, changed=changed)

    async def unblock(self, user: str, request: UserUnblock) -> Done:
        """Nothing happens where it is so already."""
        at = self._clock_ms()
        with told():
            changed = await self._store.blocks.unblock(user, request.user, at=at)
        return self._done(user, at, changed=changed)

    async def blocked(self, user: str, request: UserBlocked) -> BlockedPage:
        with told():
            rows = await self._store.blocks.page(user, after=request.after, limit=request.limit + 1)
        page = [BlockedUser(row.blocked, row.at) for row in rows[: request.limit]]
        return BlockedPage(page, page[-1].user if len(rows) > request.limit else None)

    def _done(self, user: str, at: int, *, changed: bool) -> Done:
        self._lists.forget(user)
        if changed:
            self._outdating.blocks(user)
            self._announcer.personal(user, UserChanged(user, at))
        return Done()
