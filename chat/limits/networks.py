"""Addresses and networks: reading them, and which of them count as one. Pure."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_IPV6_GROUP: Final = 64
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.%a-z]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}")


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
