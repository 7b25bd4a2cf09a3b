"""The end of all connections of a process: spread over time, with their last answers, and never held up by a peer."""

import asyncio
import random
from collections.abc import Callable, MutableSequence, Set
from typing import Final

from realtime.protocol.codes import Disconnect
from realtime.session import Session
from realtime.wire import CLOSE_TIMEOUT_S

BATCH_INTERVAL_S: Final = 0.05
ANSWERS_S: Final = 5.0
"""How long answers may take that are being made when a connection's turn comes. SDKs wait no longer for one."""

_POLL_S: Final = 0.02
_CLOSE_MARGIN_S: Final = 0.5


async def drain(
    connections: Set[Session],
    disconnect: Disconnect,
    *,
    over_s: float,
    answers_s: float = ANSWERS_S,
    hurry: asyncio.Event | None = None,
    shuffle: Callable[[MutableSequence[Session]], None] = random.shuffle,
) -> None:
    """Close every connection with a code, in small batches spread over `over_s` seconds, and wait until all are gone.

    `connections` is the live set: who is in it at the end is gone from it, or was reset. Commands that were taken are
    answered before the close, for `answers_s` after the last batch at most. Takes at most `over_s`, `answers_s` and the
    time of a close together, however slow the peers are, and no time from when `hurry` is set.
    """
    hurry = hurry or asyncio.Event()
    waiting = list(connections)
    # In no order that means something: who shares a conversation would come back together.
    shuffle(waiting)
    batches = max(1, min(len(waiting), round(over_s / BATCH_INTERVAL_S)))
    for number in range(batches):
        for session in waiting[number::batches]:
            session.leave(disconnect)
        if number + 1 < batches:
            await _wait(hurry, over_s / batches)
    await _while(lambda: any(not session.ended for session in connections), answers_s, hurry)
    for session in tuple(connections):
        session.end(disconnect)
    await _while(lambda: bool(connections), CLOSE_TIMEOUT_S + _CLOSE_MARGIN_S, hurry)
    for session in tuple(connections):
        session.wire.reset()


async def _while(condition: Callable[[], bool], at_most_s: float, hurry: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + at_most_s
    while condition() and loop.time() < deadline and not hurry.is_set():
        await _wait(hurry, _POLL_S)


async def _wait(hurry: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await hurry.wait()
    except TimeoutError:
        pass
