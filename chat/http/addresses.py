"""Where a request comes from, also behind proxies. Pure but for reading headers of a request.

What a proxy adds stands at the end of `X-Forwarded-For` or `Forwarded`; what stands before may be a client's invention.
So the list is read from its end, and only as long as whoever wrote the next part is a proxy that the configuration
names. From everybody else the header means nothing, and so does the other one of the two: a proxy writes one and passes
on whatever the client put into the other.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import structlog
from aiohttp import web

from chat.limits.networks import Network, is_in, is_private, networks, parse

log = structlog.get_logger(__name__)

X_FORWARDED_FOR: Final = "X-Forwarded-For"
FORWARDED: Final = "Forwarded"

MAX_HOPS: Final = 32
"""Proxies in a row that are looked at; the address of the last one stands where there are more."""

MAX_HEADER_CHARS: Final = 2048
"""Of the forwarding headers of one request. The end counts."""

_FORWARDED_FOR: Final = re.compile(r'(?:^|;)[ \t]*for=("(?:[^"\\]|\\.)*"|[^;,"\s]*)', re.IGNORECASE)
_ELEMENTS: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')


class ClientAddresses:
    """Tells the address of whoever sent a request, as seen by the first proxy that is `trusted`.

    `header` is the one that those proxies write. Without trusted proxies it is the address of the socket.
    """

    def __init__(self, trusted: Iterable[str], header: str = X_FORWARDED_FOR) -> None:
        """Raises ValueError for what is no network."""
        self._trusted = networks(trusted)
        self._header = header
        self._complained = False

    def of(self, request: web.Request) -> str:
        """The address without port; empty for a socket that has none."""
        peer = request.remote or ""
        values = request.headers.getall(self._header, ())
        if not values:
            return peer
        if not self._trusted or not is_in(parse(peer), self._trusted):
            self._complain(peer)
            return peer
        return client_of(peer, values, self._trusted, self._header)

    def _complain(self, peer: str) -> None:
        """Once. The header may be anybody's invention, but in a private network it is a proxy's as a rule."""
        if not self._complained and is_private(peer):
            self._complained = True
            log.warning("proxy_not_trusted", address=peer, key="server.trusted_proxies")


def client_of(peer: str, values: Sequence[str], trusted: Sequence[Network], header: str = X_FORWARDED_FOR) -> str:
    """The first address from the end of the header's `values` that is no trusted proxy's; `peer` is known to be one.

    A hop that is no address (`unknown`, a name, a forgery) ends it at the proxy that wrote it.
    """
    return _walk(peer, _of_forwarded(values) if header == FORWARDED else _of_list(values), trusted)


def _walk(peer: str, hops: Sequence[str], trusted: Sequence[Network]) -> str:
    client = peer
    for hop in reversed(hops[-MAX_HOPS:]):
        address = parse(hop)
        if address is None:
            return client
        client = str(address)
        if not is_in(address, trusted):
            return client
    return client


def _of_list(values: Sequence[str]) -> list[str]:
    text = ",".join(values)[-MAX_HEADER_CHARS:]
    return [hop.strip() for hop in text.split(",")]


def _of_forwarded(values: Sequence[str]) -> list[str]:
    """The `for` of each element of RFC 7239; empty where an element has none, which ends the walk there."""
    text = ",".join(values)[-MAX_HEADER_CHARS:]
    hops = []
    for element in _ELEMENTS.findall(text):
        found = _FORWARDED_FOR.search(element)
        hops.append(re.sub(r"\\(.)", r"\1", found[1].strip('"')) if found else "")
    return hops
