"""`make autobahn`: runs Autobahn|Testsuite against an echo on the product's socket and on bare aiohttp's, and writes
docs/autobahn.md.

The suite is made for Python 2.7. Where there is none it says so and ends well; where ours fails a case that bare
aiohttp passes it ends with 1.
"""

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from aiohttp import WSMsgType, web

from realtime.incoming import Incoming, take_over
from realtime.outbox import Priority
from realtime.protocol import codes
from realtime.protocol.frame_reader import FrameReader, Refusal
from realtime.protocol.frames import CLOSE, PING, PONG, TEXT, frame
from realtime.wire import Wire, prepare_socket

ROOT: Final = Path(__file__).resolve().parents[3]
WORK: Final = ROOT / "build" / "autobahn"
PAGE: Final = ROOT / "docs" / "autobahn.md"
SUITE: Final = "25.10.1"
VIRTUALENV: Final = "20.21.1"
MAX_FRAME_BYTES: Final = 1024 * 1024
OURS: Final = "hubbub"
BARE: Final = "aiohttp"
CASES: Final = ("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*")
GROUPS: Final = {
    "1": "framing, text and binary",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "10": "many fragments",
}
GOOD: Final = frozenset({"OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED"})
NO_PYTHON: Final = """\
Autobahn|Testsuite needs Python 2.7 and there is none: neither $PYTHON27, nor python2.7 on the PATH, nor in ~/.pyenv.
With pyenv: `pyenv install 2.7.18`. Skipped."""


class Counting:
    """What a `Wire` counts."""

    outbox_bytes = 0
    ephemeral_dropped = 0


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def python27() -> str | None:
    """The first one that runs: pyenv leaves commands on the PATH that only say that they are not chosen."""
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("2.7.*/bin/python"), reverse=True)
    for candidate in (os.environ.get("PYTHON27"), shutil.which("python2.7"), *map(str, pyenv)):
        if candidate and not subprocess.run([candidate, "-V"], check=False, capture_output=True).returncode:
            return candidate
    return None


def installed(python: str) -> Path | None:
    """The suite's command, installed if it is not there yet; None where that fails."""
    wstest = WORK / "v27" / "bin" / "wstest"
    if wstest.exists():
        return wstest
    WORK.mkdir(parents=True, exist_ok=True)
    steps: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", WORK / "v3"],
        [WORK / "v3" / "bin" / "pip", "-q", "install", f"virtualenv=={VIRTUALENV}"],
        [WORK / "v3" / "bin" / "virtualenv", "-q", "-p", python, WORK / "v27"],
        [WORK / "v27" / "bin" / "pip", "-q", "install", f"autobahntestsuite=={SUITE}"],
    ]
    for step in steps:
        if subprocess.run(step, check=False).returncode:
            say(f"Autobahn|Testsuite could not be installed; this failed: {' '.join(map(str, step))}. Skipped.")
            return None
    return wstest


