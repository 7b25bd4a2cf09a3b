"""Where a request comes from, also behind proxies. Pure but for reading headers of a request.

What a proxy adds stands at the end of `X-Forwarded-For` or `Forwarded`; what stands before may be a client's invention.
So the list is read from its end, and only as long as whoever wrote the next part is a proxy that the configuration
names. From everybody else the header means nothing, and so does the other one of the two: a proxy writes one and passes
on whatever the client put into the other.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

import structlog
from aiohttp import web

log = structlog.get_logger(__name__)

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

X_FORWARDED_FOR: Final = "X-Forwarded-For"
FORWARDED: Final = "Forwarded"

MAX_HOPS: Final = 32
"""Proxies in a row that are looked at; the address of the last one stands where there are more."""

MAX_HEADER_CHARS: Final = 2048
"""Of the forwarding headers of one request. The end counts."""

_IPV6_GROUP: Final = 64
_FORWARDED_FOR: Final = re.compile(r'(?:^|;)[ \t]*for=("(?:[^"\\]|\\.)*"|[^;,"\s]*)', re.IGNORECASE)
_ELEMENTS: Final = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.%a-z]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


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


@lru_cache(4096)
def parse(text: str) -> Address | None:
    """An address, with or without port, brackets and zone; None for what is none. IPv4 within IPv6 is IPv4."""
    with_port = _WITH_PORT.fullmatch(text)
    if with_port is not None:
        text = with_port[1] or with_port[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks in CIDR notation. Raises ValueError, also for a network with bits beyond its prefix."""
    return tuple(ip_network(text.strip()) for text in texts)


_PRIVATE: Final = networks(
    (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
)


def is_in(address: Address | None, among: Sequence[Network]) -> bool:
    return address is not None and any(address in network for network in among)


def is_private(address: str) -> bool:
    """Of this machine or its network: a proxy that the configuration does not name, as a rule. No address is, too."""
    parsed = parse(address)
    return parsed is None or is_in(parsed, _PRIVATE)


def group(address: str) -> str:
    """What limits count an address by: IPv6 by /64, since one host has all of them."""
    parsed = parse(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(ip_network((parsed, _IPV6_GROUP), strict=False))
