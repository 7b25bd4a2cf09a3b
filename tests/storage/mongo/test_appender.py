"""Appending: places without holes, one entry per key, a sender's order, and who is told what."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage.append.schedule import LaneSettings
from storage.errors import Invalid, Overloaded, PreconditionFailed, Unavailable
from storage.model import Appended, Entry, EntryKind, Position
from storage.mongo.client import Database
from storage.mongo.log import Log
from support.appending import Hub, a_hub, whole_log
from support.entries import message, write_log
from support.waiting import eventually

A, B = "a" * 26, "b" * 26


@pytest.fixture
async def hub(mongodb_url: str, db: Database) -> AsyncIterator[Hub]:
    async with a_hub(mongodb_url, db.name) as one:
        yield one


@pytest.fixture
async def other(mongodb_url: str, db: Database) -> AsyncIterator[Hub]:
    async with a_hub(mongodb_url, db.name) as one:
        yield one


async def test_an_entry_gets_the_next_place_and_is_what_was_given(hub: Hub, db: Database) -> None:
    first = await hub.appender.append(message(A, text="one"))
    second = await hub.appender.append(message(A, kind=EntryKind.REACTION_CHANGED))
    third = await hub.appender.append(message(A, text="two"))
    assert [(one.entry.offset, one.entry.n, one.duplicate) for one in (first, second, third)] == [
        (1, 1, False),
        (2, 1, False),
        (3, 2, False),
    ]
    assert await whole_log(db, A) == [first.entry, second.entry, third.entry]
    assert hub.appender.tail(A) == Position(3, 2)


async def test_many_at_once_share_commands_and_keep_each_senders_order(hub: Hub, db: Database) -> None:
    conversations = [f"{i:02}" * 13 for i in range(20)]
    news = [message(conversations[i % 20], by=f"user{i % 3}", text=str(i)) for i in range(1000)]
    await asyncio.gather(*(hub.appender.append(message(one)) for one in conversations))
    hub.commands.names.clear()
    appended = await asyncio.gather(*(hub.appender.append(new) for new in news))
    assert [one.entry.body for one in appended] == [new.body for new in news]
    assert hub.commands.names.count("insert") < 50
    for conversation in conversations:
        entries = await whole_log(db, conversation)
        assert len(entries) == 51
        for user in ("user0", "user1", "user2"):
            texts = [int(entry.body["text"]) for entry in entries if entry.by == user]
            assert texts == sorted(texts)


async def test_a_conversation_whose_tail_is_known_costs_one_command(hub: Hub) -> None:
    await hub.appender.append(message(A))
    hub.commands.names.clear()
    await hub.appender.append(message(A))
    assert hub.commands.names == ["insert"]


async def test_a_tail_that_was_learnt_costs_no_read(hub: Hub, db: Database) -> None:
    await write_log(db, [message(A) for _ in range(5)])
    hub.appender.learn(A, 5, 5)
    appended = await hub.appender.append(message(A))
    assert appended.entry.offset == 6
    assert hub.commands.names == ["insert"]
    assert hub.skipped == []


async def test_an_unknown_tail_is_read_and_what_lies_below_is_told_as_not_seen(hub: Hub, db: Database) -> None:
    await write_log(db, [message(A) for _ in range(5)])
    appended = await hub.appender.append(message(A))
    assert appended.entry.offset == 6
    assert hub.skipped == [(A, 5)]


async def test_what_was_learnt_too_little_of_is_caught_up_with(hub: Hub, db: Database) -> None:
    entries = await write_log(db, [message(A) for _ in range(8)])
    hub.appender.learn(A, 3, 3)
    appended = await hub.appender.append(message(A))
    assert appended.entry.offset == 9
    assert hub.examined == entries[3:]


async def test_the_same_key_again_is_the_same_entry(hub: Hub, db: Database) -> None:
    first = await hub.appender.append(message(A, key="k", text="original"))
    again = await hub.appender.append(message(A, key="k", text="another text"))
    assert again == Appended(first.entry, duplicate=True)
    assert again.entry.body == {"text": "original"}
    assert len(await whole_log(db, A)) == 1
    assert hub.committed == [first, again]


async def test_the_same_key_of_another_sender_or_conversation_is_another_entry(hub: Hub) -> None:
    news = [message(A, by="ada", key="k"), message(A, by="bob", key="k"), message(B, by="ada", key="k")]
    appended = await asyncio.gather(*(hub.appender.append(new) for new in news))
    assert not any(one.duplicate for one in appended)


async def test_the_same_key_while_it_is_on_its_way_joins_it(hub: Hub, db: Database) -> None:
    outcomes = await asyncio.gather(*(hub.appender.append(message(A, key="k")) for _ in range(5)))
    assert [one.duplicate for one in outcomes] == [False, True, True, True, True]
    assert len({one.entry.offset for one in outcomes}) == 1
    assert len(await whole_log(db, A)) == 1


async def test_the_same_key_at_another_process_is_the_same_entry_and_is_told_again(
    hub: Hub, other: Hub, db: Database
) -> None:
    first = await hub.appender.append(message(A, key="k"))
    again = await other.appender.append(message(A, key="k"))
    assert again == Appended(first.entry, duplicate=True)
    assert other.committed == [again]


async def test_a_repeated_key_in_the_middle_of_a_run_stops_nobody(hub: Hub, other: Hub, db: Database) -> None:
    original = await hub.appender.append(message(A, key="again"))
    other.appender.learn(A, 1, 1)
    news = [message(A, text=str(i)) for i in range(10)]
    news[4] = message(A, key="again")
    outcomes = await asyncio.gather(*(other.appender.append(new) for new in news))
    assert [one.entry.offset for one in outcomes] == [2, 3, 4, 5, 1, 6, 7, 8, 9, 10]
    assert outcomes[4] == Appended(original.entry, duplicate=True)
    assert len(await whole_log(db, A)) == 10


async def test_processes_that_race_for_one_conversation_lose_and_repeat_nothing(
    hub: Hub, other: Hub, db: Database
) -> None:
    async def send(one: Hub, by: str) -> list[Appended]:
        appended = []
        for i in range(0, 100, 5):
            burst = [message(A, by=by, text=str(i + j)) for j in range(5)]
            appended += await asyncio.gather(*(one.appender.append(new) for new in burst))
        return appended

    ada, bob = await asyncio.gather(send(hub, "ada"), send(other, "bob"))
    entries = await whole_log(db, A)
    assert len(entries) == 200
    assert not any(one.duplicate for one in (*ada, *bob))
    for by, appended in (("ada", ada), ("bob", bob)):
        mine = [entry for entry in entries if entry.by == by]
        assert mine == [one.entry for one in appended]
        assert [int(entry.body["text"]) for entry in mine] == list(range(100))
    assert hub.stats.lost_races + other.stats.lost_races > 0


async def test_each_process_is_told_the_whole_log_in_order(hub: Hub, other: Hub, db: Database) -> None:
    told: list[Entry] = []
    hub.appender.on_committed = lambda run: told.extend(one.entry for one in run)
    hub.appender.on_examined = lambda _conversation, entries: told.extend(entries)
    hub.appender.learn(A, 0, 0)
    for _ in range(10):
        both = (hub, other)
        await asyncio.gather(*(one.appender.append(message(A, by=str(id(one)))) for one in both for _ in range(3)))
    await hub.appender.append(message(A))
    assert told == await whole_log(db, A)


async def test_what_is_committed_is_told_before_its_sender_knows(hub: Hub) -> None:
    order: list[str] = []
    hub.appender.on_committed = lambda _run: order.append("told")
    future = hub.appender.append(message(A))
    future.add_done_callback(lambda _future: order.append("answered"))
    await future
    assert order == ["told", "answered"]


async def test_a_hook_that_raises_harms_no_sender(hub: Hub) -> None:
    def fail(_run: object) -> None:
        raise RuntimeError("a bug elsewhere")

    hub.appender.on_committed = fail
    assert (await hub.appender.append(message(A))).entry.offset == 1


async def test_a_check_is_asked_again_after_what_others_wrote_was_examined(hub: Hub, other: Hub, db: Database) -> None:
    await hub.appender.append(message(A, by="ada"))
    other.appender.learn(A, 1, 1)
    await other.appender.append(message(A, by="eve", kind=EntryKind.MEMBER_LEFT, body={"user": "ada"}))

    def still_a_member() -> bool:
        return not any(entry.kind is EntryKind.MEMBER_LEFT for entry in hub.examined)

    with pytest.raises(PreconditionFailed):
        await hub.appender.append(message(A, by="ada"), check=still_a_member)
    assert len(await whole_log(db, A)) == 2
    assert (await hub.appender.append(message(A, by="bob"))).entry.offset == 3


async def test_a_repeated_key_is_not_answered_to_whom_the_check_refuses(hub: Hub, other: Hub) -> None:
    await hub.appender.append(message(A, by="ada", key="k"))
    answers = iter([True, False])
    with pytest.raises(PreconditionFailed):
        await other.appender.append(message(A, by="ada", key="k"), check=lambda: next(answers))
    assert other.committed == []


async def test_a_check_that_raises_is_the_problem_of_its_caller_alone(hub: Hub) -> None:
    def fail() -> bool:
        raise LookupError("a bug elsewhere")

    bad = hub.appender.append(message(A), check=fail)
    good = hub.appender.append(message(A))
    with pytest.raises(LookupError):
        await bad
    assert (await good).entry.offset == 1


async def test_a_caller_that_went_away_does_not_take_its_message_along(hub: Hub, db: Database) -> None:
    async def send() -> None:
        await hub.appender.append(message(A, text="said"))

    task = asyncio.create_task(send())
    await asyncio.sleep(0)
    task.cancel()
    await eventually(lambda: hub.committed)
    assert task.cancelled()
    assert [entry.body["text"] for entry in await whole_log(db, A)] == ["said"]


async def test_too_many_waiting_entries_are_refused_at_once(mongodb_url: str, db: Database) -> None:
    async with a_hub(mongodb_url, db.name, settings=LaneSettings(queued=10)) as hub:
        futures = [hub.appender.append(message(A)) for _ in range(10)]
        with pytest.raises(Overloaded):
            hub.appender.append(message(A))
        await asyncio.gather(*futures)
        assert hub.stats.refused == 1
        await hub.appender.append(message(A))


async def test_what_cannot_be_stored_never_reaches_a_batch(hub: Hub, db: Database) -> None:
    good = hub.appender.append(message(A))
    with pytest.raises(Invalid):
        hub.appender.append(message(A, text="\ud800"))
    await good
    assert len(await whole_log(db, A)) == 1


async def test_entries_without_a_key_are_all_different(hub: Hub, db: Database) -> None:
    news = [message(A, kind=EntryKind.REACTION_CHANGED) for _ in range(3)]
    keyless = [type(new)(new.conversation, new.kind, new.by, new.at, None, new.body) for new in news]
    appended = await asyncio.gather(*(hub.appender.append(new) for new in keyless))
    assert [one.entry.offset for one in appended] == [1, 2, 3]
    assert [entry.key for entry in await whole_log(db, A)] == [None, None, None]


async def test_leaving_commits_what_is_queued_and_refuses_what_is_new(mongodb_url: str, db: Database) -> None:
    async with a_hub(mongodb_url, db.name) as hub:
        futures = [hub.appender.append(message(A)) for _ in range(50)]
    assert [future.result().entry.offset for future in futures] == list(range(1, 51))
    with pytest.raises(Unavailable):
        hub.appender.append(message(A))


async def test_many_large_entries_are_split_over_commands(hub: Hub, db: Database) -> None:
    news = [message(A, text="x" * 60_000) for _ in range(12)]
    await asyncio.gather(*(hub.appender.append(new) for new in news))
    assert hub.commands.names.count("insert") >= 3
    assert len(await whole_log(db, A)) == 12


async def test_a_conversation_with_much_to_say_does_not_hold_up_others(hub: Hub, db: Database) -> None:
    flood = [hub.appender.append(message(A)) for _ in range(2000)]
    lone = hub.appender.append(message(B))
    await lone
    assert not all(future.done() for future in flood)
    await asyncio.gather(*flood)
    assert await Log(db).tail(A) == Position(2000, 2000)
