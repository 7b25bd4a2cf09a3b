"""What came in a request, read strictly: bodies and query strings become typed structs or refusals, never a fault.

Bodies are JSON in UTF-8 of a bounded size that arrives at a decent pace. What passes `checked_payload` can be
stored, encoded again and read by every client: no depth bombs, no halves of surrogate pairs, no infinite numbers.
"""

import asyncio
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct
from msgspec.inspect import BoolType, IntType, Type, UnionType, type_info

from chat.http.deadlines import BODY_PACE
from chat.http.problems import Refusal
from chat.methods import invalid
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.payload import checked_payload

_BOOLEANS: Final = {"true": True, "false": False}
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,18})")

S = TypeVar("S", bound=Struct)


async def read_json(request: web.Request, *, max_bytes: int, required: bool = True) -> bytes:
    """A JSON body, good to be decoded and stored. Without `required` a request without body gives empty bytes.

    Raises ClientError: 415 for another type, charset or a compressed body, 413 over `max_bytes`, 408 when it takes too
    long, 400 when it breaks off or is no such JSON.
    """
    if not request.body_exists and not required:
        return b""
    if request.content_type != "application/json" or (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            codes.BAD_REQUEST,
            "Content-Type must be application/json, in UTF-8",
            headers={"Accept": "application/json"},
        )
    return bytes(checked_payload(await read_body(request, max_bytes=max_bytes), ""))


async def read_body(request: web.Request, *, max_bytes: int) -> bytes:
    """The bytes of a body, whatever its Content-Type says. Raises what `read_json` does but for the JSON."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, codes.BAD_REQUEST, "the body must not be compressed")
    if (request.content_length or 0) > max_bytes:
        raise _too_large(max_bytes)
    data = bytearray()
    loop = asyncio.get_running_loop()
    started = loop.time()
    try:
        while True:
            async with asyncio.timeout_at(started + BODY_PACE.allowed_s(len(data))):
                chunk = await request.content.readany()
            if not chunk:
                break
            data += chunk
            if len(data) > max_bytes:
                raise _too_large(max_bytes)
    except TimeoutError:
        # It holds a connection and sends next to nothing.
        raise Refusal(
            HTTPStatus.REQUEST_TIMEOUT,
            codes.BAD_REQUEST,
            f"the body takes longer than {BODY_PACE.grace_s:.0f} s and comes too slowly",
            headers={hdrs.CONNECTION: "close"},
        ) from None
    except (web.RequestPayloadError, ConnectionError):
        raise ClientError(codes.BAD_REQUEST, "the body broke off") from None
    return bytes(data)


def decode(decoder: "msgspec.json.Decoder[S]", data: bytes) -> S:
    """A JSON text that was checked, as what `decoder` is for. Raises ClientError that names field and rule."""
    try:
        return decoder.decode(data)
    except msgspec.ValidationError as error:
        raise invalid(error) from None
    except msgspec.DecodeError:
        # Checked is all but what is not there at all.
        raise ClientError(codes.BAD_REQUEST, "the body must be a JSON object") from None


class Parameters:
    """Reads the strings of a query, or of a path, as the fields of a struct type: text, whole numbers, true and false,
    literals.
    """

    def __init__(self, kind: type[Struct]) -> None:
        self._kind = kind
        fields = msgspec.structs.fields(kind)
        self._attributes: Final = attributes(kind)
        self.names: Final = tuple(self._attributes)
        self._integers: Final = frozenset(field.encode_name for field in fields if _is(IntType, field.type))
        self._booleans: Final = frozenset(field.encode_name for field in fields if _is(BoolType, field.type))

    def read(self, pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
        """Values by the names of the struct's attributes, without those that were not given.

        Raises ClientError: an unknown name (told which there are), one given twice, a value that breaks a rule.
        """
        given: dict[str, object] = {}
        for name, text in pairs:
            if name not in self.names:
                known = f"known are {', '.join(self.names)}" if self.names else "there are none here"
                raise ClientError(codes.BAD_REQUEST, f"is no parameter; {known}", name[:64])
            if name in given:
                raise ClientError(codes.BAD_REQUEST, "is given twice", name)
            given[name] = self._value(name, text)
        try:
            parsed = msgspec.convert(given, self._kind)
        except msgspec.ValidationError as error:
            raise invalid(error) from None
        return {(attribute := self._attributes[name]): getattr(parsed, attribute) for name in given}

    def _value(self, name: str, text: str) -> object:
        if name in self._booleans:
            return _BOOLEANS.get(text, text)  # what is neither is refused as of the wrong type
        if name not in self._integers:
            return text
        if _INTEGER.fullmatch(text, 0, len(text)) is None:
            raise ClientError(codes.BAD_REQUEST, "must be a whole number in plain digits", name)
        return int(text)


def attributes(kind: type[Struct]) -> dict[str, str]:
    """The attributes of a struct type by their names on the wire. Looking that up takes longer than decoding."""
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind)}


def _is(wanted: type[Type], kind: object) -> bool:
    info = type_info(kind)
    parts = info.types if isinstance(info, UnionType) else (info,)
    return any(isinstance(part, wanted) for part in parts)


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        codes.LIMIT_EXCEEDED,
        f"the body may have {max_bytes} bytes",
        headers={hdrs.CONNECTION: "close"},
    )
