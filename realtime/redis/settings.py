"""The numbers of the bus and what it asks of the world besides servers: a clock and chance. Pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random, SystemRandom


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Defaults are for production; tests make them shorter, large deployments longer."""

    heartbeat_interval_s: float = 0.5
    """How often each link proves itself. Dead peers are found within `heartbeat_interval_s + dead_after_s`."""

    dead_after_s: float = 1.5
    """Silence, though heartbeats are sent, after which a connection is given up."""

    heartbeat_overdue_s: float = 15.0
    """The same where other messages arrive, but no heartbeat."""

    connect_timeout_s: float = 1.5
    """For connecting and greeting: a frozen server accepts connections, its kernel does."""

    backoff_first_s: float = 0.05
    backoff_most_s: float = 1.0
    """Bounds of the pause between attempts; the pause itself is random between nothing and the bound."""

    unsubscribe_after_s: float = 60.0
    """How long a channel without local subscribers stays subscribed at the server."""

    subscribe_chunk: int = 512
    """Channels in one SUBSCRIBE. Between chunks everybody else has a turn, here and in Redis."""

    outgoing_max_bytes: int = 8 << 20
    outgoing_max_items: int = 50_000
    """What may wait for each server; beyond either, the oldest are dropped and counted."""

    incoming_max_bytes: int = 1 << 20
    """A longer message on the bus is poison."""

    complain_every_s: float = 10.0
    """Poison is counted always and logged this often."""

    call_timeout_s: float = 1.0
    """For each request to a server, waiting for a free connection included."""

    call_connections: int = 16
    """Connections per server for requests."""

    close_timeout_s: float = 0.5
    """How long closing waits for what is still to be published."""

    channel_presence_ttl_s: int = 60
    """Who was not refreshed for so long is no longer present."""

    lease_ttl_s: float = 10.0
    lease_renewal_s: float = 1.0
    """A process that does not renew its lease for `lease_ttl_s` is dead, and its users with it."""

    users_flush_s: float = 0.05
    """How long changes of user presence gather before they are written."""

    users_assert_s: float = 300.0
    """How often all users of a process are written anew, in case a server has lost some without a trace."""

    users_max_waiting: int = 200_000
    """Changes of user presence that may wait for a server; beyond it the oldest are dropped and counted."""

    users_buckets: int = 8_192
    """Hashes that all users are spread over. The same for all processes, never changed. Small hashes are compact."""

    offline_grace_s: float = 10.0
    """How long a user without a connection is not said to have gone."""

    left_retry_s: float = 5.0
    """A process that was to tell that users have gone, and did not say in this time that it has, may be dead."""

    young_server_s: float = 30.0
    """For so long after a server began with nothing, processes tell it who has been there all along."""

    sweep_interval_s: float = 5.0
    sweep_buckets: int = 16
    """One process forgets the users of dead processes, so many buckets at a time."""

    monotonic: Callable[[], float] = time.monotonic
    random: Random = field(default_factory=SystemRandom)
