"""Who is let in and put out, by notices and by what the log says where notices were lost."""

import time

import msgspec
import pytest

from chat.backend.announcer import EngineAnnouncer, MembershipNotice
from chat.usecases.access import Access
from storage.model import Entry, EntryKind, Position
from storage.mongo.client import connect
from storage.store import open_store
from support.databases import laid_out
from support.engine import ListFeed, SmallProduct, serve_engine
from support.wire_client import wire_client

CONVERSATION = "c" * 26
CHANNEL = f"conv:{CONVERSATION}"


@pytest.fixture
async def served(redis_url, redis_prefix):
    async with serve_engine(redis_url, redis_prefix, SmallProduct(ListFeed(), server_side=["log:1"])) as served:
        yield served


@pytest.fixture
async def announcer(mongodb_url, database_name, served):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as store:
        announcer = EngineAnnouncer("e", Access(store, time.monotonic))
        announcer.attach(served.engine)
        # Somebody has the conversation open, and this process has heard nothing of it yet.
        served.engine.hub.channel(CHANNEL).start(ListFeed(), "e", 0)
        yield announcer


def joined(offset: int, user: str) -> Entry:
    body = {"members": [{"user": user, "role": "member"}]}
    return Entry(CONVERSATION, offset, 0, EntryKind.MEMBER_JOINED, "bob", 1, None, body)


def left(offset: int, user: str) -> Entry:
    return Entry(CONVERSATION, offset, 0, EntryKind.MEMBER_LEFT, "bob", 1, None, {"user": user})


async def test_whoever_came_by_an_entry_whose_notice_was_lost_is_let_in_when_it_is_read(served, announcer):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        announcer.read_entries(CONVERSATION, [joined(1, "alice")])
        await alice.until(lambda: any("subscribe" in push for push in alice.pushes))


async def test_whoever_was_let_in_by_notice_is_not_let_in_again_by_the_entry(served, announcer):
    """A client may have connected since, and want conversations only where it asks for them itself."""
    announcer.let_in(CONVERSATION, ["alice"], position=Position(1, 0), by="bob", at=1)
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        announcer.read_entries(CONVERSATION, [joined(1, "alice")])
        announcer.read_entries(CONVERSATION, [left(2, "alice"), joined(3, "alice")])
        await alice.until(lambda: any("subscribe" in push for push in alice.pushes))
        (subscribed,) = [push["subscribe"] for push in alice.pushes if "subscribe" in push]
        assert subscribed["data"]["head"]["offset"] == 2


async def test_an_arrival_before_the_last_departure_is_history_however_late_its_notice_comes(served, announcer):
    """It may have waited in another process for Redis to come back."""
    late = msgspec.json.encode(MembershipNotice(CONVERSATION, ["alice"], came=True, offset=1))
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        (session,) = served.engine.hub.users["alice"]
        announcer.read_entries(CONVERSATION, [joined(1, "alice"), left(2, "alice")])
        announcer._heard(late)
        assert not session.subscribed(CHANNEL)
        announcer.let_in(CONVERSATION, ["alice"], position=Position(3, 0), by="bob", at=1)
        await alice.until(lambda: any("subscribe" in push for push in alice.pushes))
        announcer.put_out(CONVERSATION, ["alice"], offset=4, by="bob", at=1)
        assert not session.subscribed(CHANNEL)
        announcer._heard(late)
        assert not session.subscribed(CHANNEL)


async def test_a_departure_before_the_last_arrival_is_history(served, announcer):
    async with wire_client(served.url) as alice:
        await alice.connect("alice")
        announcer.let_in(CONVERSATION, ["alice"], position=Position(3, 0), by="bob", at=1)
        await alice.until(lambda: any("subscribe" in push for push in alice.pushes))
        (session,) = served.engine.hub.users["alice"]
        announcer.read_entries(CONVERSATION, [left(2, "alice")])
        assert session.subscribed(CHANNEL)
        announcer.read_entries(CONVERSATION, [left(4, "alice")])
        assert not session.subscribed(CHANNEL)
