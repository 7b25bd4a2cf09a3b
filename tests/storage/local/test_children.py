"""Children are started, watched, stopped, and never left behind."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from storage.local.children import Child, ChildFailed, Command, Exit, Service, tail
from support.processes import Script, alive, children_of, command_of
from support.waiting import eventually

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
)
FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
PARENT = """
import asyncio, json, sys
from pathlib import Path
from storage.local.children import Child, Command

async def main() -> None:
    log, remove, *argv = sys.argv[1:]
    child = await Child.start(
        Command("test", tuple(argv), log=Path(log), grace_s=0.2, remove_if_orphaned=Path(remove) if remove else None)
    )
    print(json.dumps({"child": child.pid, "guard": child.guard_pid}), flush=True)
    await child.exited()

asyncio.run(main())
"""


def python(source: str, *, log: Path | None = None, grace_s: float = 5.0) -> Command:
    return Command("test", (sys.executable, "-c", source), log=log, grace_s=grace_s)


@asynccontextmanager
async def started(command: Command) -> AsyncIterator[Child]:
    child = await Child.start(command)
    try:
        yield child
    finally:
        await child.stop(now=True)


def guards() -> set[int]:
    """The guards that we are the parent of."""
    return {pid for pid in children_of(os.getpid()) if alive(pid) and b"guard.py" in command_of(pid)}


async def printed(log: Path) -> str:
    """The first line of a child's log, once it is there."""
    return (await eventually(lambda: tail(log)))[0]


async def test_the_exit_code_is_told() -> None:
    async with started(python("raise SystemExit(3)")) as child:
        assert await child.exited() == Exit(3)
        assert not child.running


async def test_a_signal_is_told() -> None:
    async with started(python(SLEEPER)) as child:
        os.kill(child.pid, signal.SIGSEGV)
        assert str(await child.exited()) == "killed by SIGSEGV"


async def test_several_may_wait_for_the_end() -> None:
    async with started(python(SLEEPER)) as child:
        waiting = [asyncio.create_task(child.exited()) for _ in range(3)]
        impatient = asyncio.create_task(child.exited())
        await asyncio.sleep(0)
        impatient.cancel()
        os.kill(child.pid, signal.SIGKILL)
        assert await asyncio.gather(*waiting) == [Exit(-9)] * 3


async def test_a_stop_is_polite_first(tmp_path: Path) -> None:
    polite = SLEEPER.replace(
        "print(", "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print("
    )
    async with started(python(polite, log=tmp_path / "log")) as child:
        await printed(tmp_path / "log")
        assert await child.stop() == Exit(7)


async def test_a_child_that_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with started(python(STUBBORN, log=tmp_path / "log", grace_s=0.1)) as child:
        await printed(tmp_path / "log")
        assert await child.stop() == Exit(-signal.SIGKILL)


async def test_a_stopped_child_can_be_ended() -> None:
    async with started(python(SLEEPER, grace_s=30)) as child:
        os.kill(child.pid, signal.SIGSTOP)
        assert await child.stop() == Exit(-signal.SIGTERM)


async def test_without_grace_a_stop_kills(tmp_path: Path) -> None:
    async with started(python(STUBBORN, log=tmp_path / "log", grace_s=0)) as child:
        assert await child.stop() == Exit(-signal.SIGKILL)


async def test_stopping_twice_is_harmless() -> None:
    async with started(python(SLEEPER)) as child:
        first = await child.stop()
        assert await child.stop() == first


async def test_a_program_that_cannot_be_run_says_why(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=r"^test: /no/such/program: No such file or directory$"):
        await Child.start(Command("test", ("/no/such/program",), log=tmp_path / "log"))


async def test_output_is_appended_to_the_log_and_the_end_of_this_run_can_be_read(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "log"
    for _ in range(2):
        async with started(
            python("import sys; [print(n, flush=True) for n in range(25)]; print('end', file=sys.stderr)", log=log)
        ) as child:
            await child.exited()
    assert len(log.read_text().splitlines()) == 52
    assert child.last_lines() == (*(str(n) for n in range(6, 25)), "end")


async def test_a_log_that_grew_large_is_moved_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * (5 * 1024 * 1024))
    async with started(python("print('fresh')", log=log)) as child:
        await child.exited()
    assert log.read_text() == "fresh\n"
    assert (tmp_path / "log.1").stat().st_size == 5 * 1024 * 1024


async def test_the_child_is_in_a_session_of_its_own_and_reads_nothing() -> None:
    check = "import os, sys; sys.exit(0 if os.getsid(0) == os.getpid() and sys.stdin.read() == '' else 1)"
    async with started(python(check)) as child:
        assert await child.exited() == Exit(0)


async def test_the_child_lives_on_when_the_thread_that_started_it_ends() -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(asyncio.run(Child.start(python(SLEEPER)))))
    thread.start()
    await asyncio.to_thread(thread.join)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(children[0].exited(), 0.2)
    assert alive(children[0].pid)
    await children[0].stop(now=True)


async def test_a_cancelled_start_leaves_nothing() -> None:
    before = guards()
    for _ in range(20):
        starting = asyncio.create_task(Child.start(python(SLEEPER)))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert guards() <= before


