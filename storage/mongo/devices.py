"""Devices: a row each, found by user, by id, and by the digest of the address.

An address belongs to one row at most. Who registers it has it from then on, and the row that had it is gone with the
same commit: on a shared phone nobody is rung for who was signed in before.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, ReturnDocument

from storage.errors import Conflict, Contended
from storage.model.device import Device, DeviceKeys, DeviceState, EnvironmentName, device_id
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.schema import DEVICES, PUSH_PREFERENCES
from storage.mongo.transaction import transaction, until_uncontended

MAX_ACTIVE: Final = 25
"""Devices of one user that are rung. Of more, the one that was confirmed the longest ago is forgotten."""

MAX_ENDED: Final = 25
"""Tombstones of one user that are kept."""

KEPT_MS: Final = 7 * 24 * 3_600_000
"""How long a tombstone can be undone."""

STALE: Final = "stale"
"""The reason of tombstones that no provider has asked for: nobody has registered there for long."""

_ACTIVE: Final = DeviceState.ACTIVE.value
_ENDED: Final = DeviceState.TOMBSTONE.value
_REVIVED: Final[Document] = {
    "$set": {"state": _ACTIVE, "failures": 0},
    "$unset": {"reason": "", "ended_at": "", "forget_at": ""},
}


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration came to. `taken_from`: the user who had the address before, if it was another one."""

    device: Device
    taken_from: str | None = None


