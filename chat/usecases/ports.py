"""What the use cases ask of the real-time side. Implemented over the engine by `chat.backend.announcer`."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from chat.vocabulary.types import USER_ID
from storage.model import Position


class Announcer(Protocol):
    """Tells sessions, on every process. Best effort and at once: nothing here waits, nothing raises.

    Durable events are not announced here: they are published when the log has them.
    """

    def ephemeral(self, conversation: str, event: Struct) -> None:
        """An event without an offset, to everyone who has the conversation open."""

    def personal(self, user: str, event: Struct) -> None:
        """An event to all devices of one user."""

    def let_in(self, conversation: str, users: Collection[str], *, position: Position, by: str, at: int) -> None:
        """These users are members by the entry at `position`: subscribe their sessions, starting with that entry."""

    def outdated(self, conversation: str, users: Collection[str]) -> None:
        """What is known of these members may be out of date: no process is to go by what it remembers."""

    def followed(self, thread: str, read: Mapping[str, Position], *, after: Position, at: int) -> None:
        """These users follow the thread from now on and have read so far: subscribe their sessions to what is after
        that place.
        """

    def unfollowed(self, thread: str, user: str, *, at: int) -> None:
        """The user follows the thread no longer: end the subscriptions."""

    def put_out(self, conversation: str, users: Collection[str], *, offset: int, by: str, at: int) -> None:
        """These users are members no longer, by the entry at `offset` (0: there is none): end their subscriptions."""


class Online(Protocol):
    """Which users are connected anywhere."""

    async def online(self, users: Sequence[str]) -> set[str]:
        """Raises ConnectionError or TimeoutError when it cannot be known."""


class Outdating(Protocol):
    """Tells the other processes that what they remember is out of date. Best effort and at once, as `Announcer`."""

    def blocks(self, user: str) -> None:
        """Whom this user blocks has changed."""


class Holds(Protocol):
    """What one of many may have for a while, over all processes."""

    async def hold(self, name: str, holder: str, *, ttl_s: float) -> int:
        """0: `holder` has it now, or had it already. Else in how many milliseconds it is free.

        Raises ConnectionError or TimeoutError when it cannot be known.
        """


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may contain. Sizes in bytes of UTF-8. `user_id_pattern` is for users who may be new.

    `receipts_members` and `mention_group_members` are sizes of conversations: up to them receipts are shown, and
    everyone may mention everyone.
    """

    message_text_bytes: int = 16 * 1024
    custom_bytes: int = 16 * 1024
    content_bytes: int = 32 * 1024
    receipts_members: int = 100
    mention_group_members: int = 100
    user_id_pattern: re.Pattern[str] = re.compile(USER_ID)
    message_ttl_max_s: int = 30 * 24 * 3600
    presence_members: int = 50
