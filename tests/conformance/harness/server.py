"""The server as production runs it: `hubbub migrate`, then `hubbub serve` with a configuration file, as processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

HUBBUB: Final = (sys.executable, "-m", "chat")
ROOT: Final = Path(__file__).parents[3]
GUARD: Final = ROOT / "storage" / "local" / "guard.py"
"""Passes signals on to the server, and ends it when the tests are gone, however they went."""
WITHIN_S: Final = 100.0
"""Starting takes a second on a quiet machine."""
PORT_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers on `port` of this machine."""

    port: int

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/connection/websocket"


class _Log:
    """What a process says on stderr, read as it comes; `serving` is set when it says so, or ends."""

    def __init__(self, lines: IO[str]) -> None:
        self.records: list[dict[str, Any]] = []
        self.text: list[str] = []
        self.is_serving = False
        self.settled = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(lines,), name="server-log", daemon=True)
        self._thread.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            self.text.append(line)
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                self.records.append(record)
                if record.get("event") == "serving":
                    self.is_serving = True
                    self.settled.set()
        self.settled.set()

    def ended(self) -> None:
        """Wait until the process has closed it."""
        self._thread.join(WITHIN_S)

    def faults(self) -> list[str]:
        """What must not be there: faults of ours, and whatever is not a line of the log (warnings, tracebacks)."""
        spoken = [line for line in self.text if not line.startswith("{")]
        return spoken + [f"{record}\n" for record in self.records if record.get("level") in ("error", "critical")]


@contextmanager
def served(config: Path, environment: Mapping[str, str]) -> Iterator[Served]:
    """A migrated database and a server in front of it. Fails if the server has logged a fault or ends badly."""
    variables = {**os.environ, "HUBBUB_LOG__FORMAT": "json", "PYTHONWARNINGS": "error", **environment}
    migrated = subprocess.run(
        [*HUBBUB, "migrate", "--config", str(config)],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr
    process, log, port = _start(config, variables)
    with process:
        try:
            yield Served(port)
            process.send_signal(signal.SIGTERM)
            assert process.wait(WITHIN_S) == 0, "".join(log.text)
        finally:
            process.kill()
    log.ended()
    faults = log.faults()
    assert not faults, "".join(faults)


def _start(config: Path, variables: Mapping[str, str]) -> tuple["subprocess.Popen[str]", _Log, int]:
    for _ in range(PORT_ATTEMPTS):
        port = _free_port()
        command = [*HUBBUB, "serve", "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        with Path(os.devnull).open("wb") as status:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(status.fileno()), str(WITHIN_S), "", *command],
                cwd=ROOT,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(status.fileno(),),
                text=True,
            )
        assert process.stderr is not None
        log = _Log(process.stderr)
        if log.settled.wait(WITHIN_S) and log.is_serving:
            return process, log, port
        process.kill()
        process.wait()
        log.ended()
        # Between our look and its start somebody else may have taken the port; anything else will not get better.
        if "port" not in "".join(log.text):
            break
    raise AssertionError("the server does not start: " + "".join(log.text))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
