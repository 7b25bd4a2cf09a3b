"""Which conversations a session gets, and from where on."""

import time

import pytest

from chat.backend.conversing import ConversationChannels
from chat.backend.logfeed import LogFeed
from chat.usecases.access import Access
from chat.usecases.rights import Right
from realtime.protocol.codes import PERMISSION_DENIED, ClientError
from realtime.protocol.messages import Resume, SubscribeRequest
from storage.model import ConversationKind, Role
from storage.mongo.client import connect
from storage.store import Store, open_store
from support.databases import laid_out


@pytest.fixture
async def store(mongodb_url, database_name):
    async with connect(mongodb_url, database_name) as database:
        await laid_out(database)
    async with open_store(mongodb_url, database_name) as store:
        yield store


@pytest.fixture
def access(store):
    return Access(store, time.monotonic)


@pytest.fixture
def channels(store, access):
    feed = LogFeed(store, access, lambda _conversation, _entries: None)
    return ConversationChannels(store, access, feed, lambda: 1_000_000, on_connect=3, to_recover=2, max_missed=1000)


async def group(store: Store, *, at: int = 1) -> str:
    made = await store.conversations.create(
        kind=ConversationKind.GROUP, by="alice", members=[("alice", Role.OWNER), ("bob", Role.MEMBER)], at=at
    )
    return made.conversation.id


async def test_who_is_out_is_out_also_where_that_was_not_heard_of(store, access, channels):
    conversation = await group(store)
    await access.require("bob", conversation, Right.READ)
    await store.members.remove(conversation, "bob", by="alice", at=2)
    assert access.cached("bob", conversation) is not None
    with pytest.raises(ClientError) as refused:
        await channels.subscribe("bob", SubscribeRequest(f"conv:{conversation}"))
    assert refused.value.code is PERMISSION_DENIED


@pytest.mark.parametrize("channel", ["conv:", "conv:nope", "conv:" + "A" * 26, "conv:" + "a" * 26 + "\n", "conv:\x00"])
async def test_what_is_no_conversation_is_refused_like_a_missing_one(channels, channel):
    refusals = []
    for name in (channel, "conv:" + "a" * 26):
        with pytest.raises(ClientError) as refused:
            await channels.subscribe("alice", SubscribeRequest(name))
        refusals.append(refused.value.message)
    assert refusals[0] == refusals[1]


async def test_named_ones_come_first_then_the_newest_and_the_rest_is_watched(store, channels):
    made = [f"conv:{await group(store, at=number)}" for number in range(1, 7)]
    foreign = f"conv:{'a' * 26}"
    named = {
        foreign: Resume(recover=True, epoch="", offset=0),
        made[0]: Resume(recover=True, epoch="", offset=0),
        made[1]: Resume(recover=False),
    }
    chosen = await channels.choose("bob", named)
    assert list(chosen.subscribed) == [made[0], made[5], made[4]]
    assert list(chosen.latest) == [made[5], made[4], made[0]]
    assert list(chosen.watched) == [made[3], made[2], made[1]]
    assert chosen.left_out == 3
    more = {name: Resume(recover=True, epoch="", offset=0) for name in made}
    chosen = await channels.choose("bob", more)
    assert list(chosen.subscribed) == [made[0], made[1], made[5]]
