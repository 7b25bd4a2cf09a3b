"""Where requests may go, decided on the URL and then on every address that its host has. Pure.

A URL from elsewhere, for a webhook or a push service, is a way to have this server ask what only it can reach: the
cloud's metadata, a database, an admin page. The name in it proves nothing, since whoever owns the name decides what it
resolves to, and may decide anew for every question. So what counts is the address that is connected to.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from yarl import URL

MAX_URL_LENGTH: Final = 2048

_AUTHORITY: Final = re.compile(r"://([^/?#]*)")
# Networks in which an IPv4 address hides that `is_global` does not look at, or that lead through somebody's tunnel.
_WRAPPING: Final = tuple(
    ip_network(network) for network in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
)


class Forbidden(OSError):
    """A request may not go there: the text says by which rule, and does not repeat the URL."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`hosts`: the names that there may be, `*.example.com` for all below one; empty: any. `ports`: empty: any.

    `inside`: plain HTTP and private addresses are fine as well. Only for URLs that the operator writes down.
    `loopback`: so are the addresses of this machine, by https. Only for tests, and for servers of `hubbub dev`.
    """

    hosts: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset({443})
    inside: bool = False
    loopback: bool = False


def check_url(text: str, rules: Rules) -> URL:
    """The URL as it will be requested, if the rules allow what can be seen of it. Raises Forbidden.

    Only what was parsed here is ever requested: two parsers that disagree are a way around any rule. Path and query
    stay as they were given, since who minted the URL may compare it byte by byte.
    """
    if len(text) > MAX_URL_LENGTH:
        raise Forbidden(f"the URL has more than {MAX_URL_LENGTH} characters")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise Forbidden("the URL has characters that no URL has")
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError:
        raise Forbidden("that is no URL") from None
    if url.scheme != "https" and not (rules.inside and url.scheme == "http"):
        raise Forbidden("the URL must begin with https://")
    if not host or port is None:
        raise Forbidden("the URL has no host")
    if url.user is not None or url.password is not None or "@" in _AUTHORITY.split(text)[1]:
        raise Forbidden("the URL has a user or a password")
    if rules.ports and port not in rules.ports:
        raise Forbidden(f"the port must be {' or '.join(map(str, sorted(rules.ports)))}")
    if rules.hosts and not any(_is_below(host.lower().rstrip("."), allowed) for allowed in rules.hosts):
        raise Forbidden("the host is not among those that are allowed")
    if _is_address(host):
        check_address(host, rules)
    exact = URL(text, encoded=True)
    return exact if (exact.scheme, exact.host, exact.port) == (url.scheme, host, port) else url


def check_address(address: str, rules: Rules) -> None:
    """Raises Forbidden for an address that is not to be connected to, whatever name led to it."""
    if rules.inside or (rules.loopback and _is_loopback(address)):
        return
    if not is_public(address):
        raise Forbidden("the host has an address that is not public")


def is_public(address: str) -> bool:
    """Whether an address belongs to the internet at large. False for what is no address."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.strip("[]"))
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed.scope_id is not None:
            return False
        if parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        elif any(parsed in network for network in _WRAPPING):
            return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    """Whatever is connected to without asking for its addresses: to aiohttp, also a mere number."""
    if ":" not in host and not host[-1:].isdigit():
        return False  # as nearly always, and it costs a tenth
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return host.replace(".", "").isdigit()
    return True


def _is_below(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:]) and host != allowed[1:]
    return host == allowed
