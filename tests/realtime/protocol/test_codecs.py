"""What every codec does, whatever it writes."""

import pytest
from centrifuge.protocol import client_pb2 as sdk

from realtime.protocol.codec import MAX_MESSAGES_PER_FRAME, Codec
from realtime.protocol.codes import Closing
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.messages import (
    Command,
    Payload,
    PingRequest,
    Pong,
    Publication,
    Push,
    Reply,
    RPCResult,
    SendRequest,
    SubscribeRequest,
)
from realtime.protocol.protobuf_codec import ProtobufCodec
from support.varints import delimited

JSON: Codec = JsonCodec()
PROTOBUF: Codec = ProtobufCodec()

both = pytest.mark.parametrize("codec", [JSON, PROTOBUF], ids=lambda codec: codec.name)
PINGS = {
    "json": b'{"id":1,"ping":{}}',
    "protobuf": delimited(sdk.Command(id=1, ping=sdk.PingRequest()).SerializeToString()),
}


@both
def test_the_answer_to_a_ping_is_a_pong(codec: Codec) -> None:
    assert codec.decode(codec.join([codec.ping])) == [Pong()]


@both
def test_several_messages_in_a_frame_keep_their_order(codec: Codec) -> None:
    frame = codec.join([PINGS[codec.name], codec.ping, PINGS[codec.name]])
    assert codec.decode(frame) == [Command(1, PingRequest()), Pong(), Command(1, PingRequest())]


@both
def test_the_number_of_messages_in_a_frame_is_bounded(codec: Codec) -> None:
    ping = PINGS[codec.name]
    assert len(codec.decode(codec.join([ping] * MAX_MESSAGES_PER_FRAME))) == MAX_MESSAGES_PER_FRAME
    with pytest.raises(Closing):
        codec.decode(codec.join([ping] * (MAX_MESSAGES_PER_FRAME + 1)))


@both
def test_publication_is_the_push_of_a_publication(codec: Codec) -> None:
    publication = Publication(Payload(b'{"a":1}'), offset=4, tags={"k": "v"}, time=5)
    assert codec.publication("c", publication) == codec.push(Push("c", publication))


@both
def test_a_nesting_bomb_in_a_payload_harms_nobody(codec: Codec) -> None:
    for depth in (61, 500, 900, 1100, 100_000):
        bomb = b"[" * depth + b"]" * depth
        frames = {
            "json": b'{"id":1,"rpc":{"method":"m","data":' + bomb + b"}}",
            "protobuf": delimited(sdk.Command(id=1, rpc=sdk.RPCRequest(method="m", data=bomb)).SerializeToString()),
        }
        try:
            (received,) = codec.decode(codec.join([frames[codec.name]]))
        except Closing:
            continue
        assert received.error.field == "rpc.data"  # type: ignore[union-attr] # it is Invalid, or this fails


def test_delta_is_read_and_nothing_more() -> None:
    json = b'{"id":1,"subscribe":{"channel":"c","delta":"fossil","flag":3}}'
    protobuf = sdk.Command(id=1, subscribe=sdk.SubscribeRequest(channel="c", delta="fossil", flag=3))
    expected = [Command(1, SubscribeRequest("c", delta="fossil", flag=3))]
    assert JSON.decode(json) == expected
    assert PROTOBUF.decode(delimited(protobuf.SerializeToString())) == expected


def test_send_is_understood() -> None:
    assert JSON.decode(b'{"send":{"data":1}}') == [Command(0, SendRequest())]
    send = sdk.Command(send=sdk.SendRequest(data=b"\xff")).SerializeToString()
    assert PROTOBUF.decode(delimited(send)) == [Command(0, SendRequest())]


def test_the_opcodes_are_text_and_binary() -> None:
    assert (JSON.opcode, PROTOBUF.opcode) == (1, 2)


@both
def test_encoded_messages_are_bytes_that_can_be_joined_again_and_again(codec: Codec) -> None:
    reply = codec.reply(Reply(1, RPCResult(Payload(b'{"ok":true}'))))
    assert codec.join([reply, reply]).count(b'{"ok":true}') == 2
