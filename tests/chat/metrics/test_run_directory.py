"""Processes of a node share their samples through files."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.metrics import run_directory
from chat.metrics.families import Family, ProcessSamples, Retired
from chat.metrics.run_directory import RunDirectory

PEER = """
import sys
from pathlib import Path
from chat.metrics.families import Family, ProcessSamples
from chat.metrics.run_directory import RunDirectory

directory = RunDirectory(Path(sys.argv[1]), sys.argv[2])
directory.open()
families = [Family("hubbub_x", "H.", "counter", [("hubbub_x_total", (), float(sys.argv[3]))])]
directory.write(ProcessSamples(sys.argv[2], "1", 1, 0, families))
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.asynccontextmanager
async def peer(path: Path, process: str, count: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process with `count` on its counter, killed at the end."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PEER, str(path), process, str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child.stdin.close()


def samples(process: str, count: float) -> ProcessSamples:
    return ProcessSamples(
        process, "0", os.getpid(), 0, [Family("hubbub_x", "H.", "counter", [("hubbub_x_total", (), count)])]
    )


def total(living: list[ProcessSamples], retired: Retired) -> float:
    families = [family for each in living for family in each.families] + retired.families
    return sum(value for family in families for _, _, value in family.samples)


async def test_a_killed_process_leaves_its_counters_and_no_files(tmp_path: Path) -> None:
    mine = RunDirectory(tmp_path, "mine")
    mine.open()
    mine.write(samples("mine", 1))
    async with peer(tmp_path, "other", 10) as child:
        living, retired = mine.read()
        assert sorted(each.process for each in living) == ["mine", "other"]
        assert total(living, retired) == 11

        child.send_signal(signal.SIGKILL)
        await child.wait()
        living, retired = mine.read()
        assert [each.process for each in living] == ["mine"]
        assert total(living, retired) == 11
        assert mine.read()[1] == retired
    assert not list(tmp_path.glob("other.*"))


async def test_a_frozen_process_still_lives(tmp_path: Path) -> None:
    mine = RunDirectory(tmp_path, "mine")
    mine.open()
    async with peer(tmp_path, "other", 10) as child:
        child.send_signal(signal.SIGSTOP)
        living, _ = mine.read()
        assert [each.process for each in living] == ["other"]
        child.send_signal(signal.SIGCONT)


def test_counters_survive_a_restart_of_everything(tmp_path: Path) -> None:
    for generation in range(3):
        directory = RunDirectory(tmp_path, f"process-{generation}")
        directory.open()
        directory.write(samples(f"process-{generation}", 5))
        directory.close()
    after = RunDirectory(tmp_path, "after")
    after.open()
    assert total(*after.read()) == 15


@pytest.mark.parametrize("step", range(4))
def test_a_fold_that_is_killed_at_any_step_counts_nobody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    for process in ("one", "two"):
        ended = RunDirectory(tmp_path, process)
        ended.open()
        ended.write(samples(process, 5))
        ended.close()
    steps = iter(range(100))

    def fails_at_step() -> None:
        if next(steps) == step:
            raise KeyboardInterrupt

    replace, unlink = Path.replace, Path.unlink

    def failing_replace(self: Path, target: Path) -> Path:
        fails_at_step()
        return replace(self, target)

    def failing_unlink(self: Path, missing_ok: bool = False) -> None:
        fails_at_step()
        unlink(self, missing_ok)

    reader = RunDirectory(tmp_path, "reader")
    reader.open()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", failing_replace)
        patch.setattr(Path, "unlink", failing_unlink)
        with pytest.raises(KeyboardInterrupt):
            reader.read()

    assert total(*reader.read()) == 10
    assert total(*reader.read()) == 10


def test_a_file_that_nobody_can_read_takes_nothing_with_it(tmp_path: Path) -> None:
    mine = RunDirectory(tmp_path, "mine")
    mine.open()
    mine.write(samples("mine", 1))
    (tmp_path / "broken.samples").write_bytes(b"\xc1 not msgpack")
    (tmp_path / "retired").write_bytes(b"")

    assert total(*mine.read()) == 1
    assert not (tmp_path / "broken.samples").exists()


def test_a_reader_that_hangs_does_not_hang_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_directory, "FOLD_DEADLINE_S", 0.05)
    mine = RunDirectory(tmp_path, "mine")
    mine.open()
    with (tmp_path / "fold.lock").open("w") as hanging:
        fcntl.flock(hanging, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"fold\.lock"):
            mine.read()


@pytest.mark.parametrize("process", ["", "../up", "a/b", ".hidden", "a" * 65, "nul\0"])
def test_a_process_name_that_is_no_file_name_is_refused(tmp_path: Path, process: str) -> None:
    with pytest.raises(ValueError, match="process"):
        RunDirectory(tmp_path, process)


def test_nobody_else_may_read_the_directory(tmp_path: Path) -> None:
    RunDirectory(tmp_path / "run", "mine").open()
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
