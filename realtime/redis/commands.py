"""Requests to one Redis server: each has a deadline, fails once and in the standard exceptions.

redis-py does the talking. Its defaults would turn one failure into ten attempts of five seconds each; here a request
that fails has failed, and what it did is unknown.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import redis.exceptions as errors
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from realtime.redis.scripts import Script
from realtime.redis.settings import RedisSettings

Argument: TypeAlias = bytes | str | int
Command: TypeAlias = tuple[Argument, ...]

# The server is there, but cannot do its work now: a replica, full, or busy. As good as away.
_INCAPABLE = (
    errors.ReadOnlyError,
    errors.OutOfMemoryError,
    errors.ClusterDownError,
    errors.TryAgainError,
)
# The same told by a pipeline, or (Redis 6) from within a script: "… @user_script: 8: -READONLY You can't …".
_INCAPABLE_CODES = re.compile(r"(^\W*|: -)(BUSY|MISCONF|NOREPLICAS|MASTERDOWN|LOADING|READONLY|OOM) ")


class Commands:
    """Raises ConnectionError or TimeoutError where the server is away, and redis-py's own errors for mistakes of ours.

    Cancelling a request closes its connection; the request may be carried out all the same. At most
    `call_connections` requests run at once, more wait within their deadline.
    """

    def __init__(self, url: str, *, settings: RedisSettings) -> None:
        """Connects to nothing yet. Raises ValueError for what is not a Redis URL."""
        self._timeout_s = settings.call_timeout_s
        options: dict[str, Any] = {
            **parse_url(url),
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
            # The deadline is ours, for the whole request. redis-py's would start a task for every write, in which
            # (Python 3.11) a cancellation that comes at the wrong moment is lost.
            "socket_timeout": None,
            "socket_connect_timeout": None,
            "health_check_interval": 0,
            "max_connections": settings.call_connections,
            "timeout": self._timeout_s,
        }
        # Any: redis-py annotates neither `execute_command` nor what comes back from it.
        self._redis: Any = Redis.from_pool(BlockingConnectionPool(**options))
        # Replies stay as Redis gave them: what redis-py makes of one depends on how it was asked.
        self._redis.response_callbacks = {}

    async def call(self, *command: Argument) -> Any:
        async with self._deadline():
            return await self._redis.execute_command(*command)

    async def run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[Argument]) -> Any:
        """Run a script; the server learns it where it does not know it."""
        async with self._deadline():
            try:
                return await self._redis.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
            except errors.NoScriptError:
                return await self._redis.execute_command("EVAL", script.source, len(keys), *keys, *arguments)

    async def run_all(self, script: Script, calls: Sequence[tuple[Sequence[bytes], Sequence[Argument]]]) -> list[Any]:
        """Run a script that may safely run twice with each of these (keys, arguments), in one go.

        An error of one is raised after all ran.
        """
        commands: list[Command] = [
            ("EVALSHA", script.digest, len(keys), *keys, *arguments) for keys, arguments in calls
        ]
        async with self._deadline():
            try:
                return await self._pipeline(commands)
            except errors.NoScriptError:
                await self._redis.execute_command("SCRIPT LOAD", script.source)
                return await self._pipeline(commands)

    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send them in one go, not atomically. An error of one is raised after all ran."""
        async with self._deadline():
            return await self._pipeline(commands)

    async def aclose(self) -> None:
        """Close all connections; one that a frozen server does not let close is left to the kernel."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout_s):
                await self._redis.aclose()

    async def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        if not commands:
            return []
        async with self._redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            answers: list[Any] = await pipeline.execute()
            return answers

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except errors.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except (errors.ConnectionError, *_INCAPABLE) as error:
            raise ConnectionError(str(error)) from error
        except RuntimeError as error:
            # uvloop's way to say that the connection was lost just now; redis-py knows only that of asyncio.
            if "the handler is closed" not in str(error):
                raise
            raise ConnectionError("the connection was lost") from error
        except errors.ResponseError as error:
            # What comes before is the command, which may have any text in it.
            if _INCAPABLE_CODES.search(str(error).rpartition("caused error: ")[2]):
                raise ConnectionError(str(error)) from error
            raise