class Devices:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._client = db.client
        self._rows = db[DEVICES]
        self._preferences = db[PUSH_PREFERENCES]

    async def register(self, device: Device) -> Registered:
        """Keep the device as it says it is now; what was kept of it before is replaced, a tombstone is a device again.

        May be repeated. `created_at` is that of the first time.
        """
        known = await self._confirmed(device)
        return known if known is not None else await until_uncontended(partial(self._register, device))

    async def remove(self, user: str, installs: Collection[str]) -> int:
        """Forget devices of a user; how many there were. Nothing is sent to them once this has returned."""
        return await self.remove_ids([device_id(user, install) for install in installs])

    async def remove_ids(self, ids: Collection[str]) -> int:
        """As `remove`, by id."""
        with translated():
            return (await self._rows.delete_many({"_id": {"$in": list(ids)}})).deleted_count

    async def remove_all(self, users: Collection[str]) -> int:
        """Forget all devices of these users."""
        with translated():
            return (await self._rows.delete_many({"user": {"$in": list(users)}})).deleted_count

    async def get(self, device: str) -> Device | None:
        """By id; a tombstone as well."""
        with translated():
            row = await self._rows.find_one({"_id": device})
        return device_of(row) if row else None

    async def get_many(self, devices: Collection[str]) -> dict[str, Device]:
        """Those that there are, by id; tombstones as well. At most some hundred at once."""
        query: Document = {"_id": {"$in": list(devices)}}
        with translated():
            rows = await self._rows.find(query, batch_size=len(devices) + 1).to_list(None)
        return {row["_id"]: device_of(row) for row in rows}

    async def of_user(self, user: str) -> list[Device]:
        """The active ones, last confirmed first."""
        return (await self.of_users([user]))[user]

    async def of_users(self, users: Collection[str]) -> dict[str, list[Device]]:
        """The active ones of each, last confirmed first. At most some hundred users at once."""
        found: dict[str, list[Device]] = {user: [] for user in users}
        query: Document = {"user": {"$in": list(found)}, "state": _ACTIVE}
        with translated():
            rows = self._rows.find(query, sort=[("user", ASCENDING), ("confirmed_at", DESCENDING)], batch_size=1000)
            for row in await rows.to_list(None):
                found[row["user"]].append(device_of(row))
        return found

    async def page(self, query: "DeviceQuery", *, after: str = "", limit: int) -> list[Device]:
        """Devices by id, those above `after`; tombstones are no devices."""
        wanted = query.document()
        wanted["_id"] = {**wanted.get("_id", {}), "$gt": after}
        with translated():
            found = self._rows.find(wanted, sort=[("_id", ASCENDING)], limit=limit, batch_size=limit + 1)
            return [device_of(row) for row in await found.to_list(limit)]

    async def count(self, query: "DeviceQuery") -> int:
        with translated():
            return int(await self._rows.count_documents(query.document()))

    async def patch(
        self,
        query: "DeviceQuery",
        *,
        locale: str | None = None,
        time_zone: str | None = None,
        meta: Sequence[tuple[str, str]] | None = None,
    ) -> int:
        """Change what is given of several at once; how many there are. That does not confirm an address."""
        given = {"locale": locale, "time_zone": time_zone, "meta": None if meta is None else dict(meta)}
        change = {name: value for name, value in given.items() if value is not None}
        with translated():
            if not change:
                return int(await self._rows.count_documents(query.document()))
            return (await self._rows.update_many(query.document(), {"$set": change})).matched_count

    # --- what the providers say ---

    async def tombstone(self, device: Device, *, reason: str, at: int, since: int | None = None) -> bool:
        """The provider says that nobody is there any more, since `since` if it says so. `device` as it was sent to.

        False, and nothing was changed: it has said since then that it is there, is another one now, or was gone.
        """
        # Who registers again wins: over a verdict about what was sent before, and over a date that is before.
        confirmed = {"$lte": device.confirmed_at} if since is None else {"$lt": since}
        query = {**_same(device), "confirmed_at": confirmed}
        with translated():
            result = await self._rows.update_one(query, _ending(reason, at))
        return result.matched_count == 1

    async def tombstone_stale(self, *, confirmed_before: int, at: int, limit: int) -> int:
        """Those that have not registered again for long; at most so many. How many there were."""
        query: Document = {"confirmed_at": {"$lt": confirmed_before}, "state": _ACTIVE}
        with translated():
            rows = await self._rows.find(query, {"_id": 1}, limit=limit).to_list(limit)
            if not rows:
                return 0
            query["_id"] = {"$in": [row["_id"] for row in rows]}
            return (await self._rows.update_many(query, _ending(STALE, at))).modified_count

    async def flip(self, device: Device, environment: EnvironmentName) -> bool:
        """It was reached in this environment. False: it is another one now."""
        with translated():
            result = await self._rows.update_one(_same(device), {"$set": {"environment": environment}})
        return result.matched_count == 1

    async def failed(self, device: Device) -> int:
        """Count one more attempt that failed; how many there are in a row. 0: it is another one now."""
        with translated():
            row = await self._rows.find_one_and_update(
                _same(device), {"$inc": {"failures": 1}}, return_document=ReturnDocument.AFTER
            )
        return int(row["failures"]) if row else 0

    async def succeeded(self, device: Device) -> None:
        """An attempt went well. Costs nothing where the one before did."""
        if device.failures:
            with translated():
                await self._rows.update_one(_same(device), {"$set": {"failures": 0}})

    async def restore(self, device: str) -> bool:
        """Undo one tombstone. False: there is none."""
        with translated():
            return (await self._rows.update_one({"_id": device, "state": _ENDED}, _REVIVED)).matched_count == 1

    async def undo(
        self, *, provider: str, app: str, since: int, until: int, limit: int, reason: str = "", environment: str = ""
    ) -> list[Device]:
        """Undo tombstones of an app from `since` up to before `until`, with any reason that a provider gave if none is
        given, and in any environment; at most so many. As they were.

        An address that somebody has registered meanwhile stays theirs: its tombstone went with that.
        """
        query: Document = {"provider": provider, "app": app, "ended_at": {"$gte": since, "$lt": until}}
        query["reason"] = reason or {"$ne": STALE}
        if environment:
            query["environment"] = environment
        with translated():
            rows = await self._rows.find(query, limit=limit, batch_size=limit + 1).to_list(limit)
            if rows:
                await self._rows.update_many({**query, "_id": {"$in": [row["_id"] for row in rows]}}, _REVIVED)
        return [device_of(row) for row in rows]

    # --- registering ---

    async def _confirmed(self, device: Device) -> Registered | None:
        """The usual case: a device says again what is known. One write, for nothing else is touched by it."""
        row = _row_of(device)
        # The digest is the same, so the address is: it need not be in the log line of an update that takes long.
        del row["_id"], row["created_at"], row["address"]
        gone = {name: "" for name in _OPTIONAL if name not in row}
        with translated():
            found = await self._rows.find_one_and_update(
                _same(device),
                {"$set": row, **({"$unset": gone} if gone else {})},
                return_document=ReturnDocument.AFTER,
            )
        return Registered(device_of(found)) if found else None

    async def _register(self, device: Device) -> Registered:
        try:
            async with transaction(self._client) as session:
                with translated():
                    return await self._register_within(session, device)
        except Conflict as conflict:
            # Somebody registers the same address for the first time just now.
            raise Contended(str(conflict)) from conflict

    async def _register_within(self, session: Session, device: Device) -> Registered:
        # Two devices of a user count the others one after the other.
        await self._preferences.update_one(
            {"_id": device.user}, {"$inc": {"registrations": 1}}, upsert=True, session=session
        )
        taken: Document | None = await self._rows.find_one_and_delete(
            {"digest": device.digest, "_id": {"$ne": device.id}}, session=session
        )
        row = _row_of(device)
        before = await self._rows.find_one({"_id": device.id}, {"created_at": 1}, session=session)
        if before is not None:
            row["created_at"] = before["created_at"]
        await self._rows.replace_one({"_id": device.id}, row, upsert=True, session=session)
        await self._make_room(session, device)
        had: str = device.user if taken is None else taken["user"]
        return Registered(device_of(row), None if had == device.user else had)

    async def _make_room(self, session: Session, device: Device) -> None:
        found = self._rows.find({"user": device.user, "_id": {"$ne": device.id}}, {"state": 1}, session=session)
        rows = await found.sort([("confirmed_at", DESCENDING)]).to_list(None)
        active = [row["_id"] for row in rows if row["state"] == _ACTIVE]
        ended = [row["_id"] for row in rows if row["state"] != _ACTIVE]
        too_many = [*active[MAX_ACTIVE - 1 :], *ended[MAX_ENDED:]]
        if too_many:
            await self._rows.delete_many({"_id": {"$in": too_many}}, session=session)


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which devices; what is empty does not matter."""

    ids: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()

    def document(self) -> Document:
        """As MongoDB takes it."""
        wanted = {"_id": self.ids, "user": self.users, "provider": self.providers, "platform": self.platforms}
        return {"state": _ACTIVE, **{name: {"$in": list(some)} for name, some in wanted.items() if some}}


_OPTIONAL: Final = (
    *("keys", "vapid_key", "content_keys", "locale", "time_zone", "caps", "meta", "platform"),
    *("reason", "ended_at", "forget_at"),
)


def _same(device: Device) -> Document:
    return {"_id": device.id, "digest": device.digest, "state": _ACTIVE}


def _ending(reason: str, at: int) -> Document:
    # A date, as the server removes by dates only.
    forget_at = datetime.fromtimestamp((at + KEPT_MS) / 1000, UTC)
    return {"$set": {"state": _ENDED, "reason": reason, "ended_at": at, "forget_at": forget_at}}


def _row_of(device: Device) -> Document:
    row: dict[str, Any] = {
        "_id": device.id,
        "user": device.user,
        "install": device.install,
        "provider": device.provider,
        "app": device.app,
        "environment": device.environment,
        "address": device.address,
        "address_kind": device.address_kind,
        "digest": device.digest,
        "created_at": device.created_at,
        "confirmed_at": device.confirmed_at,
        "state": _ACTIVE,
        "failures": 0,
    }
    optional = {
        "platform": device.platform,
        "keys": _keys_row(device.keys),
        "vapid_key": device.vapid_key,
        "content_keys": _keys_row(device.content_keys),
        "locale": device.locale,
        "time_zone": device.time_zone,
        "caps": list(device.caps),
        "meta": dict(device.meta),
    }
    return row | {name: value for name, value in optional.items() if value}


def _keys_row(keys: DeviceKeys | None) -> Document | None:
    return None if keys is None else {"p256dh": keys.p256dh, "auth": keys.auth}


def _keys_of(row: Document | None) -> DeviceKeys | None:
    return None if row is None else DeviceKeys(bytes(row["p256dh"]), bytes(row["auth"]))


def device_of(row: Document) -> Device:
    """The device of a row."""
    ended_at = row.get("ended_at")
    return Device(
        user=row["user"],
        install=row["install"],
        provider=row["provider"],
        app=row["app"],
        address=row["address"],
        address_kind=row["address_kind"],
        created_at=int(row["created_at"]),
        confirmed_at=int(row["confirmed_at"]),
        environment=row["environment"],
        platform=row.get("platform", ""),
        keys=_keys_of(row.get("keys")),
        vapid_key=row.get("vapid_key", ""),
        content_keys=_keys_of(row.get("content_keys")),
        locale=row.get("locale", ""),
        time_zone=row.get("time_zone", ""),
        caps=tuple(row.get("caps", ())),
        meta=tuple(row.get("meta", {}).items()),
        state=DeviceState(row["state"]),
        reason=row.get("reason", ""),
        ended_at=None if ended_at is None else int(ended_at),
        failures=int(row["failures"]),
    )
