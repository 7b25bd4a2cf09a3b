"""The decision table: one row for every reason, at its edges; which rule goes before which."""

from dataclasses import replace
from typing import Any

import pytest

from chat.push.policy import (
    DeviceState,
    Facts,
    MessageClass,
    PolicySettings,
    Reason,
    Send,
    Suppress,
    Wait,
    decide,
    mentions_only,
)
from storage.model.notifying import Notify

AT = 1_000_000
LATER = AT + 60_000
FACTS = Facts(now=LATER, upto=7, at=AT)

ONLINE = DeviceState(connected=True)
FOREGROUND = DeviceState(connected=True, foreground=True)
VIEWING = DeviceState(connected=True, foreground=True, viewing=True)


@pytest.mark.parametrize(
    ("reason", "facts"),
    [
        (Reason.OWN_MESSAGE, {"own": True}),
        (Reason.NOT_A_MEMBER, {"member": False}),
        (Reason.BLOCKED, {"blocked": True}),
        (Reason.MESSAGE_CLASS, {"message_class": MessageClass.SYSTEM}),
        (Reason.MESSAGE_CLASS, {"message_class": MessageClass.REACTION}),
        (Reason.MESSAGE_CLASS, {"message_class": MessageClass.EDIT}),
        (Reason.NOTHING_LEFT, {"nothing_left": True}),
        (Reason.MUTED, {"muted_until": LATER + 1}),
        # It was sent while it was muted: that is over, and it stays silent.
        (Reason.MUTED, {"muted_until": AT + 1}),
        (Reason.MUTED, {"muted_until": LATER + 1, "mentioned": True}),
        (Reason.NOTIFY_NONE, {"notify": Notify.NONE, "mentioned": True}),
        (Reason.NOTIFY_MENTIONS, {"notify": Notify.MENTIONS}),
        (Reason.LARGE_GROUP, {"members_count": 201}),
        (Reason.ALREADY_READ, {"read": 7}),
        (Reason.ALREADY_READ, {"read": 8}),
        (Reason.IN_FRONT, {"device": replace(FOREGROUND, confirmed=7)}),
        (Reason.IN_FRONT, {"device": replace(VIEWING, confirmed=7)}),
    ],
)
def test_it_is_suppressed(reason: Reason, facts: dict[str, Any]) -> None:
    assert decide(replace(FACTS, **facts)) == Suppress(reason)


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"read": 6},
        {"muted_until": AT},
        {"notify": Notify.MENTIONS, "mentioned": True},
        {"members_count": 200},
        {"members_count": 201, "notify": Notify.ALL},
        {"members_count": 201, "mentioned": True},
    ],
)
def test_nothing_suppresses_it(facts: dict[str, Any]) -> None:
    assert decide(replace(FACTS, **facts)) == Send(Reason.OFFLINE)


@pytest.mark.parametrize(
    ("reason", "wait_ms", "facts"),
    [
        (Reason.IN_VIEW, 5_000, {"others": (VIEWING,)}),
        (Reason.IN_VIEW, 5_000, {"others": (FOREGROUND, VIEWING), "device": ONLINE}),
        (Reason.FOREGROUND_ELSEWHERE, 20_000, {"others": (ONLINE, FOREGROUND)}),
        (Reason.FOREGROUND_ELSEWHERE, 20_000, {"others": (FOREGROUND,), "device": ONLINE}),
        (Reason.NOT_CONFIRMED, 5_000, {"device": ONLINE}),
        (Reason.NOT_CONFIRMED, 5_000, {"device": replace(ONLINE, confirmed=6)}),
        (Reason.NOT_CONFIRMED, 5_000, {"device": FOREGROUND}),
        (Reason.NOT_CONFIRMED, 5_000, {"device": replace(VIEWING, confirmed=6), "others": (ONLINE,)}),
        (Reason.IN_BACKGROUND, 20_000, {"device": replace(ONLINE, confirmed=7)}),
        (Reason.JUST_DISCONNECTED, 8_000, {"device": DeviceState(disconnected_at=AT + 3_000)}),
        (Reason.JUST_DISCONNECTED, 5_000, {"device": DeviceState(disconnected_at=AT, confirmed=6)}),
        # It was gone before, or it has it.
        (Reason.OFFLINE, 1_500, {"device": DeviceState(disconnected_at=AT - 1)}),
        (Reason.OFFLINE, 1_500, {"device": DeviceState(disconnected_at=AT + 1, confirmed=7)}),
        (Reason.OFFLINE, 1_500, {}),
        # Another device's connection that is idle, or what a closed one showed last, says nothing.
        (Reason.OFFLINE, 1_500, {"others": (ONLINE, replace(VIEWING, connected=False))}),
    ],
)
def test_it_waits_and_is_sent_then(reason: Reason, wait_ms: int, facts: dict[str, Any]) -> None:
    due = AT + wait_ms
    for now in (AT, due - 1):
        assert decide(replace(FACTS, **facts, now=now)) == Wait(due, reason)
    assert decide(replace(FACTS, **facts, now=due)) == Send(reason)


