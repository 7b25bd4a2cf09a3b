"""Whatever several people do on several hubs: what was read before, and the log since, give what is read now."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from storage.model import Entry, EntryKind
from storage.mongo.client import connect
from storage.mongo.schema import DUE
from support import talking
from support.app import App, serve_app, test_config
from support.crowd import Crowd
from support.reducer import View, replay, snapshot
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

KEEPER = "keeper"
"""Owns the group and does nothing else, so that there is always somebody who may read all of it."""
PEOPLE = ("alice", "bob", "carol", "dave")
ROUNDS = 12
ACTS = 10


@asynccontextmanager
async def hubs(mongodb_url: str, database: str, redis_url: str, prefix: str) -> AsyncIterator[tuple[App, App]]:
    config = test_config(mongodb_url, database, redis_url, prefix, client__recovery_max_publication_limit=1000)
    async with serve_app(config) as one, serve_app(config) as two:
        yield one, two


async def read_all(rest: aiohttp.ClientSession, conversation: str) -> View:
    """A fresh snapshot by REST."""
    path = f"/v1/conversations/{conversation}"
    found = await _get(rest, path)
    messages: list[Any] = []
    after = 0
    while True:
        page = await _get(rest, f"{path}/messages?after={after}&limit=200")
        messages += page["items"]
        if not page["page"]["has_after"]:
            break
        after = page["page"]["newest"]
    members = await _get(rest, f"{path}/members?limit=500")
    return snapshot(found["conversation"], messages, members["members"])


async def _get(rest: aiohttp.ClientSession, path: str) -> Any:
    async with rest.get(path) as response:
        body = await response.json()
        assert response.status == 200, body
        return body


@pytest.fixture
async def both(mongodb_url, database_name, redis_url, redis_prefix):
    async with hubs(mongodb_url, database_name, redis_url, redis_prefix) as served:
        yield served


@asynccontextmanager
async def people(both: tuple[App, App], *names: str) -> AsyncIterator[dict[str, list[WireClient]]]:
    """Everybody with a connection to each hub."""
    async with AsyncExitStack() as stack:
        clients: dict[str, list[WireClient]] = {}
        for name in names:
            for app in both:
                client = await stack.enter_async_context(wire_client(app.websocket))
                await client.connect(app.token(name))
                clients.setdefault(name, []).append(client)
        yield clients


async def settled(app: App, mongodb_url: str, database: str, crowd: Crowd) -> None:
    """Wait until the log has been told of every reaction and reply, and the summaries of all hubs are written."""
    store, conversation = app.running.process.store, crowd.conversation

    async def told_of(root: int) -> bool:
        message = await store.log.get(conversation, root)
        thread = await store.log.tail(f"{conversation}~{root}")
        return message is not None and message.body["thread"]["replies"] == thread.n

    async with connect(mongodb_url, database) as db:

        async def at_rest() -> bool:
            if await db[DUE].count_documents({}) or not all([await told_of(root) for root in crowd.threads]):
                return False
            record = await store.conversations.get(conversation)
            newest = (await store.log.messages_before(conversation, None, 1)).entries[-1]
            return (
                record is not None
                and record.last_message is not None
                and record.head == await store.log.tail(conversation)
                and (record.last_message.offset, record.last_message.text)
                == (newest.offset, newest.body.get("text", ""))
            )

        await eventually(at_rest)


async def heard_since(app: App, view: View, conversation: str, head: int) -> list[Mapping[str, Any]]:
    """What a socket that has everything up to the view's offset gets when it resumes."""
    channel = f"conv:{conversation}"
    async with wire_client(app.websocket) as client:
        subs = {channel: {"recover": True, "epoch": app.running.process.store.epoch, "offset": view.offset}}
        reply = await client.connect(app.token(KEEPER), subs=subs)
        assert reply["subs"][channel]["recovered"], reply["subs"][channel]
        await client.until(lambda: view.offset == head or (client.offsets(channel) or [0])[-1] >= head)
        return [pub["data"] for pub in client.publications(channel)]


async def synced_since(rest: aiohttp.ClientSession, epoch: str, view: View, conversation: str) -> Any:
    """What REST has for a client that has everything up to the view's offset: entries, or None where they are many."""
    asked = {"epoch": epoch, "revision": 0, "cursors": {conversation: view.offset}}
    async with rest.post("/v1/sync", json=asked) as response:
        body = await response.json()
    one = next(one for one in body["conversations"] if one["conversation"]["id"] == conversation)
    return one.get("entries", []) if one["complete"] else None


async def entries_of(app: App, conversation: str) -> list[Entry]:
    found: list[Entry] = []
    while True:
        page = await app.running.process.store.log.range(
            conversation, found[-1].offset if found else 0, limit=500, max_bytes=2**24
        )
        found += page.entries
        if page.complete:
            return found


def recounted(entries: list[Entry], user: str, read: int, hidden: set[int]) -> tuple[int, int]:
    """Unread messages and unread mentions, counted one by one."""
    unread = [entry for entry in entries if entry.kind is EntryKind.MESSAGE_CREATED and entry.offset > read]
    tokens = {user, f"*{entries[0].conversation}"}
    mentions = [entry for entry in unread if tokens & set(entry.body.get("meant", ())) and entry.offset not in hidden]
    return len(unread), len(mentions)


@pytest.mark.parametrize("seed", [1, 2])
async def test_an_old_snapshot_and_the_log_since_are_a_fresh_snapshot(both, mongodb_url, database_name, seed):
    one, two = both
    random = Random(seed)
    async with people(both, KEEPER, *PEOPLE) as clients, one.rest(KEEPER) as rest:
        conversation = await talking.group(clients[KEEPER][0], *PEOPLE)
        crowd = Crowd(random, {name: clients[name] for name in PEOPLE}, conversation)
        owner = clients[KEEPER][0]
        old = []
        for _ in range(ROUNDS):
            # Nobody stays away for long, and somebody may do most things.
            await owner.rpc("conversation.add_members", conversation=conversation, members=list(PEOPLE))
            await owner.rpc(
                "conversation.set_role", conversation=conversation, user=random.choice(PEOPLE), role="admin"
            )
            await crowd.do(ACTS)
            old.append(await read_all(rest, conversation))
        await settled(one, mongodb_url, database_name, crowd)
        fresh = await read_all(rest, conversation)
        history = "\n".join(crowd.done)
        for index, view in enumerate(random.sample(old, 4)):
            events = await heard_since(both[index % 2], view, conversation, fresh.offset)
            assert replay(view, events) == fresh, history
            entries = await synced_since(rest, one.running.process.store.epoch, view, conversation)
            if entries is not None:
                assert replay(view, entries) == fresh, history

        entries = await entries_of(two, conversation)
        for name in PEOPLE:
            found = await clients[name][0].rpc("conversation.get", conversation=conversation)
            if "error" in found:
                continue  # no member at the end
            counted = found["conversation"]
            expected = recounted(entries, name, counted["read"]["offset"], crowd.hidden.get(name, set()))
            assert (counted["unread"], counted.get("mentions", 0)) == expected, f"{name}\n{history}"
