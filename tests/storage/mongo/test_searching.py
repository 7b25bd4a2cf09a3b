"""Search: what counts as the same word, what is left out, and that a call looks at no more than its stretch."""

from typing import Any

import pytest

from storage.model import EntryKind, Position
from storage.model.keys import log_key
from storage.mongo.client import Database
from storage.mongo.log import Log
from storage.mongo.schema import MESSAGES
from storage.mongo.searching import STRETCH, Hits, Searching, Wanted, _filter, pattern
from support.entries import message, write_log

A, B = "a" * 26, "b" * 26
NOW = 1_800_000_000_000


@pytest.fixture
def searching(db: Database) -> Searching:
    return Searching(db, clock=lambda: NOW)


async def find(searching: Searching, wanted: Wanted, *, upto: int | None = None, limit: int = 50) -> Hits:
    return await searching.find(A, wanted, upto=upto, limit=limit, max_bytes=1_000_000)


async def texts(searching: Searching, *words: str) -> list[str]:
    return [entry.body["text"] for entry in (await find(searching, Wanted(words))).entries]


@pytest.mark.parametrize(
    ("text", "word", "found"),
    [
        ("Good morning", "MORN", True),
        ("Good morning", "orning", False),
        ("snake_case", "case", False),
        ("(morning)", "morning", True),
        ("Äpfel und Birnen", "äpf", True),
        ("ПРИВЕТ мир", "привет", True),
        ("the cafe\u0301 is open", "café", True),
        ("the café is open", "cafe\u0301", True),
        ("我们明天见", "明天", True),
        ("我喜欢python", "python", True),
        ("สวัสดีครับ", "ครับ", True),
        ("안녕하세요", "안녕", True),
        ("see #release notes", "#rel", True),
        ("what? (a+b)*c [x] ^$", "(a+b)*c", True),
        ("aab", "a+b", False),
        ("a\\b", "a\\b", True),
        ("abc", ".", False),
        ("nul\0l", "nul\0", True),
        ("2024 plans", "202", True),
        ("🎉 party", "🎉", True),
        ("first\nsecond line", "second", True),
    ],
)
async def test_a_word_is_found(db: Database, searching: Searching, text: str, word: str, found: bool) -> None:
    await write_log(db, [message(A, text=text)])
    assert await texts(searching, word) == ([text] if found else [])


async def test_all_words_have_to_be_there_in_any_order_newest_first(db: Database, searching: Searching) -> None:
    said = ["red green", "green and RED", "red only", "green only"]
    await write_log(db, [message(A, text=text) for text in said])
    await write_log(db, [message(B, text="red green of others"), message(f"{A}~1", text="red green of a thread")])
    assert await texts(searching, "red", "green") == ["green and RED", "red green"]


async def test_what_is_no_message_deleted_or_expired_is_left_out(db: Database, searching: Searching) -> None:
    bodies: list[dict[str, Any]] = [
        {"text": "here", "expires_at": NOW + 1},
        {"text": "here", "expires_at": NOW},
        {"deleted_at": NOW - 5},
        {"text": "here"},
    ]
    await write_log(db, [message(A, body=body) for body in bodies])
    other = message(A, kind=EntryKind.MESSAGE_PINNED, body={"target": 1})
    await write_log(db, [other], after=(await Log(db).tail(A)))
    assert [entry.offset for entry in (await find(searching, Wanted(("here",)))).entries] == [4, 1]
    assert [entry.offset for entry in (await find(searching, Wanted(sender="ada"))).entries] == [4, 1]


async def test_sender_time_and_attachment_narrow_it(db: Database, searching: Searching) -> None:
    start = NOW - 1_000_000_000
    news = [message(A, by=("ada", "bob")[i % 2], text=f"m{i}", at=start + i * 3_600_000) for i in range(200)]
    news.append(message(A, body={"attachments": [{"name": "a.png"}]}, at=NOW))
    news.append(message(A, body={"custom": {"attachments": [1]}, "text": "none"}, at=NOW))
    await write_log(db, news)

    async def offsets(**wanted: Any) -> list[int]:
        return [entry.offset for entry in (await find(searching, Wanted(**wanted), limit=200)).entries]

    assert await offsets(sender="bob", before=start + 7 * 3_600_000) == [6, 4, 2]
    assert await offsets(after=start + 150 * 3_600_000, before=start + 153 * 3_600_000) == [153, 152]
    assert await offsets(has_attachment=True) == [201]
    assert await offsets(before=start) == []
    assert await offsets(after=NOW) == []


