"""What only the JSON spelling has: text, lines, zeros, types."""

import json
import sys
from typing import Any

import pytest

from realtime.protocol.codes import BAD_REQUEST, METHOD_NOT_FOUND, ClientError, Closing
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.messages import (
    ClientInfo,
    Command,
    ConnectResult,
    Error,
    HistoryResult,
    Invalid,
    Join,
    Payload,
    PresenceResult,
    PresenceStatsResult,
    Publication,
    PublishResult,
    Push,
    Reply,
    RPCRequest,
    SendRequest,
    Subscribe,
    SubscribeResult,
    Unsubscribe,
    UnsubscribeResult,
)

CODEC = JsonCodec()


def decode_one(frame: str | bytes) -> Any:
    (received,) = CODEC.decode(frame.encode() if isinstance(frame, str) else frame)
    return received


def refusal(frame: str | bytes) -> tuple[int, str]:
    received = decode_one(frame)
    assert isinstance(received, Invalid)
    assert received.error.code is BAD_REQUEST
    return received.id, received.error.message


def closing(frame: str | bytes) -> str:
    with pytest.raises(Closing) as caught:
        CODEC.decode(frame.encode() if isinstance(frame, str) else frame)
    assert caught.value.disconnect.code == 3501
    return caught.value.reason


# --- decoding ---


def test_each_line_is_a_message_and_blank_lines_are_none() -> None:
    frame = b'\n{"id":1,"ping":{}}\n\n  \r\n{"id":2,"rpc":{"method":"m"}}\n'
    assert [received.id for received in CODEC.decode(frame) if isinstance(received, Command)] == [1, 2]


def test_payloads_are_kept_byte_by_byte() -> None:
    command = decode_one('{"id":1,"rpc":{"method":"m","data": {"a" : [1, "\\u00e9é"]} }}')
    assert command == Command(1, RPCRequest("m", Payload('{"a" : [1, "\\u00e9é"]}'.encode())))


def test_a_payload_does_not_keep_its_line_in_memory() -> None:
    frame = b'{"id":1,"junk":"' + b"x" * 100_000 + b'","publish":{"channel":"c","data":{"a":1}}}'
    references = sys.getrefcount(frame)
    command = decode_one(frame)
    assert bytes(command.request.data) == b'{"a":1}'
    assert sys.getrefcount(frame) == references


def test_null_is_a_payload() -> None:
    assert bytes(decode_one('{"id":1,"rpc":{"method":"m","data":null}}').request.data) == b"null"


def test_a_null_request_is_absent() -> None:
    received = decode_one('{"id":1,"connect":null,"rpc":{"method":"m"}}')
    assert isinstance(received.request, RPCRequest)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ('{"id":7,"subscribe":{"channel":5}}', "bad_request: $.subscribe.channel: expected str, got int"),
        ('{"id":7,"subscribe":5}', "bad_request: $.subscribe: expected object | null, got int"),
        ('{"id":7,"connect":{"token":null}}', "bad_request: $.connect.token: expected str, got null"),
        (
            '{"id":7,"connect":{"subs":{"a":{"offset":"1"}}}}',
            "bad_request: $.connect.subs[...].offset: expected int, got str",
        ),
        ('{"id":7,"subscribe":{"channel":"c","offset":-1}}', "bad_request: $.subscribe.offset: expected int >= 0"),
        ('{"id":7,"history":{"channel":"c","limit":1.5}}', "bad_request: $.history.limit: expected int, got float"),
        ('{"id":7,"publish":{"channel":"c","type":"map"}}', "bad_request: $.publish.type: expected int, got str"),
        ('{"id":7,"rpc":{"method":"m","data":"\\ud800 lone"}}', "bad_request: $.rpc.data: must be JSON"),
        ('{"id":7,"rpc":{"method":"\\ud800 lone"}}', "bad_request: $.rpc.method: must be JSON"),
        ('{"id":7,"rpc":{"method":"m","data":[1,NaN]}}', "bad_request: $.rpc.data: must be JSON"),
        ('{"id":7,"rpc":{"method":1,"data":NaN}}', "bad_request: $.rpc.data: must be JSON"),
        ('{"id":7,"trace":NaN,"rpc":{"method":"m"}}', "bad_request: must be JSON"),
        ('{"id":7,"rpc":{"method":"m","data":1e999}}', "bad_request: $.rpc.data: must be JSON"),
    ],
)
def test_a_command_of_wrong_types_is_refused_naming_the_field(command: str, message: str) -> None:
    assert refusal(command) == (7, message)


