"""What decides about several messages at once: each counts as it would have alone."""

from dataclasses import replace

import pytest

from chat.push.facts import Circumstances, weigh
from chat.push.policy import Decision, DeviceState, PolicySettings, Reason, Send, Suppress, Wait, decide
from chat.push.ports import Message, Unread
from storage.model import ConversationKind
from storage.model.notifying import Notify, PushPreferences, QuietHours
from storage.model.push import Job

C = "c" * 26
SETTINGS = PolicySettings()
NOW = 10_000_000
JOB = Job("phone", "ada", C, "lane", 5, 7, NOW, NOW + 1, 1_000, "claim", NOW + 1)
BOB = Message(5, 1_000, "bob", "Bob", "one")
EVE = Message(6, 2_000, "eve", "Eve", "two")
OWN = Message(7, 3_000, "ada", "Ada", "three")
UNREAD = Unread("ada", C, ConversationKind.GROUP, "Trip", 3, True, 4, (BOB, EVE, OWN))
AROUND = Circumstances(NOW)


def decided(unread: Unread, job: Job = JOB, around: Circumstances = AROUND) -> tuple[Decision, list[int]]:
    weighed = weigh(job, unread, around, SETTINGS)
    return decide(weighed.facts, SETTINGS), [message.offset for message in weighed.told]


def test_ones_own_and_deleted_messages_are_not_told() -> None:
    assert decided(UNREAD) == (Send(Reason.OFFLINE), [5, 6])
    assert decided(replace(UNREAD, messages=(replace(BOB, deleted=True), EVE))) == (Send(Reason.OFFLINE), [6])


@pytest.mark.parametrize(
    ("reason", "unread"),
    [
        (Reason.OWN_MESSAGE, replace(UNREAD, messages=(OWN,))),
        (Reason.BLOCKED, replace(UNREAD, blocked=frozenset({"bob", "eve"}))),
        (Reason.NOTHING_LEFT, replace(UNREAD, messages=(replace(BOB, deleted=True), OWN))),
        (Reason.NOTHING_LEFT, replace(UNREAD, messages=())),
        (Reason.MUTED, replace(UNREAD, muted_until=2_001)),
        (Reason.NOTIFY_NONE, replace(UNREAD, notify=Notify.NONE)),
        (Reason.NOTIFY_MENTIONS, replace(UNREAD, notify=Notify.MENTIONS)),
        (Reason.LARGE_GROUP, replace(UNREAD, members_count=500)),
        (Reason.ALREADY_READ, replace(UNREAD, messages=(), read=7)),
        (Reason.NOT_A_MEMBER, replace(UNREAD, member=False)),
    ],
)
def test_what_nobody_of_them_would_be_told_of_alone_is_suppressed(reason: Reason, unread: Unread) -> None:
    assert decided(unread)[0] == Suppress(reason)


def test_what_came_after_a_mute_is_told_and_what_came_in_it_is_not() -> None:
    assert decided(replace(UNREAD, muted_until=2_000)) == (Send(Reason.OFFLINE), [6])


def test_where_only_mentions_are_told_the_mention_is_and_nothing_else() -> None:
    mention = replace(UNREAD, messages=(BOB, replace(EVE, mentions=True)), notify=Notify.MENTIONS)
    assert decided(mention) == (Send(Reason.OFFLINE), [6])
    assert decided(replace(mention, notify=None), around=replace(AROUND, now=2_100))[0] == Wait(2_500, Reason.OFFLINE)


def test_the_level_of_the_conversation_goes_before_the_users() -> None:
    mentions = replace(AROUND, preferences=PushPreferences(notify=Notify.MENTIONS))
    assert decided(UNREAD, around=mentions)[0] == Suppress(Reason.NOTIFY_MENTIONS)
    assert decided(replace(UNREAD, notify=Notify.ALL), around=mentions)[0] == Send(Reason.OFFLINE)


def test_what_was_told_before_is_counted_and_does_not_decide() -> None:
    job = replace(JOB, covered=5, shown=5)
    decision, told = decided(UNREAD, job, replace(AROUND, now=2_000))
    assert (decision, told) == (Wait(3_500, Reason.OFFLINE), [5, 6])


def test_what_was_changed_is_shown_anew_without_a_sound() -> None:
    touched = replace(JOB, covered=7, shown=7)
    assert decided(UNREAD, touched) == (Send(Reason.UPDATE, quiet=True), [5, 6])
    assert decided(replace(UNREAD, messages=(replace(BOB, deleted=True),)), touched)[0] == Suppress(Reason.NOTHING_LEFT)
    assert decided(replace(UNREAD, messages=(), read=7), touched)[0] == Suppress(Reason.ALREADY_READ)


def test_a_night_is_that_of_the_user_or_else_of_the_device() -> None:
    night = PushPreferences(quiet=(QuietHours(0, 7 * 60, tuple(range(7))),))
    at_four_utc = replace(AROUND, now=4 * 3_600_000, preferences=night)
    assert isinstance(decided(UNREAD, around=at_four_utc)[0], Wait)
    tokyo = replace(at_four_utc, time_zone="Asia/Tokyo")
    assert isinstance(decided(UNREAD, around=tokyo)[0], Send)
    said = replace(tokyo, preferences=replace(night, time_zone="UTC"))
    assert decided(UNREAD, around=said)[0] == Wait(7 * 3_600_000, Reason.DO_NOT_DISTURB)


def test_after_a_night_the_device_rings_once() -> None:
    waited = replace(JOB, waited="do_not_disturb", waited_until=NOW - 500)
    assert decided(UNREAD, waited)[0] == Send(Reason.OFFLINE)
    assert decided(UNREAD, waited, replace(AROUND, rang=(NOW - 100,)))[0] == Send(Reason.OFFLINE, quiet=True)
    assert decided(UNREAD, waited, replace(AROUND, rang=(NOW - 501,)))[0] == Send(Reason.OFFLINE)


def test_the_users_other_devices_bear_on_it() -> None:
    states = {"phone": DeviceState(connected=True), "desk": DeviceState(connected=True, foreground=True, viewing=True)}
    soon = replace(AROUND, now=1_000, states=states)
    assert decided(UNREAD, around=soon)[0] == Wait(6_000, Reason.IN_VIEW)
    alone = replace(soon, states={"phone": states["phone"]})
    assert decided(UNREAD, around=alone)[0] == Wait(6_000, Reason.NOT_CONFIRMED)
