"""What only the Protobuf spelling has: varints, presence, bytes. The other side is the Python SDK's generated code."""

from typing import Any

import pytest
from centrifuge.protocol import client_pb2 as sdk

from realtime.protocol.codes import BAD_REQUEST, METHOD_NOT_FOUND, Closing
from realtime.protocol.messages import (
    EMPTY,
    Command,
    HistoryResult,
    Invalid,
    Payload,
    PingResult,
    Pong,
    PresenceResult,
    PresenceStatsResult,
    Publication,
    PublishResult,
    Push,
    RefreshResult,
    Reply,
    Result,
    RPCRequest,
    RPCResult,
    SubRefreshResult,
    Subscribe,
    SubscribeResult,
    UnsubscribeResult,
)
from realtime.protocol.protobuf_codec import ProtobufCodec
from support.varints import delimited, undelimited

CODEC = ProtobufCodec()


def framed(*commands: Any) -> bytes:
    return delimited(*[command.SerializeToString() for command in commands])


def decode_one(command: Any) -> Any:
    (received,) = CODEC.decode(framed(command))
    return received


def refusal(command: Any) -> tuple[int, str]:
    received = decode_one(command)
    assert isinstance(received, Invalid)
    assert received.error.code is BAD_REQUEST
    return received.id, received.error.message


def read(encoded: bytes) -> Any:
    (message,) = undelimited(CODEC.join([encoded]))
    return sdk.Reply.FromString(message)


# --- decoding ---


def test_an_empty_message_is_a_pong() -> None:
    assert CODEC.decode(b"\x00") == [Pong()]
    assert CODEC.decode(b"\x00" + framed(sdk.Command(id=1, ping=sdk.PingRequest())))[0] == Pong()


def test_empty_bytes_are_an_absent_payload() -> None:
    received = decode_one(sdk.Command(id=1, rpc=sdk.RPCRequest(method="m")))
    assert received == Command(1, RPCRequest("m"))
    assert received.request.data is EMPTY


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (sdk.Command(id=7, rpc=sdk.RPCRequest(method="m", data=b"\x00\x01")), "rpc.data"),
        (sdk.Command(id=7, publish=sdk.PublishRequest(channel="c", data=b"hello")), "publish.data"),
        (sdk.Command(id=7, subscribe=sdk.SubscribeRequest(channel="c", data=b'"\xff"')), "subscribe.data"),
        (sdk.Command(id=7, connect=sdk.ConnectRequest(data=b"{")), "connect.data"),
    ],
)
def test_a_payload_that_is_not_json_is_refused_naming_the_field(command: Any, field: str) -> None:
    assert refusal(command) == (7, f"bad_request: $.{field}: must be JSON")


def test_a_payload_that_is_not_json_in_a_command_without_id_closes() -> None:
    with pytest.raises(Closing):
        CODEC.decode(framed(sdk.Command(publish=sdk.PublishRequest(channel="c", data=b"hello"))))


def test_a_payload_of_several_lines_becomes_one_line() -> None:
    received = decode_one(sdk.Command(id=1, publish=sdk.PublishRequest(channel="c", data=b'{\n  "a": 1\n}')))
    assert bytes(received.request.data) == b'{"a":1}'


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (sdk.Command(id=7, subscribe=sdk.SubscribeRequest(channel="c", offset=2**63)), "subscribe.offset"),
        (
            sdk.Command(id=7, history=sdk.HistoryRequest(since=sdk.StreamPosition(offset=2**64 - 1))),
            "history.since.offset",
        ),
        (
            sdk.Command(id=7, connect=sdk.ConnectRequest(subs={"c": sdk.SubscribeRequest(offset=2**63)})),
            "connect.subs[...].offset",
        ),
    ],
)
def test_an_offset_beyond_what_can_be_stored_is_refused(command: Any, field: str) -> None:
    assert refusal(command) == (7, f"bad_request: $.{field}: expected int <= 9223372036854775807")


def test_a_filter_is_seen_also_when_empty() -> None:
    received = decode_one(sdk.Command(id=1, subscribe=sdk.SubscribeRequest(channel="c", tf=sdk.FilterNode())))
    assert received.request.tf
    filtered = sdk.FilterNode(op="and", nodes=[sdk.FilterNode(key="k", cmp="eq", val="v")])
    assert decode_one(sdk.Command(id=1, subscribe=sdk.SubscribeRequest(channel="c", tf=filtered))).request.tf


