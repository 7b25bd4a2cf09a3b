"""`hubbub dev` starts everything, says so, keeps it running and leaves nothing behind.

The servers are real; the hub and the worker are small stand-ins but for the last test: this is about what runs them.
"""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import jwt
import pytest

from storage.local.ports import free_port
from support.processes import Script, alive, all_processes, command_of
from support.servers import short_directory
from support.waiting import eventually

STUB = """
import http.server, os, sys, time, tomllib
if sys.argv[1] == "worker":
    time.sleep(600)
server = tomllib.load(open(os.environ["HUBBUB_CONFIG"], "rb"))["server"]

class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

if os.path.exists(os.environ["STUB_FAILS"]):
    sys.exit(3)
http.server.ThreadingHTTPServer((server["host"], server["port"]), Ready).serve_forever()
"""
DEV = """
import sys
from pathlib import Path
sys.path.insert(0, ".")
stub, arguments = sys.argv[1], sys.argv[2:]
from chat.cli import dev
if stub:
    dev.SELF = (sys.executable, stub)
flags = dict(argument.split("=") for argument in arguments)
options = dev.Options(
    host=flags.get("host"), port=int(flags["port"]), data=Path(flags["data"]), ephemeral="ephemeral" in flags, json=True
)
sys.exit(dev.run(options))
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        (path / "stub.py").write_text(STUB)
        yield path


def dev(directory: Path, port: int, *more: str, real: bool = False) -> AbstractContextManager[Script]:
    """A running `hubbub dev`, with stand-ins for the hub and the worker unless they are to be real."""
    environment = {**os.environ, "STUB_FAILS": str(directory / "fail")}
    for name in ("MONGODB_URL", "REDIS_URL", "PORT"):
        environment.pop(name, None)
    arguments = ("" if real else str(directory / "stub.py"), f"port={port}", f"data={directory / 'data'}", *more)
    return Script.running(DEV, *arguments, environment=environment)


def test_one_line_says_everything_when_it_is_ready(directory: Path) -> None:
    port = free_port()
    with dev(directory, port) as running:
        ready = running.line()
        assert ready["ready"] is True
        http = f"http://127.0.0.1:{port}"
        assert ready["http"] == http
        assert ready["websocket"] == f"ws://127.0.0.1:{port}/connection/websocket"
        assert ready["play"] == f"{http}/play?as=alice"
        assert ready["docs"] == f"{http}/docs"
        assert ready["admin"].startswith(f"{http}/admin/login#")
        assert set(ready["tokens"]) == {"alice", "bob", "carol"}
        assert set(ready["pids"]) == {"hub", "worker", "mongod", "redis"}
        assert ready["mongodb_url"].startswith("mongodb://127.0.0.1:")
        assert ready["redis_url"] == f"unix://{directory}/data/redis/redis.sock"
        assert all(alive(pid) for pid in ready["pids"].values())
        keys = json.loads((directory / "data" / "keys.json").read_text())
        assert ready["api_key"] == keys["api"]
        assert jwt.decode(ready["tokens"]["bob"], keys["token"], algorithms=["HS256"])["sub"] == "bob"
        for name in ("keys.json", "config.toml"):
            assert stat.S_IMODE((directory / "data" / name).stat().st_mode) == 0o600
        with urllib.request.urlopen(http) as answer:
            assert answer.status == 200
        assert running.end(signal.SIGTERM) == 0
        assert not any(alive(pid) for pid in ready["pids"].values())


def test_port_0_is_a_free_one(directory: Path) -> None:
    with dev(directory, 0) as running:
        http = running.line()["http"]
        assert not http.endswith(":0")
        assert answers(http)
        running.end(signal.SIGTERM)


def test_keys_and_addresses_are_the_same_the_next_time(directory: Path) -> None:
    port = free_port()
    lines = []
    for number in (signal.SIGINT, signal.SIGTERM):
        with dev(directory, port) as running:
            lines.append(running.line())
            assert running.end(number) == 0
    assert lines[0]["api_key"] == lines[1]["api_key"]
    assert lines[0]["mongodb_url"] == lines[1]["mongodb_url"]


async def test_what_dies_is_started_again_and_said_so(directory: Path) -> None:
    with dev(directory, free_port()) as running:
        ready = await asyncio.to_thread(running.line)
        for name in ("hub", "mongod", "redis"):
            os.kill(ready["pids"][name], signal.SIGKILL)
        await eventually(lambda: running.errors().count(" is back ") == 3)
        assert answers(ready["http"])
        running.end(signal.SIGTERM)
        said = running.errors()
        for name in ("hub", "mongod", "redis"):
            assert f"{name} died (killed by SIGKILL) and is started again in 0.1 s" in said
            assert f"{name} is back (pid " in said


async def test_sigkill_leaves_nothing(directory: Path) -> None:
    with dev(directory, free_port(), "ephemeral=") as running:
        ready = await asyncio.to_thread(running.line)
        data = Path(ready["redis_url"].removeprefix("unix://")).parent.parent
        assert data.is_dir()
        assert not data.is_relative_to(directory)
        running.kill()
        await eventually(lambda: not any(alive(pid) for pid in ready["pids"].values()))
        await eventually(lambda: not data.exists())


def test_a_stop_while_it_starts_leaves_nothing(directory: Path) -> None:
    with dev(directory, free_port()) as running:
        log = directory / "data" / "log" / "mongod.log"
        while not log.exists():
            assert running.is_running
        assert running.end(signal.SIGTERM) == 0
        assert not processes_of(directory)


def test_a_taken_port_is_one_clear_line(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with dev(directory, port) as running:
            assert running.ended() == 1
            assert running.errors().startswith(f"hubbub dev: port {port} is in use: stop what uses it, or take another")
            assert running.errors().count("\n") == 1
    assert not (directory / "data").exists()


def test_a_folder_that_cannot_be_written_is_one_clear_line(directory: Path) -> None:
    (directory / "data").write_text("a file, not a folder")
    with dev(directory, free_port()) as running:
        assert running.ended() == 1
        assert running.errors() == f"hubbub dev: cannot write to {directory}/data: File exists\n"


def test_a_second_one_on_the_same_data_is_one_clear_line(directory: Path) -> None:
    with dev(directory, free_port()) as first:
        first.line()
        with dev(directory, free_port()) as second:
            assert second.ended() == 1
            assert second.errors() == (
                f"hubbub dev: {directory}/data is in use by process {first.pid}: "
                "stop that one, or use another directory\n"
            )
        first.end(signal.SIGTERM)


def test_a_hub_that_cannot_start_ends_everything(directory: Path) -> None:
    (directory / "fail").touch()
    with dev(directory, free_port()) as running:
        assert running.ended() == 1
        assert running.errors() == "hubbub dev: hub: ended before it was ready, exit code 3\n"
        assert not processes_of(directory)


def test_a_wrong_configuration_is_one_clear_line(directory: Path) -> None:
    with dev(directory, 70_000) as running:
        assert running.ended() == 3
        assert running.errors() == "hubbub dev: server.port: must be 0 to 65535 (flag --port)\n"


def test_the_real_hub_and_worker_run(directory: Path) -> None:
    with dev(directory, 0, "ephemeral=", real=True) as running:
        ready = running.line()
        assert answers(f"{ready['http']}/readyz")
        assert answers(ready["play"])
        command = [sys.executable, "-m", "chat", "send", "General", "hello", "--as", "alice", "--config"]
        data = Path(ready["redis_url"].removeprefix("unix://")).parent.parent
        subprocess.run([*command, str(data / "config.toml")], check=True, capture_output=True)
        assert running.end(signal.SIGTERM) == 0
        assert faults(running.errors()) == []
        assert not any(alive(pid) for pid in ready["pids"].values())
        assert not data.exists()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def faults(said: str) -> list[str]:
    """What is not a line of the log, or an error there. A server that a busy machine kept waiting is a warning."""
    return [line for line in said.splitlines() if not line.startswith("{") or json.loads(line)["level"] != "warning"]


def processes_of(directory: Path) -> list[int]:
    """Processes whose command line names the directory."""
    name = os.fsencode(directory)
    return [pid for pid in all_processes() if pid != os.getpid() and name in command_of(pid) and alive(pid)]
