"""Several processes as one command."""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from chat.cli.supervise import supervise, workers
from chat.serving.signals import Stopping
from storage.local.children import ChildFailed, Command, tail
from storage.local.restarts import BackOff, Event, GaveUp
from support.processes import Script, alive
from support.waiting import eventually

SLEEPER = "import time; time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('"deaf"', flush=True)
time.sleep(600)
"""
LISTENER = r"""
import os, signal
# Waits for them: a handler of Python's would not run when its signal comes just before a sleep. Of several that have
# come it gets the lowest number, so what follows an interrupt at once does not hide it.
NAMES = {signal.SIGHUP: b'"hangup"\n', signal.SIGINT: b'"interrupt"\n', signal.SIGTERM: b""}
signal.pthread_sigmask(signal.SIG_BLOCK, NAMES)
os.write(1, b'"listens"\n')
while name := NAMES[signal.sigwait(NAMES)]:
    os.write(1, name)
"""
SUPERVISOR = """
import json, sys
from chat.cli import supervise
from storage.local.children import Command

def said(event):
    print(json.dumps([event.kind, event.name, event.pid]), flush=True)

supervise.log_event = said
source, grace_s = sys.argv[1], float(sys.argv[2])
sys.exit(supervise.run([Command(f"hub {n}", (sys.executable, "-c", source), grace_s=grace_s) for n in (1, 2)]))
"""


def commands(source: str, count: int = 2, *, grace_s: float = 5, log: Path | None = None) -> list[Command]:
    return [Command(f"hub {n}", (sys.executable, "-c", source), log, grace_s=grace_s) for n in range(1, count + 1)]


def deaf(supervisor: Script) -> list[int]:
    """The process ids of its two children, once both are deaf to SIGTERM."""
    lines = [supervisor.line() for _ in range(4)]
    assert lines.count("deaf") == 2
    return [line[2] for line in lines if line != "deaf"]


async def started(events: Sequence[Event], count: int) -> list[int]:
    """The process ids of the first `count` starts, once there are that many."""
    return await eventually(
        lambda: [e.pid for e in events if e.kind == "ready"][:count] if len(events) >= count else []
    )


async def test_all_run_until_a_stop_is_asked_for() -> None:
    events: list[Event] = []
    stopping = Stopping()
    running = asyncio.create_task(supervise(commands(SLEEPER), stopping, events.append))
    pids = await started(events, 2)
    assert all(alive(pid) for pid in pids)
    stopping.signal()
    await running
    assert not any(alive(pid) for pid in pids)


async def test_the_one_that_dies_is_started_again_and_the_others_run_on() -> None:
    events: list[Event] = []
    stopping = Stopping()
    running = asyncio.create_task(supervise(commands(SLEEPER), stopping, events.append))
    first, second = await started(events, 2)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: len(events) == 4)
    assert [(event.kind, event.name) for event in events[2:]] == [("died", "hub 1"), ("ready", "hub 1")]
    assert alive(events[3].pid)
    assert alive(second)
    stopping.signal()
    await running


async def test_a_crash_loop_ends_all() -> None:
    events: list[Event] = []
    loop, sleeper = commands("raise SystemExit(1)", 1)[0], commands(SLEEPER, 2)[1]
    with pytest.raises(GaveUp, match=r"^hub 1 died 3 times within 60 s, last: exit code 1$"):
        await supervise([loop, sleeper], Stopping(), events.append, back_off=lambda: BackOff(give_up_after=3))
    assert not any(alive(event.pid) for event in events if event.pid)


async def test_a_wrong_configuration_is_not_tried_again() -> None:
    events: list[Event] = []
    with pytest.raises(GaveUp, match=r"^hub 1 ended, exit code 3$") as end:
        await supervise(commands("raise SystemExit(3)", 1), Stopping(), events.append)
    assert end.value.exit_code == 3
    assert [event.kind for event in events] == ["ready"]


async def test_a_signal_a_second_later_ends_the_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    events: list[Event] = []
    now = 100.0
    stopping = Stopping(lambda: now)
    running = asyncio.create_task(supervise(commands(STUBBORN, grace_s=600, log=log), stopping, events.append))
    pids = await started(events, 2)
    await eventually(lambda: len(tail(log)) == 2)
    stopping.signal()
    stopping.signal()  # make passes on what the group got already
    done, _ = await asyncio.wait([running], timeout=0.2)
    assert not done
    now += 1
    stopping.signal()
    await running
    assert not any(alive(pid) for pid in pids)


async def test_a_program_that_cannot_be_run_leaves_nothing_behind() -> None:
    events: list[Event] = []
    with pytest.raises(ChildFailed, match="No such file"):
        await supervise([*commands(SLEEPER, 1), Command("hub 2", ("/no/such",))], Stopping(), events.append)
    assert events == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_with_exit_code_0(number: signal.Signals) -> None:
    with Script.running(SUPERVISOR, SLEEPER, "5") as supervisor:
        pids = [supervisor.line()[2] for _ in range(2)]
        assert supervisor.end(number) == 0
        assert not any(alive(pid) for pid in pids)


def test_a_hangup_is_passed_on_and_ends_nothing_and_an_interrupt_is_told_from_a_stop() -> None:
    with Script.running(SUPERVISOR, LISTENER, "5") as supervisor:
        lines = [supervisor.line() for _ in range(4)]
        assert lines.count("listens") == 2
        os.kill(supervisor.pid, signal.SIGHUP)
        assert [supervisor.line() for _ in range(2)] == ["hangup", "hangup"]
        os.kill(supervisor.pid, signal.SIGINT)
        assert [supervisor.line() for _ in range(2)] == ["interrupt", "interrupt"]
        assert supervisor.ended() == 0


def test_what_does_not_listen_is_killed_after_the_grace() -> None:
    with Script.running(SUPERVISOR, STUBBORN, "0.3") as supervisor:
        pids = deaf(supervisor)
        assert supervisor.end(signal.SIGTERM) == 0
        assert not any(alive(pid) for pid in pids)


async def test_sigkill_of_the_supervisor_ends_all() -> None:
    with Script.running(SUPERVISOR, STUBBORN, "0.3") as supervisor:
        pids = deaf(supervisor)
        supervisor.kill()
        await eventually(lambda: not any(alive(pid) for pid in pids))


def test_the_exit_code_of_a_wrong_configuration_is_passed_on() -> None:
    with Script.running(SUPERVISOR, "raise SystemExit(3)", "5") as supervisor:
        assert supervisor.ended() == 3


def test_workers_are_numbered_and_get_more_time_than_they_need_to_end() -> None:
    first, second = workers(2, ("serve", "--workers", "1"), shutdown_timeout_s=25)
    assert (first.name, second.name) == ("hub 1", "hub 2")
    assert first.argv == (sys.executable, "-m", "chat", "serve", "--workers", "1")
    assert first.grace_s > 25
    assert first.log is None
