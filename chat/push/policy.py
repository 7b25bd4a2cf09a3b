"""Whether a device is to be told of what is unread in a conversation, and why. Pure: the same facts, the same answer.

The rules have an order, the most absolute first. One that suppresses goes before all that wait: whoever would be told
later what is known now only finds it late in the trace.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeAlias

from storage.model.notifying import Notify


class Reason(StrEnum):
    """Why. Of `Suppress` first, in the order in which they are asked; then of `Wait` and `Send`, likewise.

    A reason to wait is also the reason to send once that has been waited for. The values are stored and told.
    """

    OWN_MESSAGE = "own_message"
    NOT_A_MEMBER = "not_a_member"
    BLOCKED = "blocked"
    MESSAGE_CLASS = "message_class"
    NOTHING_LEFT = "nothing_left"
    MUTED = "muted"
    NOTIFY_NONE = "notify_none"
    NOTIFY_MENTIONS = "notify_mentions"
    LARGE_GROUP = "large_group"
    ALREADY_READ = "already_read"
    IN_FRONT = "in_front"

    DO_NOT_DISTURB = "do_not_disturb"
    UPDATE = "update"
    IN_VIEW = "in_view"
    FOREGROUND_ELSEWHERE = "foreground_elsewhere"
    NOT_CONFIRMED = "not_confirmed"
    IN_BACKGROUND = "in_background"
    JUST_DISCONNECTED = "just_disconnected"
    OFFLINE = "offline"


class MessageClass(StrEnum):
    """What kind of thing is unread. Of a `system` entry or a `reaction` nobody is told; an `edit` (or a deletion that
    leaves others) changes what is shown, without a sound.
    """

    MESSAGE = "message"
    SYSTEM = "system"
    REACTION = "reaction"
    EDIT = "edit"


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """Times in milliseconds. `large_group`: with more members than that only mentions are told, unless they say `all`.

    `quiet_gap_ms`: the next one for the same conversation and device makes no sound. `loud_per_minute`: beyond so many
    sounds a minute on one device, neither.
    """

    ack_wait_ms: int = 5_000
    cloud_delay_ms: int = 20_000
    default_delay_ms: int = 1_500
    reconnect_wait_ms: int = 5_000
    quiet_gap_ms: int = 10_000
    loud_per_minute: int = 20
    large_group: int = 200


@dataclass(frozen=True, slots=True)
class DeviceState:
    """What is known of a device now. `viewing`: it has this conversation on screen, which includes `foreground`.

    `confirmed`: the offset up to which it has said to have this conversation. `disconnected_at`: when its last
    connection ended, None if that is not known.
    """

    connected: bool = False
    foreground: bool = False
    viewing: bool = False
    confirmed: int = 0
    disconnected_at: int | None = None


GONE: Final = DeviceState()


@dataclass(frozen=True, slots=True)
class Facts:
    """Of one user's device and one conversation, at `now` (ms UTC).

    Unread and not decided about: the messages up to `upto`, the first of which was sent `at`. `own`, `blocked`: all of
    them are the user's own, or by somebody the user blocks. `mentioned`: one of them mentions the user, everyone
    included. `nothing_left`: they were all deleted. `urgent`: goes through do-not-disturb.

    `muted_until`: by the member. `notify` None: of all, in large groups of mentions. `read`: how far it is read, on any
    device. `shown`: how far the notification on the device's screen tells, 0 if there is none. `quiet_until`: the end
    of do-not-disturb, if it is now. `others`: the user's other devices. `rang_at`: when the device last rang for this
    conversation; `device_rang`: for how many it did in the last minute; `rang_since_quiet`: it has since the end of
    do-not-disturb, and this waited for that.
    """

    now: int
    upto: int
    at: int
    member: bool = True
    own: bool = False
    blocked: bool = False
    message_class: MessageClass = MessageClass.MESSAGE
    nothing_left: bool = False
    mentioned: bool = False
    urgent: bool = False
    members_count: int = 2
    muted_until: int | None = None
    notify: Notify | None = None
    read: int = 0
    shown: int = 0
    quiet_until: int | None = None
    device: DeviceState = GONE
    others: tuple[DeviceState, ...] = field(default=())
    rang_at: int | None = None
    device_rang: int = 0
    rang_since_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Send:
    """Tell it now; `quiet`: without a sound."""

    reason: Reason
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until` (ms UTC), which is later than now."""

    until: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Suppress:
    """Do not tell it."""

    reason: Reason


Decision: TypeAlias = Send | Wait | Suppress

