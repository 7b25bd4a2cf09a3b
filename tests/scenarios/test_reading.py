"""Reading: pages of history, read positions, unread counts, lists and `sync`."""

import json

import pytest

from support.talking import group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@pytest.fixture
async def alice(app):
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


@pytest.fixture
async def bob(app):
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("bob"))
        yield client


async def summarised(client: WireClient, conversation: str, n: int) -> None:
    """Wait until lists tell of the `n`th message: they trail the log by about a second."""

    async def told() -> bool:
        found = await client.rpc("conversation.get", conversation=conversation)
        return bool(found["conversation"]["head"]["n"] >= n)

    await eventually(told)


async def test_what_is_unread_is_exact_at_once(alice, bob):
    conversation = await group(alice, "bob")
    sent = [await say(alice, conversation, str(number)) for number in range(5)]
    marked = await bob.rpc("read.mark", conversation=conversation, offset=sent[1]["message"]["offset"])
    assert marked == {"read": {"offset": sent[1]["message"]["offset"], "n": 2}, "unread": 3}
    await bob.until(lambda: bob.publications("user:bob")[-1:] and "read" in bob.publications("user:bob")[-1]["data"])
    assert bob.publications("user:bob")[-1]["data"]["unread"] == 3


async def test_read_positions_stop_at_the_end_and_never_go_back(alice, bob):
    conversation = await group(alice, "bob")
    last = [await say(alice, conversation, str(number)) for number in range(3)][-1]["message"]["offset"]
    for offset in (2**44 - 1, last, last - 1, 0):
        marked = await bob.rpc("read.mark", conversation=conversation, offset=offset)
        assert marked == {"read": {"offset": last, "n": 3}, "unread": 0}
    await say(alice, conversation, "more")
    assert (await bob.rpc("read.mark", conversation=conversation, offset=0))["unread"] == 1


async def test_a_thread_that_is_not_there_is_nobodys(alice):
    conversation = await group(alice)
    await say(alice, conversation, "root")
    for method, fields in (
        ("read.mark", {"offset": 1}),
        ("message.send", {"idempotency_key": "k", "text": "x"}),
        ("history.page", {}),
        ("history.search", {"text": "root"}),
        ("conversation.join", {}),
    ):
        refused = await alice.rpc(method, conversation=f"{conversation}~99", **fields)
        assert refused.get("error", {}).get("code") == 103, (method, refused)


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_a_page_around_a_message_has_at_most_what_was_asked_for_and_its_bounds(alice, limit):
    conversation = await group(alice)
    offsets = [(await say(alice, conversation, str(number)))["message"]["offset"] for number in range(4)]
    for around in (0, offsets[0], offsets[2], offsets[-1], offsets[-1] + 100):
        answer = await alice.rpc("history.page", conversation=conversation, around=around, limit=limit)
        found = [message["offset"] for message in answer["items"]]
        assert len(found) <= limit
        assert found == sorted(set(found))
        if around in offsets:
            assert around in found
        if found:
            page = answer["page"]
            assert page["oldest"] <= found[0]
            assert page["newest"] >= found[-1]
            assert page["has_before"] or found[0] == offsets[0]
            assert page["has_after"] or found[-1] == offsets[-1]


async def test_lists_of_conversations_with_the_same_activity_neither_skip_nor_repeat(app, alice, monkeypatch):
    service = app.running.process.calls.service
    monkeypatch.setattr(service.conversations, "_clock_ms", lambda: 1_700_000_000_000)
    made = {await group(alice) for _ in range(7)}
    found: list[str] = []
    page = await alice.rpc("conversation.list", limit=2)
    while True:
        found += [one["id"] for one in page["conversations"]]
        if "next" not in page:
            break
        page = await alice.rpc("conversation.list", limit=2, before=page["next"])
    assert len(found) == 7
    assert set(found) == made


async def test_pages_of_what_is_large_are_short_and_complete(app, alice):
    """A reply of megabytes would end the connection as slow."""
    made = set()
    for _ in range(8):
        answer = await alice.rpc("conversation.create", kind="group", members=[], custom={"x": "y" * 15_000})
        made.add(answer["conversation"]["id"])
    found: list[str] = []
    page = await alice.rpc("conversation.list", limit=200)
    while True:
        assert len(json.dumps(page)) < 64 * 1024
        found += [one["id"] for one in page["conversations"]]
        if "next" not in page:
            break
        page = await alice.rpc("conversation.list", limit=200, before=page["next"])
    assert sorted(found) == sorted(made)
    conversation = found[0]
    for number in range(80):
        await say(alice, conversation, str(number) + "x" * 16_000)
    texts: list[str] = []
    after = 0
    while True:
        answer = await alice.rpc("history.page", conversation=conversation, after=after, limit=200)
        texts += [message["text"].rstrip("x") for message in answer["items"]]
        if not answer["page"]["has_after"]:
            break
        assert answer["page"]["truncated_by"] == "bytes"
        after = answer["page"]["newest"]
    assert texts == [str(number) for number in range(80)]
    assert alice.close_code is None


