"""Whatever is said in one codec is the same in the other. The other Protobuf side is the Python SDK's own code."""

import json
from typing import Any

from centrifuge.protocol import client_pb2 as sdk
from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.codec import Codec
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.messages import (
    EMPTY,
    MAX_OFFSET,
    ClientInfo,
    Command,
    ConnectResult,
    Disconnect,
    Error,
    Event,
    HistoryResult,
    Join,
    Leave,
    Payload,
    PingResult,
    PresenceResult,
    PresenceStatsResult,
    Publication,
    PublishResult,
    Push,
    RefreshResult,
    Reply,
    Result,
    RPCResult,
    SubRefreshResult,
    Subscribe,
    SubscribeResult,
    Unsubscribe,
    UnsubscribeResult,
)
from realtime.protocol.protobuf_codec import ProtobufCodec
from support.varints import delimited, undelimited

JSON: Codec = JsonCodec()
PROTOBUF: Codec = ProtobufCodec()

text = st.text(st.characters(codec="utf-8"), max_size=20)
uint32 = st.integers(0, 2**32 - 1)
offset = st.integers(0, MAX_OFFSET)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)
json_text = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    json_value,
    st.booleans(),
    st.none() | st.just(2),
)
line_of_json = st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), json_value, st.booleans()
)


# --- what clients send. One description, spelled twice ---


def fields(required: dict[str, Any] | None = None, **optional: Any) -> Any:
    return st.fixed_dictionaries(required or {}, optional=optional)


position = fields(recover=st.booleans(), epoch=text, offset=offset)
requests = {
    "connect": fields(
        token=text, data=line_of_json, name=text, version=text, subs=st.dictionaries(text, position, max_size=3)
    ),
    "subscribe": fields(
        channel=text,
        token=text,
        recover=st.booleans(),
        epoch=text,
        offset=offset,
        data=line_of_json,
        positioned=st.booleans(),
        recoverable=st.booleans(),
        join_leave=st.booleans(),
        delta=text,
        flag=st.integers(-(2**63), 2**63 - 1),
    ),
    "unsubscribe": fields(channel=text),
    "publish": fields(channel=text, data=line_of_json),
    "presence": fields(channel=text),
    "presence_stats": fields(channel=text),
    "history": fields(
        channel=text,
        limit=st.integers(-(2**31), 2**31 - 1),
        since=fields(offset=offset, epoch=text),
        reverse=st.booleans(),
    ),
    "ping": fields(),
    "send": fields(data=line_of_json),
    "rpc": fields(data=line_of_json, method=text),
    "refresh": fields(token=text),
    "sub_refresh": fields(channel=text, token=text),
}
command = st.one_of(
    [st.tuples(st.integers(1, 2**32 - 1), st.just(name), request) for name, request in requests.items()]
)


def in_json(command_id: int, name: str, request: dict[str, Any]) -> bytes:
    """By string concatenation where a payload is, as it has to arrive byte by byte."""
    pairs = [f"{json.dumps(key)}:{value if key == 'data' else json.dumps(value)}" for key, value in request.items()]
    return f'{{"id":{command_id},"{name}":{{{",".join(pairs)}}}}}'.encode()


def in_protobuf(command_id: int, name: str, request: dict[str, Any]) -> bytes:
    encoded = {key: value.encode() if key == "data" else value for key, value in request.items()}
    encoded_command: bytes = sdk.Command(id=command_id, **{name: encoded}).SerializeToString()
    return encoded_command


@given(st.lists(command, min_size=1, max_size=5))
def test_commands_mean_the_same_in_both_codecs(commands: list[tuple[int, str, dict[str, Any]]]) -> None:
    from_json = JSON.decode(JSON.join([in_json(*command) for command in commands]))
    from_protobuf = PROTOBUF.decode(delimited(*[in_protobuf(*command) for command in commands]))
    assert from_json == from_protobuf
    for (command_id, name, request), received in zip(commands, from_json, strict=True):
        assert isinstance(received, Command)
        assert received.id == command_id
        if name != "send" and "data" in request:
            assert bytes(received.request.data) == request["data"].encode()  # type: ignore[union-attr] # it is there


# --- what clients get ---

