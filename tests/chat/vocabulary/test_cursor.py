"""Where lists are continued."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.vocabulary.cursor import decode_cursor, decode_sync_cursor, encode_cursor, encode_sync_cursor
from realtime.protocol.codes import ClientError

conversations = st.from_regex(r"[a-z2-7]{26}(~[1-9][0-9]{0,12})?", fullmatch=True)


@given(st.integers(min_value=0, max_value=10**15 - 1), conversations)
def test_a_cursor_comes_back_as_it_was(activity_at, conversation):
    assert decode_cursor(encode_cursor(activity_at, conversation)) == (activity_at, conversation)


@given(st.integers(min_value=0, max_value=10**15 - 1), conversations, st.integers(min_value=0, max_value=2**53 - 1))
def test_that_of_a_sync_carries_its_revision(activity_at, conversation, revision):
    cursor = encode_sync_cursor(activity_at, conversation, revision)
    assert len(cursor) <= 128
    assert decode_sync_cursor(cursor) == (activity_at, conversation, revision)
    with pytest.raises(ClientError):
        decode_cursor(cursor)
    with pytest.raises(ClientError):
        decode_sync_cursor(encode_cursor(activity_at, conversation))


@given(st.text(max_size=128))
def test_any_text_is_a_place_or_refused(text):
    try:
        activity_at, _ = decode_cursor(text)
    except ClientError as error:
        assert error.field == "before"  # noqa: PT017 - either outcome is right
    else:
        assert 0 <= activity_at < 10**15


@pytest.mark.parametrize("place", [(10**15, "a" * 26), (-1, "a" * 26), (1, ""), (1, "a" * 25), (1, "a" * 26 + "\n")])
def test_places_that_cannot_be_are_refused(place):
    with pytest.raises(ClientError):
        decode_cursor(encode_cursor(*place))