async def test_sync_goes_on_where_a_reply_was_full(alice, bob):
    """Whichever page's revision is kept, nothing that happened between the pages is lost."""
    made = [await group(alice, "bob") for _ in range(6)]
    first = await bob.rpc("sync", limit=3)
    await bob.rpc("read.mark", conversation=first["conversations"][0]["conversation"]["id"], offset=1)
    left = first["conversations"][1]["conversation"]["id"]
    await alice.rpc("conversation.remove_member", conversation=left, user="bob")
    second = await bob.rpc("sync", limit=3, before=first["next"])
    assert "next" not in second
    found = [one["conversation"]["id"] for page in (first, second) for one in page["conversations"]]
    assert sorted(found) == sorted(made)
    assert second["revision"] == first["revision"]
    cursors = dict.fromkeys(made, 2)
    news = await bob.rpc("sync", epoch=first["epoch"], revision=second["revision"], cursors=cursors)
    assert news["removed"] == [left]


async def test_sync_tells_of_every_change_however_many(app, bob, monkeypatch):
    store = app.running.process.store
    original = store.inbox.changes
    monkeypatch.setattr(type(store.inbox), "changes", lambda self, user, revision: original(user, revision, limit=3))
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        first = await bob.rpc("sync")
        made = [await group(alice, "bob") for _ in range(10)]
        cursors = dict.fromkeys(made, 10)
        answer = await bob.rpc("sync", epoch=first["epoch"], revision=first["revision"] or 1, cursors=cursors)
        assert len(answer["conversations"]) >= 9
        again = await bob.rpc("sync", epoch=first["epoch"], revision=answer["revision"], cursors=cursors)
        assert again["conversations"] == []


async def test_a_reply_to_sync_stays_small_whatever_was_written(app, alice, bob):
    conversation = await group(alice, "bob")
    big = {"x": "\U0001f600" * 3_900}  # 15.6 kB each, which a count of characters takes for a quarter of it
    async with app.rest("alice") as rest:
        for number in range(3):
            body = {
                "idempotency_key": str(number),
                "text": "\U0001f600" * 4_000,
                "content": {"type": "big", "x": big["x"], "y": big["x"]},
                "attachments": [big, big],
                "custom": big,
            }
            answer = await rest.post(f"/v1/conversations/{conversation}/messages", json=body)
            assert answer.status == 201, await answer.text()
    await summarised(bob, conversation, 3)
    cold = await bob.rpc("sync")
    answer = await bob.rpc("sync", epoch=cold["epoch"], revision=cold["revision"], cursors={conversation: 3})
    assert len(json.dumps(answer, ensure_ascii=False).encode()) < 64 * 1024
    assert answer["conversations"][0]["complete"] is False
    assert "entries" not in answer["conversations"][0]


async def test_sync_of_another_database_starts_anew(alice, bob):
    conversation = await group(alice, "bob")
    gone = await group(alice, "bob")
    await alice.rpc("conversation.remove_member", conversation=gone, user="bob")
    answer = await bob.rpc("sync", epoch="other", revision=99, cursors={conversation: 1, gone: 1})
    assert [one["conversation"]["id"] for one in answer["conversations"]] == [conversation]
    assert (answer["removed"], answer["conversations"][0]["complete"]) == ([gone], False)


async def test_a_user_has_what_the_application_the_token_and_the_user_said(app, alice):
    async with app.api() as api, wire_client(app.websocket) as carol:
        await api.post("/api/user_upsert", json={"user": "carol", "name": "Carol", "custom": {"team": 1}})
        await carol.connect(app.token("carol", info={"name": "Nobody", "avatar_url": "https://x.example/c.png"}))
        got = (await alice.rpc("user.get", user="carol"))["user"]
        assert (got["name"], got["avatar_url"], got["custom"]) == ("Carol", "https://x.example/c.png", {"team": 1})
        changed = await carol.rpc("user.update", locale="de-CH", custom={})
        assert changed["user"] == {
            "id": "carol",
            "name": "Carol",
            "avatar_url": got["avatar_url"],
            "locale": "de-CH",
            "privacy": {"receipts": True, "presence": True},
        }
        await carol.until(lambda: carol.publications("user:carol"))
        assert carol.publications("user:carol")[0]["data"]["type"] == "user.changed"
        assert (await alice.rpc("user.get", user="nobody"))["error"]["code"] == 103
        assert not alice.publications("user:alice")


async def test_presence_is_of_each_user_once_and_knows_when_they_left(app, alice):
    await group(alice, "carol")
    async with wire_client(app.websocket) as carol:
        await carol.connect(app.token("carol"))

        async def online() -> bool:
            answer = await alice.rpc("presence.get", users=["carol", "nobody", "carol"])
            assert [one["user"] for one in answer["presence"]] == ["carol", "nobody"]
            return bool(answer["presence"][0].get("online"))

        await eventually(online)

    async def offline() -> bool:
        return not await online()

    await eventually(offline)
