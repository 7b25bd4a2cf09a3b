"""Uploads: a row each from the announcement of a file to some time after its removal.

Whether an upload is used is not kept anywhere: it is what the index of messages by their uploads says. A row only has
the time when to look there again, so that nothing can drift. Each step of a row is one update that names the state
it expects: several processes may do the same work, and one that ends between two steps leaves work for the next.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from storage.errors import NotFound
from storage.model import Upload, UploadState
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.log import Log
from storage.mongo.rows import member_key
from storage.mongo.schema import MEMBERS, UPLOADS

MAX_COPIES: Final = 10
"""How often the same upload may be checked."""

_OPTIONAL: Final = ("file", "width", "height", "preview", "kept_at")


class Uploads:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._uploads = db[UPLOADS]
        self._members = db[MEMBERS]
        self._log = Log(db)

    async def create(self, new: Upload, *, key: str | None) -> tuple[Upload, bool]:
        """Insert a pending upload. With a key that the user gave before: that upload, and True."""
        row = _row_of(new)
        if key is not None:
            row["key"] = key
        with translated():
            try:
                await self._uploads.insert_one(row)
            except DuplicateKeyError:
                found = await self._uploads.find_one({"user": new.user, "key": key})
                if found is None:
                    raise NotFound(f"upload of {new.user}") from None
                return _upload_of(found), True
        return new, False

    async def delete(self, upload: str) -> None:
        """Delete a row whose file is gone, or never was."""
        with translated():
            await self._uploads.delete_one({"_id": upload})

    async def since(self, user: str, at: int, limit: int) -> list[Upload]:
        """What the user announced after the time, removed ones included, newest first."""
        with translated():
            found = self._uploads.find({"user": user, "at": {"$gt": at}}, sort=[("at", -1)], limit=limit)
            return [_upload_of(row) for row in await found.batch_size(limit + 1).to_list(limit)]

    async def get(self, upload: str) -> Upload | None:
        with translated():
            row = await self._uploads.find_one({"_id": upload})
        return _upload_of(row) if row else None

    async def begin_check(self, upload: str, copy: str) -> bool:
        """Note that this copy is about to be made. False: it is no longer pending, or was checked too often."""
        few = {f"copies.{MAX_COPIES - 1}": {"$exists": False}}
        return await self._update(
            {"_id": upload, "state": UploadState.PENDING.value, **few}, {"$push": {"copies": copy}}
        )

    async def forget_copy(self, upload: str, copy: str) -> None:
        """There is no such copy."""
        await self._update({"_id": upload}, {"$pull": {"copies": copy}})

    async def ready(
        self, upload: str, file: str, *, width: int | None, height: int | None, preview: str | None, look_at: int
    ) -> bool:
        """This copy was found right. False: another one was before, or the upload was removed."""
        found = {"state": UploadState.READY.value, "file": file, "look_at": look_at}
        known = {"width": width, "height": height, "preview": preview}
        found |= {name: value for name, value in known.items() if value is not None}
        return await self._update({"_id": upload, "state": UploadState.PENDING.value}, {"$set": found})

    async def keep(self, uploads: Sequence[str], *, user: str | None, at: int, look_at: int) -> dict[str, Upload]:
        """Before a message is sent that uses them: those that are ready stay until `look_at`, whatever happens.

        Of `user` only, unless None. Returns what was kept, by id.
        """
        query: Document = {"_id": {"$in": list(uploads)}, "state": UploadState.READY.value}
        if user is not None:
            query["user"] = user
        with translated():
            await self._uploads.update_many(query, {"$max": {"kept_at": at, "look_at": look_at}})
            rows = await self._uploads.find({**query, "kept_at": {"$gte": at}}, batch_size=len(uploads) + 1).to_list(
                None
            )
        return {row["_id"]: _upload_of(row) for row in rows}

    async def release(self, uploads: Iterable[str], *, session: Session | None = None) -> None:
        """Messages cease to use these, within the transaction that changes them: somebody is to look at them soon."""
        with translated():
            await self._uploads.update_many({"_id": {"$in": list(uploads)}}, {"$set": {"look_at": 0}}, session=session)

    async def used_in(self, upload: str, limit: int) -> list[str]:
        """The conversations in which a message uses it, of the first `limit` such messages."""
        return list(dict.fromkeys(place[0] for place in await self._log.using(upload, limit)))

    async def is_used_in(self, upload: str, conversation: str) -> bool:
        """Whether a message of this conversation uses it."""
        return bool(await self._log.using(upload, 1, conversation=conversation))

    async def is_member_of_any(self, user: str, conversations: Iterable[str]) -> bool:
        keys = [member_key(conversation, user) for conversation in conversations]
        with translated():
            row = await self._members.find_one({"_id": {"$in": keys}, "left_at": {"$exists": False}}, {"_id": 1})
        return row is not None

    async def due(self, now: int, limit: int) -> list[Upload]:
        """Those that are to be looked at, longest due first."""
        with translated():
            found = self._uploads.find({"look_at": {"$lte": now}}, sort=[("look_at", ASCENDING)], limit=limit)
            return [_upload_of(row) for row in await found.batch_size(limit + 1).to_list(limit)]

    async def look_later(self, upload: Upload, look_at: int) -> bool:
        """It is still needed. False: it changed meanwhile."""
        return await self._update(_unchanged(upload), {"$set": {"look_at": look_at}})

    async def remove(self, upload: Upload) -> bool:
        """From now on nobody can use it; its file is to be removed next. False: it changed meanwhile."""
        return await self._update(_unchanged(upload), {"$set": {"state": UploadState.REMOVED.value}})

    async def emptied(self, upload: str, *, look_at: int) -> None:
        """Its file is gone; the row stays until `look_at`, for it counts in what the user may announce in a day."""
        gone = dict.fromkeys(("file", "width", "height", "preview"), "")
        await self._update({"_id": upload}, {"$set": {"look_at": look_at, "copies": []}, "$unset": gone})

    async def _update(self, query: Document, update: Document) -> bool:
        with translated():
            result = await self._uploads.update_one(query, update)
        return bool(result.matched_count)


def _unchanged(upload: Upload) -> Document:
    """Matches the row as long as it is as it was read, and was not asked to be looked at sooner."""
    kept: Any = {"$exists": False} if upload.kept_at is None else upload.kept_at
    return {"_id": upload.id, "state": upload.state.value, "kept_at": kept, "look_at": upload.look_at}


def _row_of(upload: Upload) -> Document:
    row: Document = {
        "_id": upload.id,
        "user": upload.user,
        "at": upload.created_at,
        "look_at": upload.look_at,
        "state": upload.state.value,
        "name": upload.name,
        "content_type": upload.content_type,
        "size_bytes": upload.size_bytes,
        "copies": list(upload.copies),
    }
    return row | {name: value for name in _OPTIONAL if (value := getattr(upload, name)) is not None}


def _upload_of(row: Document) -> Upload:
    return Upload(
        id=row["_id"],
        user=row["user"],
        name=row["name"],
        content_type=row["content_type"],
        size_bytes=int(row["size_bytes"]),
        created_at=int(row["at"]),
        look_at=int(row["look_at"]),
        state=UploadState(row["state"]),
        copies=tuple(row["copies"]),
        file=row.get("file"),
        width=row.get("width"),
        height=row.get("height"),
        preview=row.get("preview"),
        kept_at=row.get("kept_at"),
    )