def test_only_the_wrong_command_of_a_frame_is_refused() -> None:
    first, second, third = CODEC.decode(b'{"id":1,"ping":{}}\n{"id":2,"rpc":{"method":2}}\n{"id":3,"ping":{}}')
    assert isinstance(first, Command)
    assert isinstance(second, Invalid)
    assert isinstance(third, Command)


def test_an_offset_beyond_what_can_be_stored_is_refused() -> None:
    assert refusal('{"id":7,"subscribe":{"channel":"c","offset":9223372036854775808}}') == (
        7,
        "bad_request: $.subscribe.offset: expected int <= 9223372036854775807",
    )


@pytest.mark.parametrize("digits", ["9" * 30, "9" * 5000, "1e400", "-1"])
def test_huge_numbers_are_refused(digits: str) -> None:
    command_id, message = refusal(f'{{"id":7,"subscribe":{{"channel":"c","offset":{digits}}}}}')
    assert command_id == 7
    assert message.startswith("bad_request: $.subscribe.offset: ")


def test_an_unknown_command_with_an_id_is_unknown() -> None:
    received = decode_one('{"id":7,"subscribe_everything":{}}')
    assert isinstance(received, Invalid)
    assert received.id == 7
    assert received.error.code is METHOD_NOT_FOUND


def test_unknown_fields_are_ignored() -> None:
    assert decode_one('{"id":1,"rpc":{"method":"m","trace":[1]},"zone":"x"}') == Command(1, RPCRequest("m"))


def test_fields_that_are_ignored_may_have_any_type() -> None:
    frame = '{"id":1,"connect":{"flag":"x","dict":1,"profile":2,"headers":3,"subs":{"a":{"data":1,"type":"x"}}}}'
    assert list(decode_one(frame).request.subs) == ["a"]


def test_send_is_understood_whatever_it_carries() -> None:
    assert decode_one('{"send":{"data":[1e999]}}') == Command(0, SendRequest())


@pytest.mark.parametrize(
    "command", ['{"subscribe":{"channel":5}}', '{"id":0,"rpc":{"method":1}}', '{"id":"x","rpc":{}}']
)
def test_a_wrong_command_without_a_readable_id_closes(command: str) -> None:
    assert closing(command).startswith("bad request: ")


@pytest.mark.parametrize("id_", ["-1", "4294967296", "9" * 5000, "1.5", '"1"', "null", "true", "[]"])
def test_an_id_that_is_no_id_closes(id_: str) -> None:
    closing(f'{{"id":{id_},"rpc":{{"method":"m"}}}}')


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b" ",
        b"\n\n",
        b"{",
        b"hello",
        b"[]",
        b"1",
        b'{"rpc":{"data":NaN}}',
        b'{"id":true,"rpc":{"data":NaN}}',
        b'{"id":4294967296,"rpc":{"data":NaN}}',
        b"[NaN]",
        b'{"id":1,"a":NaN,"b":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":1,"rpc":{"data":}}',
        b"\xef\xbb\xbf{}",
        b'{"id":1,"ping":{}}{"id":2,"ping":{}}',
        b'{"id":1,"x":' + b"[" * 100_000,
        b'{"id":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"id":1,"rpc":{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=lambda frame: frame[:30].decode(errors="replace"),
)
def test_a_broken_frame_closes(frame: bytes) -> None:
    assert closing(frame).startswith("bad request: ")


