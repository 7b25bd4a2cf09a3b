"""Reading the log: ranges, pages of messages, keys; and that no query ever looks at more than it returns."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pymongo import ASCENDING, DESCENDING
from pymongo.monitoring import CommandListener

from storage.append.work import InsertOutcome
from storage.errors import Invalid, StorageError
from storage.model import ORIGIN, EntryKind, Position
from storage.model.keys import log_key
from storage.mongo.client import Database, connect
from storage.mongo.documents import document_of, prepare
from storage.mongo.log import Log, insert_outcomes
from storage.mongo.page import EXAMINED_PER_MESSAGE, Wanted
from storage.mongo.schema import MESSAGES
from support.entries import message, write_log

A, B = "a" * 26, "b" * 26
OTHER = EntryKind.REACTION_CHANGED


async def test_an_empty_log_has_no_tail(log: Log) -> None:
    assert await log.tail(A) == ORIGIN
    assert (await log.range(A, 0, limit=10)).entries == []
    assert await log.get(A, 1) is None


async def test_the_tail_is_the_last_entry_of_that_conversation(db: Database, log: Log) -> None:
    await write_log(db, [message(A), message(A, kind=OTHER), message(A)])
    await write_log(db, [message(B), message(f"{A}~1")])
    assert await log.tail(A) == Position(3, 2)


async def test_many_tails_are_read_by_one_command(db: Database, mongodb_url: str) -> None:
    await write_log(db, [message(A), message(A, kind=OTHER), message(A)])
    await write_log(db, [message(f"{A}~1")])
    finds = Finds()
    async with connect(mongodb_url, db.name, listeners=[finds]) as monitored:
        log = Log(monitored)
        assert await log.tails([A, B, f"{A}~1"]) == {A: Position(3, 2), B: ORIGIN, f"{A}~1": Position(1, 1)}
        assert len(finds.commands) == 1
        assert await log.tails([]) == {}


async def test_a_position_counts_the_messages_up_to_an_offset(db: Database, log: Log) -> None:
    await write_log(db, [message(A), message(A, kind=OTHER), message(A)])
    assert [await log.position_at(A, offset) for offset in (0, 1, 2, 3, 99)] == [
        ORIGIN,
        *(Position(1, 1), Position(2, 1), Position(3, 2), Position(3, 2)),
    ]


async def test_a_range_is_what_lies_after_and_upto(db: Database, log: Log) -> None:
    entries = await write_log(db, [message(A) for _ in range(10)])
    found = await log.range(A, 3, 7, limit=100)
    assert found.entries == entries[3:7]
    assert found.complete
    cut = await log.range(A, 3, limit=2)
    assert cut.entries == entries[3:5]
    assert not cut.complete


async def test_a_range_stops_at_its_bytes_but_gives_one_entry_at_least(db: Database, log: Log) -> None:
    entries = await write_log(db, [message(A, text="x" * 1000) for _ in range(5)])
    assert (await log.range(A, 0, limit=10, max_bytes=2500)).entries == entries[:2]
    assert (await log.range(A, 0, limit=10, max_bytes=1)).entries == entries[:1]


async def test_a_hole_is_never_passed_over_in_silence(db: Database, log: Log) -> None:
    await write_log(db, [message(A)])
    await write_log(db, [message(A)], after=Position(2, 2))
    with pytest.raises(StorageError, match="hole"):
        await log.range(A, 0, limit=10)


async def test_a_key_finds_its_entry_in_its_conversation_and_of_its_sender_only(db: Database, log: Log) -> None:
    key = "0b0c3c1e-9d1a-4c57-a3ce-1f0d5f6f1a2b"
    (entry,) = await write_log(db, [message(A, by="ada", key=key)])
    assert await log.by_key(A, "ada", key) == entry
    assert await log.by_key(A, "bob", key) is None
    assert await log.by_key(B, "ada", key) is None
    with pytest.raises(Invalid):
        await log.by_key(A, "ada", "")


async def test_a_page_leaves_other_entries_out_and_says_where_to_go_on(db: Database, log: Log) -> None:
    entries = await write_log(db, [message(A, kind=OTHER) if i % 3 else message(A) for i in range(30)])
    messages = [entry for entry in entries if entry.kind is EntryKind.MESSAGE_CREATED]
    newest = await log.messages_before(A, None, 4)
    assert newest.entries == messages[-4:]
    assert (newest.has_before, newest.has_after, newest.truncated_by) == (True, False, None)
    assert newest.newest == 30
    older = await log.messages_before(A, newest.oldest, 4)
    assert older.entries == messages[-8:-4]
    assert (await log.messages_after(A, 0, 3)).entries == messages[:3]
    after = await log.messages_after(A, messages[2].offset, 100)
    assert after.entries == messages[3:]
    assert (after.has_before, after.has_after) == (True, False)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 50])
async def test_paging_in_either_direction_sees_every_message_once(db: Database, log: Log, limit: int) -> None:
    kinds = [OTHER if (i * 7) % 11 < 6 else EntryKind.MESSAGE_CREATED for i in range(60)]
    entries = await write_log(db, [message(A, kind=kind) for kind in kinds])
    messages = [entry for entry in entries if entry.kind is EntryKind.MESSAGE_CREATED]
    forward, after = [], 0
    while True:
        page = await log.messages_after(A, after, limit)
        forward += page.entries
        if not page.has_after or page.newest is None:
            break
        after = page.newest
    backward, before = [], None
    while True:
        page = await log.messages_before(A, before, limit)
        backward = page.entries + backward
        if not page.has_before or page.oldest is None:
            break
        before = page.oldest
    assert forward == messages
    assert backward == messages


@pytest.mark.parametrize("between", [1, 4, 9])
async def test_a_page_with_much_between_its_messages_takes_two_reads(
    db: Database, mongodb_url: str, between: int
) -> None:
    kinds = [OTHER if i % (between + 1) else EntryKind.MESSAGE_CREATED for i in range(11 * (between + 1))]
    await write_log(db, [message(A, kind=kind) for kind in kinds])
    finds = Finds()
    async with connect(mongodb_url, db.name, listeners=[finds]) as monitored:
        assert len((await Log(monitored).messages_before(A, None, 10)).entries) == 10
    assert len(finds.commands) == 2


async def test_pages_that_are_read_together_are_the_same_as_one_by_one(db: Database, log: Log) -> None:
    await write_log(db, [message(A, kind=OTHER if i % 3 else EntryKind.MESSAGE_CREATED) for i in range(60)])
    await write_log(db, [message(B, text="x" * 100) for _ in range(30)])
    wanted = [
        Wanted(A, DESCENDING, None, 4),
        Wanted(A, DESCENDING, 31, 100),
        Wanted(A, DESCENDING, 31, 100, floor=20),
        Wanted(A, ASCENDING, 0, 3),
        Wanted(A, ASCENDING, 60, 3),
        Wanted(A, DESCENDING, 0, 3),
        Wanted(B, DESCENDING, 21, 10, max_bytes=500),
        Wanted("c" * 26, DESCENDING, None, 10),
    ]
    assert await log.pages(wanted) == [await log.page(one) for one in wanted]
    assert await log.pages(wanted[-2:]) == [await log.page(one) for one in wanted[-2:]]
    assert await log.pages([]) == []


async def test_a_page_examines_a_bounded_number_of_entries_and_says_so(db: Database, log: Log) -> None:
    await write_log(db, [message(A), *(message(A, kind=OTHER) for _ in range(EXAMINED_PER_MESSAGE * 2)), message(A)])
    page = await log.messages_before(A, None, 2)
    assert [entry.offset for entry in page.entries] == [42]
    assert (page.has_before, page.truncated_by) == (True, "examined")
    assert page.oldest == 42 - 2 * EXAMINED_PER_MESSAGE + 1
    rest = await log.messages_before(A, page.oldest, 2)
    assert [entry.offset for entry in rest.entries] == [1]
    assert (rest.has_before, rest.truncated_by) == (False, None)


async def test_a_page_of_large_messages_is_cut_by_bytes(db: Database, log: Log) -> None:
    await write_log(db, [message(A, text="x" * 1000) for _ in range(6)])
    page = await log.messages_before(A, None, 6, max_bytes=2500)
    assert [entry.offset for entry in page.entries] == [5, 6]
    assert page.truncated_by == "bytes"
    assert (await log.messages_before(A, page.oldest, 6)).entries[-1].offset == 4


async def test_inserting_tells_a_taken_place_from_a_repeated_key(db: Database, log: Log) -> None:
    await write_log(db, [message(A, key="first"), message(A, key="second")])

    def document(offset: int, key: str) -> dict[str, Any]:
        return document_of(prepare(message(A, key=key), own_key=bytes).fields, A, offset, offset)

    taken, repeated, inserted, skipped = (
        InsertOutcome.TAKEN,
        InsertOutcome.REPEATED,
        InsertOutcome.INSERTED,
        InsertOutcome.NOT_TRIED,
    )
    assert await log.insert([document(2, "third")], ordered=True) == [taken]
    assert await log.insert([document(2, "second")], ordered=True) == [taken]
    assert await log.insert([document(3, "first")], ordered=True) == [repeated]
    run = [document(3, "third"), document(4, "first"), document(5, "fifth")]
    assert await log.insert(run, ordered=True) == [inserted, repeated, skipped]
    assert await log.tail(A) == Position(3, 3)


def test_no_outcome_is_concluded_from_a_command_that_reported_anything_else() -> None:
    unknown, taken = InsertOutcome.UNKNOWN, InsertOutcome.TAKEN
    late = {"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}]}
    assert insert_outcomes(late, 2, ordered=False) == [unknown, unknown]
    stepped_down = {"writeErrors": [{"index": 1, "code": 189, "errmsg": "primary stepped down"}]}
    assert insert_outcomes(stepped_down, 3, ordered=False) == [unknown, unknown, unknown]
    both = {
        "writeErrors": [{"index": 0, "code": 11000, "keyPattern": {"_id": 1}}],
        "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}],
    }
    assert insert_outcomes(both, 2, ordered=False) == [taken, unknown]


class Finds(CommandListener):
    """Collects the find commands on the log."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        command = dict(event.command)
        if command.get("find") == MESSAGES or command.get("aggregate") == MESSAGES:
            kept = ("find", "filter", "sort", "limit", "projection", "aggregate", "pipeline")
            self.commands.append({name: value for name, value in command.items() if name in kept})

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


