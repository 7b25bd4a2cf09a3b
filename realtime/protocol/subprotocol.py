"""Which spelling a client asked for, by the WebSocket subprotocols that it offered."""

from collections.abc import Iterable
from typing import Final

from realtime.protocol.codec import Codec
from realtime.protocol.json_codec import JsonCodec
from realtime.protocol.protobuf_codec import ProtobufCodec

JSON: Final[Codec] = JsonCodec()
PROTOBUF: Final[Codec] = ProtobufCodec()
_CODECS: Final = {"centrifuge-json": JSON, "centrifuge-protobuf": PROTOBUF}


def negotiate(headers: Iterable[str]) -> tuple[Codec, str | None]:
    """The codec and the subprotocol to echo (None: no header). `headers`: the values of Sec-WebSocket-Protocol.

    The first offer that is known counts. None offered, an empty header, and only unknown ones are JSON.
    """
    for header in headers:
        for offer in header.split(","):
            name = offer.strip()
            if name in _CODECS:
                return _CODECS[name], name
    return JSON, None
