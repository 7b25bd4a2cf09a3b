"""How users keep their conversations: archived, pinned, without noise. Private, under the user's revision."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from storage.errors import NotFound
from storage.model import Preferences
from storage.mongo.client import Database, Document, translated
from storage.mongo.rows import member_key, member_of
from storage.mongo.schema import MEMBERS
from storage.mongo.transaction import transaction, until_uncontended
from storage.mongo.users import Users


class Preferring:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, users: Users) -> None:
        self._client = db.client
        self._members = db[MEMBERS]
        self._users = users

    async def change(
        self, conversation: str, user: str, change: Callable[[Preferences], Preferences], *, at: int
    ) -> tuple[Preferences, bool]:
        """What the preferences are now, and whether that is new. `change` is pure and may be asked several times.

        Raises NotFound for no member.
        """
        return await until_uncontended(partial(self._attempt, conversation, user, change, at))

    async def _attempt(
        self, conversation: str, user: str, change: Callable[[Preferences], Preferences], at: int
    ) -> tuple[Preferences, bool]:
        key = member_key(conversation, user)
        async with transaction(self._client) as session:
            with translated():
                row = await self._members.find_one({"_id": key, "left_at": {"$exists": False}}, session=session)
                if row is None:
                    raise NotFound(f"{user} is no member of {conversation}")
                present = member_of(row).preferences
                wanted = change(present)
                if wanted == present:
                    return present, False
                revisions = await self._users.bump(session, [user], at=at)
                kept: Document = {name: value for name, value in asdict(wanted).items() if value is not None}
                if wanted.notify is not None:
                    kept["notify"] = wanted.notify.value
                update: Document = {"$set": {"preferences": kept, "revision": revisions[user]}}
                await self._members.update_one({"_id": key}, update, session=session)
        return wanted, True
