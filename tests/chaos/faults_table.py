"""All faults, by their numbers."""

from typing import Final

from chaos.fault import Fault
from chaos.faults import mongodb, redis

FAULTS: Final[tuple[Fault, ...]] = tuple(sorted((*redis.FAULTS, *mongodb.FAULTS), key=lambda fault: int(fault.number)))