payloads = st.just(EMPTY) | json_text.map(lambda value: Payload(value.encode()))
info = st.builds(ClientInfo, text, text, payloads, payloads)
publication = st.builds(
    Publication,
    payloads,
    st.none() | info,
    offset,
    st.dictionaries(text, text, max_size=3),
    st.integers(-(2**63), 2**63 - 1),
)
publications = st.lists(publication, max_size=3)
reason = text.filter(bool)
subscribed = st.builds(
    SubscribeResult,
    st.booleans(),
    uint32,
    st.booleans(),
    text,
    publications,
    st.booleans(),
    offset,
    st.booleans(),
    payloads,
    st.booleans(),
)
result: st.SearchStrategy[Result | Error] = st.one_of(
    st.builds(Error, st.integers(100, 5000), reason, st.booleans()),
    st.builds(
        ConnectResult,
        client=reason,
        version=reason,
        expires=st.booleans(),
        ttl=uint32,
        data=payloads,
        subs=st.dictionaries(text, subscribed, max_size=3),
        ping=st.integers(1, 100),
        pong=st.booleans(),
        session=text,
        node=text,
        time=st.integers(-(2**63), 2**63 - 1),
    ),
    subscribed,
    st.just(UnsubscribeResult()),
    st.just(PublishResult()),
    st.builds(PresenceResult, st.dictionaries(text, info, max_size=3)),
    st.builds(PresenceStatsResult, uint32, uint32),
    st.builds(HistoryResult, publications, text, offset),
    st.just(PingResult()),
    st.builds(RPCResult, payloads),
    st.builds(RefreshResult, st.booleans(), uint32, text, text),
    st.builds(SubRefreshResult, st.booleans(), uint32),
)
event: st.SearchStrategy[Event] = st.one_of(
    publication,
    st.builds(Join, info),
    st.builds(Leave, info),
    st.builds(Subscribe, st.booleans(), text, offset, st.booleans(), payloads),
    st.builds(Unsubscribe, st.integers(2000, 2999), reason),
    st.builds(Disconnect, st.integers(3000, 4999), reason),
)
PAYLOAD_FIELDS = {"data", "conn_info", "chan_info"}


def plain(message: Any) -> dict[str, Any]:
    """A Protobuf message as the JSON codec would show it: payloads parsed, zeros left out, present messages kept."""
    shown: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is None:
            shown[field.name] = json.loads(value) if field.name in PAYLOAD_FIELDS else value
        elif field.message_type.GetOptions().map_entry:
            shown[field.name] = {key: value if isinstance(value, str) else plain(value) for key, value in value.items()}
        elif not hasattr(value, "ListFields"):
            shown[field.name] = [plain(item) for item in value]
        else:
            shown[field.name] = plain(value)
    return shown


def without_zeros(value: Any, key: str = "") -> Any:
    """What JSON writes although it is zero, taken out (which ones those are has its own tests)."""
    if key in PAYLOAD_FIELDS or not isinstance(value, dict):
        return [without_zeros(item) for item in value] if key == "publications" else value
    shown = {name: without_zeros(item, name) for name, item in value.items()}
    by_client = key in {"presence", "subs", "tags"}
    return {
        name: item
        for name, item in shown.items()
        if by_client or name in PAYLOAD_FIELDS or isinstance(item, dict) or item not in (0, "", [])
    }


def same(in_json: bytes, in_protobuf: bytes) -> None:
    assert b"\n" not in in_json
    assert b"\r" not in in_json
    left = without_zeros(json.loads(in_json))
    (message,) = undelimited(in_protobuf)
    right = plain(sdk.Reply.FromString(message))
    if left.get("presence") == {"presence": {}}:
        left["presence"] = {}  # written also when empty; in Protobuf there is no difference
    assert left == right


@given(uint32.filter(bool), result)
def test_replies_mean_the_same_in_both_codecs(command_id: int, result: Result | Error) -> None:
    reply = Reply(command_id, result)
    same(JSON.reply(reply), PROTOBUF.reply(reply))


@given(text, event)
def test_pushes_mean_the_same_in_both_codecs(channel: str, event: Event) -> None:
    push = Push(channel, event)
    same(JSON.push(push), PROTOBUF.push(push))


@given(text, publication)
def test_publications_mean_the_same_in_both_codecs(channel: str, publication: Publication) -> None:
    same(JSON.publication(channel, publication), PROTOBUF.publication(channel, publication))


@given(st.lists(st.tuples(text, publication), min_size=1, max_size=5))
def test_a_frame_of_several_messages_can_be_taken_apart(publications: list[tuple[str, Publication]]) -> None:
    in_json = [JSON.publication(*item) for item in publications]
    in_protobuf = [PROTOBUF.publication(*item) for item in publications]
    assert JSON.join(in_json).split(b"\n") == in_json
    assert [delimited(message) for message in undelimited(PROTOBUF.join(in_protobuf))] == in_protobuf
