"""What a notification brings so that it can be answered and marked as read, whoever brings it and whatever it says."""

import base64
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest

from chat.push.apns import payload as apns
from chat.push.apns.settings import PayloadSettings
from chat.push.fcm import payload as fcm
from chat.push.fcm.settings import FcmSettings
from chat.push.lab.arrivals import Ours, read_arrival
from chat.push.sending import Address, Content, Kind, Notification, Provider
from chat.push.webpush import payload as webpush

JOB = "7f9d1c3e-52a4-5b0e-9a63-0f2f1d6f8a11"
ADDRESS = Address("phone", Provider.FCM, "app", "token", "f" * 32)
TOLD = Notification(Kind.ALERT, JOB, "abcdefgh", "c" * 26, 7, "Bob", "Lunch?", badge=1, actions=True)


def by_apns(notification: Notification) -> Ours:
    rendered = apns.render(notification, expires_at_s=2_000_000_000, settings=PayloadSettings())
    assert isinstance(rendered, apns.Rendered)
    return read("apns", rendered.body)


def by_fcm(notification: Notification) -> Ours:
    message = fcm.message(notification, ADDRESS, now_s=0, expires_at_s=60, settings=FcmSettings())
    return read("fcm", orjson.dumps(message))


def by_web_push(notification: Notification) -> Ours:
    return read("webpush", webpush.payload(notification, webpush.Shape()))


def read(brought: str, payload: bytes) -> Ours:
    arrival = read_arrival(brought, {}, payload, now_s=0)  # type: ignore[arg-type]  # one of the three
    assert arrival is not None
    return arrival.ours


BY: list[Callable[[Notification], Ours]] = [by_apns, by_fcm, by_web_push]


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("kind", [Kind.ALERT, Kind.QUIET])
@pytest.mark.parametrize("content", [Content.FULL, Content.SENDER_ONLY, Content.GENERIC, Content.ID_ONLY])
def test_conversation_offset_and_job_are_there(
    by: Callable[[Notification], Ours], kind: Kind, content: Content
) -> None:
    ours = by(replace(TOLD, kind=kind, content=content))
    assert (ours.conversation, ours.upto, ours.job_id) == (TOLD.conversation, TOLD.upto, JOB)


@pytest.mark.parametrize("by", BY)
def test_they_are_there_however_long_the_text_is(by: Callable[[Notification], Ours]) -> None:
    ours = by(replace(TOLD, title="t" * 5_000, body="b" * 50_000))
    assert (ours.conversation, ours.upto, ours.job_id) == (TOLD.conversation, TOLD.upto, JOB)


@pytest.mark.parametrize("by", BY)
def test_of_what_is_encrypted_the_job_is_there_and_the_rest_is_sealed(by: Callable[[Notification], Ours]) -> None:
    ours = by(replace(TOLD, content=Content.ENCRYPTED, actions=False, sealed=b"\x00sealed\xff"))
    assert (ours.job_id, ours.sealed) == (JOB, b"\x00sealed\xff")


@pytest.mark.parametrize("by", [by_apns, by_fcm])
def test_who_brings_what_is_encrypted_does_not_learn_the_conversation(by: Callable[[Notification], Ours]) -> None:
    ours = by(replace(TOLD, content=Content.ENCRYPTED, actions=False, sealed=base64.b64encode(b"x")))
    assert (ours.conversation, ours.upto) == ("", 0)
