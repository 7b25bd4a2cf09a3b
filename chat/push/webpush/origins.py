"""Where a subscription may lead: its URL comes from a client, and this server is to request it. Pure.

Five rules: https only; a host of the list, as parsed and not as it is found somewhere in the URL; never an address in
place of a name; no redirects; and every address of the host is public. The first three are checked here, when a
subscription is registered and again when something is sent; the other two when it is requested (chat/outgoing).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chat.outgoing import Forbidden, Rules, check_url

DEFAULT_HOSTS: Final = ("*.googleapis.com", "*.push.apple.com", "*.notify.windows.com", "*.push.services.mozilla.com")

VENDORS: Final[Mapping[str, str]] = {
    "fcm.googleapis.com": "google",
    "android.googleapis.com": "google",
    "*.push.apple.com": "apple",
    "*.notify.windows.com": "microsoft",
    "*.push.services.mozilla.com": "mozilla",
}
"""Who speaks for all subscriptions at a host. Elsewhere below googleapis.com anybody can have a bucket that answers."""

_EXTRA: Final = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9_-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?(:\d{1,5})?")
_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Origins:
    """`hosts` as `name`, `*.name` for all below it, or either with `:port`; UnifiedPush and ntfy are there by theirs.

    `loopback` is for emulators alone: hosts may be names of this machine.
    """

    hosts: tuple[str, ...] = DEFAULT_HOSTS
    loopback: bool = False
    places: tuple[tuple[str, int], ...] = field(init=False, repr=False)
    """Names and their ports."""
    rules: Rules = field(init=False, repr=False)
    """For the client that requests: the same names and ports."""

    def __post_init__(self) -> None:
        places = tuple(_parted(host) for host in self.hosts)
        # Where no host is allowed, none must be: an empty list would mean all.
        names = tuple(name for name, _ in places) or ("",)
        ports = frozenset(port for _, port in places) or frozenset({_HTTPS})
        object.__setattr__(self, "places", places)
        object.__setattr__(self, "rules", Rules(hosts=names, ports=ports, loopback=self.loopback))


def allowed_origins(extras: tuple[str, ...] = (), *, loopback: bool = False) -> Origins:
    """The usual hosts and `extras`. Raises ValueError for an extra that is no host name, without a dot, or too wide."""
    for extra in extras:
        _check_extra(extra, loopback=loopback)
    return Origins((*DEFAULT_HOSTS, *extras), loopback)


def check_endpoint(text: str, allowed: Origins) -> str:
    """The origin of a subscription's URL, as a token of ours names it. Raises Forbidden, without repeating the URL."""
    url = check_url(text, allowed.rules)
    host = (url.raw_host or "").lower()
    if host.endswith(".") or _is_number(host):
        raise Forbidden("the host must be a plain name")
    if "#" in text:
        raise Forbidden("the URL has a fragment")
    if not any(url.port == port and _matches(host, name) for name, port in allowed.places):
        raise Forbidden("the host is not among those that are allowed")
    return f"https://{host}" if url.port == _HTTPS else f"https://{host}:{url.port}"


def vendor_of(origin: str) -> str:
    """Whose push service it is; empty for one that is not known, or where anybody may answer."""
    host = origin.removeprefix("https://")
    return next((vendor for name, vendor in VENDORS.items() if _matches(host, name)), "")


def _check_extra(extra: str, *, loopback: bool) -> None:
    name, port = _parted(extra)
    plain = name.removeprefix("*.")
    if _EXTRA.fullmatch(extra) is None or not 0 < port <= 0xFFFF:
        raise ValueError(f"{extra!r} is not a host, *.host, or either with :port")
    if _is_number(plain):
        raise ValueError(f"{extra!r} is an address: a push service has a name")
    if "." not in plain and not loopback:
        raise ValueError(f"{extra!r} is no name of the internet")


def _parted(extra: str) -> tuple[str, int]:
    name, _, port = extra.partition(":")
    return name, int(port) if port.isdigit() else 0 if port else _HTTPS


def _matches(host: str, name: str) -> bool:
    return host.endswith(name[1:]) and host != name[1:] if name.startswith("*.") else host == name


def _is_number(host: str) -> bool:
    """An address, in whatever way it is written: no top-level name begins with a digit."""
    return ":" in host or host.rpartition(".")[2][:1].isdigit()