@pytest.mark.parametrize(
    "text",
    [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf8\x88\x80\x80\x80"],
    ids=["W2-no-byte-of-UTF-8", "W2-overlong", "W2-a-surrogate", "W2-above-the-last", "W2-cut-off", "W2-five-bytes"],
)
def test_text_that_is_not_utf_8_closes_as_that(text: bytes) -> None:
    for frame in (b'{"id":1,"rpc":{"method":"' + text + b'"}}', b'{"id":1,"ping":{}}\n' + text):
        with pytest.raises(Closing) as caught:
            CODEC.decode(frame)
        assert caught.value.disconnect.code == 1007
        assert caught.value.reason == "invalid text: not UTF-8"


def test_the_last_of_a_duplicate_key_counts() -> None:
    assert decode_one('{"id":1,"id":2,"rpc":{"method":"a","method":"b"}}') == Command(2, RPCRequest("b"))


# --- encoding ---


def encoded(reply: Reply) -> Any:
    return json.loads(CODEC.reply(reply))


def pushed(push: Push) -> Any:
    return json.loads(CODEC.push(push))["push"]


def test_zeros_are_left_out() -> None:
    assert CODEC.reply(Reply(5, SubscribeResult())) == b'{"id":5,"subscribe":{}}'
    assert pushed(Push("c", Subscribe())) == {"channel": "c", "subscribe": {}}
    assert pushed(Push("c", Publication(Payload(b"1")))) == {"channel": "c", "pub": {"data": 1}}
    assert encoded(Reply(1, Error(107, "bad_request"))) == {"id": 1, "error": {"code": 107, "message": "bad_request"}}


def test_user_and_client_are_written_also_when_empty() -> None:
    assert pushed(Push("c", Join(ClientInfo("", "")))) == {"channel": "c", "join": {"info": {"user": "", "client": ""}}}


def test_presence_is_written_also_when_empty() -> None:
    assert encoded(Reply(1, PresenceResult({}))) == {"id": 1, "presence": {"presence": {}}}


def test_numbers_of_clients_and_users_are_written_also_when_zero() -> None:
    assert encoded(Reply(1, PresenceStatsResult(0, 0))) == {
        "id": 1,
        "presence_stats": {"num_clients": 0, "num_users": 0},
    }


def test_publications_epoch_and_offset_of_history_are_written_also_when_zero() -> None:
    assert encoded(Reply(1, HistoryResult([], "", 0))) == {
        "id": 1,
        "history": {"publications": [], "epoch": "", "offset": 0},
    }


def test_empty_results_are_there() -> None:
    assert encoded(Reply(1, PublishResult())) == {"id": 1, "publish": {}}
    assert encoded(Reply(1, UnsubscribeResult())) == {"id": 1, "unsubscribe": {}}


def test_expiry_is_always_written_with_its_ttl() -> None:
    result = encoded(Reply(1, ConnectResult(expires=True, client="c", version="1", ping=25)))["connect"]
    assert result == {"expires": True, "ttl": 1, "client": "c", "version": "1", "ping": 25}


def test_an_unsubscribe_push_has_code_and_reason() -> None:
    assert pushed(Push("c", Unsubscribe(2000, "server unsubscribe")))["unsubscribe"] == {
        "code": 2000,
        "reason": "server unsubscribe",
    }


def test_payloads_are_embedded_raw() -> None:
    publication = Publication(Payload(b'{"a" : "\\u00e9"}'), ClientInfo("u", "c", Payload(b"[1]")), 3, {"k": "v"}, 9)
    assert CODEC.publication("c", publication) == (
        b'{"push":{"channel":"c","pub":{"data":{"a" : "\\u00e9"},"info":{"user":"u","client":"c","conn_info":[1]},'
        b'"offset":3,"tags":{"k":"v"},"time":9}}}'
    )


def test_a_payload_of_several_lines_becomes_one_line() -> None:
    pretty = Publication(Payload(b'{\n  "a": "x  y",\r\n  "b": [1,\n2]\n}'))
    assert CODEC.publication("c", pretty) == b'{"push":{"channel":"c","pub":{"data":{"a":"x  y","b":[1,2]}}}}'
    assert b"\n" not in CODEC.reply(Reply(1, HistoryResult([pretty], "e", 1)))
    assert b"\n" not in CODEC.push(Push("c", Subscribe(data=Payload(b"[\n]"))))


def test_line_breaks_in_names_are_escaped() -> None:
    assert b"\n" not in CODEC.publication("a\nb", Publication(Payload(b"1")))


def test_the_ping_is_an_empty_object() -> None:
    assert CODEC.join([CODEC.ping]) == b"{}"


def test_messages_are_joined_by_a_newline() -> None:
    assert CODEC.join([b"{}", b'{"id":1}']) == b'{}\n{"id":1}'


def test_an_invalid_command_can_be_told_apart_by_its_error() -> None:
    with pytest.raises(ClientError):
        raise decode_one('{"id":7,"rpc":{"method":1}}').error
