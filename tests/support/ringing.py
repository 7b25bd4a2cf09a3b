"""Push as it is served: a hub, workers and the vendors' emulators with phones, all real, in one process."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from chat.cli.dev_phones import demo_phones
from chat.config import Config
from chat.push.lab.opening import Lab
from chat.push.lab.phones import Phone
from chat.push.lab.whereabouts import LAB_VARIABLE
from chat.worker import open_worker
from storage.mongo.client import connect
from storage.mongo.migrate import migrate
from support.app import App, serve_app
from support.waiting import eventually
from support.wire_client import WireClient, wire_client

SOON_S = 60.0


@dataclass
class Ringing:
    """`phones` by platform: Alice's iPhone (`ios`), Bob's Android (`android`), Carol's browser (`web`)."""

    config: Config
    app: App
    lab: Lab
    worker: AsyncExitStack = field(default_factory=AsyncExitStack)

    def phone(self, platform: str) -> Phone:
        return next(one.phone for one in self.lab.installed if one.phone.handset.platform == platform)

    async def start_worker(self) -> None:
        await self.worker.enter_async_context(open_worker(self.config))

    async def stop_worker(self) -> None:
        await self.worker.aclose()

    @asynccontextmanager
    async def user(self, name: str, **data: Any) -> AsyncIterator[WireClient]:
        async with wire_client(self.app.websocket) as client:
            assert "error" not in await client.connect(self.app.token(name), **data)
            await client.rpc("user.update", name=name.title())
            yield client

    async def shows(self, platform: str, *bodies: str) -> None:
        """Wait until exactly these texts are on its screen."""
        handset = self.phone(platform).handset

        def as_wanted() -> bool:
            assert [banner.body for banner in handset.tray] == list(bodies)
            return True

        await eventually(as_wanted, within_s=SOON_S)


@asynccontextmanager
async def ringing(config: Config, directory: Path, *, worker: bool = True) -> AsyncIterator[Ringing]:
    """Emulators with the demo phones, one hub, and a worker unless it is not wanted yet."""
    async with connect(config.mongodb.url.reveal(), config.mongodb.database) as database:
        await migrate(database)
    async with AsyncExitStack() as stack:
        lab, path = await stack.enter_async_context(demo_phones(config, directory))
        stack.enter_context(patch.dict(os.environ, {LAB_VARIABLE: str(path)}))
        app = await stack.enter_async_context(serve_app(config))
        one = Ringing(config, app, lab)
        stack.push_async_callback(one.stop_worker)
        if worker:
            await one.start_worker()
        yield one
