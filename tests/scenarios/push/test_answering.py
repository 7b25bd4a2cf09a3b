"""Answering and marking as read from a notification: by REST alone, with what it brings along; no socket is open."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from chat.push.lab.arrivals import Ours, read_arrival
from chat.push.lab.handset import Handset, Platform
from chat.push.lab.screen import Brought
from support.ringing import PLATFORMS, Ringing
from support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("platform", PLATFORMS)]


async def call(ring: Ringing, user: str, verb: str, path: str, **body: Any) -> tuple[int, Any]:
    async with ring.app.rest(user) as rest, rest.request(verb, path, json=body or None) as answer:
        return answer.status, await answer.json()


async def begun(ring: Ringing, owner: str, member: str) -> str:
    """A group of two."""
    status, made = await call(ring, owner, "POST", "/v1/conversations", kind="group", members=[member], title="Trip")
    assert status == 201, made
    return str(made["conversation"]["id"])


async def say(ring: Ringing, user: str, conversation: str, text: str, *, key: str = "") -> tuple[int, Any]:
    body = {"idempotency_key": key or secrets.token_hex(8), "text": text}
    return await call(ring, user, "POST", f"/v1/conversations/{conversation}/messages", **body)


async def texts(ring: Ringing, user: str, conversation: str) -> list[str]:
    status, page = await call(ring, user, "GET", f"/v1/conversations/{conversation}/messages")
    assert status == 200, page
    return [message["text"] for message in page["items"]]


async def read(ring: Ringing, user: str, conversation: str, offset: int) -> int:
    """Mark it; how many are unread then."""
    status, result = await call(ring, user, "PUT", f"/v1/conversations/{conversation}/read", offset=offset)
    assert status == 200, result
    return int(result["unread"])


def brought_to(handset: Handset, monkeypatch: pytest.MonkeyPatch) -> list[Ours]:
    """What the app finds in each notification from now on, as it reads it on its platform."""
    found: list[Ours] = []
    show = handset.show

    def look(brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        arrival = read_arrival(brought, headers, payload, now_s=0.0)
        if arrival is not None and arrival.alert:
            found.append(arrival.ours)
        show(brought, address, headers, payload)

    monkeypatch.setattr(handset, "show", look)
    return found


@dataclass(frozen=True)
class Lunch:
    """Somebody has asked the user, who has it on the screen. `told`: all that the app was brought, the first so far."""

    user: str
    other: str
    handset: Handset
    conversation: str
    told: list[Ours]


@pytest_asyncio.fixture(loop_scope="module")
async def lunch(ring: Ringing, monkeypatch: pytest.MonkeyPatch, platform: Platform) -> Lunch:
    user, other = ring.somebody(), ring.somebody()
    handset = await ring.get(user, platform)
    told = brought_to(handset, monkeypatch)
    conversation = await begun(ring, other, user)
    await say(ring, other, conversation, "Lunch?")
    await eventually(lambda: handset.tray)
    assert len(told) == 1
    return Lunch(user, other, handset, conversation, told)


async def test_an_answer_that_is_sent_twice_is_stored_once_and_what_was_told_is_read(
    ring: Ringing, lunch: Lunch, platform: Platform
) -> None:
    user, handset, conversation, (told,) = lunch.user, lunch.handset, lunch.conversation, lunch.told
    assert (told.conversation, bool(told.job_id)) == (conversation, True)

    key = f"reply-{told.job_id}"
    tapped = await asyncio.gather(*(say(ring, user, told.conversation, "At noon", key=key) for _ in range(2)))
    assert sorted(status for status, _ in tapped) == [200, 201]
    # Hours later, with the network back: still the same message.
    assert (await say(ring, user, told.conversation, "At noon", key=key))[0] == 200
    (sent,) = {answer["message"]["offset"] for _, answer in tapped}
    # Whoever answers has read what was before: the server takes it so within a second, and so it is at once.
    assert [await read(ring, user, told.conversation, sent) for _ in range(2)] == [0, 0]

    assert await texts(ring, user, conversation) == ["Lunch?", "At noon"]
    if platform != "web":  # where an open page, or the worker that was tapped, takes it away
        await eventually(lambda: (handset.tray, handset.badge) == ((), 0))
    assert handset.rings == 1
    assert not ring.app.running.process.engine.hub.sessions


async def test_what_came_after_a_notification_stays_unread_when_that_is_marked_as_read(
    ring: Ringing, lunch: Lunch, platform: Platform
) -> None:
    user, handset, conversation = lunch.user, lunch.handset, lunch.conversation
    await say(ring, lunch.other, conversation, "Or tea?")
    await eventually(lambda: len(lunch.told) == 2)
    first, second = lunch.told
    assert (first.conversation, first.collapse_id) == (second.conversation, second.collapse_id)
    assert (first.upto < second.upto, first.job_id != second.job_id) == (True, True)

    assert await read(ring, user, conversation, first.upto) == 1
    assert len(handset.tray) == 1
    assert await read(ring, user, conversation, second.upto) == 0
    # A tap on the old one that comes late takes nothing back.
    assert await read(ring, user, conversation, first.upto) == 0
    if platform != "web":
        await eventually(lambda: (handset.tray, handset.badge) == ((), 0))


async def test_nobody_else_can_answer_with_what_a_notification_brings(ring: Ringing, lunch: Lunch) -> None:
    (told,) = lunch.told
    assert (await say(ring, ring.somebody(), told.conversation, "No", key=f"reply-{told.job_id}"))[0] == 404
    path = f"/v1/conversations/{told.conversation}/read"
    assert (await call(ring, ring.somebody(), "PUT", path, offset=told.upto))[0] == 404
    assert await texts(ring, lunch.user, lunch.conversation) == ["Lunch?"]
    assert await read(ring, lunch.user, lunch.conversation, 0) == 1
