"""Identifiers have one form, and keys of the log sort as the log does."""

import re
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.model import ids
from storage.model.keys import MAX_OFFSET, conversation_of, log_bounds, log_key, parse_log_key

USERS = st.text(min_size=1, max_size=64)
CONVERSATIONS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26)
OFFSETS = st.integers(0, MAX_OFFSET)


def test_ids_have_26_characters_of_base32_and_differ() -> None:
    made = {ids.conversation_id(secrets.token_bytes) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("[a-z2-7]{26}", one) for one in made)
    assert re.fullmatch("[a-z2-7]{8}", ids.epoch(secrets.token_bytes))


@settings(deadline=None)
@given(a=USERS, b=USERS, c=USERS)
def test_a_direct_conversation_has_one_id_from_both_sides_and_another_with_anybody_else(a: str, b: str, c: str) -> None:
    assert ids.direct_id(a, b) == ids.direct_id(b, a)
    assert re.fullmatch("[a-z2-7]{26}", ids.direct_id(a, b))
    if b != c:
        assert ids.direct_id(a, b) != ids.direct_id(a, c)


def test_users_whose_names_run_together_are_told_apart() -> None:
    assert ids.direct_id("ab", "c") != ids.direct_id("a", "bc")


@settings(deadline=None)
@given(conversation=CONVERSATIONS, offset=OFFSETS)
def test_a_thread_names_its_root(conversation: str, offset: int) -> None:
    assert ids.thread_root(ids.thread_id(conversation, offset)) == (conversation, offset)
    assert ids.thread_root(conversation) is None


@settings(deadline=None)
@given(conversation=CONVERSATIONS, one=OFFSETS, other=OFFSETS)
def test_keys_sort_as_offsets(conversation: str, one: int, other: int) -> None:
    assert (log_key(conversation, one) < log_key(conversation, other)) == (one < other)


@settings(deadline=None)
@given(conversation=CONVERSATIONS, offset=OFFSETS, root=st.integers(1, 10**6))
def test_a_key_gives_its_parts_back(conversation: str, offset: int, root: int) -> None:
    for name in (conversation, ids.thread_id(conversation, root)):
        key = log_key(name, offset)
        assert parse_log_key(key) == (name, offset)
        assert conversation_of(key) == name


@settings(deadline=None)
@given(a=CONVERSATIONS, b=CONVERSATIONS, offset=OFFSETS, root=st.integers(1, 10**6))
def test_the_bounds_hold_one_conversation_and_no_other(a: str, b: str, offset: int, root: int) -> None:
    low, high = log_bounds(a)
    assert low <= log_key(a, offset) <= high
    assert not low <= log_key(ids.thread_id(a, root), offset) <= high
    if a != b:
        assert not low <= log_key(b, offset) <= high


@pytest.mark.parametrize("offset", [-1, MAX_OFFSET + 1])
def test_an_offset_that_would_change_the_width_is_refused(offset: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        log_key("a", offset)
