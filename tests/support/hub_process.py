"""A hub as it runs in production: `hubbub serve` in a process of its own, with a configuration file."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from chat.auth.mint import connection_token
from chat.config import Config, Secret
from storage.local.ports import free_port
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from support.app import SECRET
from support.waiting import PATIENCE_S, eventually


@dataclass
class HubProcess:
    """`settings` by dotted key are what its file says; `rewrite` changes them for the next reload."""

    port: int
    directory: Path
    settings: dict[str, Any]
    process: asyncio.subprocess.Process | None = None
    scheme: str = "http"
    arguments: tuple[str, ...] = ()
    command: str = "serve"
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def http(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def websocket(self) -> str:
        return self.http.replace("http", "ws", 1) + "/connection/websocket"

    @property
    def running(self) -> asyncio.subprocess.Process:
        assert self.process is not None
        return self.process

    @property
    def log(self) -> Path:
        return self.directory / "log"

    def token(self, user: str, **claims: Any) -> str:
        return connection_token(user, Secret(SECRET), now_s=time.time(), ttl_s=600, claims=claims)

    def rewrite(self, **changed: object) -> None:
        """Write the file, with some settings changed; `__` for the dots."""
        self.settings |= {name.replace("__", "."): value for name, value in changed.items()}
        lines: dict[str, list[str]] = {}
        for key, value in self.settings.items():
            table, _, name = key.rpartition(".")
            lines.setdefault(table, []).append(f"{name} = {_toml(value)}")
        text = "\n".join(f"[{table}]\n" + "\n".join(keys) + "\n" for table, keys in lines.items())
        (self.directory / "config.toml").write_text(text)

    async def start(self) -> None:
        """Start it; nothing is waited for."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "chat", self.command, "--config", str(self.directory / "config.toml")),
                *self.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**_clean_environment(), **self.environment},
            )

    async def ready(self) -> None:
        """Wait until it wants traffic."""
        await eventually(self._is_ready, within_s=3 * PATIENCE_S)

    async def _is_ready(self) -> bool:
        if self.running.returncode is not None:
            raise RuntimeError(self.log.read_text())
        return await self.readyz() == 200

    async def readyz(self) -> int | None:
        """What `/readyz` answers on a new connection; None where nothing listens."""
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as session,
                session.get(f"{self.http}/readyz") as answer,
            ):
                return answer.status
        except (aiohttp.ClientError, OSError):
            return None

    def signal(self, number: signal.Signals) -> None:
        self.running.send_signal(number)

    async def ended(self, within_s: float = 3 * PATIENCE_S) -> int:
        """Wait for its end; returns the exit code."""
        async with asyncio.timeout(within_s):
            return await self.running.wait()

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of its log with this event."""
        lines = [line for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [one for one in map(json.loads, lines) if one.get("event") == event]


@asynccontextmanager
async def hub_process(config: Config, *, migrated: bool = True, **settings: object) -> AsyncIterator[HubProcess]:
    """A hub with the servers and secrets of a test's configuration, not started yet; killed at the end if need be.

    `settings` are what its file says beyond that, `__` for the dots.
    """
    if migrated:
        async with connect(config.mongodb.url.reveal(), config.mongodb.database) as database:
            await migrate(database)
    directory = Path(tempfile.mkdtemp(prefix="hubbub-process-"))
    basic: Mapping[str, object] = {
        "server.host": "127.0.0.1",
        "server.port": free_port(),
        "mongodb.url": config.mongodb.url.reveal(),
        "mongodb.database": config.mongodb.database,
        "redis.urls": [url.reveal() for url in config.redis.urls],
        "redis.prefix": config.redis.prefix,
        "token.hmac_secret_key": config.token.hmac_secret_key.reveal(),
        "api.key": config.api.key.reveal(),
        "uploads.store": "off",
        "log.format": "json",
    }
    hub = HubProcess(0, directory, dict(basic))
    hub.rewrite(**settings)
    hub.port = int(hub.settings["server.port"])
    if "server.tls.certificate" in hub.settings:
        hub.scheme = "https"
    try:
        yield hub
    finally:
        if hub.process is not None and hub.process.returncode is None:
            hub.process.kill()
            await hub.process.wait()
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def ready_hub(config: Config, **settings: Any) -> AsyncIterator[HubProcess]:
    """A hub process that wants traffic."""
    async with hub_process(config, **settings) as hub:
        await hub.start()
        await hub.ready()
        yield hub


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUBBUB_")}
    for name in ("MONGODB_URL", "REDIS_URL", "PORT", "WEB_CONCURRENCY"):
        kept.pop(name, None)
    return kept