class Echo(Incoming):
    """On the product's socket: its reader and its wire, and the codec's demand that text is UTF-8."""

    __slots__ = ("_tasks", "_wire")

    def __init__(self, transport: asyncio.Transport) -> None:
        reader = FrameReader(None, max_bytes=MAX_FRAME_BYTES, monotonic=time.monotonic)
        super().__init__(reader, transport)
        loop = asyncio.get_running_loop()
        self._wire = Wire(transport, self.drain, loop, max_queued_bytes=16 * MAX_FRAME_BYTES, counted=Counting())
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, opcode: int, payload: bytes) -> Coroutine[Any, Any, None] | None:
        if opcode == CLOSE:
            self._wire.close(1000, "bye", flush=False)
            self.finish()
        elif opcode == TEXT and not _utf8(payload):
            self.refused(Refusal(codes.CLOSE_FRAME_TEXT, "is not UTF-8"))
        elif opcode != PONG:
            self._wire.write(frame(PONG if opcode == PING else opcode, payload), Priority.LIVE)
            return self._flushed()
        return None

    async def _flushed(self) -> None:
        while not self._wire.flush():
            await self._wire.drained()

    def refused(self, refusal: Refusal) -> None:
        self._wire.close(refusal.disconnect.code, refusal.reason, flush=True)

    def gone(self) -> None:
        self._wire.finish()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def ours(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    if transport is None:
        return web.Response()
    prepare_socket(transport)
    return take_over(request, Echo(transport), "")


def _utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


async def bare(request: web.Request) -> web.StreamResponse:
    """Echo as aiohttp's documentation has it."""
    socket = web.WebSocketResponse(compress=False, max_msg_size=MAX_FRAME_BYTES + 1)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get("/hubbub", ours)
    app.router.add_get("/aiohttp", bare)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def measured(wstest: Path) -> dict[str, dict[str, Any]]:
    """The suite's verdicts: by agent, by case."""
    async with serving() as port:
        spec = {
            "outdir": "./reports",
            "servers": [{"agent": agent, "url": f"ws://127.0.0.1:{port}/{agent}"} for agent in (OURS, BARE)],
            "cases": list(CASES),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (WORK / "spec.json").write_text(json.dumps(spec))
        shutil.rmtree(WORK / "reports", ignore_errors=True)
        child = await asyncio.create_subprocess_exec(wstest, "-m", "fuzzingclient", "-s", "spec.json", cwd=WORK)
        if await child.wait():
            raise SystemExit(f"wstest ended with {child.returncode}")
    verdicts: dict[str, dict[str, Any]] = json.loads((WORK / "reports" / "index.json").read_text())
    return verdicts


def order(case: str) -> tuple[int, ...]:
    return tuple(int(part) for part in case.split("."))


def verdict(row: dict[str, Any]) -> str:
    """The worse of what a case says of the exchange and of the close."""
    both = (row["behavior"], row["behaviorClose"])
    return next((one for one in both if one not in GOOD), both[0])


def page(verdicts: dict[str, dict[str, Any]]) -> str:
    """docs/autobahn.md."""
    agents = (OURS, BARE)
    lines = [
        "# Autobahn|Testsuite",
        "",
        "<!-- Made by `make autobahn`. -->",
        "",
        f"The frames of RFC 6455, tried by Autobahn|Testsuite {SUITE} on an echo built from the product's own socket",
        "(`realtime/incoming.py`, its reader and its wire, the settings of production) and, in the same run, on bare",
        f"aiohttp {version('aiohttp')} (Python {platform.python_version()}). Cases 9 (messages of up to 16 MB), 12 and",
        "13 (compression) are left out: a message has at most 1 MiB here, and nothing is compressed. The echo takes",
        "both kinds of data frames; a real connection takes those of its codec only, and closes with 1003 else.",
        "",
        "| cases | about | " + " | ".join(f"{agent}: passed" for agent in agents) + " | failed |",
        "|---|---|" + "---|" * (len(agents) + 1),
    ]
    for group, about in GROUPS.items():
        cases = [case for case in verdicts[OURS] if case.split(".")[0] == group]
        passed = [
            f"{sum(verdict(verdicts[agent][case]) in GOOD for case in cases)} of {len(cases)}" for agent in agents
        ]
        failed = sum(verdict(verdicts[OURS][case]) not in GOOD for case in cases)
        lines.append(f"| {group}.* | {about} | {' | '.join(passed)} | {failed or 'none'} |")
    lines += ["", "| verdict | " + " | ".join(agents) + " |", "|---|" + "---|" * len(agents)]
    counts = {agent: Counter(verdict(row) for row in verdicts[agent].values()) for agent in agents}
    for name in sorted(set().union(*counts.values()), key=lambda one: -counts[OURS][one]):
        lines.append(f"| {name} | " + " | ".join(str(counts[agent][name]) for agent in agents) + " |")
    lines += ["", "## Cases that are not simply passed", ""]
    odd = [
        case
        for case in sorted(verdicts[OURS], key=order)
        if any(verdict(verdicts[agent][case]) != "OK" for agent in agents)
    ]
    lines.append("| case | " + " | ".join(f"{agent} (close code)" for agent in agents) + " |")
    lines.append("|---|" + "---|" * len(agents))
    for case in odd:
        told = (f"{verdict(row)} ({row['remoteCloseCode']})" for row in (verdicts[agent][case] for agent in agents))
        lines.append(f"| {case} | " + " | ".join(told) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    python = python27()
    if python is None:
        say(NO_PYTHON)
        return 0
    wstest = installed(python)
    if wstest is None:
        return 0
    verdicts = asyncio.run(measured(wstest))
    PAGE.write_text(page(verdicts))
    say(f"wrote {PAGE}; the whole report is in {WORK / 'reports'}")
    beyond = [
        case
        for case, row in verdicts[OURS].items()
        if verdict(row) not in GOOD and verdict(verdicts[BARE][case]) in GOOD
    ]
    for case in sorted(beyond, key=order):
        say(f"case {case}: {verdict(verdicts[OURS][case])}, and bare aiohttp passes it")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