DEFAULT_SETTINGS: Final = PolicySettings()


def decide(facts: Facts, settings: PolicySettings = DEFAULT_SETTINGS) -> Decision:
    """What to do about the device now. Waiting ends: facts that stay as they are come to Send or Suppress."""
    for reason, applies in _SUPPRESSING:
        if applies(facts, settings):
            return Suppress(reason)
    reason = Reason.OFFLINE
    for reason, until in _waits(facts, settings):
        if until > facts.now:
            return Wait(until, reason)
        if reason is not Reason.DO_NOT_DISTURB:
            break
    return Send(reason, quiet=_is_quiet(facts, settings))


def mentions_only(facts: Facts, settings: PolicySettings = DEFAULT_SETTINGS) -> bool:
    """Whether only mentions are told of here."""
    if facts.notify is None:
        return facts.members_count > settings.large_group
    return facts.notify is Notify.MENTIONS


def _is_muted(facts: Facts) -> bool:
    """By when it was sent, so that what came while it was muted does not ring afterwards."""
    return facts.muted_until is not None and facts.at < facts.muted_until


def _has_no_class(facts: Facts) -> bool:
    if facts.message_class is MessageClass.EDIT:
        return facts.shown == 0
    return facts.message_class is not MessageClass.MESSAGE


_Rule: TypeAlias = Callable[[Facts, PolicySettings], bool]

_SUPPRESSING: Final[tuple[tuple[Reason, _Rule], ...]] = (
    (Reason.OWN_MESSAGE, lambda facts, _: facts.own),
    (Reason.NOT_A_MEMBER, lambda facts, _: not facts.member),
    (Reason.BLOCKED, lambda facts, _: facts.blocked),
    (Reason.MESSAGE_CLASS, lambda facts, _: _has_no_class(facts)),
    (Reason.NOTHING_LEFT, lambda facts, _: facts.nothing_left),
    (Reason.MUTED, lambda facts, _: _is_muted(facts)),
    (Reason.NOTIFY_NONE, lambda facts, _: facts.notify is Notify.NONE),
    (
        Reason.NOTIFY_MENTIONS,
        lambda facts, _: facts.notify is Notify.MENTIONS and not facts.mentioned,
    ),
    (Reason.LARGE_GROUP, lambda facts, settings: mentions_only(facts, settings) and not facts.mentioned),
    (Reason.ALREADY_READ, lambda facts, _: facts.read >= facts.upto),
    # It is being looked at, and has arrived: the app itself tells.
    (Reason.IN_FRONT, lambda facts, _: is_in_front(facts.device) and facts.device.confirmed >= facts.upto),
)


def is_in_front(device: DeviceState) -> bool:
    """Whether somebody looks at the app there."""
    return device.connected and (device.foreground or device.viewing)


def _waits(facts: Facts, settings: PolicySettings) -> Iterator[tuple[Reason, int]]:
    """What there is to wait for, and until when. Only do-not-disturb comes before another one: the first of the others
    is the one that counts.
    """
    if facts.quiet_until is not None and not facts.urgent:
        yield Reason.DO_NOT_DISTURB, facts.quiet_until
    if facts.message_class is MessageClass.EDIT:
        yield Reason.UPDATE, facts.now
    elsewhere = [one for one in facts.others if one.connected]
    device = facts.device
    if any(one.viewing for one in elsewhere):
        yield Reason.IN_VIEW, facts.at + settings.ack_wait_ms
    elif any(one.foreground for one in elsewhere):
        yield Reason.FOREGROUND_ELSEWHERE, facts.at + settings.cloud_delay_ms
    elif device.connected and device.confirmed < facts.upto:
        yield Reason.NOT_CONFIRMED, facts.at + settings.ack_wait_ms
    elif device.connected:
        yield Reason.IN_BACKGROUND, facts.at + settings.cloud_delay_ms
    elif device.disconnected_at is not None and device.disconnected_at >= facts.at and device.confirmed < facts.upto:
        yield Reason.JUST_DISCONNECTED, device.disconnected_at + settings.reconnect_wait_ms
    else:
        yield Reason.OFFLINE, facts.at + settings.default_delay_ms


def _is_quiet(facts: Facts, settings: PolicySettings) -> bool:
    if facts.message_class is MessageClass.EDIT:
        return True
    return (
        facts.rang_since_quiet
        or facts.device_rang >= settings.loud_per_minute
        or (facts.rang_at is not None and facts.now - facts.rang_at < settings.quiet_gap_ms)
    )
