"""What is put into an entry comes out as it was, and nothing that MongoDB would refuse gets as far as a batch."""

import string
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import Invalid
from storage.model import EntryKind, NewEntry
from storage.model.keys import log_key
from storage.mongo.documents import (
    MAX_ENTRY_BYTES,
    document_of,
    entry_of,
    identity_of,
    key_identity,
    position_of,
    prepare,
    stored_key,
)

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXT,
        "reply_to": st.integers(1, 2**44 - 1),
        "mentions": st.lists(TEXT, min_size=1, max_size=4),
        "content": st.dictionaries(TEXT, JSON, max_size=3),
        "attachments": st.lists(JSON, max_size=3),
        "custom": st.dictionaries(TEXT, JSON, max_size=3) | st.just({"$ref": "a", "$id": 1, "a.b": {"$c": None}}),
    },
)
KEYS = (
    st.uuids().map(str)
    | st.uuids().map(lambda key: str(key).upper())
    | st.text(string.printable[:94], min_size=1, max_size=64)
)


def a_new_entry(body: dict[str, Any], key: str | None = "k", kind: EntryKind = EntryKind.MESSAGE_CREATED) -> NewEntry:
    return NewEntry("c" * 26, kind, "ada", 1_700_000_000_123, key, body)


@settings(deadline=None)
@given(
    body=BODIES,
    key=KEYS,
    kind=st.sampled_from(EntryKind),
    offset=st.integers(1, 2**44 - 1),
    n=st.integers(0, 2**44 - 1),
)
def test_an_entry_comes_back_as_it_was_stored(
    body: dict[str, Any], key: str, kind: EntryKind, offset: int, n: int
) -> None:
    new = a_new_entry(body, key, kind)
    stored = bson.encode(document_of(prepare(new, own_key=bytes).fields, new.conversation, offset, n))
    entry = entry_of(bson.decode(stored))
    assert (entry.conversation, entry.kind, entry.by, entry.at, entry.key) == (
        new.conversation,
        kind,
        "ada",
        new.at,
        key,
    )
    assert (entry.offset, entry.n) == (offset, n)
    assert dict(entry.body) == body


@settings(deadline=None)
@given(body=BODIES)
def test_the_size_is_never_understated_by_much(body: dict[str, Any]) -> None:
    prepared = prepare(a_new_entry(body), own_key=bytes)
    actual = len(bson.encode(document_of(prepared.fields, "c" * 26, 1, 1)))
    assert actual <= prepared.size_bytes + 64


def test_a_key_in_the_usual_spelling_of_a_uuid_takes_16_bytes_and_any_other_stays_distinct() -> None:
    key = "0b0c3c1e-9d1a-4c57-a3ce-1f0d5f6f1a2b"
    other_spellings = [key.upper(), key.replace("-", ""), key[:-1] + " ", "{" + key + "}"]
    assert len(key_identity(key)) == 16
    assert [key_identity(other) for other in other_spellings] == other_spellings


@settings(deadline=None)
@given(key=KEYS)
def test_what_tells_keys_apart_is_read_back_as_it_was_written(key: str) -> None:
    identity = key_identity(key)
    document = bson.decode(bson.encode({"k": stored_key(identity)}))
    assert identity_of(document) == identity
    assert type(identity_of(document)) is type(identity)


def test_an_entry_without_a_key_has_an_identity_that_no_client_can_name() -> None:
    prepared = prepare(a_new_entry({}, key=None), own_key=lambda: b"0123456789ab")
    assert prepared.key != key_identity("0123456789ab")
    assert entry_of(document_of(prepared.fields, "c" * 26, 1, 0)).key is None


@pytest.mark.parametrize(
    "body",
    [
        {"text": "\ud800"},
        {"text": 1},
        {"reply_to": -1},
        {"reply_to": 2**53},
        {"mentions": [1]},
        {"mentions": ["\udfff"]},
        {"custom": {"a": "\ud800"}},
        {"custom": {"a": object()}},
        {"text": "x" * MAX_ENTRY_BYTES},
    ],
)
def test_what_cannot_be_stored_is_refused_at_the_door(body: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        prepare(a_new_entry(body), own_key=bytes)


@pytest.mark.parametrize("key", ["", "x" * 129, "\ud800"])
def test_a_key_that_cannot_be_stored_is_refused(key: str) -> None:
    with pytest.raises(Invalid):
        prepare(a_new_entry({}, key), own_key=bytes)


READABLE: dict[str, Any] = {"_id": log_key("c1", 7), "c": "c1", "u": "ann", "k": "key", "t": 5, "n": 3, "x": "hi"}


@pytest.mark.parametrize(
    "broken",
    [
        {"x": 5},
        {"x": ["hi"]},
        {"j": "{not json"},
        {"j": "[1]"},
        {"j": 5},
        {"m": 7},
        {"m": [7]},
        {"w": "all"},
        {"r": "1"},
        {"e": "never"},
        {"u": None},
        {"n": "many"},
        {"t": "yesterday"},
        {"x": "x" * (3 * MAX_ENTRY_BYTES)},
    ],
)
def test_a_message_that_nobody_can_read_keeps_its_place_as_one_that_was_deleted(broken: dict[str, Any]) -> None:
    entry = entry_of({**READABLE, **broken})
    assert (entry.conversation, entry.offset, entry.kind) == ("c1", 7, EntryKind.MESSAGE_CREATED)
    assert entry.body == {"deleted_at": entry.at}
    assert entry.key is None
    assert isinstance(entry.by, str)
    assert isinstance(entry.n, int)


@pytest.mark.parametrize("missing", ["u", "k", "t", "n"])
def test_a_message_that_lacks_something_keeps_its_place_too(missing: str) -> None:
    document = {name: value for name, value in READABLE.items() if name != missing}
    assert entry_of(document).body == {"deleted_at": entry_of(document).at}
    assert position_of(document).offset == 7


@pytest.mark.parametrize("kind", [9999, -1, "new", None, [1]])
def test_an_entry_of_an_unknown_kind_changes_nothing(kind: object) -> None:
    entry = entry_of({**READABLE, "y": kind})
    assert (entry.offset, entry.kind, entry.body) == (7, EntryKind.CONVERSATION_UPDATED, {})
