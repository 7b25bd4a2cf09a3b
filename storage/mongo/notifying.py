"""What users want to be rung for: one row each, written by the user only."""

from collections.abc import Callable, Collection
from typing import Final

from storage.model.notifying import ContentMode, Notify, PushPreferences, QuietHours
from storage.mongo.client import Database, Document, translated
from storage.mongo.schema import PUSH_PREFERENCES
from storage.mongo.transaction import transaction, until_uncontended

_NONE: Final = PushPreferences()


class Notifying:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database) -> None:
        self._client = db.client
        self._rows = db[PUSH_PREFERENCES]

    async def get(self, user: str) -> PushPreferences:
        """Those of one user; the defaults where nothing was said."""
        return (await self.of_users([user]))[user]

    async def of_users(self, users: Collection[str]) -> dict[str, PushPreferences]:
        """Those of each of these users. At most some hundred users at once."""
        found = dict.fromkeys(users, _NONE)
        with translated():
            async for row in self._rows.find({"_id": {"$in": list(found)}}, batch_size=1000):
                found[row["_id"]] = _preferences_of(row)
        return found

    async def change(self, user: str, change: Callable[[PushPreferences], PushPreferences]) -> PushPreferences:
        """What they are now. `change` is pure and may be asked several times."""

        async def attempt() -> PushPreferences:
            async with transaction(self._client) as session:
                with translated():
                    row = await self._rows.find_one({"_id": user}, session=session)
                    present = _preferences_of(row) if row else _NONE
                    wanted = change(present)
                    if wanted != present:
                        # Others keep things in the row as well.
                        await self._rows.update_one({"_id": user}, _update(wanted), upsert=True, session=session)
            return wanted

        return await until_uncontended(attempt)


def _update(preferences: PushPreferences) -> Document:
    quiet = [{"start": one.start, "end": one.end, "days": list(one.days)} for one in preferences.quiet]
    kept: Document = {
        "content": None if preferences.content is None else preferences.content.value,
        "notify": None if preferences.notify is None else preferences.notify.value,
        "quiet": quiet or None,
        "time_zone": preferences.time_zone or None,
        "snoozed_until": preferences.snoozed_until,
    }
    some = {name: value for name, value in kept.items() if value is not None}
    others = {name: "" for name in kept if name not in some}
    return {key: value for key, value in (("$set", some), ("$unset", others)) if value}


def _preferences_of(row: Document) -> PushPreferences:
    content, notify, snoozed_until = row.get("content"), row.get("notify"), row.get("snoozed_until")
    quiet = tuple(
        QuietHours(int(one["start"]), int(one["end"]), tuple(map(int, one["days"]))) for one in row.get("quiet", ())
    )
    return PushPreferences(
        content=None if content is None else ContentMode(content),
        notify=None if notify is None else Notify(notify),
        quiet=quiet,
        time_zone=row.get("time_zone", ""),
        snoozed_until=None if snoozed_until is None else int(snoozed_until),
    )
