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
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


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
