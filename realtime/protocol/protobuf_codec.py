"""The Protobuf spelling: varint-prefixed messages in binary frames, by the upb runtime. Payloads are JSON text, too."""

from collections.abc import Sequence
from typing import Final, Literal, assert_never

from google.protobuf.message import DecodeError

from realtime.protocol import client_pb2 as pb
from realtime.protocol.codec import MAX_MESSAGES_PER_FRAME, broken, unusable
from realtime.protocol.codes import BAD_REQUEST, METHOD_NOT_FOUND, ClientError
from realtime.protocol.messages import (
    EMPTY,
    MAX_OFFSET,
    REPLIES,
    ClientInfo,
    Command,
    ConnectRequest,
    ConnectResult,
    Disconnect,
    Error,
    Event,
    HistoryRequest,
    HistoryResult,
    Invalid,
    Join,
    Leave,
    Payload,
    PingRequest,
    PingResult,
    Pong,
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
    Publication,
    PublishRequest,
    PublishResult,
    Push,
    Received,
    RefreshRequest,
    RefreshResult,
    Reply,
    Request,
    Result,
    Resume,
    RPCRequest,
    RPCResult,
    SendRequest,
    StreamPosition,
    SubRefreshRequest,
    SubRefreshResult,
    Subscribe,
    SubscribeRequest,
    SubscribeResult,
    Unsubscribe,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from realtime.protocol.payload import checked_payload

_PONG: Final = Pong()
_FILTER: Final = Payload(b"{}")


class ProtobufCodec:
    """See `Codec`."""

    __slots__ = ()

    name: Final[Literal["protobuf"]] = "protobuf"
    opcode: Final[Literal[2]] = 2
    ping: Final = b"\x00"

    def decode(self, frame: bytes) -> list[Received]:
        received: list[Received] = []
        position = 0
        while position < len(frame):
            size, position = _read_varint(frame, position)
            end = position + size
            if end > len(frame) or len(received) == MAX_MESSAGES_PER_FRAME:
                raise broken("a message is cut off, or there are too many")
            received.append(_received(frame[position:end]) if size else _PONG)
            position = end
        if not received:
            raise broken("an empty frame")
        return received

    def reply(self, reply: Reply) -> bytes:
        message = pb.Reply(id=reply.id)
        _write_result(message, reply.result)
        return _delimited(message)

    def push(self, push: Push) -> bytes:
        if isinstance(push.event, Publication):
            return self.publication(push.channel, push.event)
        message = pb.Reply()
        message.push.channel = push.channel
        _write_event(message.push, push.event)
        return _delimited(message)

    def publication(self, channel: str, publication: Publication) -> bytes:
        message = pb.Reply()
        push = message.push
        push.channel = channel
        _write_publication(push.pub, publication)
        return _delimited(message)

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"".join(parts)


# --- framing ---


def _read_varint(frame: bytes, position: int) -> tuple[int, int]:
    """(value, position after it). Four bytes hold more than any frame is long."""
    value = 0
    for shift in (0, 7, 14, 21):
        if position >= len(frame):
            break
        byte = frame[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise broken("a length prefix is malformed")


def _delimited(message: pb.Reply) -> bytes:
    """Already with its length in front: a message is encoded once and joined often."""
    encoded = message.SerializeToString()
    size = len(encoded)
    if size < 0x80:
        return bytes((size,)) + encoded
    if size < 0x4000:
        return bytes((size & 0x7F | 0x80, size >> 7)) + encoded
    prefix = bytearray()
    while size >= 0x80:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + encoded


# --- from a client ---


def _received(encoded: bytes) -> Received:
    try:
        command = pb.Command.FromString(encoded)
    except DecodeError:
        raise broken("not Protobuf") from None
    kind = command.WhichOneof("request")
    if kind is None:
        return Invalid(command.id, ClientError(METHOD_NOT_FOUND)) if command.id else _PONG
    try:
        return Command(command.id, _request(kind, command))
    except ClientError as error:
        return unusable(command.id, error)


def _request(kind: str, command: pb.Command) -> Request:
    match kind:
        case "rpc":
            rpc = command.rpc
            return RPCRequest(rpc.method, checked_payload(rpc.data, "rpc.data"))
        case "publish":
            publish = command.publish
            return PublishRequest(publish.channel, checked_payload(publish.data, "publish.data"), publish.type)
        case "subscribe":
            return _subscribe(command.subscribe)
        case "connect":
            return _connect(command.connect)
        case "history":
            return _history(command.history)
        case "unsubscribe":
            return UnsubscribeRequest(command.unsubscribe.channel)
        case "presence":
            return PresenceRequest(command.presence.channel)
        case "presence_stats":
            return PresenceStatsRequest(command.presence_stats.channel)
        case "ping":
            return PingRequest()
        case "send":
            return SendRequest()
        case "refresh":
            return RefreshRequest(command.refresh.token)
        case "sub_refresh":
            sub_refresh = command.sub_refresh
            return SubRefreshRequest(sub_refresh.channel, sub_refresh.token, sub_refresh.type)
        case _:
            raise AssertionError(f"client.proto has a request that is not read: {kind}")


def _connect(request: pb.ConnectRequest) -> ConnectRequest:
    return ConnectRequest(
        token=request.token,
        data=checked_payload(request.data, "connect.data"),
        subs={
            channel: Resume(sub.recover, sub.epoch, _offset(sub.offset, "connect.subs[...].offset"))
            for channel, sub in request.subs.items()
        },
        name=request.name,
        version=request.version,
    )


def _subscribe(request: pb.SubscribeRequest) -> SubscribeRequest:
    return SubscribeRequest(
        channel=request.channel,
        token=request.token,
        recover=request.recover,
        epoch=request.epoch,
        offset=_offset(request.offset, "subscribe.offset"),
        data=checked_payload(request.data, "subscribe.data"),
        positioned=request.positioned,
        recoverable=request.recoverable,
        join_leave=request.join_leave,
        delta=request.delta,
        tf=_FILTER if request.HasField("tf") else EMPTY,
        flag=request.flag,
        type=request.type,
    )


def _history(request: pb.HistoryRequest) -> HistoryRequest:
    since = None
    if request.HasField("since"):
        since = StreamPosition(_offset(request.since.offset, "history.since.offset"), request.since.epoch)
    return HistoryRequest(request.channel, request.limit, since, request.reverse)


def _offset(value: int, field: str) -> int:
    if value > MAX_OFFSET:
        raise ClientError(BAD_REQUEST, f"expected int <= {MAX_OFFSET}", field)
    return value


# --- to a client ---


def _write_result(reply: pb.Reply, result: Result | Error) -> None:
    # Also where it is empty the result has to be there: SDKs close the connection on a reply without one.
    getattr(reply, REPLIES[type(result)]).SetInParent()
    match result:
        case RPCResult(data=data):
            reply.rpc.data = bytes(data)
        case SubscribeResult():
            _write_subscribed(reply.subscribe, result)
        case ConnectResult():
            _write_connected(reply.connect, result)
        case Error(code=code, message=message, temporary=temporary):
            reply.error.code = code
            reply.error.message = message
            reply.error.temporary = temporary
        case HistoryResult(publications=publications, epoch=epoch, offset=offset):
            reply.history.epoch = epoch
            reply.history.offset = offset
            for publication in publications:
                _write_publication(reply.history.publications.add(), publication)
        case PresenceResult(presence=presence):
            for client, info in presence.items():
                _write_info(reply.presence.presence[client], info)
        case PresenceStatsResult(num_clients=num_clients, num_users=num_users):
            reply.presence_stats.num_clients = num_clients
            reply.presence_stats.num_users = num_users
        case RefreshResult(client=client, version=version, expires=expires, ttl=ttl):
            reply.refresh.client = client
            reply.refresh.version = version
            reply.refresh.expires = expires
            reply.refresh.ttl = ttl
        case SubRefreshResult(expires=expires, ttl=ttl):
            reply.sub_refresh.expires = expires
            reply.sub_refresh.ttl = ttl
        case PublishResult() | UnsubscribeResult() | PingResult():
            pass
        case _:
            assert_never(result)


def _write_connected(message: pb.ConnectResult, result: ConnectResult) -> None:
    message.client = result.client
    message.version = result.version
    message.expires = result.expires
    message.ttl = result.ttl
    message.data = bytes(result.data)
    message.ping = result.ping
    message.pong = result.pong
    message.session = result.session
    message.node = result.node
    message.time = result.time
    for channel, sub in result.subs.items():
        _write_subscribed(message.subs[channel], sub)


def _write_subscribed(message: pb.SubscribeResult, result: SubscribeResult) -> None:
    # There are hundreds in a connect reply, and reading ours is cheaper than writing theirs.
    if result.expires:
        message.expires = True
    if result.ttl:
        message.ttl = result.ttl
    if result.recoverable:
        message.recoverable = True
    if result.positioned:
        message.positioned = True
    if result.was_recovering:
        message.was_recovering = True
    if result.recovered:
        message.recovered = True
    message.epoch = result.epoch
    message.offset = result.offset
    if result.data:
        message.data = bytes(result.data)
    for publication in result.publications:
        _write_publication(message.publications.add(), publication)


def _write_event(push: pb.Push, event: Event) -> None:
    match event:
        case Publication():
            _write_publication(push.pub, event)
        case Join(info=info):
            _write_info(push.join.info, info)
        case Leave(info=info):
            _write_info(push.leave.info, info)
        case Subscribe():
            push.subscribe.SetInParent()
            push.subscribe.recoverable = event.recoverable
            push.subscribe.epoch = event.epoch
            push.subscribe.offset = event.offset
            push.subscribe.positioned = event.positioned
            push.subscribe.data = bytes(event.data)
        case Unsubscribe(code=code, reason=reason):
            push.unsubscribe.code = code
            push.unsubscribe.reason = reason
        case Disconnect(code=code, reason=reason):
            push.disconnect.code = code
            push.disconnect.reason = reason
        case _:
            assert_never(event)


def _write_publication(message: pb.Publication, publication: Publication) -> None:
    message.SetInParent()
    message.data = bytes(publication.data)
    message.offset = publication.offset
    message.time = publication.time
    if publication.tags:
        message.tags.update(publication.tags)
    if publication.info is not None:
        _write_info(message.info, publication.info)


def _write_info(message: pb.ClientInfo, info: ClientInfo) -> None:
    message.SetInParent()
    message.user = info.user
    message.client = info.client
    message.conn_info = bytes(info.conn_info)
    message.chan_info = bytes(info.chan_info)
