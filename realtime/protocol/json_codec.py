"""The JSON spelling: one message a line, in text frames. Payloads are embedded as they are."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Struct

from realtime.protocol.codec import MAX_MESSAGES_PER_FRAME, broken, unusable
from realtime.protocol.codes import BAD_REQUEST, CLOSE_FRAME_TEXT, METHOD_NOT_FOUND, ClientError, Closing
from realtime.protocol.messages import (
    PUSHES,
    REPLIES,
    Command,
    ConnectRequest,
    HistoryRequest,
    Invalid,
    PingRequest,
    Pong,
    PresenceRequest,
    PresenceStatsRequest,
    Publication,
    PublishRequest,
    Push,
    Received,
    RefreshRequest,
    Reply,
    Request,
    RPCRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeRequest,
    UInt32,
    UnsubscribeRequest,
)
from realtime.protocol.payload import checked_payload, one_line


class _Command(Struct, gc=False):
    """A command as it is written: at most one of the requests is there."""

    id: UInt32 = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: UnsubscribeRequest | None = None
    publish: PublishRequest | None = None
    presence: PresenceRequest | None = None
    presence_stats: PresenceStatsRequest | None = None
    history: HistoryRequest | None = None
    ping: PingRequest | None = None
    send: SendRequest | None = None
    rpc: RPCRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    def request(self) -> Request | None:
        return (
            self.connect
            or self.subscribe
            or self.unsubscribe
            or self.publish
            or self.presence
            or self.presence_stats
            or self.history
            or self.ping
            or self.send
            or self.rpc
            or self.refresh
            or self.sub_refresh
        )


class _Numbered(Struct, gc=False):
    """As much of a command as it takes to answer it."""

    id: UInt32 = 0


_ENCODER: Final = msgspec.json.Encoder()
_COMMANDS: Final = msgspec.json.Decoder(_Command)
_NUMBERED: Final = msgspec.json.Decoder(_Numbered)
_PONG: Final = Pong()
_WITH_DATA: Final = (RPCRequest, PublishRequest, SubscribeRequest, ConnectRequest)
_DATA_FIELDS: Final[Mapping[type[Request], str]] = {
    ConnectRequest: "connect.data",
    SubscribeRequest: "subscribe.data",
    PublishRequest: "publish.data",
    RPCRequest: "rpc.data",
}


class JsonCodec:
    """See `Codec`."""

    __slots__ = ()

    name: Final[Literal["json"]] = "json"
    opcode: Final[Literal[1]] = 1
    ping: Final = b"{}"

    def decode(self, frame: bytes) -> list[Received]:
        try:
            frame.isascii() or frame.decode()
        except UnicodeDecodeError:
            raise Closing(CLOSE_FRAME_TEXT, f"{CLOSE_FRAME_TEXT.reason}: not UTF-8") from None
        if b"\n" not in frame:
            return [_received(frame)]
        lines = [line for line in frame.split(b"\n") if line and not line.isspace()]
        if not lines or len(lines) > MAX_MESSAGES_PER_FRAME:
            raise broken(f"a frame has 1 to {MAX_MESSAGES_PER_FRAME} messages")
        return [_received(line) for line in lines]

    def reply(self, reply: Reply) -> bytes:
        return one_line(_ENCODER.encode({"id": reply.id, REPLIES[type(reply.result)]: reply.result}))

    def push(self, push: Push) -> bytes:
        event = {PUSHES[type(push.event)]: push.event}
        return one_line(_ENCODER.encode({"push": {"channel": push.channel, **event} if push.channel else event}))

    def publication(self, channel: str, publication: Publication) -> bytes:
        return one_line(_ENCODER.encode({"push": {"channel": channel, "pub": publication}}))

    def join(self, parts: Sequence[bytes]) -> bytes:
        return b"\n".join(parts)


def _received(line: bytes) -> Received:
    try:
        command = _COMMANDS.decode(line)
    except msgspec.ValidationError as error:
        return _misshapen(line, error)
    except msgspec.DecodeError:
        return _nearly_json(line)
    except RecursionError:
        raise broken("nested too deep") from None
    request = command.request()
    if request is None:
        return Invalid(command.id, ClientError(METHOD_NOT_FOUND)) if command.id else _PONG
    if isinstance(request, _WITH_DATA) and request.data:
        try:
            checked = checked_payload(bytes(request.data), _DATA_FIELDS[type(request)])
        except ClientError as error:
            return unusable(command.id, error)
        # Not the decoder's Raw, which would keep the whole line in memory for as long as the payload lives.
        msgspec.structs.force_setattr(request, "data", checked)
    return Command(command.id, request)


def _misshapen(line: bytes, error: msgspec.ValidationError) -> Invalid:
    """Valid JSON of the wrong types: answered if its id can be read."""
    try:
        command_id = _NUMBERED.decode(line).id
    except msgspec.ValidationError:
        raise broken("not a command with an id") from None
    except msgspec.DecodeError:
        return _nearly_json(line)
    except RecursionError:
        raise broken("nested too deep") from None
    rule, _, path = str(error).replace("`", "").partition(" - at $")
    return unusable(command_id, ClientError(BAD_REQUEST, rule[:1].lower() + rule[1:], path.removeprefix(".")))


def _nearly_json(line: bytes) -> Invalid:
    """What careless clients send in good faith: NaN, or an emoji cut in half. Any other broken line is a broken frame.

    A broken frame ends the connection for good, which would be hard on a user whose text was truncated at a bad place.
    """
    try:
        command = json.loads(line)
    except (ValueError, RecursionError):
        raise broken("not JSON") from None
    command_id = command.get("id") if isinstance(command, dict) else None
    if type(command_id) is not int or not 0 < command_id < 2**32:
        raise broken("not JSON")
    fields = (
        f"{name}.{key}"
        for name, request in command.items()
        if name in _Command.__struct_fields__ and isinstance(request, dict)
        for key, value in request.items()
        if not _is_strict(value)
    )
    return Invalid(command_id, ClientError(BAD_REQUEST, "must be JSON", next(fields, "")))


def _is_strict(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True
