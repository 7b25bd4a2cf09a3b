"""An old snapshot and the log after it are a fresh snapshot, whatever happened to the messages; and what was deleted is
gone from everywhere.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chat.vocabulary import render
from storage.model import Change, Entry, EntryKind
from storage.model.changes import deleted, edited, pinned, unpinned
from support.reducer import View, replay, snapshot

A = "a" * 26
USERS = ("ada", "bob")


@dataclass
class Log:
    """A conversation as the store keeps it: the rows of its log, each in its present state, and its pins."""

    rows: list[Entry] = field(default_factory=list)
    pins: list[int] = field(default_factory=list)
    texts: int = 0

    def send(self, by: str, body: dict[str, Any]) -> None:
        self._append(EntryKind.MESSAGE_CREATED, by, {"text": self.text(), **body})

    def edit(self, target: int, by: str, fields: dict[str, Any]) -> None:
        entry = self._next(EntryKind.MESSAGE_EDITED, by)
        if "deleted_at" not in self.rows[target - 1].body:
            self._change(target, entry, edited(self.rows[target - 1], entry, {"text": self.text(), **fields}))

    def delete(self, target: int, by: str) -> None:
        entry = self._next(EntryKind.MESSAGE_DELETED, by)
        change = deleted(self.rows[target - 1], entry)
        self._change(target, entry, change)
        if change is not None and target in self.pins:
            self.pins.remove(target)

    def pin(self, target: int, by: str, *, on: bool) -> None:
        entry = self._next(EntryKind.MESSAGE_PINNED if on else EntryKind.MESSAGE_UNPINNED, by)
        message = self.rows[target - 1]
        if "deleted_at" in message.body:
            return
        change = pinned(message, entry) if on else unpinned(message)
        self._change(target, entry, change)
        if change is not None:
            self.pins.append(target) if on else self.pins.remove(target)

    def react(self, target: int, by: str, counts: dict[str, int]) -> None:
        message = self.rows[target - 1]
        if "deleted_at" in message.body:
            return
        body = {**message.body, "reactions": counts, "told": {"reactions": {"at": len(self.rows)}}}
        if not counts:
            del body["reactions"]
        change = Change(entry={"target": target, "reactions": counts}, message=body)
        self._change(target, self._next(EntryKind.REACTION_CHANGED, by), change)

    def reply(self, target: int, by: str) -> None:
        message = self.rows[target - 1]
        replies = message.body.get("thread", {}).get("replies", 0) + 1
        thread = {"conversation": f"{A}~{target}", "replies": replies}
        change = Change(entry={"target": target, "thread": thread}, message={**message.body, "thread": thread})
        self._change(target, self._next(EntryKind.THREAD_CHANGED, by), change)

    def text(self) -> str:
        self.texts += 1
        return f"text-{self.texts}-of-it"

    @property
    def messages(self) -> list[int]:
        return [row.offset for row in self.rows if row.kind is EntryKind.MESSAGE_CREATED]

    def snapshot(self) -> View:
        """What a client finds that reads everything now."""
        messages = [wire(render.message(row)) for row in self.rows if row.kind is EntryKind.MESSAGE_CREATED]
        head = {"offset": len(self.rows), "n": len(messages)}
        last = None
        if messages:
            last = {name: messages[-1][name] for name in ("offset", "sender", "created_at", "text")}
            if "deleted_at" in messages[-1]:
                last["deleted_at"] = messages[-1]["deleted_at"]
        return snapshot({"head": head, "pins": self.pins, "last_message": last}, messages)

    def events(self, after: int) -> list[dict[str, Any]]:
        """What the log says now to a client that has everything up to `after`."""
        return [wire(render.event(row)) for row in self.rows[after:]]

    def _next(self, kind: EntryKind, by: str) -> Entry:
        offset, n = len(self.rows) + 1, len(self.messages) + kind.counts
        return Entry(A, offset, n, kind, by, 1000 + offset, f"key-{offset}", {})

    def _append(self, kind: EntryKind, by: str, body: dict[str, Any]) -> None:
        self.rows.append(self._next(kind, by).with_body(body))

    def _change(self, target: int, entry: Entry, change: Change | None) -> None:
        """As one transaction does it."""
        if change is None:
            return
        if change.message is not None:
            self.rows[target - 1] = self.rows[target - 1].with_body(change.message)
        for offset, body in change.others.items():
            self.rows[offset - 1] = self.rows[offset - 1].with_body(body)
        self.rows.append(entry.with_body(change.entry))


def wire(struct: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(bytes(render.encode(struct)))
    return decoded


CONTENT = st.fixed_dictionaries({"type": st.just("poll"), "x": st.integers(0, 3)})
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "content": CONTENT,
        "reply_to": st.integers(1, 5),
        "mentions": st.just(["bob"]),
        "meant": st.just(["bob"]),
        "custom": st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), min_size=1, max_size=2),
        "expires_at": st.just(10**15),
    },
)
FIELDS = st.fixed_dictionaries(
    {}, optional={"content": st.none() | CONTENT, "custom": st.none(), "mentions": st.none()}
)
COUNTS = st.dictionaries(st.sampled_from(["+1", "-1", "❤"]), st.integers(1, 9), max_size=3)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "edit", "edit", "delete", "pin", "unpin", "react", "reply"]),
        st.integers(0, 5),
        st.sampled_from(USERS),
        BODIES,
        FIELDS,
        COUNTS,
    ),
    max_size=20,
)


def take(log: Log, step: tuple[str, int, str, Any, Any, Any]) -> None:
    what, number, by, body, fields, counts = step
    messages = log.messages
    if what == "send" or not messages:
        log.send(by, body)
        return
    target = messages[number % len(messages)]
    match what:
        case "edit":
            log.edit(target, by, fields)
        case "delete":
            log.delete(target, by)
        case "pin" | "unpin":
            log.pin(target, by, on=what == "pin")
        case "react":
            log.react(target, by, counts)
        case _:
            log.reply(target, by)


@given(STEPS)
def test_an_old_snapshot_and_the_log_after_it_are_a_fresh_snapshot(steps: list[Any]) -> None:
    log = Log()
    views = [log.snapshot()]
    for step in steps:
        take(log, step)
        views.append(log.snapshot())
    for view in views:
        came = replay(view, log.events(view.offset))
        fresh = log.snapshot()
        # The preview is of what does not delete itself; these snapshots are made without that rule.
        if fresh.last_message is not None and "expires_at" in fresh.messages[fresh.last_message["offset"]]:
            fresh.last_message["text"] = ""
            assert came.last_message is not None
            came.last_message["text"] = ""
        assert came == fresh


@given(STEPS)
def test_live_events_give_what_a_fresh_snapshot_has(steps: list[Any]) -> None:
    """What was told when it happened, not as the log has it afterwards."""
    log = Log()
    view = log.snapshot()
    for step in steps:
        take(log, step)
        view = replay(view, log.events(view.offset))
        fresh = log.snapshot()
        fresh.last_message = view.last_message
        assert view == fresh


@given(STEPS)
def test_nothing_is_left_of_what_was_deleted(steps: list[Any]) -> None:
    log = Log()
    said: dict[int, set[str]] = {}
    for step in steps:
        take(log, step)
        for row in log.rows:
            if row.kind is EntryKind.MESSAGE_CREATED and "text" in row.body:
                said.setdefault(row.offset, set()).add(row.body["text"])
    kept = json.dumps([row.body for row in log.rows])
    for offset, texts in said.items():
        gone = "deleted_at" in log.rows[offset - 1].body
        for text in texts:
            assert (text not in kept) if gone else (text in kept)
