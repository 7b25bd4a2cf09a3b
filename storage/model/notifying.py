"""What a user wants to be rung for, on all devices: private to the user."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_SCHEDULES: Final = 16


class Notify(StrEnum):
    """Which messages ring. The values are the wire's."""

    ALL = "all"
    MENTIONS = "mentions"
    NONE = "none"


class ContentMode(StrEnum):
    """How much a notification says. `encrypted`: everything, to the devices that have keys for it; others get what
    `generic` says. The values are the wire's.
    """

    FULL = "full"
    SENDER_ONLY = "sender_only"
    GENERIC = "generic"
    ID_ONLY = "id_only"
    ENCRYPTED = "encrypted"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Do not disturb from `start` to `end`, minutes after midnight, on each of these `days`: 0 is Monday, and the day
    is that on which it starts. `end` at or before `start` is on the next day.
    """

    start: int
    end: int
    days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PushPreferences:
    """`content` None: as the server has it. `notify`: for conversations that have no level of their own; None: all, and
    in large groups mentions.

    The `quiet` hours are those of the clock on the wall in `time_zone` (an IANA name); empty: where the device is.
    `snoozed_until` (ms UTC): nothing rings before.
    """

    content: ContentMode | None = None
    notify: Notify | None = None
    quiet: tuple[QuietHours, ...] = ()
    time_zone: str = ""
    snoozed_until: int | None = None
