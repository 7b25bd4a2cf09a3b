"""Credentials of apps: few rows, read whole by whoever sends. A counter says whether they have changed since."""

from functools import partial
from typing import Final, TypeAlias

from pymongo import ASCENDING, DESCENDING

from storage.errors import LimitReached
from storage.model.push_app import PushApp, push_app_key
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.schema import META, PUSH_APPS
from storage.mongo.transaction import transaction, until_uncontended

MAX_KEYS: Final = 2
"""Keys of one app with one provider: the present one and the one before, or the next."""

MAX_ROWS: Final = 500

_COUNTER: Final = "push_apps"

# Named here because the class below has a method called `list`.
_Apps: TypeAlias = list[PushApp]


class PushApps:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._client = db.client
        self._rows = db[PUSH_APPS]
        self._meta = db[META]

    async def put(self, app: PushApp) -> bool:
        """Keep a key, in place of the one of the same name; whether it is a new one.

        Raises LimitReached with MAX_KEYS others of the app there, or MAX_ROWS of all.
        """
        return await until_uncontended(partial(self._put, app))

    async def reseal(self, app: PushApp, sealed: str) -> bool:
        """Keep the same secret under another key of ours. False: it is another one now. No change that is counted."""
        with translated():
            result = await self._rows.update_one({"_id": app.key, "sealed": app.sealed}, {"$set": {"sealed": sealed}})
        return result.matched_count == 1

    async def remove(self, provider: str, app: str, name: str) -> bool:
        """False: there was none."""
        return await until_uncontended(partial(self._remove, push_app_key(provider, app, name)))

    async def list(self) -> _Apps:
        """All of them; of one app the newest first."""
        return await self._find({})

    async def of(self, provider: str, app: str) -> _Apps:
        """The keys of one app with one provider, the newest first."""
        return await self._find({"provider": provider, "app": app})

    async def revision(self) -> int:
        """Counts every change."""
        with translated():
            row = await self._meta.find_one({"_id": _COUNTER})
        return int(row["revision"]) if row else 0

    async def _put(self, app: PushApp) -> bool:
        async with transaction(self._client) as session:
            with translated():
                # First of all: whoever puts another one at the same time counts it as well.
                await self._count(session)
                others = {"provider": app.provider, "app": app.app, "_id": {"$ne": app.key}}
                if await self._rows.count_documents(others, session=session) >= MAX_KEYS:
                    raise LimitReached(f"{app.app} has {MAX_KEYS} keys with {app.provider}: remove one first")
                if await self._rows.count_documents({}, session=session) >= MAX_ROWS:
                    raise LimitReached(f"there are {MAX_ROWS} keys: remove some first")
                result = await self._rows.replace_one({"_id": app.key}, _row_of(app), upsert=True, session=session)
        return result.matched_count == 0

    async def _remove(self, key: str) -> bool:
        async with transaction(self._client) as session:
            with translated():
                await self._count(session)
                return (await self._rows.delete_one({"_id": key}, session=session)).deleted_count == 1

    async def _find(self, query: Document) -> _Apps:
        order = [("provider", ASCENDING), ("app", ASCENDING), ("created_at", DESCENDING)]
        with translated():
            return [_app_of(row) for row in await self._rows.find(query, sort=order).to_list(MAX_ROWS)]

    async def _count(self, session: Session) -> None:
        await self._meta.update_one({"_id": _COUNTER}, {"$inc": {"revision": 1}}, upsert=True, session=session)


def _row_of(app: PushApp) -> Document:
    return {
        "_id": app.key,
        "provider": app.provider,
        "app": app.app,
        "name": app.name,
        "sealed": app.sealed,
        "about": dict(app.about),
        "created_at": app.created_at,
    }


def _app_of(row: Document) -> PushApp:
    return PushApp(row["provider"], row["app"], row["name"], row["sealed"], row["about"], int(row["created_at"]))
