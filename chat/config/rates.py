"""The keys of `[rate_limits]`: how often something may happen. Each rate is a token bucket."""

from dataclasses import dataclass
from typing import Annotated

from chat.config.keys import Rule
from chat.config.values import Seconds

_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class RateLimitsSection:
    connection_commands: Annotated[
        int,
        Rule(
            "Commands a second of one connection; further ones get error 111, which says when to try again. 0: no "
            "limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 50
    connection_commands_burst: Annotated[
        int,
        Rule(
            "Commands of one connection at once, after a quiet while. Clients that subscribe to channels themselves do "
            "it all at once when they reconnect.",
            minimum=1,
            maximum=_MOST,
        ),
    ] = 1000
    user_commands: Annotated[
        int,
        Rule(
            "Commands a second of one user over all connections, processes and REST: error 111, or 429 in REST. The "
            "server API is not limited. 0: no limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 100
    user_commands_burst: Annotated[int, Rule("Commands of one user at once.", minimum=1, maximum=_MOST)] = 2000
    user_sends: Annotated[
        int,
        Rule(
            "Messages and publications a second of one user, likewise over everything. 0: no limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 20
    user_sends_burst: Annotated[
        int, Rule("Messages and publications of one user at once.", minimum=1, maximum=_MOST)
    ] = 100
    connection_refusals: Annotated[
        int,
        Rule(
            "How often a connection may be told 111 in `connection_refusals_window` and go on all the same; then it "
            "is closed with 3013. 0: no limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 500
    connection_refusals_window: Annotated[Seconds, Rule("See above.", minimum=1.0, maximum=3600.0)] = 10.0
    connection_errors: Annotated[
        int,
        Rule(
            "How often the commands of a connection may be refused for what they contain in "
            "`connection_errors_window`; then it is closed with 3509, which does not reconnect. Subscribing does not "
            "count. 0: no limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 300
    connection_errors_window: Annotated[Seconds, Rule("See above.", minimum=1.0, maximum=3600.0)] = 60.0
    address_upgrades: Annotated[
        int,
        Rule(
            "WebSocket upgrades a second from one address (IPv6: one /64) to one process; further ones get 429 and "
            "Retry-After. Private addresses are not limited: behind one is a proxy as a rule, see "
            "`server.trusted_proxies`. 0: no limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 50
    address_upgrades_burst: Annotated[int, Rule("Upgrades from one address at once.", minimum=1, maximum=_MOST)] = 1000
    address_failed_sign_ins: Annotated[
        int,
        Rule(
            "Bad tokens and keys a minute from one address, on socket, REST, server API and admin page of one process "
            "together; further ones are answered 429. Good ones are let in all the same. 0: no limit.",
            minimum=0,
            maximum=_MOST,
        ),
    ] = 10
    address_failed_sign_ins_burst: Annotated[
        int, Rule("Bad tokens and keys from one address at once.", minimum=1, maximum=_MOST)
    ] = 30