def test_do_not_disturb_comes_first_of_what_waits_and_last_of_what_suppresses() -> None:
    night = replace(FACTS, quiet_until=LATER + 1, others=(VIEWING,), now=AT)
    assert decide(night) == Wait(LATER + 1, Reason.DO_NOT_DISTURB)
    assert decide(replace(night, read=7)) == Suppress(Reason.ALREADY_READ)
    assert decide(replace(night, urgent=True)) == Wait(AT + 5_000, Reason.IN_VIEW)
    assert decide(replace(night, now=LATER + 1)) == Send(Reason.IN_VIEW)


def test_the_first_rule_gives_the_reason() -> None:
    everything: dict[str, Any] = {
        "own": True,
        "member": False,
        "blocked": True,
        "message_class": MessageClass.SYSTEM,
        "nothing_left": True,
        "muted_until": AT + 1,
        "notify": Notify.NONE,
        "read": 7,
        "device": replace(VIEWING, confirmed=7),
    }
    reasons = []
    for name in list(everything):
        decision = decide(replace(FACTS, **everything))
        assert isinstance(decision, Suppress)
        reasons.append(decision.reason)
        del everything[name]
    assert reasons == [
        Reason.OWN_MESSAGE,
        Reason.NOT_A_MEMBER,
        Reason.BLOCKED,
        Reason.MESSAGE_CLASS,
        Reason.NOTHING_LEFT,
        Reason.MUTED,
        Reason.NOTIFY_NONE,
        Reason.ALREADY_READ,
        Reason.IN_FRONT,
    ]


def test_an_edit_changes_what_is_shown_without_a_sound_and_rings_for_nobody() -> None:
    edit = replace(FACTS, message_class=MessageClass.EDIT, shown=7, others=(VIEWING,))
    assert decide(edit) == Send(Reason.UPDATE, quiet=True)
    assert decide(replace(edit, shown=0)) == Suppress(Reason.MESSAGE_CLASS)
    assert decide(replace(edit, quiet_until=LATER + 1)) == Wait(LATER + 1, Reason.DO_NOT_DISTURB)


@pytest.mark.parametrize(
    ("quiet", "facts"),
    [
        (True, {"rang_at": LATER - 9_999}),
        (False, {"rang_at": LATER - 10_000}),
        (True, {"device_rang": 20}),
        (False, {"device_rang": 19}),
        (True, {"rang_since_quiet": True}),
    ],
)
def test_what_rang_just_now_does_not_ring_again(quiet: bool, facts: dict[str, Any]) -> None:
    assert decide(replace(FACTS, **facts)) == Send(Reason.OFFLINE, quiet=quiet)


def test_settings_decide_how_long() -> None:
    settings = PolicySettings(ack_wait_ms=1, cloud_delay_ms=2, default_delay_ms=3, reconnect_wait_ms=4, large_group=5)
    now = replace(FACTS, now=AT)
    assert decide(replace(now, others=(VIEWING,)), settings) == Wait(AT + 1, Reason.IN_VIEW)
    assert decide(replace(now, others=(FOREGROUND,)), settings) == Wait(AT + 2, Reason.FOREGROUND_ELSEWHERE)
    assert decide(now, settings) == Wait(AT + 3, Reason.OFFLINE)
    closed = replace(now, device=DeviceState(disconnected_at=AT))
    assert decide(closed, settings) == Wait(AT + 4, Reason.JUST_DISCONNECTED)
    assert mentions_only(replace(now, members_count=6), settings)
