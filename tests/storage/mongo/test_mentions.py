"""Mentions are counted and listed from the log, through the indexes of messages that mention somebody."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from storage.model import Change, Entry, NewEntry, Position
from storage.mongo import mentions
from storage.mongo.client import Database
from storage.mongo.mentions import Place, everyone
from storage.mongo.schema import MESSAGES
from storage.store import Store, clock_ms, open_store
from support.conversing import AT, a_group
from support.entries import message, write_log

HERE, THERE = "h" * 26, "t" * 26


def said(conversation: str, at: int, *meant: str, by: str = "bob") -> NewEntry:
    body = {"text": str(at), **({"meant": list(meant)} if meant else {})}
    return message(conversation, by=by, at=at, body=body)


class Queries(CommandListener):
    """Collects what was asked of the log, as it can be explained."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        command = dict(event.command)
        if MESSAGES in (command.get("find"), command.get("aggregate")):
            kept = ("find", "aggregate", "pipeline", "cursor", "filter", "sort", "limit", "projection", "hint")
            self.commands.append({name: value for name, value in command.items() if name in kept})

    def succeeded(self, event: object) -> None: ...

    def failed(self, event: object) -> None: ...


ASKED: dict[str, Callable[[Store], Awaitable[object]]] = {
    "count": lambda store: store.mentions.count("ada", {HERE: 2, THERE: 0}, without={"ada", "dan"}),
    "count in one": lambda store: store.mentions.count("ada", {HERE: 2}, without={"ada"}),
    "of a conversation": lambda store: store.mentions.of_conversation(
        "ada", HERE, before=5, limit=2, without={"ada", "dan"}
    ),
    "by time": lambda store: store.mentions.by_time(
        "ada", [HERE, THERE], before=Place(AT + 90, HERE, 5), limit=2, without={"ada"}
    ),
}


def offsets(entries: Sequence[Entry]) -> list[int]:
    return [entry.offset for entry in entries]


@pytest.fixture
async def filled(db: Database) -> None:
    """What mentions ada, in two conversations, one message every tenth millisecond in turns."""
    await write_log(
        db,
        [
            said(HERE, AT),
            said(HERE, AT + 20, "ada"),
            said(HERE, AT + 40, everyone(HERE)),
            said(HERE, AT + 60, "cy"),
            said(HERE, AT + 80, "ada", everyone(HERE), by="ada"),
            said(HERE, AT + 100, "ada", everyone(HERE), by="dan"),
        ],
    )
    await write_log(
        db, [said(THERE, AT + 10, "ada"), said(THERE, AT + 30, everyone(THERE)), said(THERE, AT + 50, "cy")]
    )


@pytest.mark.usefixtures("filled")
async def test_a_message_counts_once_after_the_position_and_not_ones_own(store: Store) -> None:
    count = store.mentions.count
    assert await count("ada", {HERE: 0, THERE: 0}, without={"ada"}) == {HERE: 3, THERE: 2}
    assert await count("ada", {HERE: 2, THERE: 2}, without={"ada"}) == {HERE: 2}
    assert await count("ada", {HERE: 0}, without={"ada", "dan"}) == {HERE: 2}
    assert await count("cy", {HERE: 2, THERE: 0}, without={"cy"}) == {HERE: 4, THERE: 2}
    assert await count("ada", {HERE: 6, THERE: 2}, without={"ada"}) == {}
    assert await count("ada", {}, without={"ada"}) == {}


@pytest.mark.usefixtures("filled")
async def test_more_than_are_counted_hide_those_of_no_other_conversation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mentions, "MAX_COUNTED", 2)
    assert await store.mentions.count("ada", {HERE: 0, THERE: 0}, without={"ada"}) == {HERE: 2, THERE: 2}
    assert await store.mentions.count("ada", {HERE: 0}, without={"ada"}) == {HERE: 2}


