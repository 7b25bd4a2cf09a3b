"""What is heard in one signal and in several."""

import asyncio
import os
import signal

from chat.serving.signals import Stopping, happens_within
from support.waiting import eventually


def test_a_second_signal_counts_only_after_a_second_and_is_told_once() -> None:
    now, told = 100.0, list[str]()
    stopping = Stopping(lambda: now, on_asked=lambda: told.append("asked"), on_urged=lambda: told.append("urged"))
    stopping.signal()
    now += 0.9
    stopping.signal()
    assert not stopping.urged.is_set()
    now += 0.1
    stopping.signal()
    now += 5
    stopping.signal()
    assert told == ["asked", "urged"]
    assert stopping.by_hand.is_set(), "who is in a hurry waits for no balancer"


def test_an_interrupt_is_by_hand_whichever_of_two_signals_is_heard_first() -> None:
    stopping = Stopping(lambda: 100.0)
    stopping.signal(signal.SIGTERM)
    assert not stopping.by_hand.is_set()
    stopping.signal(signal.SIGINT)
    assert stopping.by_hand.is_set()
    assert not stopping.urged.is_set()


async def test_a_hangup_is_for_whoever_wants_it_and_else_a_stop() -> None:
    heard: list[str] = []
    async with Stopping().listening(lambda: heard.append("hangup")) as stopping:
        os.kill(os.getpid(), signal.SIGHUP)
        await eventually(lambda: heard)
        assert not stopping.asked.is_set()
    async with Stopping().listening() as stopping:
        os.kill(os.getpid(), signal.SIGHUP)
        assert await happens_within(stopping.asked, 10)


async def test_waiting_for_an_event_has_an_end() -> None:
    assert not await happens_within(asyncio.Event(), 0)
    assert not await happens_within(asyncio.Event(), 0.01)
