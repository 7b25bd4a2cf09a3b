"""What a reply costs, and who follows by it."""

import asyncio
import time
from collections.abc import Mapping

import pytest

from chat.usecases.access import Access
from chat.usecases.blocks import BlockLists
from chat.usecases.futures import conclude
from chat.usecases.threads import MAX_AGE_S, Threads
from chat.usecases.unread import Unreads
from chat.usecases.views import Views
from realtime.protocol.codes import CONFLICT, PERMISSION_DENIED, ClientError, ErrorCode
from storage.model import Appended, AppendOutcome, Change, EntryKind, NewEntry, Position
from storage.mongo.client import connect
from storage.store import Store, open_store
from support.appending import Commands
from support.conversing import AT, a_group, say
from support.databases import laid_out


class Followers:
    """The part of an announcer that hears of followers."""

    def __init__(self) -> None:
        self.followed_by: list[tuple[str, dict[str, Position], Position]] = []

    def followed(self, thread: str, read: Mapping[str, Position], *, after: Position, at: int) -> None:
        assert at
        self.followed_by.append((thread, dict(read), after))


class Bench:
    """The use case on a store whose commands are seen."""

    def __init__(self, store: Store, commands: Commands) -> None:
        self.store, self.commands = store, commands
        self.now = 0.0
        self.followers = Followers()
        views = Views(store, Unreads(store, BlockLists(store, time.monotonic), lambda: AT))
        access = Access(store, time.monotonic)
        self.threads = Threads(store, access, self.followers, views, lambda: AT, lambda: self.now)  # type: ignore[arg-type]  # asked for nothing else

    async def reply(self, thread: str, by: str) -> list[str]:
        """Reply; the commands that it took."""
        self.commands.names.clear()
        new = NewEntry(thread, EntryKind.MESSAGE_CREATED, by, AT, None, {"text": "reply"})
        appended: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()

        def answered(outcome: AppendOutcome) -> None:
            conclude(appended, outcome, lambda known: known)

        self.threads.append(new, answered, check=lambda: True, refused=lambda: None)
        await appended
        return [name for name in self.commands.names if name != "update"]


@pytest.fixture
async def bench(mongodb_url, database_name):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    commands = Commands()
    async with open_store(mongodb_url, database_name, listeners=[commands]) as store:
        yield Bench(store, commands)


@pytest.fixture
async def thread(bench):
    group = await a_group(bench.store)
    said = await say(bench.store, group.id, "ada", ["root"])
    return f"{group.id}~{said[0].entry.offset}"


async def test_the_first_reply_brings_its_writer_and_the_author_of_the_root(bench, thread):
    assert "commitTransaction" in await bench.reply(thread, "bob")
    read = {"bob": Position(1, 1), "ada": Position(0, 0)}
    assert bench.followers.followed_by == [(thread, read, Position(0, 0))]
    await bench.reply(thread, "ada")
    assert len(bench.followers.followed_by) == 1


async def test_whoever_is_known_to_follow_replies_as_to_any_conversation(bench, thread, monkeypatch):
    await bench.reply(thread, "bob")

    def looks_first(*_: object, **__: object) -> None:
        raise AssertionError("that is a transaction")

    with monkeypatch.context() as patched:
        patched.setattr(bench.store.threads, "append", looks_first)
        await bench.reply(thread, "bob")
        with pytest.raises(AssertionError):
            await bench.reply(thread, "ada")
        bench.now += MAX_AGE_S + 1
        with pytest.raises(AssertionError):
            await bench.reply(thread, "bob")
    await bench.reply(thread, "bob")
    assert (await bench.store.log.tail(thread)).n == 3


async def test_who_comes_at_the_same_time_comes_together_and_then_replies_as_anybody(bench, thread, monkeypatch):
    await bench.threads.coming("bob", thread)
    assert bench.followers.followed_by == []
    await bench.reply(thread, "bob")
    users = [f"user{number}" for number in range(40)]
    bench.commands.names.clear()
    await asyncio.gather(*(bench.threads.coming(user, thread) for user in [*users, *users]))
    assert 1 <= bench.commands.names.count("commitTransaction") <= 4
    came = bench.followers.followed_by[1:]
    assert sorted(user for _, read, _ in came for user in read) == sorted(users)
    assert all((at, after) == (thread, Position(1, 1)) for at, _, after in came)

    def looks_first(*_: object, **__: object) -> None:
        raise AssertionError("that is a transaction")

    monkeypatch.setattr(bench.store.threads, "append", looks_first)
    for user in users[:3]:
        await bench.reply(thread, user)


async def test_who_no_longer_follows_follows_again_by_replying(bench, thread):
    await bench.reply(thread, "bob")
    await bench.store.threads.unfollow(thread, "bob", at=AT)
    bench.threads.forget(thread, ["bob"])
    await bench.reply(thread, "bob")
    assert bench.followers.followed_by[-1] == (thread, {"bob": Position(2, 2)}, Position(1, 1))
    assert await bench.store.threads.follower(thread, "bob") is not None


async def refused(bench: Bench, thread: str) -> tuple[ErrorCode, str]:
    with pytest.raises(ClientError) as raised:
        await bench.reply(thread, "bob")
    return raised.value.code, raised.value.field


async def test_below_what_is_no_message_there_is_no_thread(bench, thread):
    conversation = thread.partition("~")[0]
    assert await refused(bench, f"{conversation}~1") == (PERMISSION_DENIED, "conversation")
    assert await refused(bench, f"{conversation}~99") == (PERMISSION_DENIED, "conversation")
    new = NewEntry(conversation, EntryKind.MESSAGE_PINNED, "ada", AT, None, {})
    await bench.store.amending.amend(new, 2, lambda _m, _e: Change({"target": 2}, {"deleted_at": AT}))
    assert await refused(bench, thread) == (CONFLICT, "conversation")