@pytest.mark.parametrize("conversations", [1, 2, 49, 50, 51, 101])
async def test_any_number_of_conversations_is_counted(db: Database, store: Store, conversations: int) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [(letters[i // 26] + letters[i % 26]) * 13 for i in range(conversations)]
    for name in names:
        await write_log(db, [said(name, AT, "ada"), said(name, AT, everyone(name))])
    counts = await store.mentions.count("ada", dict.fromkeys(names, 1), without={"ada"})
    assert counts == dict.fromkeys(names, 1)


@pytest.mark.usefixtures("filled")
async def test_those_of_a_conversation_are_listed_newest_first_page_by_page(store: Store) -> None:
    found: list[int] = []
    before = None
    while page := await store.mentions.of_conversation("ada", HERE, before=before, limit=2, without={"ada"}):
        found += offsets(page)
        before = found[-1]
    assert found == [6, 3, 2]
    assert await store.mentions.of_conversation("ada", HERE, before=0, limit=2, without={"ada"}) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
@pytest.mark.usefixtures("filled")
async def test_those_of_all_conversations_are_listed_by_time_without_a_skip_or_a_repeat(
    store: Store, limit: int
) -> None:
    found: list[tuple[str, int]] = []
    before = None
    while page := await store.mentions.by_time("ada", [HERE, THERE], before=before, limit=limit, without={"ada"}):
        assert len(page) <= limit
        found += [(entry.conversation, entry.offset) for entry in page]
        before = Place(page[-1].at, page[-1].conversation, page[-1].offset)
    assert found == [(HERE, 6), (HERE, 3), (THERE, 2), (HERE, 2), (THERE, 1)]


async def test_messages_of_the_same_millisecond_are_each_listed_once(
    db: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mentions, "_TOKENS", 2)
    names = [letter * 26 for letter in "abcdefg"]
    for name in names:
        await write_log(
            db, [said(name, AT, "ada"), said(name, AT, everyone(name)), said(name, AT, "ada", everyone(name))]
        )
    found: list[tuple[str, int]] = []
    before = None
    while page := await store.mentions.by_time("ada", names, before=before, limit=4, without={"ada"}):
        found += [(entry.conversation, entry.offset) for entry in page]
        before = Place(page[-1].at, page[-1].conversation, page[-1].offset)
    assert found == [(name, offset) for name in reversed(names) for offset in (3, 2, 1)]


async def test_a_message_whose_body_is_gone_mentions_nobody(store: Store) -> None:
    conversation = (await a_group(store)).id
    sent = await store.appender.append(said(conversation, AT, "ada"))
    assert await store.mentions.count("ada", {conversation: 0}, without={"ada"}) == {conversation: 1}
    await store.amending.amend(
        message(conversation, by="bob"), sent.entry.offset, lambda *_: Change({}, {"deleted_at": AT})
    )
    assert await store.mentions.count("ada", {conversation: 0}, without={"ada"}) == {}


async def test_what_a_user_has_hidden_mentions_them_no_more(store: Store) -> None:
    conversation = (await a_group(store)).id
    first, _ = [await store.appender.append(said(conversation, AT + i, "ada")) for i in range(2)]
    await store.hidden.hide("ada", conversation, [first.entry.offset], at=AT)
    assert await store.mentions.count("ada", {conversation: 0}, without={"ada"}) == {conversation: 1}


async def explained(db: Database, command: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The plan of a command, and what running it took."""
    answer = await db.command("explain", command, verbosity="executionStats")
    if "stages" in answer:
        answer = answer["stages"][0]["$cursor"]
    return str(answer["queryPlanner"]["winningPlan"]), answer["executionStats"]


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.usefixtures("filled")
async def test_only_messages_that_mention_somebody_are_looked_at(db: Database, mongodb_url: str, name: str) -> None:
    await write_log(db, [said(HERE, AT + 1000 + number) for number in range(50)], after=Position(6, 6))
    queries = Queries()
    async with open_store(mongodb_url, db.name, listeners=[queries]) as watched:
        await ASKED[name](watched)
    (command,) = queries.commands
    plan, took = await explained(db, command)
    assert "COLLSCAN" not in plan
    assert "CLUSTERED" not in plan
    assert "'SORT'" not in plan
    assert took["totalKeysExamined"] <= 10
    assert took["totalDocsExamined"] == (0 if name.startswith("count") else took["nReturned"]) or name == "by time"


@pytest.mark.usefixtures("filled")
async def test_counting_one_by_one_reads_no_message_either(
    db: Database, mongodb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mentions, "MAX_COUNTED", 2)
    queries = Queries()
    async with open_store(mongodb_url, db.name, listeners=[queries]) as watched:
        await watched.mentions.count("ada", {HERE: 0, THERE: 0}, without={"ada"})
    assert len(queries.commands) == 3
    for command in queries.commands:
        plan, took = await explained(db, command)
        assert "COLLSCAN" not in plan
        assert took["totalDocsExamined"] == 0


async def test_what_has_expired_is_not_listed(db: Database, store: Store) -> None:
    now = clock_ms()
    bodies = [{"text": "x", "meant": ["ada"], "expires_at": now + ms} for ms in (-1, 600_000)]
    await write_log(db, [message(HERE, by="bob", body=body, at=now) for body in bodies])
    assert offsets(await store.mentions.by_time("ada", [HERE], before=None, limit=5, without={"ada"})) == [2]
    assert offsets(await store.mentions.of_conversation("ada", HERE, before=None, limit=5, without={"ada"})) == [2]
