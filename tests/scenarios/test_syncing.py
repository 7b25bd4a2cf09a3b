"""Sync: whatever changed while somebody was away, private or shared, of any age, in replies that stay small."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chat.usecases import private
from storage.mongo.retention import Outdated
from support.app import App
from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@asynccontextmanager
async def signed_in(app: App, user: str) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token(user))
        yield client


@pytest.fixture
async def alice(apps: tuple[App, App]) -> AsyncIterator[WireClient]:
    async with signed_in(apps[0], "alice") as client:
        yield client


@pytest.fixture
async def bob(apps: tuple[App, App]) -> AsyncIterator[WireClient]:
    """On the other hub."""
    async with signed_in(apps[1], "bob") as client:
        yield client


async def summarised(apps: tuple[App, App]) -> None:
    for app in apps:
        await app.running.process.store.summaries.flush()


def of(answer: Any, conversation: str) -> Any:
    (one,) = [each for each in answer["conversations"] if each["conversation"]["id"] == conversation]
    return one


def next_time(answer: Any) -> dict[str, Any]:
    return {"epoch": answer["epoch"], "revision": answer["revision"]}


async def test_what_one_did_on_another_device_comes_by_the_revision(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    conversation = await group(alice, "bob")
    for text in ("one", "two", "three"):
        await say(alice, conversation, text)
    await summarised(apps)
    cold = await bob.rpc("sync")
    cursors = {conversation: 4}
    assert (await bob.rpc("sync", **next_time(cold), cursors=cursors))["conversations"] == []
    await bob.rpc("message.delete", **{"conversation": conversation, "offsets": [2, 3], "for": "me"})
    await bob.rpc("conversation.set_preferences", conversation=conversation, pinned=True)
    await bob.rpc("read.mark_unread", conversation=conversation, offset=4)
    await bob.rpc("user.block", user="carol")
    await bob.rpc("user.block", user="dave")
    await bob.rpc("user.unblock", user="dave")
    await bob.rpc("user.update", name="Bob B.")
    async with signed_in(apps[0], "bob") as phone:
        news = await phone.rpc("sync", **next_time(cold), cursors=cursors)
    assert news["hidden"] == [{"conversation": conversation, "offsets": [2, 3]}]
    assert (news["blocked"], news["unblocked"]) == (["carol"], ["dave"])
    assert news["user"]["name"] == "Bob B."
    view = of(news, conversation)
    assert view["complete"]
    assert view["conversation"]["unread_from"] == 4
    assert view["conversation"]["preferences"]["pinned_at"]
    assert "more" not in news
    again = await bob.rpc("sync", **next_time(news), cursors=cursors)
    assert [again.get(name, []) for name in ("hidden", "blocked", "unblocked", "removed", "conversations")] == [[]] * 5
    cold_again = await bob.rpc("sync")
    assert cold_again["blocked"] == ["carol"]
    assert "hidden" not in cold_again


async def test_lost_access_is_told_by_revision_and_by_cursor(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    kept, lost, never = await group(alice, "bob"), await group(alice, "bob"), await group(alice)
    cold = await bob.rpc("sync")
    await alice.rpc("conversation.remove_member", conversation=lost, user="bob")
    by_revision = await bob.rpc("sync", **next_time(cold))
    assert by_revision["removed"] == [lost]
    for fields in ({}, next_time(by_revision)):
        answer = await bob.rpc("sync", **fields, cursors={kept: 1, lost: 1, never: 1, "a" * 26: 7, f"{kept}~1": 1})
        assert sorted(answer["removed"]) == sorted([lost, never, "a" * 26])


async def test_a_followed_thread_is_synced_like_a_conversation(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    conversation = await group(alice, "bob")
    root = (await say(bob, conversation, "root"))["message"]["offset"]
    thread = f"{conversation}~{root}"
    await say(alice, thread, "reply")
    await summarised(apps)
    cold = await bob.rpc("sync")
    assert of(cold, thread)["conversation"]["parent"] == conversation
    await say(alice, thread, "another")
    await summarised(apps)
    head = (await bob.rpc("conversation.get", conversation=thread))["conversation"]["head"]["offset"]
    news = await bob.rpc("sync", **next_time(cold), cursors={conversation: 99, thread: head - 1})
    synced = of(news, thread)
    assert synced["complete"]
    assert [entry["message"]["text"] for entry in synced["entries"]] == ["another"]
    await bob.rpc("thread.unfollow", conversation=thread)
    after = await bob.rpc("sync", **next_time(news), cursors={thread: head})
    assert after["removed"] == [thread]


async def test_what_does_not_fit_is_named_exactly(apps: tuple[App, App], alice: WireClient, bob: WireClient) -> None:
    conversation = await group(alice, "bob")
    for number in range(101):
        await say(alice, conversation, str(number))
    await summarised(apps)
    cold = await bob.rpc("sync")
    full = await bob.rpc("sync", **next_time(cold), cursors={conversation: 62})
    assert len(of(full, conversation)["entries"]) == 40
    assert "truncated" not in full
    answer = await bob.rpc("sync", **next_time(cold), cursors={conversation: 1})
    assert answer["truncated"] == [{"conversation": conversation, "after": 1, "upto": 102}]
    synced = of(answer, conversation)
    assert (synced["complete"], synced.get("entries")) == (False, None)
    page = await bob.rpc("history.page", conversation=conversation, after=1, limit=200)
    assert [item["offset"] for item in page["items"]] == list(range(2, 103))


async def test_a_revision_and_a_cursor_of_long_ago_are_as_good_as_new_ones(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    """No age: rows and entries count, not times. The clock of nobody is asked."""
    conversation = await group(alice, "bob")
    other = await group(alice, "bob")
    await say(alice, conversation, "a year ago")
    await summarised(apps)
    old = await bob.rpc("sync")
    for number in range(30):
        await bob.rpc("conversation.set_preferences", conversation=other, pinned=number % 2 == 0)
    await alice.rpc("message.edit", conversation=conversation, offset=2, text="edited since")
    await alice.rpc("message.delete", conversation=conversation, offset=2)
    await say(alice, conversation, "today")
    await summarised(apps)
    news = await bob.rpc("sync", **next_time(old), cursors={conversation: 2, other: 1})
    synced = of(news, conversation)
    assert synced["complete"]
    assert [entry["type"] for entry in synced["entries"]] == ["message.edited", "message.deleted", "message.created"]
    assert "edited since" not in json.dumps(synced)
    assert of(news, other)["complete"]


async def test_private_changes_that_do_not_fit_come_with_the_next_sync(
    apps: tuple[App, App], alice: WireClient, bob: WireClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MAX_REMOVED", "MAX_HIDDEN", "MAX_BLOCKS"):
        monkeypatch.setattr(private, name, 2)
    conversation = await group(alice, "bob")
    cold = await bob.rpc("sync")
    left = [await group(alice, "bob") for _ in range(5)]
    for number in range(5):
        await say(alice, conversation, str(number))
        await bob.rpc("message.delete", **{"conversation": conversation, "offset": number + 2, "for": "me"})
        await bob.rpc("user.block", user=f"user{number}")
        await bob.rpc("conversation.leave", conversation=left[number])
    hidden: set[int] = set()
    blocked: set[str] = set()
    removed: set[str] = set()
    place = next_time(cold)
    for _ in range(20):
        answer = await bob.rpc("sync", **place)
        hidden |= {offset for one in answer.get("hidden", []) for offset in one["offsets"]}
        blocked |= set(answer.get("blocked", []))
        removed |= set(answer["removed"])
        place = next_time(answer)
        if not answer.get("more"):
            break
    assert (hidden, blocked, removed) == ({2, 3, 4, 5, 6}, {f"user{number}" for number in range(5)}, set(left))


async def test_a_full_reply_stays_below_64_kib_and_nothing_is_lost(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    await bob.rpc("user.update", custom={"filler": "x" * 16_000})
    conversations = []
    for number in range(8):
        created = await alice.rpc(
            "conversation.create", kind="group", members=["bob"], title=str(number), custom={"filler": "y" * 15_000}
        )
        conversations.append(created["conversation"]["id"])
    seen: list[str] = []
    place: dict[str, Any] = {}
    replies = 0
    while True:
        answer = await bob.rpc("sync", **place)
        replies += 1
        assert len(json.dumps(answer, separators=(",", ":")).encode()) <= 64 * 1024
        seen += [one["conversation"]["id"] for one in answer["conversations"]]
        assert ("user" in answer) is (replies == 1)
        if "next" not in answer:
            break
        place = {"before": answer["next"]}
    assert sorted(seen) == sorted(conversations)
    assert replies > 2


async def test_what_retention_removed_is_said_by_sync_pages_and_resume(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    store = apps[0].running.process.store
    conversation = await group(alice, "bob")
    for number in range(10):
        await say(alice, conversation, str(number))
    await summarised(apps)
    cold = await bob.rpc("sync")
    middle = await store.log.get(conversation, 7)
    assert middle is not None
    await store.retention.trim(Outdated(conversation, middle.at), at=middle.at)
    first = await store.log.first(conversation)
    assert first is not None
    oldest = first.offset
    assert 2 < oldest <= 7
    channel = f"conv:{conversation}"
    await bob.until(lambda: 12 in bob.offsets(channel))
    updated = bob.publications(channel)[-1]["data"]
    assert (updated["type"], updated["oldest"], updated["by"]) == ("conversation.updated", oldest, "")
    await summarised(apps)

    below = await bob.rpc("sync", **next_time(cold), cursors={conversation: 2})
    assert below["truncated"] == [{"conversation": conversation, "after": oldest - 1, "upto": 12}]
    assert of(below, conversation)["complete"] is False
    assert of(below, conversation)["conversation"]["oldest"] == oldest
    assert of(below, conversation)["conversation"]["unread"] == 12 - oldest
    just = await bob.rpc("sync", **next_time(cold), cursors={conversation: oldest - 1})
    assert of(just, conversation)["complete"]

    page = await bob.rpc("history.page", conversation=conversation)
    assert (page["page"]["oldest"], page["page"]["truncated_by"]) == (oldest, "retention")
    around = await bob.rpc("history.page", conversation=conversation, around=2, limit=4)
    assert [item["offset"] for item in around["items"]] == list(range(oldest, oldest + 4))
    assert around["page"]["truncated_by"] == "retention"
    missing = await bob.rpc("message.get", conversation=conversation, offset=2)
    assert missing["error"]["code"] == 103

    epoch = store.epoch
    async with wire_client(apps[1].websocket) as client:
        await client.connect(apps[1].token("bob"), data={"conversations": "none"})
        for offset, recovered in ((2, False), (oldest - 2, False), (oldest - 1, True)):
            asked = {"channel": channel, "recover": True, "epoch": epoch, "offset": offset}
            reply = await client.call(subscribe=asked)
            assert bool(reply.get("recovered")) is recovered
            await client.call(unsubscribe={"channel": channel})
    for app in apps:
        async with wire_client(app.websocket) as client:
            asked = {channel: {"recover": True, "epoch": epoch, "offset": 2}}
            reply = await client.connect(app.token("bob"), subs=asked)
            sub = reply["subs"][channel]
            assert sub["was_recovering"]
            assert not sub.get("recovered")
            assert sub["offset"] == 12
        async with wire_client(app.websocket) as client:
            asked = {channel: {"recover": True, "epoch": epoch, "offset": oldest - 1}}
            reply = await client.connect(app.token("bob"), subs=asked)
            assert reply["subs"][channel]["recovered"]


async def test_a_hit_in_what_one_has_hidden_is_no_hit_and_around_shows_its_neighbours(
    apps: tuple[App, App], alice: WireClient, bob: WireClient
) -> None:
    conversation = await group(alice, "bob")
    for number in range(5):
        await say(alice, conversation, f"word {number}")
    await bob.rpc("message.delete", **{"conversation": conversation, "offset": 4, "for": "me"})

    async def hits() -> bool:
        found = await bob.rpc("history.search", conversation=conversation, text="word")
        return [item["offset"] for item in found["items"]] == [6, 5, 3, 2]

    await eventually(hits)
    page = await bob.rpc("history.page", conversation=conversation, around=4, limit=4)
    assert [item["offset"] for item in page["items"]] == [2, 3, 5]
