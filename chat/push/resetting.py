"""How hubs tell workers that an operator has looked at a lane: its breakers are to be closed. Pure.

Each worker has breakers of its own, so each is told; over the bus, best effort. Who misses it tries the lane again when
its pause is over.
"""

from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from chat.push.ports import named_lane

SUBJECT: Final = "push_reset"
"""Of the control notices."""

log = structlog.get_logger(__name__)


class _Reset(msgspec.Struct, frozen=True):
    lane: str


def encode(lane: str) -> bytes:
    """The data of the notice."""
    return msgspec.json.encode(_Reset(lane))


def decode(data: bytes) -> str:
    """The lane. Raises ValueError for anything that names none, for example from a newer version."""
    try:
        lane = msgspec.json.decode(data, type=_Reset).lane
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    named_lane(lane)
    return lane


def on_reset(reset: Callable[[str], object]) -> Callable[[bytes], None]:
    """What a worker does with the data of a notice: `reset` gets the lane. Raises nothing but what that does."""

    def hear(data: bytes) -> None:
        try:
            lane = decode(data)
        except ValueError as error:
            log.warning("push_reset_not_understood", error=str(error))
            return
        reset(lane)

    return hear
