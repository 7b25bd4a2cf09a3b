"""The rates of the configuration."""

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass

from chat.config import Config
from chat.limits.addresses import AddressLimits
from chat.limits.users import UserLimits
from realtime.rates import ConnectionRates, Rate


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What users and addresses may do at this process."""

    users: UserLimits
    addresses: AddressLimits


def connection_rates(config: Config) -> ConnectionRates:
    """What each connection may do."""
    table = config.rate_limits
    return ConnectionRates(
        commands=_rate(table.connection_commands, table.connection_commands_burst, "commands", "of one connection"),
        refusals=_within(table.connection_refusals, table.connection_refusals_window, "refusals"),
        errors=_within(table.connection_errors, table.connection_errors_window, "errors"),
    )


def open_limits(config: Config, counts: MutableMapping[str, int], monotonic: Callable[[], float]) -> RateLimits:
    """`counts` is added to, by the name of the limit that refused something."""
    table = config.rate_limits

    def counted(limit: str) -> None:
        counts[limit] += 1

    return RateLimits(
        UserLimits(
            _rate(table.user_commands, table.user_commands_burst, "commands", "of one user"),
            _rate(table.user_sends, table.user_sends_burst, "messages", "of one user"),
            counted=counted,
            monotonic=monotonic,
        ),
        AddressLimits(
            _rate(table.address_upgrades, table.address_upgrades_burst, "connections", "from one address"),
            _rate(
                table.address_failed_sign_ins / 60,
                table.address_failed_sign_ins_burst,
                "failed sign-ins",
                "from one address",
            ),
            counted=counted,
            monotonic=monotonic,
        ),
    )


def _rate(per_s: float, burst: int, what: str, whose: str) -> Rate | None:
    return Rate(per_s, burst, what, whose) if per_s else None


def _within(count: int, window_s: float, what: str) -> Rate | None:
    return Rate(count / window_s, count, what) if count else None
