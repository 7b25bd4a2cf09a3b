"""Payloads of clients: what passes reaches other clients as it is."""

import json

import pytest

from realtime.protocol.codes import BAD_REQUEST, ClientError
from realtime.protocol.messages import EMPTY
from realtime.protocol.payload import MAX_CONTAINERS, MAX_DEPTH, checked_payload, one_line


def refusal(data: bytes) -> str:
    with pytest.raises(ClientError) as caught:
        checked_payload(data, "rpc.data")
    assert caught.value.code is BAD_REQUEST
    return caught.value.message


@pytest.mark.parametrize("data", [b"{}", b"null", b"0", b'"x"', b"[1, 2]", '{"ж":"\\u00e9"}'.encode(), b' {"a":1} '])
def test_any_json_is_kept_byte_by_byte(data: bytes) -> None:
    assert bytes(checked_payload(data, "rpc.data")) == data


def test_empty_bytes_mean_absent() -> None:
    assert checked_payload(b"", "rpc.data") is EMPTY


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"{",
        b"{}{}",
        b"NaN",
        b"Infinity",
        b"1e400",
        b"01",
        b"'a'",
        b"[1,]",
        b'"\\x"',
        b'"a\nb"',
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_json_is_refused_by_name(data: bytes) -> None:
    assert refusal(data) == "bad_request: $.rpc.data: must be JSON"


@pytest.mark.parametrize("data", [b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udc00\\ud800"', b'{"\\ud800":1}'])
def test_bad_utf8_and_lone_surrogates_are_refused(data: bytes) -> None:
    assert refusal(data) == "bad_request: $.rpc.data: must be JSON"


def test_numbers_of_any_length_are_only_text() -> None:
    digits = b"1" * 300
    assert bytes(checked_payload(digits, "rpc.data")) == digits
    assert refusal(b"1" * 5000).endswith("must be JSON"), "no receiver takes it for finite"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")])
def test_nesting_is_bounded(opening: bytes, closing: bytes) -> None:
    levels = MAX_DEPTH // opening.replace(b"{", b"[").count(b"[")
    most = opening * levels + b"0" + closing * levels
    assert bytes(checked_payload(most, "rpc.data")) == most
    assert refusal(b"[" + most + b"]") == f"bad_request: $.rpc.data: must not nest deeper than {MAX_DEPTH}"


def test_a_recursion_bomb_is_refused() -> None:
    refusal(b"[" * 500_000)
    refusal(b"[" * 30_000 + b"]" * 30_000)
    refusal(b"[" * 1000 + b"]" * 1000)


def test_the_number_of_arrays_and_objects_is_bounded() -> None:
    most = b"[" + b",".join([b"{}"] * (MAX_CONTAINERS - 1)) + b"]"
    assert bytes(checked_payload(most, "rpc.data")) == most
    assert refusal(b"[" + most + b"]").endswith(f"must have at most {MAX_CONTAINERS} arrays and objects")


def test_many_brackets_side_by_side_or_in_strings_are_not_deep() -> None:
    wide = json.dumps([[{"a": []}]] * 3000).encode()
    assert bytes(checked_payload(wide, "rpc.data")) == wide
    quoted = json.dumps(["[" * 30_000, '\\"{' * 1000, "\\"]).encode()
    assert bytes(checked_payload(quoted, "rpc.data")) == quoted


@pytest.mark.parametrize("data", [b'{\n  "a": [1,\r\n 2]\n}', b'{\r"a":[1,2]}', b'\n{"a":[1,2]}\n'])
def test_line_breaks_between_tokens_are_taken_out(data: bytes) -> None:
    assert bytes(checked_payload(data, "rpc.data")) == b'{"a":[1,2]}'


def test_escaped_line_breaks_in_strings_stay() -> None:
    assert one_line(b'["a\\n b",\n"c  d"]') == b'["a\\n b","c  d"]'