QUERIES: dict[str, Callable[[Log], Awaitable[object]]] = {
    "tail": lambda log: log.tail(A),
    "position_at": lambda log: log.position_at(A, 250),
    "get": lambda log: log.get(A, 250),
    "by_key": lambda log: log.by_key(A, "ada", "key-of-250"),
    "range": lambda log: log.range(A, 100, 200, limit=500),
    "range to the end": lambda log: log.range(A, 250, limit=20),
    "examine": lambda log: log.examine(A, 290),
    "newest messages": lambda log: log.messages_before(A, None, 50),
    "messages before": lambda log: log.messages_before(A, 200, 50),
    "messages after": lambda log: log.messages_after(A, 100, 50),
}


@pytest.mark.parametrize("name", QUERIES)
async def test_every_query_examines_what_it_returns_and_no_more(db: Database, mongodb_url: str, name: str) -> None:
    for conversation in ("0" * 26, A, B):
        await write_log(db, [message(conversation, key=f"key-of-{i}") for i in range(1, 301)])
    finds = Finds()
    async with connect(mongodb_url, db.name, listeners=[finds]) as monitored:
        await QUERIES[name](Log(monitored))
    assert finds.commands
    for command in finds.commands:
        explained = await db.command("explain", command, verbosity="executionStats")
        stages = stages_of(explained["queryPlanner"]["winningPlan"])
        assert not stages & {"COLLSCAN", "SORT"}, stages
        assert stages & {"CLUSTERED_IXSCAN", "IXSCAN"}, stages
        stats = explained["executionStats"]
        assert stats["totalDocsExamined"] <= stats["nReturned"] + 2


