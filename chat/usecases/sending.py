"""What may keep a member from writing who has the right to: a block between two, and slow mode."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from chat.usecases.access import Standing, parent_of
from chat.usecases.blocks import BlockLists
from chat.usecases.failures import told
from chat.usecases.ports import Holds
from chat.usecases.rights import RANK
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import Role
from storage.store import Store

MAX_REMEMBERED: Final = 20_000
"""Members in slow conversations whose last message is remembered here. Whoever is forgotten may be early by it, where
Redis is away as well.
"""

AWAY_S: Final = 5.0
"""After the broker did not answer it is left alone for so long: each process then counts by itself."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Last:
    """The last message of a member: its key, and when it was let through."""

    key: str
    at: float


class SlowMode:
    """One message of a member in so many seconds: exactly on this process, and on all of them while Redis is there."""

    def __init__(self, holds: Holds, monotonic: Callable[[], float]) -> None:
        self._holds = holds
        self._monotonic = monotonic
        self._last: OrderedDict[tuple[str, str], _Last] = OrderedDict()
        self._away_until = -math.inf

    async def wait_ms(self, user: str, conversation: str, key: str, interval_s: int) -> int:
        """0: the message with this key may go now, and no other one for a while. Else how long it has to wait.

        The same key may go again.
        """
        member, now = (conversation, user), self._monotonic()
        last = self._last.get(member)
        if last is not None and (left_s := last.at + interval_s - now) > 0:
            return 0 if last.key == key else _milliseconds(left_s)
        # Before the first await: of two at once on this process only one gets past here.
        self._remember(member, _Last(key, now))
        wait_ms = await self._elsewhere(user, conversation, key, interval_s)
        if wait_ms:
            self._remember(member, _Last("", now + wait_ms / 1000 - interval_s))
        return wait_ms

    async def _elsewhere(self, user: str, conversation: str, key: str, interval_s: int) -> int:
        if self._monotonic() < self._away_until:
            return 0
        # With the interval in the name another one begins anew, as it does here.
        name = f"slow:{conversation}:{interval_s}:{user}"
        try:
            return await self._holds.hold(name, key, ttl_s=interval_s)
        except (ConnectionError, TimeoutError) as error:
            self._away_until = self._monotonic() + AWAY_S
            log.warning("slow_mode_by_process", error=repr(error))
            return 0

    def _remember(self, member: tuple[str, str], last: _Last) -> None:
        self._last[member] = last
        self._last.move_to_end(member)
        if len(self._last) > MAX_REMEMBERED:
            self._last.popitem(last=False)


class SendingRules:
    """Asked for every message after the sender's right is known. Costs nothing where no rule applies."""

    def __init__(self, store: Store, blocks: BlockLists, slow_mode: SlowMode) -> None:
        self._store = store
        self._blocks = blocks
        self._slow_mode = slow_mode

    async def check(self, user: str, conversation: str, key: str, standing: Standing) -> None:
        """Raises ClientError for what keeps this message from being sent now.

        A message that is there already is let through: its repeat is to be answered with it.
        """
        facts = standing.facts
        if facts.peers is not None:
            await self._check_blocks(facts.peers)
        if facts.settings.slow_mode_s and RANK[standing.role] < RANK[Role.MODERATOR]:
            await self._check_pace(user, conversation, key, facts.settings.slow_mode_s)

    async def check_edit(self, standing: Standing) -> None:
        """Raises ClientError where one blocks the other. An edit is let through at any pace."""
        if standing.facts.peers is not None:
            await self._check_blocks(standing.facts.peers)

    async def _check_blocks(self, peers: tuple[str, str]) -> None:
        if await self._blocks.apart(*peers):
            # The same whichever of the two it is.
            raise ClientError(codes.PERMISSION_DENIED, "one of the two blocks the other", "conversation")

    async def _check_pace(self, user: str, conversation: str, key: str, interval_s: int) -> None:
        wait_ms = await self._slow_mode.wait_ms(user, parent_of(conversation) or conversation, key, interval_s)
        if not wait_ms:
            return
        with told():
            if await self._store.log.by_key(conversation, user, key) is not None:
                return
        raise ClientError(
            codes.TOO_MANY_REQUESTS,
            f"slow mode: one message in {interval_s} s, wait {wait_ms} ms",
            retry_after_ms=wait_ms,
        )


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(seconds * 1000))
