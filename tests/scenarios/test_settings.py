"""What a conversation is told to be, for all its members; and how each of them keeps it."""

import time

import pytest

from chat.vocabulary.conversations import MAX_RETENTION_S, MAX_SLOW_MODE_S, MAX_TTL_S
from support.talking import group, say
from support.wire_client import wire_client


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


async def ids(client, **fields) -> list[str]:
    page = await client.rpc("conversation.list", **fields)
    return [one["id"] for one in page["conversations"]]


def updates(client, conversation: str) -> list[dict]:
    found = [pub["data"] for pub in client.publications(f"conv:{conversation}")]
    common = ("type", "conversation", "offset", "at", "by")
    return [
        {name: value for name, value in data.items() if name not in common}
        for data in found
        if data["type"] == "conversation.updated"
    ]


async def test_a_conversation_is_made_with_all_that_can_be_said_of_it(alice):
    made = await alice.rpc(
        "conversation.create",
        kind="group",
        title="Choir",
        avatar_url="https://example.com/choir.png",
        description="Mondays",
        custom={"room": 7},
        settings={"slow_mode_s": 5, "message_ttl_s": 86400, "retention_s": 864000},
    )
    got = (await alice.rpc("conversation.get", conversation=made["conversation"]["id"]))["conversation"]
    assert (got["title"], got["avatar_url"], got["description"], got["custom"]) == (
        "Choir",
        "https://example.com/choir.png",
        "Mondays",
        {"room": 7},
    )
    assert got["settings"] == {"slow_mode_s": 5, "message_ttl_s": 86400, "retention_s": 864000}


async def test_an_update_is_one_entry_that_names_what_changed(alice, bob):
    conversation = await group(alice, "bob", title="Choir")
    change = {"title": "Choir", "description": "Mondays", "settings": {"slow_mode_s": 5}}
    updated = await alice.rpc("conversation.update", conversation=conversation, **change)
    assert updated["conversation"]["settings"] == {"slow_mode_s": 5}
    await alice.rpc("conversation.update", conversation=conversation, **change)
    await alice.rpc("conversation.update", conversation=conversation, settings={"retention_s": 9})
    await alice.rpc(
        "conversation.update",
        conversation=conversation,
        description="",
        avatar_url="https://example.com/a",
        settings={"slow_mode_s": 0, "retention_s": 0},
    )
    await bob.until(lambda: len(updates(bob, conversation)) == 3)
    assert updates(bob, conversation) == [
        {"description": "Mondays", "settings": {"slow_mode_s": 5}},
        {"settings": {"slow_mode_s": 5, "retention_s": 9}},
        {"description": "", "avatar_url": "https://example.com/a", "settings": {}},
    ]
    got = (await bob.rpc("conversation.get", conversation=conversation))["conversation"]
    assert got["settings"] == {}
    assert "description" not in got
    assert (await say(alice, conversation, "x"))["message"]["offset"] == 5


@pytest.mark.parametrize(
    ("name", "most"),
    [("slow_mode_s", MAX_SLOW_MODE_S), ("message_ttl_s", MAX_TTL_S), ("retention_s", MAX_RETENTION_S)],
)
async def test_settings_have_bounds(alice, name, most):
    conversation = await group(alice)
    for value in (-1, most + 1, "1", None):
        refused = await alice.rpc("conversation.update", conversation=conversation, settings={name: value})
        assert refused["error"]["message"].startswith(f"bad_request: $.settings.{name}: "), value
    updated = await alice.rpc("conversation.update", conversation=conversation, settings={name: most})
    assert updated["conversation"]["settings"] == {name: most}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"avatar_url": "ftp://example.com"}, "avatar_url"),
        ({"avatar_url": "https://example.com/" + "a" * 2048}, "avatar_url"),
        ({"description": "a" * 2001}, "description"),
        ({"title": "a" * 201}, "title"),
        ({}, "title"),
    ],
)
async def test_what_cannot_be_said_of_a_conversation_is_named(alice, fields, field):
    conversation = await group(alice)
    refused = await alice.rpc("conversation.update", conversation=conversation, **fields)
    assert refused["error"]["message"].startswith(f"bad_request: $.{field}: ")
    assert "error" not in await alice.rpc("conversation.update", conversation=conversation, description="a" * 2000)


async def test_a_direct_conversation_has_none_of_it(alice):
    for fields in ({"avatar_url": "https://example.com"}, {"description": "x"}, {"settings": {"slow_mode_s": 1}}):
        refused = await alice.rpc("conversation.create", kind="direct", members=["bob"], **fields)
        assert refused["error"]["message"] == f"bad_request: $.{next(iter(fields))}: a direct conversation has none"


