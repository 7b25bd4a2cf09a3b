"""A user's conversations: by activity, at connect, and what changed since a revision, of which nothing is missed."""

import asyncio

from storage.model import Marks, Position, Role
from storage.mongo.inbox import Changes
from storage.store import Store
from support.conversing import AT, a_group, say


async def inbox_of(store: Store, user: str) -> list[str]:
    return [conversation.id for _, conversation in await store.inbox.list(user, limit=100)]


async def test_newest_activity_comes_first(store: Store) -> None:
    one, two, three = [(await a_group(store, at=AT + i)).id for i in range(3)]
    assert await inbox_of(store, "bob") == [three, two, one]
    await say(store, one, "ada", ["up"], at=AT + 10)
    await store.summaries.flush()
    assert await inbox_of(store, "bob") == [one, three, two]
    assert await inbox_of(store, "nobody") == []


async def test_pages_go_on_where_the_last_one_ended_even_at_the_same_time(store: Store) -> None:
    made = {(await a_group(store, at=AT + i // 3)).id for i in range(8)}
    seen: list[str] = []
    before: tuple[int, str] | None = None
    while page := await store.inbox.list("ada", limit=3, before=before):
        seen += [conversation.id for _, conversation in page]
        before = (page[-1][1].activity_at, page[-1][1].id)
    assert len(seen) == 8
    assert set(seen) == made


async def test_a_connecting_session_learns_of_all_live_memberships(store: Store) -> None:
    one, two, gone = [(await a_group(store, at=AT + i)).id for i in range(3)]
    await store.members.leave(gone, "bob", at=AT)
    await say(store, one, "ada", ["1", "2"], at=AT + 10)
    await store.summaries.flush()
    memberships = await store.inbox.of_user_for_connect("bob")
    assert [(m.conversation, m.head, m.unread, m.role) for m in memberships] == [
        (one, Position(3, 2), 2, Role.MEMBER),
        (two, Position(1, 0), 0, Role.MEMBER),
    ]
    assert await store.inbox.of_user_for_connect("nobody") == []


async def test_sending_moves_the_senders_own_read_position(store: Store) -> None:
    conversation = (await a_group(store)).id
    await say(store, conversation, "ada", ["1", "2"])
    await store.summaries.flush()
    unread = {user: (await store.inbox.of_user_for_connect(user))[0].unread for user in ("ada", "bob")}
    assert unread == {"ada": 0, "bob": 2}


async def test_what_changed_since_a_revision_includes_what_ended(store: Store) -> None:
    one, two = (await a_group(store)).id, (await a_group(store)).id
    first = await store.inbox.changes("bob", 0)
    assert {member.conversation for member in first.members} == {one, two}
    await say(store, one, "ada", ["1"])
    await store.reading.mark(one, "bob", Marks(read=2))
    await store.members.leave(two, "bob", at=AT)
    second = await store.inbox.changes("bob", first.revision)
    assert [(m.conversation, m.live, m.read.offset) for m in second.members] == [(one, True, 2), (two, False, 1)]
    assert second.revision > first.revision
    assert await store.inbox.changes("bob", second.revision) == Changes(second.revision, [], complete=True)
    assert await store.inbox.changes("nobody", 0) == Changes(0, [], complete=True)


async def test_many_changes_come_in_parts_without_a_gap(store: Store) -> None:
    for _ in range(7):
        await a_group(store, ["ada"])
    seen: list[str] = []
    revision, complete = 0, False
    while not complete:
        part = await store.inbox.changes("ada", revision, limit=3)
        seen += [member.conversation for member in part.members]
        revision, complete = part.revision, part.complete
    assert len(seen) == len(set(seen)) == 7


async def test_no_change_is_missed_by_who_syncs_while_changes_are_made(store: Store, other_store: Store) -> None:
    conversations = [(await a_group(store, ["ada", "bob"])).id for _ in range(6)]
    for conversation in conversations:
        await say(store, conversation, "ada", ["1", "2", "3"])
    reads: dict[str, int] = {}
    revision, done = 0, False

    async def sync() -> None:
        nonlocal revision
        changes = await store.inbox.changes("bob", revision)
        revision = changes.revision
        reads.update((member.conversation, member.read.offset) for member in changes.members)

    async def keep_syncing() -> None:
        while not done:
            await sync()
        await sync()

    syncing = asyncio.create_task(keep_syncing())
    await asyncio.gather(
        *(
            one.reading.mark(conversation, "bob", Marks(read=offset))
            for conversation in conversations
            for one, offset in ((store, 2), (other_store, 4), (store, 3))
        )
    )
    done = True
    await syncing
    assert reads == dict.fromkeys(conversations, 4)
