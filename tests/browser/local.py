"""`hubbub dev` as a child process, for tests that look at it from outside: through a browser, through REST."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from chat.auth.mint import connection_token
from chat.config import Secret
from storage.local.ports import free_port

_BUSY_AT_MOST_S: Final = 30.0


class Local:
    """A deployment on this machine. Its data outlives `kill`: start it again with the same directory and port."""

    def __init__(self, process: "subprocess.Popen[str]", data: Path, ready: dict[str, Any]) -> None:
        self._process = process
        self._data = data
        self.ready = ready

    @classmethod
    @contextlib.contextmanager
    def running(cls, data: Path, port: int | None = None) -> Iterator[Self]:
        """Start it on a free port, or on this one; it is stopped at the end of the block. Its log is `dev.log`."""
        data.mkdir(exist_ok=True)
        with (data / "dev.log").open("a") as log, cls._start(data, port or free_port(), log.fileno()) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert line, f"hubbub dev ended: {(data / 'dev.log').read_text()[-2000:]}"
                yield cls(process, data / "hubbub", json.loads(line))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=30)

    @staticmethod
    def _start(data: Path, port: int, log: int) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "chat", "dev", "--json", "--port", str(port), "--data", str(data / "hubbub")]
        # A test writes in a second what people write in an hour.
        environment = {**os.environ, "HUBBUB_RATE_LIMITS__USER_SENDS": "0"}
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=log, text=True, env=environment
        )

    @property
    def port(self) -> int:
        return int(self.http.rpartition(":")[2])

    @property
    def http(self) -> str:
        return str(self.ready["http"])

    def pid(self, name: str) -> int:
        """The process that was started first under this name: hub, worker, mongod or redis."""
        return int(self.ready["pids"][name])

    def token(self, user: str, *, ttl_s: float) -> str:
        """A token as the playground hands out, for as long as a test wants it."""
        keys = json.loads((self._data / "keys.json").read_text())
        return connection_token(user, Secret(keys["token"]), now_s=time.time(), ttl_s=ttl_s)

    def kill(self) -> None:
        """SIGKILL to the command itself; everything it started goes with it."""
        self._process.kill()
        self._process.wait()

    async def call(self, user: str, method: str, /, **params: Any) -> Any:
        """A method as a demo user, over REST. A server that says it is busy is asked again, as it says one may."""
        headers = {"Authorization": f"Bearer {self.ready['tokens'][user]}"}
        url = f"{self.http}/v1/rpc/{method}"
        async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(_BUSY_AT_MOST_S):
            while True:
                async with session.post(url, json=params) as response:
                    answer = await response.json()
                if response.status != 503:
                    assert response.status == 200, answer
                    return answer
                await asyncio.sleep(answer["retry_after_ms"] / 1000)
