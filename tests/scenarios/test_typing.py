"""Typing: told to the others, not too often, and over when its time or its connection is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chat.usecases import typing
from chat.usecases.blocks import BlockLists
from chat.usecases.typing import TYPING_EXPIRES_MS, Typing
from chat.vocabulary.people import TypingStart, TypingStop
from support.app import App
from support.talking import group
from support.waiting import eventually
from support.wire_client import WireClient, wire_client


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


def typed(client: WireClient, conversation: str) -> list[tuple[str, bool]]:
    """Who was said to type, or to have stopped, in order."""
    events = [each["data"] for each in client.publications(f"conv:{conversation}")]
    return [(event["by"], event.get("active", False)) for event in events if event["type"] == "typing"]


async def test_the_others_are_told_on_both_hubs_once_for_quick_repeats(apps: tuple[App, App]) -> None:
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        await alice.connect(one.token("alice"))
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        await bob.until(lambda: bob.offsets(f"conv:{conversation}") == [1])
        for _ in range(5):
            assert await alice.rpc("typing.start", conversation=conversation) == {}
        await alice.rpc("typing.stop", conversation=conversation)
        await bob.until(lambda: len(typed(bob, conversation)) == 2)
        assert typed(bob, conversation) == [("alice", True), ("alice", False)]
        (first, _) = [
            each["data"] for each in bob.publications(f"conv:{conversation}") if each["data"]["type"] == "typing"
        ]
        assert first["expires_in_ms"] == TYPING_EXPIRES_MS


async def test_the_server_ends_it_when_the_last_connection_is_gone(app: App, alice: WireClient) -> None:
    conversation = await group(alice, "bob")
    async with wire_client(app.websocket) as phone, wire_client(app.websocket) as desktop:
        for client in (phone, desktop):
            await client.connect(app.token("bob"))
        await phone.rpc("typing.start", conversation=conversation)
        await alice.until(lambda: typed(alice, conversation) == [("bob", True)])
        await phone.socket.close()
        await desktop.rpc("typing.start", conversation=conversation)
        assert typed(alice, conversation) == [("bob", True)]
    await alice.until(lambda: typed(alice, conversation) == [("bob", True), ("bob", False)])


async def test_it_ends_by_itself(app: App, alice: WireClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typing, "TYPING_EXPIRES_MS", 500)
    conversation = await group(alice, "bob")
    async with app.rest("bob") as bob:
        async with bob.post(f"/v1/conversations/{conversation}/typing", json={}) as response:
            assert response.status == 200
        await alice.until(lambda: typed(alice, conversation) == [("bob", True), ("bob", False)])
        async with bob.delete(f"/v1/conversations/{conversation}/typing") as response:
            assert response.status == 200
    await alice.until(lambda: typed(alice, conversation)[2:] == [("bob", False)])


async def test_who_may_not_write_may_not_type_and_foreign_is_missing(app: App, alice: WireClient) -> None:
    created = await alice.rpc("conversation.create", kind="channel", members=["bob"])
    channel = created["conversation"]["id"]
    async with wire_client(app.websocket) as bob, wire_client(app.websocket) as mallory:
        await bob.connect(app.token("bob"))
        await mallory.connect(app.token("mallory"))
        refused = await bob.rpc("typing.start", conversation=channel)
        assert refused["error"]["code"] == 103
        foreign = await mallory.rpc("typing.start", conversation=channel)
        missing = await mallory.rpc("typing.start", conversation="a" * 26)
        assert foreign == missing
        assert foreign["error"]["code"] == 103


async def test_nobody_sees_who_blocks_them_type(app: App, alice: WireClient) -> None:
    async with wire_client(app.websocket) as bob:
        await bob.connect(app.token("bob"))
        direct = (await alice.rpc("conversation.create", kind="direct", members=["bob"]))["conversation"]["id"]
        await bob.until(lambda: bob.offsets(f"conv:{direct}") == [1])
        await bob.rpc("user.block", user="alice")
        await alice.rpc("typing.start", conversation=direct)
        await bob.rpc("typing.start", conversation=direct)
        await bob.rpc("user.unblock", user="alice")
        await alice.rpc("typing.start", conversation=direct)
        await bob.until(lambda: typed(bob, direct))
        assert typed(bob, direct) == [("alice", True)]


class Heard:
    """An announcer that writes down what it is to say."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str, bool]] = []

    def ephemeral(self, conversation: str, event: Any) -> None:
        self.said.append((conversation, event.by, event.active))


async def test_the_board_is_bounded_and_empties_by_itself(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typing, "MAX_TYPISTS", 3)
    heard, now = Heard(), [100.0]
    service = app.running.process.calls.service
    lists = BlockLists(app.running.process.store, lambda: now[0])
    board = Typing(service.access, lists, heard, lambda: 0, lambda: now[0])  # type: ignore[arg-type]  # only speaks
    async with wire_client(app.websocket) as alice, board:
        await alice.connect(app.token("alice"))
        conversations = [await group(alice) for _ in range(4)]
        for conversation in conversations:
            await board.start("alice", TypingStart(conversation))
        assert len(board) == 3
        assert heard.said == [
            *((conversation, "alice", True) for conversation in conversations[:3]),
            (conversations[0], "alice", False),
            (conversations[3], "alice", True),
        ]
        now[0] += 1.9
        await board.start("alice", TypingStart(conversations[3]))
        assert len(heard.said) == 5
        now[0] += 0.1
        await board.start("alice", TypingStart(conversations[3]))
        assert heard.said[5:] == [(conversations[3], "alice", True)]
        await board.stop("alice", TypingStop(conversations[3]))
        await board.stop("alice", TypingStop(conversations[3]))
        assert heard.said[6:] == [(conversations[3], "alice", False)]
        now[0] += 10.0
        await eventually(lambda: len(board) == 0)
        assert {each[2] for each in heard.said[7:]} == {False}
        assert len(heard.said) == 9
        tasks = [task for task in asyncio.all_tasks() if task.get_name() == "typing"]
        assert len(tasks) == 2
