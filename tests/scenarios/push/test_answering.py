"""Answering and marking as read from a notification: by REST alone, with what it brings along; no socket is open."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chat.push.lab.arrivals import Ours, read_arrival
from chat.push.lab.handset import Handset
from chat.push.lab.screen import Brought
from chat.sealing import new_key
from support.app import test_config
from support.ringing import Ringing, ringing
from support.waiting import eventually

PHONES = [("ios", "alice"), ("android", "bob"), ("web", "carol")]


@pytest.fixture
async def phones(
    mongodb_url: str, database_name: str, redis_url: str, redis_prefix: str, tmp_path: Path
) -> AsyncIterator[Ringing]:
    config = test_config(
        mongodb_url, database_name, redis_url, redis_prefix, secrets__keys=[new_key()], push__delay="100ms"
    )
    async with ringing(config, tmp_path) as one:
        yield one


async def call(phones: Ringing, user: str, verb: str, path: str, **body: Any) -> tuple[int, Any]:
    async with phones.app.rest(user) as rest, rest.request(verb, path, json=body or None) as answer:
        return answer.status, await answer.json()


async def begun(phones: Ringing, user: str) -> str:
    """A group of Dave's with one more member."""
    status, made = await call(phones, "dave", "POST", "/v1/conversations", kind="group", members=[user], title="Trip")
    assert status == 201, made
    return str(made["conversation"]["id"])


async def say(phones: Ringing, user: str, conversation: str, text: str, *, key: str = "") -> tuple[int, Any]:
    body = {"idempotency_key": key or secrets.token_hex(8), "text": text}
    return await call(phones, user, "POST", f"/v1/conversations/{conversation}/messages", **body)


async def texts(phones: Ringing, user: str, conversation: str) -> list[str]:
    status, page = await call(phones, user, "GET", f"/v1/conversations/{conversation}/messages")
    assert status == 200, page
    return [message["text"] for message in page["items"]]


async def read(phones: Ringing, user: str, conversation: str, offset: int) -> int:
    """Mark it; how many are unread then."""
    status, result = await call(phones, user, "PUT", f"/v1/conversations/{conversation}/read", offset=offset)
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


@pytest.mark.parametrize(("platform", "user"), PHONES)
async def test_an_answer_that_is_sent_twice_is_stored_once_and_what_was_told_is_read(
    phones: Ringing, monkeypatch: pytest.MonkeyPatch, platform: str, user: str
) -> None:
    handset = phones.phone(platform).handset
    found = brought_to(handset, monkeypatch)
    conversation = await begun(phones, user)
    await say(phones, "dave", conversation, "Lunch?")
    await eventually(lambda: handset.tray)
    (told,) = found
    assert (told.conversation, bool(told.job_id)) == (conversation, True)

    key = f"reply-{told.job_id}"
    tapped = await asyncio.gather(*(say(phones, user, told.conversation, "At noon", key=key) for _ in range(2)))
    assert sorted(status for status, _ in tapped) == [200, 201]
    # Hours later, with the network back: still the same message.
    assert (await say(phones, user, told.conversation, "At noon", key=key))[0] == 200
    (sent,) = {answer["message"]["offset"] for _, answer in tapped}
    # Whoever answers has read what was before: the server takes it so within a second, and so it is at once.
    assert [await read(phones, user, told.conversation, sent) for _ in range(2)] == [0, 0]

    assert await texts(phones, user, conversation) == ["Lunch?", "At noon"]
    if platform != "web":  # where an open page, or the worker that was tapped, takes it away
        await eventually(lambda: (handset.tray, handset.badge) == ((), 0))
    assert handset.rings == 1
    assert not phones.app.running.process.engine.hub.sessions


@pytest.mark.parametrize(("platform", "user"), PHONES)
async def test_what_came_after_a_notification_stays_unread_when_that_is_marked_as_read(
    phones: Ringing, monkeypatch: pytest.MonkeyPatch, platform: str, user: str
) -> None:
    handset = phones.phone(platform).handset
    found = brought_to(handset, monkeypatch)
    conversation = await begun(phones, user)
    await say(phones, "dave", conversation, "Lunch?")
    await eventually(lambda: handset.tray)
    await say(phones, "dave", conversation, "Or tea?")
    await eventually(lambda: len(found) == 2)
    first, second = found
    assert (first.conversation, first.collapse_id) == (second.conversation, second.collapse_id)
    assert (first.upto < second.upto, first.job_id != second.job_id) == (True, True)

    assert await read(phones, user, conversation, first.upto) == 1
    assert len(handset.tray) == 1
    assert await read(phones, user, conversation, second.upto) == 0
    # A tap on the old one that comes late takes nothing back.
    assert await read(phones, user, conversation, first.upto) == 0
    if platform != "web":
        await eventually(lambda: (handset.tray, handset.badge) == ((), 0))


@pytest.mark.parametrize(("platform", "user"), PHONES)
async def test_nobody_else_can_answer_with_what_a_notification_brings(
    phones: Ringing, monkeypatch: pytest.MonkeyPatch, platform: str, user: str
) -> None:
    handset = phones.phone(platform).handset
    found = brought_to(handset, monkeypatch)
    conversation = await begun(phones, user)
    await say(phones, "dave", conversation, "Lunch?")
    await eventually(lambda: handset.tray)
    (told,) = found
    assert (await say(phones, "mallory", told.conversation, "No", key=f"reply-{told.job_id}"))[0] == 404
    path = f"/v1/conversations/{told.conversation}/read"
    assert (await call(phones, "mallory", "PUT", path, offset=told.upto))[0] == 404
    assert await texts(phones, user, conversation) == ["Lunch?"]
    assert await read(phones, user, conversation, 0) == 1
