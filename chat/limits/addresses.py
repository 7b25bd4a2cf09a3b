"""What may come from one address: upgrades, and sign-ins that fail.

By address is all that can be counted before it is known who comes. Many people may share one, behind a router or
behind a proxy that the configuration does not name. So a good token or key is let in however many bad ones came from
its address, and upgrades from private addresses are not counted.
"""

from collections.abc import Callable
from typing import Final, Literal

from chat.limits.buckets import Buckets
from chat.limits.headers import rate_limit_fields
from chat.limits.networks import group, is_private
from realtime.protocol.codes import ClientError
from realtime.rates import Rate

Counted = Callable[[Literal["address_upgrades", "address_failed_sign_ins"]], None]


class AddressLimits:
    """Limits of this process by address, IPv6 by /64. None: no limit. `counted` hears what was refused by which."""

    def __init__(
        self, upgrades: Rate | None, failed: Rate | None, *, counted: Counted, monotonic: Callable[[], float]
    ) -> None:
        self._upgrades: Final = None if upgrades is None else Buckets(upgrades)
        self._failed: Final = None if failed is None else Buckets(failed)
        self._counted = counted
        self._monotonic = monotonic

    def upgrade(self, address: str) -> float:
        """Count a WebSocket upgrade. 0, or how many seconds the address has to wait."""
        if self._upgrades is None or is_private(address):
            return 0.0
        wait_s = self._upgrades.take(group(address), self._monotonic())
        if wait_s:
            self._counted("address_upgrades")
        return wait_s

    def failed_fields(self, address: str) -> dict[str, str]:
        """The header fields that tell how many sign-ins may fail."""
        if self._failed is None:
            return {}
        policy = ("failed-sign-ins", self._failed.rate, self._failed.bucket(group(address)))
        return rate_limit_fields([policy], self._monotonic())

    def failed(self, address: str) -> ClientError | None:
        """Count a sign-in that failed. The refusal to answer it with, once there were too many."""
        if self._failed is None:
            return None
        wait_s = self._failed.take(group(address), self._monotonic())
        if not wait_s:
            return None
        self._counted("address_failed_sign_ins")
        return self._failed.rate.refusal(wait_s)