@pytest.mark.parametrize(
    ("encoded", "kind"),
    [
        (sdk.Command(id=1, subscribe=sdk.SubscribeRequest(channel="c")).SerializeToString(), 15),
        (sdk.Command(id=1, publish=sdk.PublishRequest(channel="c", data=b"1")).SerializeToString(), 3),
        (sdk.Command(id=1, sub_refresh=sdk.SubRefreshRequest(channel="c")).SerializeToString(), 3),
    ],
)
def test_types_are_read_from_their_field_numbers(encoded: bytes, kind: int) -> None:
    # The SDK's own description is older than these fields: add `type = 1` to the end of the request by hand.
    typed = encoded[:3] + bytes([encoded[3] + 2]) + encoded[4:] + bytes([kind << 3, 1])
    (received,) = CODEC.decode(delimited(typed))
    assert isinstance(received, Command)
    assert received.request.type == 1  # type: ignore[union-attr] # these three have it


def test_an_unknown_command_with_an_id_is_unknown() -> None:
    received = decode_one(sdk.Command(id=7))
    assert isinstance(received, Invalid)
    assert received.id == 7
    assert received.error.code is METHOD_NOT_FOUND


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x05\x08",
        b"\xff",
        b"\xff\xff\xff\xff\x01",
        b"\x80\x80\x80\x80\x00",
        b"\x02\x08\x80",
        b"\x03\xff\xff\xff",
        b"\x04\x6a\x02\x12\xff",
        b"\x00\x01",
    ],
    ids=[
        "empty",
        "cut off",
        "half a length",
        "huge",
        "overlong",
        "half a field",
        "no field",
        "bad UTF-8",
        "pong and half",
    ],
)
def test_a_broken_frame_closes(frame: bytes) -> None:
    with pytest.raises(Closing) as caught:
        CODEC.decode(frame)
    assert caught.value.disconnect.code == 3501


def test_a_frame_of_a_mebibyte_is_read() -> None:
    subs = {f"conv:{number:026}": sdk.SubscribeRequest(recover=True, offset=number) for number in range(20_000)}
    received = decode_one(sdk.Command(id=1, connect=sdk.ConnectRequest(token="t", subs=subs)))
    assert len(received.request.subs) == 20_000


# --- encoding ---


@pytest.mark.parametrize(
    ("result", "name"),
    [
        (SubscribeResult(), "subscribe"),
        (UnsubscribeResult(), "unsubscribe"),
        (PublishResult(), "publish"),
        (PresenceResult({}), "presence"),
        (PresenceStatsResult(0, 0), "presence_stats"),
        (HistoryResult([], "", 0), "history"),
        (PingResult(), "ping"),
        (RPCResult(), "rpc"),
        (RefreshResult(), "refresh"),
        (SubRefreshResult(), "sub_refresh"),
    ],
)
def test_every_reply_has_its_result_also_when_it_is_empty(result: Result, name: str) -> None:
    reply = read(CODEC.reply(Reply(1, result)))
    assert [field.name for field, _ in reply.ListFields()] == ["id", name]


def test_empty_events_are_there() -> None:
    assert read(CODEC.push(Push("c", Subscribe()))).push.HasField("subscribe")
    assert read(CODEC.publication("c", Publication())).push.HasField("pub")


def test_payloads_are_json_text() -> None:
    assert read(CODEC.publication("c", Publication(Payload(b'{"a" : 1}')))).push.pub.data == b'{"a" : 1}'


def test_the_ping_is_a_zero_byte() -> None:
    assert CODEC.join([CODEC.ping]) == b"\x00"


@pytest.mark.parametrize("size", [1, 100, 110, 127, 128, 16_370, 16_383, 16_384, 70_000, 2_097_152])
def test_messages_of_any_size_are_prefixed_by_their_length(size: int) -> None:
    large = CODEC.reply(Reply(1, RPCResult(Payload(b"1" * size))))
    small = CODEC.reply(Reply(2, PingResult()))
    frame = CODEC.join([large, CODEC.ping, small])
    first, second, third = undelimited(frame)
    assert sdk.Reply.FromString(first).rpc.data == b"1" * size
    assert second == b""
    assert sdk.Reply.FromString(third).id == 2
