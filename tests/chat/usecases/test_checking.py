"""Rules beyond types: sizes in bytes, and who there may be."""

import re

import pytest
from msgspec import UNSET

from chat.usecases.checking import check_new_users, check_size, checked_custom, given
from chat.usecases.ports import Limits
from realtime.protocol.codes import BAD_REQUEST, ClientError

LIMITS = Limits(custom_bytes=16, user_id_pattern=re.compile("[a-z]+"))


def test_what_is_left_out_is_none():
    assert given(UNSET) is None
    assert given("") == ""
    assert checked_custom(UNSET, LIMITS) is None
    assert checked_custom({}, LIMITS) == {}


def test_sizes_hold_to_the_byte():
    check_size(16, 16, "text")
    with pytest.raises(ClientError) as refused:
        check_size(17, 16, "text")
    assert refused.value.message == "bad_request: $.text: must have at most 16 bytes, has 17"


def test_custom_data_counts_as_json():
    assert checked_custom({"a": "é" * 4}, LIMITS) == {"a": "éééé"}
    with pytest.raises(ClientError) as refused:
        checked_custom({"a": "é" * 4 + "x"}, LIMITS)
    assert (refused.value.code, refused.value.field) == (BAD_REQUEST, "custom")


def test_the_one_among_many_users_who_cannot_be_is_named():
    check_new_users(["a", "b"], LIMITS, "members")
    for bad in ("B", "", "a b", "a\n", "1"):
        with pytest.raises(ClientError) as refused:
            check_new_users(["a", bad], LIMITS, "members")
        assert refused.value.field == "members[1]"
