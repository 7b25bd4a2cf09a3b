"""Everybody comes back at once: what it costs MongoDB depends on the conversations, not on the clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from chat.vocabulary.history import HistoryPage
from storage.mongo.schema import CONVERSATIONS, MEMBERS, MESSAGES, USERS
from support.app import App
from support.profile import Profile
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

CLIENTS = 40
MISSED = 30


@pytest.fixture
def profile(_mongodb, database_name):
    profile = Profile(_mongodb, database_name)
    yield profile
    _mongodb[database_name].command({"profile": 0})


async def two_groups(app: App) -> list[str]:
    """Two groups of all clients with `MISSED` messages each, of which the summaries tell."""
    members = [f"m{number}" for number in range(CLIENTS)]
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        both = [await group(alice, *members), await group(alice, *members)]
        for conversation in both:
            for _ in range(MISSED):
                await say(alice, conversation, "hello")

        async def told() -> bool:
            listed = await alice.rpc("conversation.list")
            return all(one["head"]["n"] == MISSED for one in listed["conversations"])

        await eventually(told)
    return both


@asynccontextmanager
async def back(app: App, conversations: list[str], offsets: list[int]) -> AsyncIterator[list[WireClient]]:
    """All clients, each of which has everything up to one of these offsets, connecting at once."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(wire_client(app.websocket)) for _ in range(CLIENTS)]

        async def resume(number: int, client: WireClient) -> None:
            position = {"recover": True, "epoch": "", "offset": offsets[number % len(offsets)]}
            subs = {f"conv:{one}": position for one in conversations}
            reply = await client.connect(app.token(f"m{number}"), subs=subs)
            assert all(reply["subs"][name]["recovered"] for name in subs)

        await asyncio.gather(*(resume(*numbered) for numbered in enumerate(clients)))
        yield clients


async def test_a_storm_of_resumes_costs_about_one_read_a_conversation(apps, profile):
    one, two = apps
    both = await two_groups(one)
    head = MISSED + 1
    profile.reset()
    async with back(two, both, [1, 1, 1, 11, 21]) as clients:
        for number, client in enumerate(clients):
            missed = head - [1, 1, 1, 11, 21][number % 5]
            await client.until(lambda client=client, missed=missed: len(created(client, both[0])) >= missed)
            await client.until(lambda client=client, missed=missed: len(created(client, both[1])) >= missed)
            assert client.offsets(f"conv:{both[0]}") == list(range(head - missed + 1, head + 1))
        reads = profile.reads()
    # Three positions at the very same moment, and the looks after what the summaries may not tell of yet.
    assert reads[MESSAGES] <= len(both) * 8, reads
    assert reads[MEMBERS] + reads[CONVERSATIONS] + reads[USERS] <= CLIENTS, reads


async def test_what_was_changed_since_others_resumed_is_told_as_it_is_now(apps):
    """What one client's resume has read is kept for the others, but never beyond a change."""
    one, two = apps
    (conversation, _) = await two_groups(one)
    subs = {f"conv:{conversation}": {"recover": True, "epoch": "", "offset": 1}}
    async with wire_client(two.websocket) as first, wire_client(two.websocket) as second:
        await first.connect(two.token("m0"), subs=subs)
        await first.until(lambda: len(created(first, conversation)) == MISSED)
        async with wire_client(one.websocket) as alice:
            await alice.connect(one.token("alice"))
            await alice.rpc("message.delete", conversation=conversation, offset=5)
        await first.until(lambda: first.publications(f"conv:{conversation}")[-1]["data"]["type"] == "message.deleted")
        await second.connect(two.token("m1"), subs=subs)
        await second.until(lambda: second.offsets(f"conv:{conversation}")[-1:] == [MISSED + 2])
        (deleted,) = [pub for pub in second.publications(f"conv:{conversation}") if pub["offset"] == 5]
        assert deleted["data"]["message"]["deleted_at"]
        assert "hello" not in str(deleted)


async def test_a_page_that_many_ask_for_at_once_costs_few_reads(app, profile):
    (conversation, _) = await two_groups(app)
    calls = app.running.process.calls
    profile.reset()
    pages = await asyncio.gather(
        *(
            calls.service.history.page(f"m{number % CLIENTS}", HistoryPage(conversation=conversation))
            for number in range(1000)
        )
    )
    assert {len(page.items) for page in pages} == {MISSED}
    reads = profile.reads()
    # Each of the forty looks up its own standing once; what is looked up together is one query.
    assert reads[MESSAGES] <= 3, reads
    assert reads[CONVERSATIONS] <= 2, reads
    assert reads[MEMBERS] <= 3, reads


async def test_who_is_not_a_member_shares_no_page(app):
    (conversation, _) = await two_groups(app)
    async with app.rest("m1") as member, app.rest("stranger") as stranger:
        path = f"/v1/conversations/{conversation}/messages"
        answers = await asyncio.gather(*(who.get(path) for who in (member, stranger) * 20))
        assert [answer.status for answer in answers] == [200, 404] * 20