async def test_clocks_that_differ_by_less_than_the_slack_hide_nothing(db: Database, searching: Searching) -> None:
    times = [NOW - 100_000 + (i * 37_000) % 50_000 for i in range(40)]
    entries = await write_log(db, [message(A, at=at) for at in times])
    for bound in (NOW - 90_000, NOW - 70_000, NOW - 60_000):
        newer = (await find(searching, Wanted(after=bound))).entries
        older = (await find(searching, Wanted(before=bound))).entries
        assert [one.offset for one in newer] == [one.offset for one in reversed(entries) if one.at > bound]
        assert [one.offset for one in older] == [one.offset for one in reversed(entries) if one.at < bound]


async def test_one_call_looks_through_one_stretch_and_says_where_to_go_on(db: Database, searching: Searching) -> None:
    total = STRETCH + 300
    await write_log(db, [message(A, text="needle" if i in (0, 299, 300, total - 1) else "hay") for i in range(total)])
    wanted = Wanted(("needle",))
    first = await find(searching, wanted)
    assert [entry.offset for entry in first.entries] == [total, 301]
    assert (first.examined_to, first.complete) == (301, False)
    second = await find(searching, wanted, upto=first.examined_to - 1)
    assert [entry.offset for entry in second.entries] == [300, 1]
    assert (second.examined_to, second.complete) == (1, True)
    assert (await find(searching, wanted, upto=0)).complete


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_going_on_finds_everything_once(db: Database, searching: Searching, limit: int) -> None:
    await write_log(db, [message(A, text="x" if i % 3 else "y") for i in range(60)])
    found: list[int] = []
    upto = None
    while True:
        hits = await find(searching, Wanted(("x",)), upto=upto, limit=limit)
        found += [entry.offset for entry in hits.entries]
        if hits.complete:
            break
        upto = hits.examined_to - 1
    assert found == [offset for offset in range(60, 0, -1) if (offset - 1) % 3]


async def test_hits_that_do_not_fit_are_left_for_the_next_call(db: Database, searching: Searching) -> None:
    await write_log(db, [message(A, text="x" * 1000) for _ in range(10)])
    hits = await searching.find(A, Wanted(("x",)), limit=10, max_bytes=3000)
    assert [entry.offset for entry in hits.entries] == [10, 9]
    assert (hits.examined_to, hits.complete) == (9, False)


async def test_an_empty_or_trimmed_log_is_searched_at_once(db: Database, searching: Searching) -> None:
    assert await find(searching, Wanted(("x",))) == Hits([], 1, complete=True)
    await write_log(db, [message(A, text="x")], after=Position(50_000, 50_000))
    hits = await find(searching, Wanted(("x",)))
    assert ([entry.offset for entry in hits.entries], hits.complete) == ([50_001], True)


@pytest.mark.parametrize("word", ["a|b", "(", "[", "a{2}", "\\Q", "\\E", "(?i)", "$", "^", "x" * 200, "ǅ\0#"])
async def test_what_a_user_writes_is_never_a_pattern(db: Database, searching: Searching, word: str) -> None:
    await write_log(db, [message(A, text=f"before {word}"), message(A, text="aab b a x")])
    assert await texts(searching, word) == [f"before {word}"]
    assert "\0" not in pattern(word)


async def test_a_call_reads_its_stretch_by_the_key_of_the_log_and_no_more(db: Database) -> None:
    await write_log(db, [message(A, text="needle" if i % 100 == 0 else "hay") for i in range(2000)])
    await write_log(db, [message(B, text="needle") for _ in range(2000)])
    every = Wanted(("needle",), sender="ada", after=1, before=NOW, has_attachment=True)
    for wanted in (Wanted(("needle",)), Wanted(sender="ada"), every):
        keys = {"$gt": log_key(A, 500), "$lte": log_key(A, 1500)}
        find = {"find": MESSAGES, "filter": {"_id": keys, **_filter(wanted, NOW)}, "sort": {"_id": -1}, "limit": 50}
        explained = await db.command("explain", find, verbosity="executionStats")
        assert "CLUSTERED_IXSCAN" in str(explained["queryPlanner"]["winningPlan"])
        assert explained["executionStats"]["totalDocsExamined"] <= 1002