async def test_a_cancelled_stop_leaves_it_to_the_guard(tmp_path: Path) -> None:
    async with started(python(STUBBORN, log=tmp_path / "log", grace_s=0.3)) as child:
        await printed(tmp_path / "log")
        stopping = asyncio.create_task(child.stop())
        await asyncio.sleep(0)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopping
        await eventually(lambda: not alive(child.pid) and not alive(child.guard_pid))


async def test_descriptors_can_be_shared_with_the_child() -> None:
    read_fd, write_fd = os.pipe()
    with os.fdopen(read_fd) as pipe:
        command = Command(
            "test", (sys.executable, "-c", f"import os; os.write({write_fd}, b'hello')"), keep_open=(write_fd,)
        )
        async with started(command) as child:
            os.close(write_fd)
            await child.exited()
        assert pipe.read() == "hello"


async def test_sigkill_of_the_parent_ends_the_child(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path / "log"), "", sys.executable, "-c", SLEEPER) as parent:
        pids = parent.line()
        await printed(tmp_path / "log")
        parent.kill()
        await eventually(lambda: not alive(pids["child"]))
        await eventually(lambda: not alive(pids["guard"]))


async def test_sigkill_of_the_parent_ends_even_a_child_that_does_not_listen(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path / "log"), "", sys.executable, "-c", STUBBORN) as parent:
        pids = parent.line()
        await printed(tmp_path / "log")
        parent.kill()
        await eventually(lambda: not alive(pids["child"]))


async def test_sigkill_of_the_parent_ends_the_children_of_the_child(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path / "log"), "", sys.executable, "-c", FAMILY) as parent:
        pids = parent.line()
        grandchild = int(await printed(tmp_path / "log"))
        assert alive(grandchild)
        parent.kill()
        await eventually(lambda: not alive(pids["child"]) and not alive(grandchild))


async def test_sigkill_of_the_guard_ends_the_child_and_is_told(tmp_path: Path) -> None:
    async with started(python(STUBBORN, log=tmp_path / "log")) as child:
        await printed(tmp_path / "log")
        os.kill(child.guard_pid, signal.SIGKILL)
        assert await child.exited() == Exit(None)
        await eventually(lambda: not alive(child.pid))


async def test_sigkill_of_parent_and_guard_together_ends_the_child(tmp_path: Path) -> None:
    with Script.running(PARENT, str(tmp_path / "log"), "", sys.executable, "-c", STUBBORN) as parent:
        pids = parent.line()
        await printed(tmp_path / "log")
        os.kill(parent.pid, signal.SIGSTOP)  # so that it cannot do anything about it
        os.kill(pids["guard"], signal.SIGKILL)
        parent.kill()
        await eventually(lambda: not alive(pids["child"]))


async def test_a_copy_of_the_pipe_in_another_process_does_not_keep_the_child_alive(tmp_path: Path) -> None:
    """A parent that forked without exec leaves the pipe open in its copy; the guard notices by its parent's id."""
    source = PARENT.replace(
        "await child.exited()", "import os, time; os.fork() or (time.sleep(3), os._exit(0)); time.sleep(600)"
    )
    with Script.running(source, str(tmp_path / "log"), "", sys.executable, "-c", SLEEPER) as parent:
        pids = parent.line()
        await printed(tmp_path / "log")
        parent.kill()
        await eventually(lambda: not alive(pids["child"]))


async def test_an_orphans_directory_is_deleted_but_not_that_of_a_stopped_child(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for directory in (mine, theirs):
        directory.mkdir()
        (directory / "file").write_text("x")
    async with started(Command("test", (sys.executable, "-c", SLEEPER), grace_s=0, remove_if_orphaned=mine)):
        pass
    with Script.running(PARENT, str(tmp_path / "log"), str(theirs), sys.executable, "-c", SLEEPER) as parent:
        parent.line()
        parent.kill()
        await eventually(lambda: not theirs.exists())
    assert mine.exists()


async def test_a_service_is_started_when_it_is_ready(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def ready() -> None:
        await printed(log)

    service = Service(python(SLEEPER, log=log), ready)
    await service.start()
    first = service.pid
    assert log.read_text() == "up\n"
    await service.start()
    assert service.pid == first
    await service.stop()
    await service.start()
    assert service.pid != first
    await service.stop(now=True)


async def test_a_service_that_ends_before_it_is_ready_says_what_it_wrote(tmp_path: Path) -> None:
    service = Service(python("print('no disk'); raise SystemExit(2)", log=tmp_path / "log"), never)
    with pytest.raises(ChildFailed, match=r"^test: ended before it was ready, exit code 2$") as failure:
        await service.start()
    assert failure.value.last_lines == ("no disk",)


async def test_a_service_that_is_not_ready_in_time_is_killed(tmp_path: Path) -> None:
    service = Service(python(SLEEPER, log=tmp_path / "log"), never, ready_within_s=0.2)
    with pytest.raises(ChildFailed, match=r"^test: not ready after 0.2 s$"):
        await service.start()
    assert not alive(service.pid)


async def never() -> None:
    await asyncio.Event().wait()
