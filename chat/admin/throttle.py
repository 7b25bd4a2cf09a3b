"""How often something may fail per address: a bucket that leaks evenly. Pure.

IPv6 addresses count by /64, since one host has all of them. Addresses beyond `MAX_ADDRESSES` push out the ones that
were quiet longest.
"""

import ipaddress
from collections import OrderedDict
from typing import Final

MAX_ADDRESSES: Final = 1_024


class Throttle:
    """`burst` failures at once, then one per `every_s`."""

    def __init__(self, *, burst: int, every_s: float) -> None:
        self._burst_s = burst * every_s
        self._every_s = every_s
        # When the bucket of an address will be empty again; an address that is absent has an empty one.
        self._empty_at: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, address: str, now: float) -> float:
        """How long this address has to wait until it may fail again; 0 if it may now. `now` is monotonic seconds."""
        empty_at = self._empty_at.get(_network(address), now)
        return max(0.0, empty_at + self._every_s - self._burst_s - now)

    def failed(self, address: str, now: float) -> None:
        """Count a failure."""
        key = _network(address)
        self._empty_at[key] = max(self._empty_at.get(key, now), now) + self._every_s
        self._empty_at.move_to_end(key)
        if len(self._empty_at) > MAX_ADDRESSES:
            self._empty_at.popitem(last=False)


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
