"""Another hub of a local deployment, alone in its process: what is measured has nothing else in it."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.local import UNLIMITED

ADMITTED: Final = {"HUBBUB_ADMISSION__UPGRADES_PER_SECOND": "0", "HUBBUB_ADMISSION__CONNECTING": "100000"}
"""All who come are let in: how fast that goes is what is measured."""

START_S: Final = 180.0


@dataclass(frozen=True, slots=True)
class Hub:
    pid: int
    port: int


@asynccontextmanager
async def second_hub(
    ready: Mapping[str, Any],
    data: Path,
    *,
    core: int | None = None,
    module: str = "chat",
    environment: Mapping[str, str] = ADMITTED,
) -> AsyncIterator[Hub]:
    """Ready to serve; killed with the block. `module` is run in the place of `chat`."""
    port = _free_port()
    pinned = [] if core is None else ["taskset", "-c", str(core)]
    command = [sys.executable, "-m", module, "serve", "--config", str(data / "config.toml"), "--port", str(port)]
    named = {"MONGODB_URL": ready["mongodb_url"], "REDIS_URL": ready["redis_url"]}
    with (data / f"hub-{port}.log").open("ab") as log:
        process = subprocess.Popen(
            [*pinned, *command], env={**os.environ, **UNLIMITED, **named, **environment}, stdout=log, stderr=log
        )
        try:
            await _until_ready(port, process)
            yield Hub(process.pid, port)
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def _until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(START_S):
        while True:
            if process.poll() is not None:
                raise RuntimeError("the hub did not start")
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