async def test_preferences_are_private_and_the_same_on_all_devices(app, alice, bob):
    conversation = await group(alice, "bob")
    until = time.time_ns() // 1_000_000 + 60_000
    async with wire_client(app.websocket) as tablet:
        await tablet.connect(app.token("alice"))
        kept = await alice.rpc(
            "conversation.set_preferences", conversation=conversation, archived=True, pinned=True, muted_until=until
        )
        await tablet.until(lambda: tablet.publications("user:alice"))
        event = tablet.publications("user:alice")[0]["data"]
    assert (event["type"], event["conversation"]) == ("conversation.preferences", conversation)
    assert event["preferences"] == kept["preferences"]
    assert set(kept["preferences"]) == {"archived_at", "pinned_at", "muted_until"}
    got = await alice.rpc("conversation.get", conversation=conversation)
    assert got["conversation"]["preferences"] == kept["preferences"]
    assert (await bob.rpc("conversation.get", conversation=conversation))["conversation"]["preferences"] == {}
    assert (await say(bob, conversation, "x"))["message"]["offset"] == 2  # no entry told of it
    told = [pub["data"]["type"] for pub in bob.publications("user:bob")]
    assert "conversation.preferences" not in told


async def test_preferences_stay_as_they_are_unless_named_and_false_and_zero_clear(alice):
    conversation = await group(alice)
    until = time.time_ns() // 1_000_000 + 60_000

    async def keep(**fields):
        result = await alice.rpc("conversation.set_preferences", conversation=conversation, **fields)
        return result["preferences"]

    first = await keep(archived=True, muted_until=until)
    revision = (await alice.rpc("sync"))["revision"]
    assert await keep(archived=True) == first
    assert (await alice.rpc("sync"))["revision"] == revision
    assert set(await keep(pinned=True)) == {"archived_at", "muted_until", "pinned_at"}
    assert (await alice.rpc("sync"))["revision"] == revision + 1
    assert set(await keep(archived=False)) == {"muted_until", "pinned_at"}
    assert set(await keep(muted_until=0, pinned=False)) == set()
    for fields, field in (({}, "archived"), ({"muted_until": 1}, "muted_until"), ({"muted_until": -1}, "muted_until")):
        refused = await alice.rpc("conversation.set_preferences", conversation=conversation, **fields)
        assert refused["error"]["message"].startswith(f"bad_request: $.{field}: ")


async def test_lists_leave_archived_ones_out_unless_asked_and_pages_stay_right(app, alice):
    every = [await group(alice, title=str(number)) for number in range(6)]
    for conversation in every[:2]:
        await alice.rpc("conversation.set_preferences", conversation=conversation, archived=True)
    await alice.rpc("conversation.set_preferences", conversation=every[3], pinned=True)
    assert sorted(await ids(alice)) == sorted(every[2:])
    assert sorted(await ids(alice, archived=True)) == sorted(every[:2])
    assert await ids(alice, pinned=True) == [every[3]]
    assert sorted(await ids(alice, pinned=False)) == sorted([every[2], *every[4:]])
    assert await ids(alice, archived=True, pinned=True) == []
    seen: list[str] = []
    following: dict[str, str] = {}
    while True:
        page = await alice.rpc("conversation.list", limit=1, pinned=False, **following)
        seen += [one["id"] for one in page["conversations"]]
        if "next" not in page:
            break
        following = {"before": page["next"]}
    assert sorted(seen) == sorted([every[2], *every[4:]])
    synced = await alice.rpc("sync")
    assert len(synced["conversations"]) == 6
    async with app.rest("alice") as rest:
        listed = await (await rest.get("/v1/conversations?archived=true&pinned=false")).json()
        assert sorted(one["id"] for one in listed["conversations"]) == sorted(every[:2])
        assert (await rest.get("/v1/conversations?archived=1")).status == 400
        answer = await rest.patch(f"/v1/conversations/{every[0]}/preferences", json={"archived": False})
        assert await answer.json() == {"preferences": {}}


async def test_what_was_muted_for_oneself_is_written_to_all_the_same(alice, bob):
    conversation = await group(alice, "bob")
    later = time.time_ns() // 1_000_000 + 60_000
    await bob.rpc("conversation.set_preferences", conversation=conversation, muted_until=later)
    assert "error" not in await say(bob, conversation, "x")
