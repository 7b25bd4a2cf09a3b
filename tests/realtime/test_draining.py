"""The end of all connections: each in its turn, with what it is owed, and over in time."""

import asyncio
from typing import Any, cast

from realtime.draining import drain
from realtime.protocol.codes import CLOSE_SHUTDOWN, Disconnect
from realtime.session import Session


class Peer:
    """What a drain sees of a session: when it was told to leave, when it ended, whether it was reset."""

    def __init__(self, there: set["Peer"], *, busy: bool = False, deaf: bool = False) -> None:
        self.there = there
        self.busy = busy
        self.deaf = deaf
        self.left_at = 0.0
        self.ended = False
        self.was_reset = False
        self.wire = self
        there.add(self)

    def leave(self, _: Disconnect) -> None:
        self.left_at = self.left_at or asyncio.get_running_loop().time()
        if not self.busy:
            self.end(_)

    def end(self, disconnect: Disconnect) -> None:
        assert disconnect is CLOSE_SHUTDOWN
        if not self.ended:
            self.ended = True
            if not self.deaf:
                self.there.discard(self)

    def reset(self) -> None:
        self.was_reset = True
        self.there.discard(self)


async def drained(there: set[Peer], **how: Any) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await drain(cast("set[Session]", there), CLOSE_SHUTDOWN, **how)
    assert not there
    return loop.time() - began


async def test_turns_are_spread_over_the_time() -> None:
    there: set[Peer] = set()
    peers = [Peer(there) for _ in range(1_000)]
    await drained(there, over_s=0.5)
    began = min(peer.left_at for peer in peers)
    turns = sorted({round(peer.left_at - began, 3) for peer in peers})
    assert len(turns) >= 8
    assert max(sum(abs(peer.left_at - began - turn) < 0.02 for peer in peers) for turn in turns) <= 300


async def test_who_is_owed_an_answer_gets_the_time_for_it_and_no_more() -> None:
    there: set[Peer] = set()
    busy, slow = Peer(there, busy=True), Peer(there, busy=True)
    asyncio.get_running_loop().call_later(0.1, busy.end, CLOSE_SHUTDOWN)
    took_s = await drained(there, over_s=0, answers_s=0.4)
    assert busy.ended
    assert slow.ended
    assert 0.4 <= took_s < 3


async def test_who_does_not_answer_the_close_is_reset() -> None:
    there: set[Peer] = set()
    deaf = [Peer(there, deaf=True) for _ in range(100)]
    assert await drained(there, over_s=0) < 6
    assert all(peer.was_reset for peer in deaf)


async def test_in_a_hurry_nothing_is_waited_for() -> None:
    there: set[Peer] = set()
    peers = [Peer(there, busy=True, deaf=True) for _ in range(100)]
    hurry = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, hurry.set)
    assert await drained(there, over_s=60, answers_s=60, hurry=hurry) < 10
    assert all(peer.ended and peer.was_reset for peer in peers)
