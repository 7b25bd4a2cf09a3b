"""What the signals of a process ask for: SIGTERM and SIGINT a stop, once more a stop at once, SIGHUP a reload."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

_ONE_WISH_S: Final = 1.0


def _nothing() -> None:
    pass


class Stopping:
    """The first signal asks for a polite stop, a later one for a stop at once.

    Signals within a second are one wish: `make` passes on a SIGTERM that the whole process group got already.
    `by_hand` is set when one of them is SIGINT, as from a terminal, and when it is urged: nobody waits for balancers
    then. `on_asked` and `on_urged` are called once each.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        on_asked: Callable[[], None] = _nothing,
        on_urged: Callable[[], None] = _nothing,
    ) -> None:
        self.asked = asyncio.Event()
        self.urged = asyncio.Event()
        self.by_hand = asyncio.Event()
        self._monotonic = monotonic
        self._on_asked = on_asked
        self._on_urged = on_urged
        self._asked_at = 0.0

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        now = self._monotonic()
        if number == signal.SIGINT:
            # Not the first one's number: of two that come together, any may be heard first.
            self.by_hand.set()
        if not self.asked.is_set():
            self._asked_at = now
            self.asked.set()
            self._on_asked()
        elif now - self._asked_at >= _ONE_WISH_S and not self.urged.is_set():
            self.urged.set()
            self.by_hand.set()
            self._on_urged()

    @asynccontextmanager
    async def listening(self, on_hangup: Callable[[], None] | None = None) -> AsyncIterator["Stopping"]:
        """Take the signals over for the block. Needs the main thread. SIGHUP is a stop too where nobody else takes it:
        the terminal is gone.
        """
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in numbers:
            if number == signal.SIGHUP and on_hangup is not None:
                loop.add_signal_handler(number, on_hangup)
            else:
                loop.add_signal_handler(number, self.signal, number)
        try:
            yield self
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


async def happens_within(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event, at most so long. Returns whether it has happened."""
    if timeout_s <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(timeout_s):
            return await event.wait()
    except TimeoutError:
        return event.is_set()
