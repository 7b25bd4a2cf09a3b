"""Services that die are started again, more slowly each time, and given up on when told so."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.local.children import ChildFailed, Command, Exit, Service
from storage.local.restarts import BackOff, Event, GaveUp, keep_running, start_all, stop_all, watched
from support.waiting import eventually

CRASH = Exit(1)
SLEEPER = (sys.executable, "-c", "import time; time.sleep(600)")


def sleeper(name: str = "test") -> Service:
    return Service(Command(name, SLEEPER))


def test_the_wait_doubles_up_to_a_limit() -> None:
    back_off = BackOff()
    assert [back_off.died(now, 0, CRASH) for now in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]


def test_a_steady_run_starts_the_waits_anew() -> None:
    back_off = BackOff()
    assert [back_off.died(now, 0, CRASH) for now in range(3)] == [0.1, 0.2, 0.4]
    assert back_off.died(100, 60, CRASH) == 0.1


def test_too_many_deaths_in_the_window_mean_giving_up() -> None:
    back_off = BackOff(give_up_after=3, within_s=60)
    assert back_off.died(0, 0, CRASH) == 0.1
    assert back_off.died(1, 0, ChildFailed("x", "no port")) == 0.2
    assert back_off.died(2, 0, Exit(-9)) == "died 3 times within 60 s, last: killed by SIGKILL"


def test_some_exit_codes_mean_giving_up_at_once() -> None:
    back_off = BackOff(give_up_on=frozenset({3}))
    assert back_off.died(0, 0, Exit(1)) == 0.1
    assert back_off.died(0, 100, Exit(3)) == "ended, exit code 3"


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=50))
def test_giving_up_needs_several_short_runs_close_together(runs: list[tuple[float, float]]) -> None:
    back_off = BackOff(give_up_after=3, within_s=60)
    now, short = 0.0, list[float]()
    for pause, ran_for in runs:
        now += pause + ran_for
        short = [] if ran_for >= 10 else [at for at in short if at >= now - 60]
        short.append(now)
        answer = back_off.died(now, ran_for, CRASH)
        assert isinstance(answer, str) == (len(short) >= 3)
        if isinstance(answer, str):
            return


async def test_a_killed_service_is_started_again_and_said_so() -> None:
    events: list[Event] = []
    service = sleeper()
    await service.start()
    first = service.pid
    async with watched([service], events.append):
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: len(events) == 2)
        assert service.pid != first
        assert events == [
            Event("died", "test", detail="killed by SIGKILL", again_in_s=0.1),
            Event("ready", "test", pid=service.pid),
        ]
    await service.stop()


async def test_a_service_that_cannot_be_started_again_is_tried_until_it_can(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    events: list[Event] = []
    service = Service(Command("test", (str(program),)))
    await service.start()
    async with watched([service], events.append):
        program.rename(tmp_path / "away")
        os.kill(service.pid, signal.SIGKILL)
        await eventually(lambda: len(events) >= 2)
        assert events[1] == Event("failed", "test", detail=f"{program}: No such file or directory", again_in_s=0.2)
        (tmp_path / "away").rename(program)
        await eventually(lambda: events[-1].kind == "ready")
    await service.stop()


async def test_a_crash_loop_ends_with_what_was_last_written(tmp_path: Path) -> None:
    events: list[Event] = []
    command = Command("hub 1", (sys.executable, "-c", "print('no key'); raise SystemExit(3)"), log=tmp_path / "log")
    service = Service(command)
    await service.start()
    with pytest.raises(GaveUp, match=r"^hub 1 died 3 times within 60 s, last: exit code 3$") as end:
        await keep_running(service, events.append, back_off=BackOff(give_up_after=3), sleep=no_sleep)
    assert [event.kind for event in events] == ["died", "ready"] * 2
    assert end.value.last_lines == ("no key",)
    assert end.value.exit_code == 3


async def test_giving_up_ends_the_block() -> None:
    service = Service(Command("hub", (sys.executable, "-c", "raise SystemExit(3)")))
    await service.start()
    with pytest.raises(GaveUp, match=r"^hub ended, exit code 3$"):
        async with watched([service], lambda _: None, back_off=lambda: BackOff(give_up_on=frozenset({3}))):
            await asyncio.Event().wait()


async def test_the_error_of_the_block_comes_out_as_it_is() -> None:
    service = sleeper()
    await service.start()
    with pytest.raises(ChildFailed, match="mine"):
        async with watched([service], lambda _: None):
            raise ChildFailed("mine", "")
    await service.stop()


async def test_when_one_of_several_fails_to_start_none_is_left() -> None:
    services = [sleeper(), Service(Command("broken", ("/no/such/program",)))]
    with pytest.raises(ChildFailed, match="broken"):
        await start_all(services)
    assert not services[0].running


async def test_several_are_stopped_at_once() -> None:
    services = [sleeper(), sleeper()]
    await start_all(services)
    await stop_all(services)
    assert [service.running for service in services] == [False, False]


async def no_sleep(_: float) -> None:
    await asyncio.sleep(0)


async def test_a_start_that_is_given_up_ends_each_service_in_its_own_time() -> None:
    class Starting(Service):
        """Not ready, and as long about its end as there are turns."""

        def __init__(self, turns: int) -> None:
            super().__init__(Command("test", SLEEPER))
            self.turns = turns
            self.begun = False

        async def start(self) -> None:
            self.begun = True
            try:
                await asyncio.Event().wait()
            finally:
                while self.turns:
                    await asyncio.sleep(0)
                    self.turns -= 1

    services = [Starting(0), Starting(20)]
    starting = asyncio.create_task(start_all(services))
    await eventually(lambda: all(service.begun for service in services))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert [service.turns for service in services] == [0, 0]
