"""The credentials of all apps, opened, and kept as they are in the database: a change is seen within seconds, without a
restart.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from chat.push.credentials import AppKey, BadCredentials, Credentials, checked, opened, provider_of, secret
from chat.push.sending import Provider
from chat.sealing import Sealer, SealingError
from realtime.tasks import Tasks
from storage.errors import StorageError
from storage.model.push_app import PushApp, push_app_key
from storage.store import Store

log = structlog.get_logger(__name__)

POLL_S: Final = 5.0


async def _nobody(changed: frozenset[tuple[Provider, str]]) -> None:
    del changed


class Apps:
    """`on_changed` is told which apps have other keys than before; it is awaited before the next look."""

    def __init__(self, store: Store, sealer: Sealer, *, clock_ms: Callable[[], int]) -> None:
        self._store = store
        self._sealer = sealer
        self._clock_ms = clock_ms
        self._keys: dict[tuple[Provider, str], tuple[AppKey, ...]] = {}
        self._revision = -1
        self.on_changed: Callable[[frozenset[tuple[Provider, str]]], Awaitable[None]] = _nobody

    def of(self, provider: Provider, app: str) -> tuple[AppKey, ...]:
        """The keys of an app, the newest first; as of the last look."""
        return self._keys.get((provider, app), ())

    def all(self) -> list[AppKey]:
        """Every key, by provider and app."""
        return [key for name in sorted(self._keys) for key in self._keys[name]]

    async def rows(self) -> list[PushApp]:
        """What is stored, sealed as it is: also what cannot be opened here. Raises StorageError."""
        return await self._store.push_apps.list()

    async def add(self, app: str, credentials: Credentials, *, emulated: bool = False) -> AppKey:
        """Keep a key, in place of the same one. `emulated`: see `checked`.

        Raises BadCredentials, SealingError without a key to seal by, LimitReached (an app has two), StorageError.
        """
        name, about = checked(credentials, emulated=emulated)
        provider = provider_of(credentials)
        about_row = _place(push_app_key(provider.value, app, name))
        at = self._clock_ms()
        sealed = self._sealer.seal(secret(credentials), about=about_row)
        await self._store.push_apps.put(PushApp(provider.value, app, name, sealed, about, at))
        return AppKey(provider, app, name, credentials, at)

    async def remove(self, provider: Provider, app: str, name: str) -> bool:
        """False: there was none. Raises StorageError."""
        return await self._store.push_apps.remove(provider.value, app, name)

    async def look(self) -> None:
        """Read what has changed since the last look. Raises StorageError."""
        # Before the rows: what changes between the two is read again.
        revision = await self._store.push_apps.revision()
        if revision == self._revision:
            return
        before = self._keys
        keys: dict[tuple[Provider, str], list[AppKey]] = {}
        for row in await self._store.push_apps.list():
            if (key := await self._open(row)) is not None:
                keys.setdefault((key.provider, key.app), []).append(key)
        self._keys = {name: tuple(some) for name, some in keys.items()}
        self._revision = revision
        changed = frozenset(name for name in {*before, *keys} if before.get(name) != self._keys.get(name))
        if changed:
            log.info("push_apps_changed", apps=sorted(f"{provider}:{app}" for provider, app in changed))
            await self.on_changed(changed)

    async def run(self, *, every_s: float = POLL_S) -> None:
        """Look again and again until cancelled. While the store is away, what was read last is what there is."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.look()
            except StorageError as error:
                log.warning("push_apps_not_read", error=str(error))

    async def _open(self, row: PushApp) -> AppKey | None:
        place = _place(row.key)
        try:
            credentials = opened(row.provider, self._sealer.open(row.sealed, about=place))
            if self._sealer.is_stale(row.sealed):
                await self._store.push_apps.reseal(row, self._sealer.reseal(row.sealed, about=place))
        except (SealingError, BadCredentials) as error:
            # One that cannot be used must not take the others with it.
            log.warning("push_app_not_opened", provider=row.provider, app=row.app, key=row.name, error=str(error))
            return None
        return AppKey(Provider(row.provider), row.app, row.name, credentials, row.created_at)


def _place(key: str) -> str:
    return f"push_apps/{key}"


@asynccontextmanager
async def open_apps(
    store: Store, sealer: Sealer, *, clock_ms: Callable[[], int], every_s: float = POLL_S
) -> AsyncIterator[Apps]:
    """The credentials as they are now, and as they change until the block ends. Raises StorageError."""
    apps = Apps(store, sealer, clock_ms=clock_ms)
    await apps.look()
    async with Tasks() as tasks:
        tasks.spawn(apps.run(every_s=every_s), name="push-apps")
        yield apps
