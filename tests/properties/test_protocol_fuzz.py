"""Nothing that a client sends raises anything but `Closing`, and nothing that passes is broken JSON."""

import json
from typing import Any

import orjson
import pytest
from centrifuge.protocol import client_pb2 as sdk
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.protocol.codec import Codec
from realtime.protocol.codes import ClientError, Closing
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.messages import Command, Invalid, Pong, Publication, Received
from realtime.protocol.payload import checked_payload
from realtime.protocol.protobuf_codec import ProtobufCodec
from support.varints import delimited

JSON: Codec = JsonCodec()
PROTOBUF: Codec = ProtobufCodec()


def check(codec: Codec, frame: bytes) -> None:
    closing = None
    received: list[Received] = []
    try:
        received = codec.decode(frame)
    except Closing as caught:
        closing = caught
    assert bool(received) is (closing is None)
    assert closing is None or (closing.disconnect.code in {1007, 3501} and closing.reason)
    for item in received:
        match item:
            case Invalid(id=command_id, error=error):
                assert command_id > 0
                assert error.code.code in {104, 107}
            case Command(request=request):
                data = getattr(request, "data", None)
                if data:
                    orjson.loads(bytes(data))
            case Pong():
                pass


json_atoms = st.sampled_from(
    [
        *'{}[]",:\\',
        "\n",
        " ",
        '{"id":1,',
        '"rpc":{',
        '"subscribe":{',
        '"connect":{',
        '"subs":{',
        '"data":',
        '"channel":',
        '"offset":',
        '"id":',
        "NaN",
        "-Infinity",
        "1e999",
        "-0",
        "null",
        "true",
        "9" * 40,
        "\\ud800",
        "\\u0000",
        "\ufeff",
        "\u2028",
    ]
)
nearly_json = st.lists(json_atoms | st.text(max_size=3), max_size=30).map(
    lambda parts: "".join(parts).encode(errors="surrogatepass")
)
loose_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
request_fields = st.dictionaries(
    st.sampled_from(
        ["channel", "data", "token", "offset", "subs", "since", "limit", "type", "tf", "flag", "method", "x"]
    ),
    loose_value,
    max_size=4,
)
mistyped = st.dictionaries(
    st.sampled_from(["id", "connect", "subscribe", "publish", "history", "rpc", "send", "sub_refresh", "ping", "x"]),
    request_fields | loose_value,
    max_size=3,
)


@given(st.binary())
@example(b'{"id":1,"rpc":{"data":' + b"[" * 2000 + b"NaN" + b"]" * 2000 + b"}}")
@example(b'{"id":1,"x":' + b"[" * 990 + b"]" * 990 + b',"rpc":{"data":NaN}}')
def test_arbitrary_bytes_are_read_or_close(frame: bytes) -> None:
    check(JSON, frame)
    check(PROTOBUF, frame)


@given(nearly_json)
def test_what_is_nearly_json_is_read_or_closes(frame: bytes) -> None:
    check(JSON, frame)


@given(st.lists(mistyped, min_size=1, max_size=3), st.booleans())
def test_commands_of_any_types_are_read_refused_or_close(commands: list[Any], ascii_only: bool) -> None:
    lines = [json.dumps(command, ensure_ascii=ascii_only) for command in commands]
    check(JSON, "\n".join(lines).encode(errors="surrogatepass"))


@given(mistyped, st.integers(1, 2**32 - 1))
def test_a_strict_json_command_with_an_id_is_never_the_end(command: dict[str, Any], command_id: int) -> None:
    text = json.dumps({**command, "id": command_id})
    assert len(JSON.decode(text.encode())) == 1


@given(
    st.binary(max_size=20),
    st.binary(max_size=20),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["rpc", "publish", "subscribe", "connect", "history"]),
)
def test_protobuf_commands_of_any_content_are_read_refused_or_close(
    data: bytes, junk: bytes, offset: int, command_id: int, kind: str
) -> None:
    contents: dict[str, Any] = {
        "rpc": {"method": "m", "data": data},
        "publish": {"channel": "c", "data": data},
        "subscribe": {"channel": "c", "data": data, "offset": offset},
        "connect": {"data": data, "subs": {"c": {"offset": offset}}},
        "history": {"channel": "c", "since": {"offset": offset}},
    }
    encoded = sdk.Command(id=command_id, **{kind: contents[kind]}).SerializeToString()
    check(PROTOBUF, delimited(encoded))
    check(PROTOBUF, delimited(encoded + junk))
    check(PROTOBUF, delimited(encoded) + junk)


@given(st.binary() | nearly_json | loose_value.map(lambda value: json.dumps(value).encode()))
def test_a_payload_that_passes_reaches_strict_receivers_whole(data: bytes) -> None:
    try:
        payload = checked_payload(data, "publish.data")
    except ClientError:
        return
    pushed = JSON.publication("c", Publication(payload))
    assert b"\n" not in pushed
    publication = orjson.loads(pushed)["push"]["pub"]
    assert ("data" in publication) is bool(data)
    if data:
        assert publication["data"] == orjson.loads(data)
    assert PROTOBUF.decode(delimited(sdk.Command(id=1, rpc={"data": bytes(payload)}).SerializeToString()))


@pytest.mark.parametrize("depth", [50, 61, 400, 800, 950, 1000, 1100, 5000])
@pytest.mark.parametrize(
    "shape", ['{{"id":1,"rpc":{{"data":{0}}}}}', '{{"id":1,"x":{0}}}', '{{"id":1,"rpc":{{"data":{0}NaN}}}}', "{0}"]
)
def test_nesting_of_any_depth_at_any_place_is_read_refused_or_closes(depth: int, shape: str) -> None:
    check(JSON, shape.format("[" * depth + "]" * depth).encode())
    check(JSON, shape.format('{"a":' * depth + "NaN" + "}" * depth).encode())


def test_no_depth_is_just_too_deep_for_one_parser_and_not_for_the_next() -> None:
    for depth in range(600, 1020):
        nested = "[" * depth + "]" * depth
        check(JSON, f'{{"id":1,"rpc":{{"a":NaN,"data":{nested}}}}}'.encode())
        check(JSON, f'{{"id":1,"rpc":{{"method":1,"data":{nested}}}}}'.encode())
