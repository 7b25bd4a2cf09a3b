"""Answers in JSON: headers that every one carries, entity tags, compression."""

import hashlib
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
_ETAG_BYTES: Final = 12
_GZIP_MARK: Final = "-gzip"


def json_answer(
    request: web.Request,
    body: object,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    etag: bool = False,
) -> web.Response:
    """`body` as JSON; not to be stored, or with `etag` to be asked for again: unchanged it is 304 without a body."""
    data = msgspec.json.encode(body)
    packed = len(data) > COMPRESS_FROM_BYTES and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    carried = {hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: "Accept-Encoding, Authorization", **(headers or {})}
    if etag:
        tag = hashlib.blake2b(data, digest_size=_ETAG_BYTES).hexdigest()
        carried[hdrs.CACHE_CONTROL] = "private, no-cache"
        # Strong: it names these bytes, so the compressed ones have another.
        carried[hdrs.ETAG] = f'"{tag}{_GZIP_MARK if packed else ""}"'
        if matches(request.headers.get(hdrs.IF_NONE_MATCH, ""), tag):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=carried)
    response = web.Response(body=data, status=status, headers=carried, content_type="application/json")
    if packed:
        response.enable_compression(web.ContentCoding.gzip)
    return response


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
