"""A test of one device: a job like any other, for a conversation that there is not, with one message that nobody wrote.

So it goes the way of every notification, with the rules of its user, and can be traced as one.
"""

import base64
import secrets
from collections.abc import Callable
from typing import Final

from chat.push.ports import Message, Unread, Unreads, lane_name, lane_of
from chat.push.unreading import Badge
from storage.model import ConversationKind
from storage.model.device import Device
from storage.model.push import Doubt
from storage.mongo.push_jobs import PushJobs

OFFSET: Final = 1
LIFE_MS: Final = 10 * 60_000

_PREFIX: Final = "pushtest" * 2
"""No conversation begins like that: their ids are drawn from all of 26 such characters."""

_RANDOM_BYTES: Final = 10
_ID_LENGTH: Final = 26


class Trials:
    """Makes tests. What comes of one is in the trace of `OFFSET` of the conversation."""

    def __init__(
        self,
        jobs: PushJobs,
        *,
        clock_ms: Callable[[], int],
        random: Callable[[int], bytes] = secrets.token_bytes,
        wake: Callable[[], None] | None = None,
    ) -> None:
        """`wake` is called when one was made: a hint, that may be lost."""
        self._jobs = jobs
        self._clock_ms = clock_ms
        self._random = random
        self._wake = wake

    async def begin(self, device: Device) -> tuple[str, int]:
        """Have a worker send one; its conversation and offset. Each is another. Raises StorageError."""
        drawn = base64.b32encode(self._random(_RANDOM_BYTES)).decode().lower()
        conversation = f"{_PREFIX}{drawn}"[:_ID_LENGTH]
        now = self._clock_ms()
        lane = lane_name(lane_of(device))
        doubt = Doubt(device.id, device.user, conversation, lane, OFFSET, OFFSET, due_at=now, ends_at=now + LIFE_MS)
        await self._jobs.put([doubt], now=now)
        if self._wake is not None:
            self._wake()
        return conversation, OFFSET


class WithTrials:
    """What is unread, tests included. Implements `Unreads` of ports.py."""

    def __init__(self, unreads: Unreads, badge: Badge, *, title: str = "Test", text: str = "It works.") -> None:
        self._unreads = unreads
        self._badge = badge
        self._title = title
        self._text = text

    async def of(self, user: str, conversation: str) -> Unread | None:
        if not is_trial(conversation):
            return await self._unreads.of(user, conversation)
        return Unread(
            user=user,
            conversation=conversation,
            kind=ConversationKind.DIRECT,
            title=self._title,
            members_count=2,
            member=True,
            read=0,
            # Of long ago, so that nothing waits for others to confirm it.
            messages=(Message(OFFSET, 0, by="", name=self._title, text=self._text, mentions=True),),
            badge=await self._badge(user),
        )

    async def badge(self, user: str) -> int:
        return await self._unreads.badge(user)


def is_trial(conversation: str) -> bool:
    return conversation.startswith(_PREFIX)
