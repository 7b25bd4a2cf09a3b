"""Invites, and coming in by one: the use is counted in the transaction that makes the member."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from pymongo import ASCENDING

from storage.errors import LimitReached, NotFound
from storage.model import Appended, Entry, EntryKind, Invite, Member, NewEntry, Role
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.members import Members
from storage.mongo.rows import member_key, member_of
from storage.mongo.schema import INVITES, MEMBERS

MAX_INVITES: Final = 100
"""Good invites of one conversation."""

Allows: TypeAlias = Callable[[Invite, Member | None], bool]
"""Whether an invite is good, given the row of who made it. Pure, may be asked several times."""

# Named here because the class below has a method called `list`.
_Invites: TypeAlias = list[Invite]


class Invites:
    """Every method may raise Unavailable."""

    def __init__(self, db: Database, appender: Appender, members: Members) -> None:
        self._invites = db[INVITES]
        self._rows = db[MEMBERS]
        self._appender = appender
        self._members = members

    async def create(self, invite: Invite) -> None:
        """Keep a new invite; those of the conversation that are no longer good make room. Raises LimitReached."""
        of_conversation: Document = {"conversation": invite.conversation}
        with translated():
            if await self._invites.count_documents(of_conversation, limit=MAX_INVITES) == MAX_INVITES:
                bad = [one.id for one in await self.list(invite.conversation) if not one.good(invite.created_at)]
                if not bad:
                    raise LimitReached(f"a conversation has at most {MAX_INVITES} invites: revoke some")
                await self._invites.delete_many({"_id": {"$in": bad}})
            await self._invites.insert_one(_document(invite))

    async def get(self, invite: str) -> Invite | None:
        """One invite, good or not."""
        with translated():
            row = await self._invites.find_one({"_id": invite})
        return _invite_of(row) if row else None

    async def list(self, conversation: str) -> _Invites:
        """All of a conversation, oldest first, good or not."""
        with translated():
            found = self._invites.find(
                {"conversation": conversation}, sort=[("created_at", ASCENDING)], limit=2 * MAX_INVITES
            )
            return [_invite_of(row) for row in await found.to_list(2 * MAX_INVITES)]

    async def revoke(self, conversation: str, invite: str) -> bool:
        """Forget an invite. False: the conversation has no such one."""
        with translated():
            result = await self._invites.delete_one({"_id": invite, "conversation": conversation})
        return result.deleted_count == 1

    async def accept(self, invite: Invite, user: str, *, at: int, allows: Allows) -> Appended | None:
        """The user becomes a member by the invite as it is then. None: is a member already, and no use is counted.

        Raises NotFound (no longer there, or `allows` says no), Banned, Overloaded.
        """
        body = {"members": [{"user": user, "role": invite.role.value}]}
        new = NewEntry(invite.conversation, EntryKind.MEMBER_JOINED, user, at, None, body)
        return await self._appender.append_with(new, partial(self._come_in, invite.id, user, allows))

    async def _come_in(self, invite: str, user: str, allows: Allows, session: Session, entry: Entry) -> Entry | None:
        with translated():
            row = await self._invites.find_one({"_id": invite}, session=session)
            if row is None:
                raise NotFound("no such invite")
            found = _invite_of(row)
            maker = await self._rows.find_one({"_id": member_key(found.conversation, found.by)}, session=session)
            if not allows(found, member_of(maker) if maker else None):
                raise NotFound("no such invite")
            joined = await self._members.join_within({user: found.role}, session, entry)
            if joined is not None:
                # Whoever counts another use of it meanwhile makes this transaction fail, and it is looked at again.
                await self._invites.update_one({"_id": invite}, {"$inc": {"uses": 1}}, session=session)
        return joined


def _document(invite: Invite) -> Document:
    document: dict[str, Any] = {
        "_id": invite.id,
        "conversation": invite.conversation,
        "by": invite.by,
        "role": invite.role.value,
        "created_at": invite.created_at,
        "expires_at": invite.expires_at,
        "max_uses": invite.max_uses,
        "uses": invite.uses,
    }
    return {name: value for name, value in document.items() if value is not None}


def _invite_of(row: Document) -> Invite:
    expires_at, max_uses = row.get("expires_at"), row.get("max_uses")
    return Invite(
        id=row["_id"],
        conversation=row["conversation"],
        by=row["by"],
        role=Role(row["role"]),
        created_at=int(row["created_at"]),
        expires_at=None if expires_at is None else int(expires_at),
        max_uses=None if max_uses is None else int(max_uses),
        uses=int(row["uses"]),
    )