async def test_pages_that_are_read_together_examine_what_each_would_by_itself(db: Database, mongodb_url: str) -> None:
    for conversation in (A, B):
        await write_log(db, [message(conversation) for _ in range(300)])
    finds = Finds()
    async with connect(mongodb_url, db.name, listeners=[finds]) as monitored:
        await Log(monitored).pages(
            [Wanted(A, DESCENDING, 200, 50), Wanted(A, ASCENDING, 0, 50), Wanted(B, DESCENDING, None, 50)]
        )
    (command,) = finds.commands
    explained = await db.command("explain", {**command, "cursor": {}}, verbosity="executionStats")
    examined = [int(value) for name, value in fields_of(explained) if name == "totalDocsExamined"]
    assert len(examined) == 3
    assert max(examined) <= 52
    stages = {value for name, value in fields_of(explained) if name == "stage"}
    assert "CLUSTERED_IXSCAN" in stages
    assert not stages & {"COLLSCAN", "SORT"}


async def test_reading_many_tails_examines_one_entry_of_each(db: Database, mongodb_url: str) -> None:
    conversations = ["0" * 26, A, B]
    for conversation in conversations:
        await write_log(db, [message(conversation) for _ in range(300)])
    finds = Finds()
    async with connect(mongodb_url, db.name, listeners=[finds]) as monitored:
        await Log(monitored).tails(conversations)
    (command,) = finds.commands
    explained = await db.command("explain", {**command, "cursor": {}}, verbosity="executionStats")
    examined = [value for name, value in fields_of(explained) if name == "totalDocsExamined"]
    assert len(examined) == 3
    assert max(map(int, examined)) <= 3
    stages = {value for name, value in fields_of(explained) if name == "stage"}
    assert "CLUSTERED_IXSCAN" in stages
    assert not stages & {"COLLSCAN", "SORT"}


def fields_of(document: Any) -> Iterator[tuple[str, Any]]:
    """Every field in it, however deep."""
    if isinstance(document, dict):
        for name, value in document.items():
            yield name, value
            yield from fields_of(value)
    elif isinstance(document, list):
        for value in document:
            yield from fields_of(value)


def stages_of(plan: dict[str, Any]) -> set[str]:
    plan = plan.get("queryPlan", plan)
    inner = [plan["inputStage"]] if "inputStage" in plan else plan.get("inputStages", [])
    return {plan["stage"]}.union(*(stages_of(one) for one in inner))


async def test_the_trap_that_this_module_avoids_is_real(db: Database) -> None:
    entries = await write_log(db, [message(A) for _ in range(300)])
    keys = [log_key(A, entry.offset) for entry in entries[:5]]
    command = {"find": MESSAGES, "filter": {"_id": {"$in": keys}}}
    explained = await db.command("explain", command, verbosity="executionStats")
    version = (await db.client.server_info())["versionArray"]
    if version[:2] == [6, 0]:
        assert explained["executionStats"]["totalDocsExamined"] == 300
