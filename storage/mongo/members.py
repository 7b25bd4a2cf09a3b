"""Membership: rows, one per user and conversation, changed together with an entry of the log."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from pymongo import ASCENDING, UpdateOne

from storage.errors import Banned, Conflict, Invalid, NotFound
from storage.model import Appended, Entry, EntryKind, Member, NewEntry, Role
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.gather import Gather
from storage.mongo.rows import member_bounds, member_key, member_of, position_document
from storage.mongo.schema import CONVERSATIONS, MEMBERS
from storage.mongo.users import Users

MAX_MEMBERS_AT_ONCE: Final = 1000
"""Members of one entry: they are one transaction."""

Check = Callable[[], bool] | None
_LIVE: Final[Document] = {"left_at": {"$exists": False}}


LOOKED_UP: Final = 128
"""Rows that are read together."""

WAITING: Final = 20_000


class Members:
    """An async context manager: rows that are asked for at the same time are read together.

    Every method may raise Unavailable; those that append also PreconditionFailed and Overloaded.
    """

    def __init__(self, db: Database, appender: Appender, users: Users) -> None:
        self._members = db[MEMBERS]
        self._conversations = db[CONVERSATIONS]
        self._appender = appender
        self._users = users
        self._asking: Gather[str, Document | None] = Gather(
            self._read, batch=LOOKED_UP, limit=WAITING, at_once=4, shared=True
        )

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)

    async def get(self, conversation: str, user: str) -> Member | None:
        """The user's row, of a membership that may have ended: look at `live`. The read begins after the call. Raises
        Overloaded.
        """
        row = await self._asking.ask(member_key(conversation, user))
        return member_of(row) if row else None

    async def _read(self, keys: Sequence[str]) -> list[Document | None]:
        with translated():
            found = self._members.find({"_id": {"$in": list(keys)}}, batch_size=len(keys) + 1)
            rows = {row["_id"]: row for row in await found.to_list(None)}
        return [rows.get(key) for key in keys]

    async def live(self, conversation: str, users: Collection[str]) -> set[str]:
        """Who of these users is a member now."""
        keys = [member_key(conversation, user) for user in users]
        with translated():
            found = self._members.find({"_id": {"$in": keys}, **_LIVE}, {"user": 1}, batch_size=len(keys) + 1)
            return {row["user"] for row in await found.to_list(len(keys))}

    async def live_among(self, user: str, conversations: Collection[str]) -> set[str]:
        """Those of these conversations that the user is a member of now."""
        keys = [member_key(conversation, user) for conversation in conversations]
        found: set[str] = set()
        for start in range(0, len(keys), MAX_MEMBERS_AT_ONCE):
            query: Document = {"_id": {"$in": keys[start : start + MAX_MEMBERS_AT_ONCE]}, **_LIVE}
            with translated():
                rows = self._members.find(query, {"conversation": 1}, batch_size=MAX_MEMBERS_AT_ONCE + 1)
                found.update(row["conversation"] for row in await rows.to_list(None))
        return found

    async def of_user(self, user: str, limit: int) -> list[Member]:
        """The user's live memberships, in no particular order."""
        with translated():
            found = self._members.find({"user": user, **_LIVE}, limit=limit, batch_size=limit + 1)
            return [member_of(row) for row in await found.to_list(limit)]

    async def of_users(self, users: Collection[str], limit: int) -> dict[str, list[Member]]:
        """As `of_user` of each; at most some dozen users at once."""
        found: dict[str, list[Member]] = {user: [] for user in users}
        query: Document = {"user": {"$in": list(found)}, **_LIVE}
        with translated():
            rows = await self._members.find(query, limit=limit, batch_size=limit + 1).to_list(limit)
        if len(rows) == limit and len(found) > 1:
            return {user: await self.of_user(user, limit) for user in found}
        for row in rows:
            found[row["user"]].append(member_of(row))
        return found

    async def page(self, conversation: str, *, after: str = "", limit: int) -> list[Member]:
        """Live members with a user id above `after`, by user id."""
        query = {"_id": member_bounds(conversation, after), **_LIVE}
        with translated():
            found = self._members.find(query, sort=[("_id", ASCENDING)], limit=limit, batch_size=limit + 1)
            return [member_of(row) for row in await found.to_list(limit)]

    async def count(self, conversation: str) -> int:
        """Live members; 0 when there is no such conversation."""
        with translated():
            row = await self._conversations.find_one({"_id": conversation}, {"members_count": 1})
        return int(row["members_count"]) if row else 0

    async def add(
        self, conversation: str, members: Sequence[tuple[str, Role]], *, by: str, at: int, check: Check = None
    ) -> Appended | None:
        """Make these users members, in one member.joined entry that names those who were none. None: all were.

        Raises NotFound (no such conversation), Banned (somebody is), Invalid (none, or too many at once).
        """
        chosen = dict(members)
        if not 1 <= len(chosen) <= MAX_MEMBERS_AT_ONCE:
            raise Invalid(f"1 to {MAX_MEMBERS_AT_ONCE} members at once")
        body = {"members": [{"user": user, "role": role.value} for user, role in chosen.items()]}
        new = NewEntry(conversation, EntryKind.MEMBER_JOINED, by, at, None, body)
        return await self._appender.append_with(new, partial(self.join_within, chosen), check=check)

    async def join(self, conversation: str, user: str, *, at: int, role: Role = Role.MEMBER) -> Appended | None:
        """The user joins by themselves. As `add`."""
        return await self.add(conversation, [(user, role)], by=user, at=at)

    async def leave(self, conversation: str, user: str, *, at: int, owned: bool = False) -> Appended | None:
        """The user leaves. None: was no member. `owned` as for `remove`."""
        return await self.remove(conversation, user, by=user, at=at, owned=owned)

    async def remove(
        self, conversation: str, user: str, *, by: str, at: int, owned: bool = False, check: Check = None
    ) -> Appended | None:
        """End a membership. None: was no member.

        The row stays, with `left_at`, so that the user's devices learn of it when they sync. With `owned` the
        conversation keeps an owner as long as it has members: raises Conflict for the last one.
        """
        return await self._end(conversation, user, None, by=by, at=at, owned=owned, check=check)

    async def ban(
        self,
        conversation: str,
        user: str,
        *,
        by: str,
        at: int,
        until: int | None = None,
        owned: bool = False,
        check: Check = None,
    ) -> Appended | None:
        """As `remove`, and the user cannot come back before `until`, or (None) before `unban`."""
        return await self._end(conversation, user, _ban(at, until), by=by, at=at, owned=owned, check=check)

    async def keep_out(self, conversation: str, user: str, *, at: int, until: int | None = None) -> bool:
        """Ban a user who is no member: there is nothing to tell the others, so there is no entry. A ban takes the place
        of the one before. False: is a member, and stays.
        """
        row = {
            "conversation": conversation,
            "user": user,
            "role": Role.MEMBER.value,
            "joined_at": at,
            "joined_offset": 0,
            "read": {"offset": 0, "n": 0},
            "revision": 0,
            "left_at": at,
        }
        update: Document = {"$set": _ban(at, until), "$setOnInsert": row}
        if until is None:
            update["$unset"] = {"banned_until": ""}
        query = {"_id": member_key(conversation, user), "left_at": {"$exists": True}}
        try:
            with translated():
                await self._members.update_one(query, update, upsert=True)
        except Conflict:
            return False
        return True

    async def require_unbanned(self, conversation: str, users: Collection[str], *, at: int) -> None:
        """Raises Banned if somebody of these is at that time."""
        keys = [member_key(conversation, user) for user in users]
        query: Document = {"_id": {"$in": keys}, "banned_at": {"$exists": True}}
        with translated():
            rows = await self._members.find(query, batch_size=len(keys) + 1).to_list(None)
        banned = sorted(row["user"] for row in rows if _is_banned(row, at))
        if banned:
            raise Banned(banned)

    async def bans(self, conversation: str, *, at: int, after: str = "", limit: int) -> list[Member]:
        """Rows of users above `after` who are banned at that time, by user id."""
        query: Document = {
            "conversation": conversation,
            "banned_at": {"$exists": True},
            "user": {"$gt": after},
            "$or": [{"banned_until": {"$exists": False}}, {"banned_until": {"$gt": at}}],
        }
        with translated():
            found = self._members.find(query, sort=[("user", ASCENDING)], limit=limit, batch_size=limit + 1)
            return [member_of(row) for row in await found.to_list(limit)]

    async def unban(self, conversation: str, user: str) -> bool:
        """Let the user be added again. False: was not banned."""
        with translated():
            result = await self._members.update_one(
                {"_id": member_key(conversation, user), "banned_at": {"$exists": True}},
                {"$unset": {"banned_at": "", "banned_until": ""}},
            )
        return result.modified_count == 1

    async def set_role(
        self,
        conversation: str,
        user: str,
        role: Role,
        *,
        by: str,
        at: int,
        owned: bool = False,
        check: Check = None,
    ) -> Appended | None:
        """Give a member another role. None: has it already. Raises NotFound when the user is no member.

        With `owned` the conversation keeps an owner: raises Conflict for the last one.
        """
        body = {"user": user, "role": role.value}
        change = partial(self._change, user, {"role": role.value}, (), owned and role is not Role.OWNER)
        new = NewEntry(conversation, EntryKind.MEMBER_CHANGED, by, at, None, body)
        return await self._appender.append_with(new, change, check=check)

    async def mute(
        self, conversation: str, user: str, until: int | None, *, by: str, at: int, check: Check = None
    ) -> Appended | None:
        """A member may not write before `until`; None: may again. None: it was so. Raises NotFound for no member."""
        changes = {} if until is None else {"muted_until": until}
        change = partial(self._change, user, changes, ("muted_until",) if until is None else (), False)
        new = NewEntry(conversation, EntryKind.MEMBER_CHANGED, by, at, None, {"user": user})
        return await self._appender.append_with(new, change, check=check)

    async def put(self, session: Session, entry: Entry, members: Mapping[str, Role]) -> None:
        """Write the rows of users whom the entry brings in, within its transaction."""
        revisions = await self._users.bump(session, members.keys(), at=entry.at)
        writes = [
            UpdateOne(
                {"_id": member_key(entry.conversation, user)},
                {
                    "$set": {
                        "conversation": entry.conversation,
                        "user": user,
                        "role": role.value,
                        "joined_at": entry.at,
                        "joined_offset": entry.offset,
                        # What was said before is history, not unread.
                        "read": position_document(entry.position),
                        "revision": revisions[user],
                    },
                    "$unset": {"left_at": "", "banned_at": "", "banned_until": "", "unread_from": ""},
                },
                upsert=True,
            )
            for user, role in members.items()
        ]
        await self._members.bulk_write(writes, session=session)

    async def join_within(self, wanted: Mapping[str, Role], session: Session, entry: Entry) -> Entry | None:
        """Make members of those who are none, within the transaction of their member.joined entry; it, naming them.

        None: all are members. Raises Banned, NotFound (no such conversation).
        """
        keys = [member_key(entry.conversation, user) for user in wanted]
        with translated():
            rows = await self._members.find({"_id": {"$in": keys}}, session=session, batch_size=len(keys) + 1).to_list(
                None
            )
            banned = sorted(row["user"] for row in rows if _is_banned(row, entry.at))
            if banned:
                raise Banned(banned)
            present = {row["user"] for row in rows if "left_at" not in row}
            joining = {user: role for user, role in wanted.items() if user not in present}
            if not joining:
                return None
            await self._count(session, entry.conversation, len(joining))
            await self.put(session, entry, joining)
        return entry.with_body({"members": [{"user": user, "role": role.value} for user, role in joining.items()]})

    async def _end(
        self, conversation: str, user: str, ban: Document | None, *, by: str, at: int, owned: bool, check: Check
    ) -> Appended | None:
        body: Document = {"user": user} if ban is None else {"user": user, "banned": True}
        new = NewEntry(conversation, EntryKind.MEMBER_LEFT, by, at, None, body)
        return await self._appender.append_with(new, partial(self._leave, user, ban or {}, owned), check=check)

    async def _leave(self, user: str, ban: Document, owned: bool, session: Session, entry: Entry) -> Entry | None:
        with translated():
            if owned and await self._is_last_owner(session, entry.conversation, user):
                conversation = await self._conversations.find_one(
                    {"_id": entry.conversation}, {"members_count": 1}, session=session
                )
                if conversation is not None and conversation["members_count"] > 1:
                    raise Conflict("the last owner stays until somebody else is owner or everybody else has left")
            revisions = await self._users.bump(session, [user], at=entry.at)
            result = await self._members.update_one(
                {"_id": member_key(entry.conversation, user), **_LIVE},
                {"$set": {"left_at": entry.at, "revision": revisions[user], **ban}},
                session=session,
            )
            if result.modified_count == 0:
                return None
            await self._count(session, entry.conversation, -1)
        return entry

    async def _change(
        self, user: str, changes: Document, taken: Sequence[str], owned: bool, session: Session, entry: Entry
    ) -> Entry | None:
        """Change a member's row; the entry tells all that members may know. `owned`: not the last owner's."""
        key = member_key(entry.conversation, user)
        with translated():
            row = await self._members.find_one({"_id": key, **_LIVE}, session=session)
            if row is None:
                raise NotFound(f"{user} is no member of {entry.conversation}")
            if all(row.get(name) == value for name, value in changes.items()) and not any(
                name in row for name in taken
            ):
                return None
            if owned and await self._is_last_owner(session, entry.conversation, user):
                raise Conflict("the last owner stays owner until somebody else is")
            revisions = await self._users.bump(session, [user], at=entry.at)
            update: Document = {"$set": {**changes, "revision": revisions[user]}}
            if taken:
                update["$unset"] = dict.fromkeys(taken, "")
            await self._members.update_one({"_id": key}, update, session=session)
        body: Document = {"user": user, "role": changes.get("role", row["role"])}
        muted_until = changes.get("muted_until", row.get("muted_until"))
        if muted_until is not None and "muted_until" not in taken:
            body["muted_until"] = int(muted_until)
        return entry.with_body(body)

    async def _is_last_owner(self, session: Session, conversation: str, user: str) -> bool:
        """Entries of one log are committed one after the other, so nobody else's leaving can make this wrong."""
        query: Document = {"conversation": conversation, "role": Role.OWNER.value, **_LIVE}
        owners = await self._members.find(query, {"user": 1}, session=session, limit=2, batch_size=3).to_list(2)
        return [owner["user"] for owner in owners] == [user]

    async def _count(self, session: Session, conversation: str, by: int) -> None:
        result = await self._conversations.update_one(
            {"_id": conversation}, {"$inc": {"members_count": by}}, session=session
        )
        if result.matched_count == 0:
            raise NotFound(f"no conversation {conversation}")


def _ban(at: int, until: int | None) -> Document:
    return {"banned_at": at} if until is None else {"banned_at": at, "banned_until": until}


def _is_banned(row: Document, at: int) -> bool:
    return "banned_at" in row and row.get("banned_until", at + 1) > at
