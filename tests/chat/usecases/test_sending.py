"""What keeps a message from being sent: what it costs to know, and what happens when it cannot be asked."""

import asyncio
import time

import pytest
from pymongo.monitoring import CommandListener

from chat.usecases.access import Access
from chat.usecases.blocks import BlockLists
from chat.usecases.freshness import USUAL_S
from chat.usecases.rights import Right
from chat.usecases.sending import AWAY_S, MAX_REMEMBERED, SendingRules, SlowMode
from realtime.protocol.codes import PERMISSION_DENIED, ClientError
from storage.model import ConversationKind, ConversationSettings, Role
from storage.mongo.client import connect
from storage.store import open_store
from support.databases import laid_out


class Commands(CommandListener):
    """Counts what is asked of MongoDB."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event) -> None:
        self.names.append(event.command_name)

    def succeeded(self, event) -> None: ...

    def failed(self, event) -> None: ...


class Holds:
    """Another process's word: answers with what is in `waits`, then with `error`."""

    def __init__(self, *waits: int, error: Exception | None = None) -> None:
        self.waits = list(waits)
        self.error = error
        self.asked: list[tuple[str, str]] = []

    async def hold(self, name: str, holder: str, *, ttl_s: float) -> int:
        self.asked.append((name, holder))
        await asyncio.sleep(0)
        if self.waits:
            return self.waits.pop(0)
        if self.error is not None:
            raise self.error
        return 0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
async def store(mongodb_url, database_name, commands):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name, listeners=[commands]) as store:
        yield store


async def test_a_warm_message_in_a_direct_conversation_asks_nothing(store, commands):
    lists = BlockLists(store, time.monotonic)
    rules = SendingRules(store, lists, SlowMode(Holds(), time.monotonic))
    access = Access(store, time.monotonic)
    members = [("alice", Role.MEMBER), ("bob", Role.MEMBER)]
    made = await store.conversations.create(kind=ConversationKind.DIRECT, by="alice", members=members, at=1)
    standing = await access.require("alice", made.conversation.id, Right.SEND)
    await rules.check("alice", made.conversation.id, "k1", standing)
    commands.names.clear()
    for key in ("k2", "k3"):
        await rules.check("alice", made.conversation.id, key, standing)
        await rules.check("bob", made.conversation.id, key, standing)
    assert "find" not in commands.names


async def test_a_message_in_a_group_asks_nothing_at_all(store, commands):
    rules = SendingRules(store, BlockLists(store, time.monotonic), SlowMode(Holds(), time.monotonic))
    access = Access(store, time.monotonic)
    made = await store.conversations.create(
        kind=ConversationKind.GROUP, by="alice", members=[("alice", Role.MEMBER)], at=1
    )
    standing = await access.require("alice", made.conversation.id, Right.SEND)
    commands.names.clear()
    await rules.check("alice", made.conversation.id, "k1", standing)
    assert "find" not in commands.names


async def test_a_list_that_changes_while_it_is_read_is_not_remembered(store):
    lists = BlockLists(store, time.monotonic)
    reading = asyncio.create_task(lists.of("alice"))
    await asyncio.sleep(0)
    await store.blocks.block("alice", "bob", at=1)
    lists.forget("alice")
    await reading
    assert await lists.apart("bob", "alice")


async def test_without_a_notice_a_list_is_right_after_a_while(store):
    clock = Clock()
    lists = BlockLists(store, clock)
    assert not await lists.apart("alice", "bob")
    await store.blocks.block("bob", "alice", at=1)
    clock.now = USUAL_S
    assert not await lists.apart("alice", "bob")
    clock.now = USUAL_S + 0.1
    assert await lists.apart("alice", "bob")


async def test_what_another_process_let_through_is_waited_for_without_asking_again():
    clock, holds = Clock(), Holds(40_000)
    slow = SlowMode(holds, clock)
    assert await slow.wait_ms("bob", "c", "k1", 60) == 40_000
    clock.now = 10
    assert await slow.wait_ms("bob", "c", "k1", 60) == 30_000
    assert len(holds.asked) == 1
    clock.now = 40
    assert await slow.wait_ms("bob", "c", "k1", 60) == 0
    assert len(holds.asked) == 2


async def test_of_many_at_once_one_gets_past_while_the_broker_is_asked():
    slow = SlowMode(Holds(), Clock())
    waits = await asyncio.gather(*(slow.wait_ms("bob", "c", f"k{n}", 60) for n in range(10)))
    assert sorted(waits) == [0, *[60_000] * 9]


@pytest.mark.parametrize("error", [ConnectionError("away"), TimeoutError()])
async def test_a_broker_that_is_away_is_left_alone_for_a_while(error):
    clock, holds = Clock(), Holds(error=error)
    slow = SlowMode(holds, clock)
    assert await slow.wait_ms("bob", "c", "k1", 60) == 0
    assert await slow.wait_ms("bob", "c", "k2", 60) == 60_000
    assert await slow.wait_ms("carol", "c", "k1", 60) == 0
    assert len(holds.asked) == 1
    clock.now = AWAY_S
    assert await slow.wait_ms("dave", "c", "k1", 60) == 0
    assert len(holds.asked) == 2


async def test_who_is_forgotten_is_asked_for_elsewhere():
    slow = SlowMode(holds := Holds(), Clock())
    for number in range(MAX_REMEMBERED + 1):
        await slow.wait_ms(f"user{number}", "c", "k", 60)
    holds.waits = [50_000]
    assert await slow.wait_ms("user0", "c", "k2", 60) == 50_000


async def test_which_of_two_blocks_the_other_is_not_said(store):
    lists = BlockLists(store, time.monotonic)
    rules = SendingRules(store, lists, SlowMode(Holds(), time.monotonic))
    access = Access(store, time.monotonic)
    members = [("alice", Role.MEMBER), ("bob", Role.MEMBER)]
    made = await store.conversations.create(kind=ConversationKind.DIRECT, by="alice", members=members, at=1)
    await store.blocks.block("alice", "bob", at=1)
    said = []
    for user in ("alice", "bob"):
        standing = await access.require(user, made.conversation.id, Right.SEND)
        with pytest.raises(ClientError) as refused:
            await rules.check(user, made.conversation.id, "k", standing)
        assert refused.value.code is PERMISSION_DENIED
        said.append(refused.value.message)
    assert said[0] == said[1]


async def test_moderators_are_let_through_at_any_pace(store):
    holds = Holds()
    rules = SendingRules(store, BlockLists(store, time.monotonic), SlowMode(holds, time.monotonic))
    access = Access(store, time.monotonic)
    roles = {role.value: role for role in Role}
    made = await store.conversations.create(
        kind=ConversationKind.GROUP,
        by="owner",
        members=list(roles.items()),
        at=1,
        settings=ConversationSettings(slow_mode_s=60),
    )
    for user, role in roles.items():
        if role is not Role.READER:
            standing = await access.require(user, made.conversation.id, Right.SEND)
            await rules.check(user, made.conversation.id, "k", standing)
    assert [name.rpartition(":")[2] for name, _ in holds.asked] == ["member"]
