"""Looking at processes that are not our children."""

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self


def alive(pid: int) -> bool:
    """Whether a process runs. A zombie does not: in a container nobody may be there to collect it."""
    status = _status_of(pid)
    return bool(status) and status[0] not in {"Z", "X"}


def all_processes() -> Iterator[int]:
    """The ids of all processes that are there at the moment."""
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def command_of(pid: int) -> bytes:
    """The command line, empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def children_of(parent: int) -> list[int]:
    """The ids of a process' children."""
    return [pid for pid in all_processes() if _status_of(pid)[1:2] == [str(parent)]]


def _status_of(pid: int) -> list[str]:
    """State, parent and more; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Script:
    """A Python script in a process of its own, which prints JSON lines. For parents that a test wants to kill."""

    def __init__(self, process: "subprocess.Popen[str]", errors: IO[str]) -> None:
        self._process = process
        self._errors = errors

    @classmethod
    @contextlib.contextmanager
    def running(cls, source: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Self]:
        """Run the source until the block ends (it is killed then)."""
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-c", source, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
            )
            with process:
                try:
                    yield cls(process, errors)
                finally:
                    process.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> Any:
        """The next line that it prints, decoded; waits for it."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        assert text, f"the script ended: {self.errors()}"
        return json.loads(text)

    def errors(self) -> str:
        """What it has written to standard error so far."""
        self._errors.seek(0)
        return self._errors.read()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self, number: signal.Signals) -> int:
        """Send a signal, and wait; returns the exit code."""
        self._process.send_signal(number)
        return self._process.wait()

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        return self._process.wait()
