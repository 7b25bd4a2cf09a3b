"""No query of a store looks through a whole collection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from storage.model import Role
from storage.mongo.client import Database
from storage.mongo.devices import DeviceQuery
from storage.mongo.retention import Outdated
from storage.mongo.rows import member_key
from storage.mongo.schema import CONVERSATIONS, MEMBERS
from storage.mongo.searching import Wanted
from storage.store import Store, open_store
from support.conversing import AT, a_group, say

USERS = [f"user{i:02}" for i in range(20)]


class Queries(CommandListener):
    """Collects the find commands that were sent."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        command = dict(event.command)
        if "find" in command:
            kept = ("find", "filter", "sort", "limit", "projection", "hint")
            self.commands.append({name: value for name, value in command.items() if name in kept})

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


EVERYTHING = Wanted(("hello",), sender="user00", after=AT - 1, before=AT + 10**6, has_attachment=True)

QUERIES: dict[str, Callable[[Store, str], Awaitable[object]]] = {
    "conversation": lambda store, c: store.conversations.get(c),
    "by external id": lambda store, _: store.conversations.by_external_id("x7"),
    "heads": lambda store, c: store.conversations.heads([c]),
    "changed since": lambda store, _: store.conversations.changed_since(AT, after="a"),
    "member": lambda store, c: store.members.get(c, "user03"),
    "who is a member": lambda store, c: store.members.live(c, ["user03", "user04"]),
    "extents": lambda store, c: store.conversations.extents([c]),
    "members": lambda store, c: store.members.page(c, after="user05", limit=5),
    "memberships": lambda store, _: store.members.of_user("user03", 100),
    "newcomers": lambda store, _: store.newcomers.since({"user03": 0, "user04": 2}, joined_after=AT),
    "inbox": lambda store, _: store.inbox.list("user03", limit=5, before=(AT + 5, "a")),
    "connect": lambda store, _: store.inbox.of_user_for_connect("user03"),
    "changes": lambda store, _: store.inbox.changes("user03", 1),
    "user": lambda store, _: store.users.get("user03"),
    "bans": lambda store, c: store.members.bans(c, at=AT, after="user05", limit=5),
    "invite": lambda store, _: store.invites.get("a" * 26),
    "invites": lambda store, c: store.invites.list(c),
    "blocked": lambda store, _: store.blocks.page("user03", after="user05", limit=5),
    "who blocks whom": lambda store, _: store.blocks.of_users(["user03", "user04"]),
    "changed blocks": lambda store, _: store.blocks.changes("user03", 1, limit=5),
    "members of these": lambda store, c: store.members.live_among("user03", {c, "a" * 26}),
    "circles": lambda store, _: store.circles.of(["user03", "user04"], newest=50, members=50),
    "who shares a conversation": lambda store, _: store.circles.sharing("user03", ["user04", "user19"]),
    "search": lambda store, c: store.searching.find(c, EVERYTHING, limit=5, max_bytes=1000),
    "expired messages": lambda store, _: store.expiring.due(AT, limit=5),
    "conversations to trim": lambda store, _: store.retention.outdated(AT, default_s=3600, limit=5),
    "trimming": lambda store, c: store.retention.trim(Outdated(c, AT + 10**9), at=AT + 10**9),
    "uploads of a user": lambda store, _: store.uploads.since("user03", AT, 5),
    "uploads that are due": lambda store, _: store.uploads.due(AT, 5),
    "messages with an upload": lambda store, _: store.uploads.used_in("a" * 26, 5),
    "messages with an upload in a conversation": lambda store, c: store.uploads.is_used_in("a" * 26, c),
    "a member of any": lambda store, c: store.uploads.is_member_of_any("user03", [c, "a" * 26]),
    "hidden in a range": lambda store, c: store.hidden.between("user03", c, 0, 50),
    "hidden among": lambda store, c: store.hidden.among("user03", [(c, 2), (c, 3)]),
    "hidden since": lambda store, _: store.hidden.since("user03", 1),
    "devices of a user": lambda store, _: store.devices.of_user("user03"),
    "devices of users": lambda store, _: store.devices.page(DeviceQuery(users=("user03", "user04")), limit=5),
    "devices by id": lambda store, _: store.devices.page(DeviceQuery(ids=("a" * 26,)), limit=5),
    "all devices": lambda store, _: store.devices.page(DeviceQuery(providers=("apns",)), after="b", limit=5),
    "stale devices": lambda store, _: store.devices.tombstone_stale(confirmed_before=AT, at=AT, limit=5),
    "push preferences": lambda store, _: store.notifying.of_users(["user03", "user04"]),
    "uploads that are kept": lambda store, _: store.uploads.keep(["a" * 26], user="user03", at=AT, look_at=AT),
}


@pytest.fixture
async def filled(store: Store) -> str:
    """Twenty conversations of a few users each; the id of one."""
    conversations = [await a_group(store, USERS[i : i + 4] or USERS[:1], at=AT + i) for i in range(20)]
    await say(store, conversations[0].id, USERS[0], ["hello"])
    await store.summaries.flush()
    return conversations[2].id


@pytest.mark.parametrize("name", QUERIES)
async def test_every_query_has_an_index(db: Database, mongodb_url: str, filled: str, name: str) -> None:
    queries = Queries()
    async with open_store(mongodb_url, db.name, listeners=[queries]) as watched:
        queries.commands.clear()
        await QUERIES[name](watched, filled)
    assert queries.commands
    for command in queries.commands:
        plan = (await db.command("explain", command, verbosity="queryPlanner"))["queryPlanner"]["winningPlan"]
        assert "COLLSCAN" not in str(plan), command


async def test_pages_of_members_are_read_in_key_order(db: Database, store: Store, filled: str) -> None:
    members = await store.members.page(filled, limit=10)
    keys = [member_key(filled, member.user) for member in members]
    assert keys == sorted(keys)
    assert [member.role for member in members] == [Role.OWNER, *[Role.MEMBER] * 3]


async def test_connects_at_the_same_time_take_two_queries_each_get_their_own(
    db: Database, mongodb_url: str, filled: str
) -> None:
    queries = Queries()
    async with open_store(mongodb_url, db.name, listeners=[queries]) as watched:
        queries.commands.clear()
        alone = [await watched.inbox.of_user_for_connect(user) for user in USERS]
        one_by_one = len(queries.commands)
        queries.commands.clear()
        together = await asyncio.gather(*(watched.inbox.of_user_for_connect(user) for user in USERS))
    assert together == alone
    assert all(memberships for memberships in together)
    assert one_by_one == 2 * len(USERS)
    assert {command["find"] for command in queries.commands} == {MEMBERS, CONVERSATIONS}
    assert len(queries.commands) == 2
