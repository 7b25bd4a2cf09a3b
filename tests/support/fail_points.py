"""Making a real mongod fail on purpose, for one client only (told by its application name)."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from storage.mongo.client import connect


@asynccontextmanager
async def failing(
    url: str, app_name: str, commands: Sequence[str], *, times: int | None = None, **how: Any
) -> AsyncIterator[None]:
    """Let these commands of that client fail `times` times (None: always) while the block runs.

    `how` is what failCommand takes: errorCode, closeConnection, writeConcernError, blockConnection with blockTimeMS.
    """
    async with connect(url, "admin", app_name="fail-points") as admin:
        await admin.command(
            {
                "configureFailPoint": "failCommand",
                "mode": "alwaysOn" if times is None else {"times": times},
                "data": {"failCommands": list(commands), "appName": app_name, **how},
            }
        )
        try:
            yield
        finally:
            await admin.command({"configureFailPoint": "failCommand", "mode": "off"})
