"""Bringing a database to the layout of schema.py, and proving that it is there."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import pymongo
import structlog
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from storage.errors import NotMigrated
from storage.model import ids
from storage.mongo.client import Database, Document, translated
from storage.mongo.schema import LAYOUTS, META, SCHEMA_VERSION, Index, Layout

_log = structlog.get_logger(__name__)

BUILD_TIMEOUT_S: Final = 86_400
"""Indexes of large collections take their time. (No timeout at all would be the client's, for the driver.)"""

_NAMESPACE_EXISTS: Final = 48


async def migrate(db: Database, *, random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Make the layout; what is there stays. May be repeated and run by several processes at once. Returns the epoch.

    Raises NotMigrated when a collection exists in a form that cannot be changed, e.g. `messages` not clustered.
    """
    with translated():
        found = await _collections(db)
        with pymongo.timeout(BUILD_TIMEOUT_S):
            for layout in LAYOUTS:
                if layout.name not in found:
                    await _create(db, layout)
                if layout.indexes:
                    await db[layout.name].create_indexes([_model(index) for index in layout.indexes])
        await db[META].update_one(
            {"_id": "schema"},
            {"$max": {"version": SCHEMA_VERSION}, "$setOnInsert": {"epoch": ids.epoch(random)}},
            upsert=True,
        )
    epoch = await verify(db)
    _log.info("migrated", database=db.name, version=SCHEMA_VERSION, epoch=epoch)
    return epoch


async def verify(db: Database) -> str:
    """The database's epoch. Raises NotMigrated, naming everything that is missing or laid out otherwise."""
    with translated():
        found = await _collections(db)
        wrong: list[str] = []
        for layout in LAYOUTS:
            collection = found.get(layout.name)
            if collection is None:
                wrong.append(f"collection {layout.name} is missing")
                continue
            if layout.clustered != ("clusteredIndex" in collection["options"]):
                wrong.append(
                    f"collection {layout.name} is {'not ' if layout.clustered else ''}clustered, "
                    "which can only be decided when it is created: move it away first"
                )
            wrong += _missing_indexes(layout, await db[layout.name].index_information())
        schema: Document = await db[META].find_one({"_id": "schema"}) or {}
    version = schema.get("version", 0)
    if version != SCHEMA_VERSION:
        wrong.append(f"the schema is version {version}, this is made for {SCHEMA_VERSION}")
    if wrong:
        raise NotMigrated(wrong)
    return str(schema["epoch"])


async def _collections(db: Database) -> dict[str, Any]:
    cursor = await db.list_collections()
    return {collection["name"]: collection async for collection in cursor}


async def _create(db: Database, layout: Layout) -> None:
    try:
        await db.create_collection(layout.name, check_exists=False, **layout.creation)
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
        _log.info("collection_made_by_another", collection=layout.name)


def _model(index: Index) -> IndexModel:
    options: dict[str, Any] = {"unique": True} if index.unique else {}
    if index.partial is not None:
        options["partialFilterExpression"] = index.partial
    if index.storage is not None:
        options["storageEngine"] = index.storage
    if index.removes:
        options["expireAfterSeconds"] = 0
    return IndexModel(list(index.pattern.items()), name=index.name, **options)


def _missing_indexes(layout: Layout, found: Mapping[str, Any]) -> list[str]:
    wrong = []
    for index in layout.indexes:
        present = found.get(index.name)
        if present is None:
            wrong.append(f"index {index.name} of {layout.name} is missing")
        elif not _is_like(index, present):
            wrong.append(f"index {index.name} of {layout.name} has another form")
    return wrong


def _is_like(index: Index, present: Mapping[str, Any]) -> bool:
    return (
        dict(present["key"]) == index.pattern
        and bool(present.get("unique")) == index.unique
        and ("expireAfterSeconds" in present) == index.removes
    )
