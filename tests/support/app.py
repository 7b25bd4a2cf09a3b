"""The whole product in this process: several hub processes' worth of it, on one database and one Redis."""

import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import aiohttp

from chat.app import Running
from chat.auth.mint import connection_token
from chat.config import Config, Secret, load
from chat.server import listening
from storage.mongo.client import connect
from support.databases import laid_out

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-every-hmac"
API_KEY = "an-api-key-of-the-tests"
UNLIMITED = {
    f"rate_limits.{limit}": 0
    for limit in (
        "connection_commands",
        "connection_refusals",
        "connection_errors",
        "user_commands",
        "user_sends",
        "address_upgrades",
        "address_failed_sign_ins",
    )
}
UPLOADS = Path(gettempdir()) / "hubbub-tests-uploads"


@dataclass(frozen=True, slots=True)
class App:
    """One running hub with its addresses."""

    running: Running
    http: str

    @property
    def websocket(self) -> str:
        return self.http.replace("http", "ws", 1) + "/connection/websocket"

    def token(self, user: str, *, ttl_s: float = 600, **claims: Any) -> str:
        return connection_token(user, Secret(SECRET), now_s=time.time(), ttl_s=ttl_s, claims=claims)

    @asynccontextmanager
    async def rest(self, user: str) -> AsyncIterator[aiohttp.ClientSession]:
        """A client that is signed in as the user, with relative addresses."""
        headers = {"Authorization": f"Bearer {self.token(user)}"}
        async with aiohttp.ClientSession(self.http, headers=headers) as session:
            yield session

    @asynccontextmanager
    async def api(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession(self.http, headers={"X-API-Key": API_KEY}) as session:
            yield session


def test_config(mongodb_url: str, database: str, redis_url: str, prefix: str, **more: object) -> Config:
    """A configuration for tests; `more` by dotted key with `__` for the dots.

    Without rate limits: tests do in a second what people do in a day. Nobody is told who comes and goes, unless it is
    asked for: it would come between what a test is about, at any moment.
    """
    overrides: Mapping[str, object] = {
        "server.host": "127.0.0.1",
        "server.port": 0,
        "server.shutdown_timeout": "1s",
        "mongodb.url": mongodb_url,
        "mongodb.database": database,
        "redis.urls": redis_url,
        "redis.prefix": prefix,
        "token.hmac_secret_key": SECRET,
        "api.key": API_KEY,
        "uploads.directory": str(UPLOADS / database),
        "limits.presence_members": 0,
        **UNLIMITED,
        "channel.namespaces": [
            {
                "name": "news",
                "allow_subscribe_for_client": True,
                "presence": True,
                "join_leave": True,
                "allow_presence_for_subscriber": True,
                "history_size": 100,
                "history_ttl": "5m",
                "force_recovery": True,
                "allow_history_for_subscriber": True,
            }
        ],
        **{name.replace("__", "."): value for name, value in more.items()},
    }
    return load(None, {}, overrides).config


test_config.__test__ = False  # type: ignore[attr-defined]  # pytest takes the name for a test


@asynccontextmanager
async def serve_app(config: Config, *, demo: bool = False) -> AsyncIterator[App]:
    """Migrate, where that was not done before, and serve on a free port."""
    async with connect(config.mongodb.url.reveal(), config.mongodb.database) as database:
        await laid_out(database)
    async with listening(config, demo=demo) as running:
        yield App(running, f"http://127.0.0.1:{running.port}")
    shutil.rmtree(UPLOADS / config.mongodb.database, ignore_errors=True)
