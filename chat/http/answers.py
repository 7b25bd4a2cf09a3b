"""Answers in JSON: headers that every one carries, entity tags, compression.

What is compressed tells by its length what is in it, to whoever can choose a part of it and see how long it gets on the
way (BREACH). So an answer is compressed only if all who may have chosen a part of it may read all of it: pages of one
conversation, not lists of several. No answer repeats a token.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import hdrs, web

SECURITY_HEADERS: Final = {
    # Nothing here is a page; should a browser be led to show it, it can do nothing.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
COMPRESS_FROM_BYTES: Final = 1024
"""What is smaller goes into one packet with its headers either way."""

BESIDE_FROM_BYTES: Final = 64 * 1024
"""What is larger is compressed beside the event loop: about a millisecond of work. Below, a thread costs more."""

_LEVEL: Final = 1
"""A page of fifty messages gets 5 % smaller with level 6, and takes half as long again."""

_WITH_GZIP_HEADER: Final = 16 + zlib.MAX_WBITS
_ETAG_BYTES: Final = 12
_GZIP_MARK: Final = "-gzip"


class Encoded:
    """A result as JSON; its entity tag and its compressed form are made once, when first asked for."""

    __slots__ = ("_packed", "_tag", "data")

    def __init__(self, body: object) -> None:
        self.data: Final = msgspec.json.encode(body)
        self._tag = ""
        self._packed: bytes | None = None

    @property
    def tag(self) -> str:
        self._tag = self._tag or hashlib.blake2b(self.data, digest_size=_ETAG_BYTES).hexdigest()
        return self._tag

    async def packed(self) -> bytes:
        """In gzip, the same whenever it is made: there is no time in it."""
        if self._packed is None:
            beside = len(self.data) > BESIDE_FROM_BYTES
            self._packed = await asyncio.to_thread(_pack, self.data) if beside else _pack(self.data)
        return self._packed


def _pack(data: bytes) -> bytes:
    return zlib.compress(data, _LEVEL, _WITH_GZIP_HEADER)


async def json_answer(
    request: web.Request,
    body: Encoded,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    etag: bool = False,
    packed: bool = False,
) -> web.Response:
    """`body`, not to be stored; or with `etag` to be asked for again: unchanged it is 304 without a body. `packed`: it
    may be compressed (see above), which it is if the client takes that and it is not small.
    """
    packed = (
        packed and len(body.data) > COMPRESS_FROM_BYTES and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    )
    carried = {hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: "Accept-Encoding, Authorization", **(headers or {})}
    if etag:
        carried[hdrs.CACHE_CONTROL] = "private, no-cache"
        # Strong: it names these bytes, so the compressed ones have another.
        carried[hdrs.ETAG] = f'"{body.tag}{_GZIP_MARK if packed else ""}"'
        if matches(request.headers.get(hdrs.IF_NONE_MATCH, ""), body.tag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=carried)
    if packed:
        carried[hdrs.CONTENT_ENCODING] = "gzip"
    data = await body.packed() if packed else body.data
    return web.Response(body=data, status=status, headers=carried, content_type="application/json")


def matches(if_none_match: str, tag: str) -> bool:
    """Whether one of the entity tags of a header stands for this content, in either coding (RFC 9110, 13.1.2)."""
    if if_none_match.strip() == "*":
        return True
    for given in if_none_match.split(","):
        opaque = given.strip().removeprefix("W/")
        if opaque.startswith('"') and opaque.strip('"').removesuffix(_GZIP_MARK) == tag:
            return True
    return False


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client names gzip and does not weigh it with zero."""
    for offered in accept_encoding.lower().split(","):
        coding, _, parameters = offered.partition(";")
        if coding.strip() == "gzip":
            name, _, weight = parameters.strip().partition("=")
            return not (name.strip() == "q" and _is_zero(weight))
    return False


def _is_zero(weight: str) -> bool:
    return not weight.strip().replace(".", "").strip("0")
