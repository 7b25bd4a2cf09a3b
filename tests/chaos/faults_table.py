"""All faults, by their numbers."""

from typing import Final

from chaos.fault import Fault
from chaos.faults import access, clients, data, hubs, mongodb, push, redis, starting

_ALL: Final = (
    *redis.FAULTS,
    *mongodb.FAULTS,
    *hubs.FAULTS,
    *starting.FAULTS,
    *clients.FAULTS,
    *data.FAULTS,
    *push.FAULTS,
    *access.FAULTS,
)

FAULTS: Final[tuple[Fault, ...]] = tuple(sorted(_ALL, key=lambda fault: int(fault.number)))
