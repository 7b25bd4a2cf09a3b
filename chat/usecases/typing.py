"""Who is typing where. It ends by itself: nobody is seen typing for ever because a client vanished."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from chat.usecases.access import Access
from chat.usecases.blocks import BlockLists
from chat.usecases.ports import Announcer
from chat.usecases.rights import Right
from chat.vocabulary import events
from chat.vocabulary.people import TypingStart, TypingStop
from chat.vocabulary.shapes import Done
from realtime.wheel import Wheel

TYPING_EXPIRES_MS: Final = 6_000
REPEAT_S: Final = 2.0
"""What is said again within this time is not told again."""

MAX_TYPISTS: Final = 10_000
"""On this process at the same time; beyond it, who began first is told to have stopped."""

TICK_S: Final = 0.25


class _Typist:
    """One user in one conversation. Not `active`: has stopped, and is remembered for REPEAT_S."""

    __slots__ = ("active", "conversation", "told_at", "until", "user", "wheel_tick")

    def __init__(self, conversation: str, user: str) -> None:
        self.conversation = conversation
        self.user = user
        self.active = False
        self.told_at = 0.0
        self.until = 0.0
        self.wheel_tick = 0


class Typing:
    """An async context manager with one task for all typists."""

    def __init__(
        self,
        access: Access,
        block_lists: BlockLists,
        announcer: Announcer,
        clock_ms: Callable[[], int],
        monotonic: Callable[[], float],
    ) -> None:
        self._access = access
        self._block_lists = block_lists
        self._announcer = announcer
        self._clock_ms = clock_ms
        self._monotonic = monotonic
        self._typists: OrderedDict[tuple[str, str], _Typist] = OrderedDict()
        self._of_user: dict[str, dict[str, _Typist]] = {}
        self._wheel: Wheel[_Typist] = Wheel(now=monotonic(), resolution_s=TICK_S, slots=64)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="typing")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def __len__(self) -> int:
        return len(self._typists)

    async def start(self, user: str, request: TypingStart) -> Done:
        """Tell the others, for TYPING_EXPIRES_MS or until it is said again. Raises ClientError."""
        if await self._shown(user, request.conversation):
            self._say(user, request.conversation, active=True)
        return Done()

    async def stop(self, user: str, request: TypingStop) -> Done:
        """Tell the others. They may have heard of the start by another process, so this one need not know of it."""
        if await self._shown(user, request.conversation):
            self._say(user, request.conversation, active=False)
        return Done()

    def gone(self, user: str) -> None:
        """The user's last connection to this process has ended: whatever was begun here is over."""
        for typist in [*self._of_user.get(user, {}).values()]:
            self._end(typist)

    async def _shown(self, user: str, conversation: str) -> bool:
        """Not where one of two blocks the other: neither is told why nobody answers."""
        standing = await self._access.require(user, conversation, Right.SEND)
        peers = standing.facts.peers
        return peers is None or not await self._block_lists.apart(*peers)

    def _say(self, user: str, conversation: str, *, active: bool) -> None:
        now = self._monotonic()
        typist = self._typists.get((conversation, user)) or self._added(conversation, user)
        news = typist.active is not active or now - typist.told_at >= REPEAT_S or not typist.until
        typist.active = active
        typist.until = now + (TYPING_EXPIRES_MS / 1000 if active else REPEAT_S)
        self._wheel.schedule(typist, typist.until)
        if news:
            typist.told_at = now
            self._tell(typist)

    def _added(self, conversation: str, user: str) -> _Typist:
        if len(self._typists) >= MAX_TYPISTS:
            self._end(next(iter(self._typists.values())))
        typist = self._typists[conversation, user] = _Typist(conversation, user)
        self._of_user.setdefault(user, {})[conversation] = typist
        return typist

    def _end(self, typist: _Typist) -> None:
        del self._typists[typist.conversation, typist.user]
        of_user = self._of_user[typist.user]
        del of_user[typist.conversation]
        if not of_user:
            del self._of_user[typist.user]
        typist.until = 0.0
        if typist.active:
            typist.active = False
            self._tell(typist)

    def _tell(self, typist: _Typist) -> None:
        expires_in_ms = TYPING_EXPIRES_MS if typist.active else 0
        self._announcer.ephemeral(
            typist.conversation,
            events.Typing(typist.conversation, typist.user, self._clock_ms(), typist.active, expires_in_ms),
        )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            now = self._monotonic()
            for typist in self._wheel.advance(now):
                if typist.until > now:
                    self._wheel.schedule(typist, typist.until)
                elif typist.until:
                    self._end(typist)
