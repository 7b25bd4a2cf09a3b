"""How a delivery looks on the bus: `<offset>:<epoch>:<holder>:` in ASCII, then an opaque body in MessagePack. Pure.

The header is text so that a script inside Redis can put the offset and epoch it has just given out in front of a body
it cannot read. `holder` is the process that has the delivery already (empty: nobody has): it drops what comes back to
it after looking at the header alone. The body is an array that starts with its version; a reader ignores elements
that it does not know at the end, and refuses a version that it does not know.
"""

from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from realtime.ports import Delivery
from realtime.protocol.messages import EMPTY, MAX_OFFSET, ClientInfo, Publication

VERSION: Final = 1

_MAX_OFFSET_DIGITS: Final = len(str(MAX_OFFSET))


class EnvelopeError(ValueError):
    """These bytes are no delivery that this version understands. The message never quotes them."""


class _Info(Struct, frozen=True, gc=False, array_like=True):
    user: str
    client: str
    conn_info: bytes = b""
    chan_info: bytes = b""


class _Body(Struct, frozen=True, gc=False, array_like=True):
    version: int
    kind: Literal["pub", "join", "leave"]
    data: bytes = b""
    info: _Info | None = None
    tags: dict[str, str] = {}
    time: int = 0


# Both are immutable and keep nothing between calls.
_ENCODER: Final = msgspec.msgpack.Encoder()
_BODIES: Final = msgspec.msgpack.Decoder(_Body)
_INFOS: Final = msgspec.msgpack.Decoder(_Info)


def encode(delivery: Delivery, *, holder: str = "") -> bytes:
    """The whole message. Raises ValueError for an epoch or holder that a header cannot carry."""
    publication = delivery.publication
    return header(publication.offset, delivery.epoch, holder) + body(delivery.kind, publication)


def header(offset: int, epoch: str, holder: str = "") -> bytes:
    """What stands before a body. Raises ValueError where a part contains a colon or is not ASCII."""
    text = f"{offset}:{epoch}:{holder}:"
    if text.count(":") != 3 or not text.isascii():
        raise ValueError("epoch and process id are ASCII without colons")
    return text.encode("ascii")


def body(kind: str, publication: Publication) -> bytes:
    """All but the place in the stream."""
    info = None if publication.info is None else _pack_info(publication.info)
    return _ENCODER.encode((VERSION, kind, bytes(publication.data), info, publication.tags, publication.time))


def decode(channel: str, message: bytes, *, own: bytes = b"") -> Delivery | None:
    """Read a message heard on a channel; None where its holder is `own`. Raises EnvelopeError."""
    try:
        offset, epoch, holder, packed = message.split(b":", 3)
    except ValueError:
        raise EnvelopeError("no header") from None
    if holder and holder == own:
        return None
    try:
        kind, publication = _unpack(packed, int(_digits(offset)))
        return Delivery(channel, kind, publication, epoch.decode("ascii"), holder.decode("ascii"))
    except UnicodeDecodeError:
        raise EnvelopeError("the header is not ASCII") from None


def decode_body(packed: bytes, offset: int) -> Publication:
    """Read a body as it is kept in a stream. Raises EnvelopeError."""
    return _unpack(packed, offset)[1]


def encode_info(info: ClientInfo) -> bytes:
    """A client's info as presence keeps it."""
    return _ENCODER.encode(_pack_info(info))


def decode_info(packed: bytes) -> ClientInfo:
    """Raises EnvelopeError."""
    try:
        return _unpack_info(_INFOS.decode(packed))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("not a client's info") from error


def _digits(offset: bytes) -> bytes:
    # int() alone would take signs, spaces, underscores and any length.
    if not offset.isdigit() or len(offset) > _MAX_OFFSET_DIGITS:
        raise EnvelopeError("the offset is not a number")
    return offset


def _unpack(packed: bytes, offset: int) -> tuple[str, Publication]:
    try:
        read = _BODIES.decode(packed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("the body is not of this version") from error
    if read.version != VERSION:
        raise EnvelopeError("the body is of another version")
    info = None if read.info is None else _unpack_info(read.info)
    return read.kind, Publication(_raw(read.data), info, offset, read.tags, read.time)


def _pack_info(info: ClientInfo) -> _Info:
    return _Info(info.user, info.client, bytes(info.conn_info), bytes(info.chan_info))


def _unpack_info(info: _Info) -> ClientInfo:
    return ClientInfo(info.user, info.client, _raw(info.conn_info), _raw(info.chan_info))


def _raw(payload: bytes) -> Raw:
    return Raw(payload) if payload else EMPTY
