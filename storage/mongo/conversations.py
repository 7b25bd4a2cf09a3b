"""Conversations: making them once, changing them with an entry of their log, and finding what moved."""

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from pymongo import ASCENDING

from storage.errors import Conflict, Invalid, NotFound, Unavailable
from storage.model import (
    Appended,
    Conversation,
    ConversationKind,
    ConversationSettings,
    Entry,
    EntryKind,
    NewEntry,
    Position,
    Role,
    ids,
)
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Document, Session, translated
from storage.mongo.gather import Gather
from storage.mongo.heads import Extent, read_extents, read_heads, read_rows
from storage.mongo.members import MAX_MEMBERS_AT_ONCE, Members
from storage.mongo.rows import conversation_document, conversation_of, custom_text, position_of, settings_document, text
from storage.mongo.schema import CONVERSATIONS

STAMP_SLACK_MS: Final = 5000
"""A summary may become visible this much later than its stamp says. Look back by as much when asking for changes."""

_CHUNK: Final = 1000
_WAITS_FOR_MAJORITY_S: Final = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16)


@dataclass(frozen=True, slots=True)
class Created:
    """The conversation that was asked for. `entry` is its first one; None when it existed before (`duplicate`)."""

    conversation: Conversation
    entry: Entry | None
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Changed:
    """A conversation whose summary was written at `at`, in milliseconds of the server's clock."""

    conversation: str
    head: Position
    at: int


LOOKED_UP: Final = 128
"""Rows that are read together."""

WAITING: Final = 20_000


class Conversations:
    """An async context manager: rows that are asked for at the same time are read together. Every method may raise
    Unavailable.
    """

    def __init__(
        self,
        db: Database,
        appender: Appender,
        members: Members,
        *,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._db = db
        self._conversations = db[CONVERSATIONS]
        self._appender = appender
        self._members = members
        self._random = random
        self._asking: Gather[str, Conversation | None] = Gather(
            self._read, batch=LOOKED_UP, limit=WAITING, at_once=4, shared=True
        )

    async def create(
        self,
        *,
        kind: ConversationKind,
        by: str,
        members: Sequence[tuple[str, Role]],
        at: int,
        title: str = "",
        avatar_url: str = "",
        description: str = "",
        custom: Mapping[str, Any] | None = None,
        settings: ConversationSettings | None = None,
        external_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Created:
        """Make a conversation with these members; users nobody has seen are made too.

        Its log begins with member.joined, of which the appender's hooks have been told when this returns. Whoever asks
        for the same again, at the same time or ever after, gets the same conversation: the same two users of a direct
        one, the same external id, or the same idempotency key of the same creator.

        Raises Invalid (no members, too many, a direct one without exactly two) and Conflict (the external id or the key
        belongs to a conversation of another kind).
        """
        chosen = _members_to_join(kind, members)
        peers = sorted(chosen)
        direct = kind is ConversationKind.DIRECT
        conversation = Conversation(
            id=ids.direct_id(*peers) if direct else ids.conversation_id(self._random),
            kind=kind,
            title=title,
            custom=custom or {},
            external_id=external_id,
            created_by=by,
            created_at=at,
            updated_at=at,
            members_count=len(chosen),
            head=Position(1, 0),
            last_message=None,
            activity_at=at,
            peers=(peers[0], peers[1]) if direct else None,
            avatar_url=avatar_url,
            description=description,
            settings=settings or ConversationSettings(),
        )
        if direct and (there := await self.get(conversation.id)) is not None:
            return Created(there, None, duplicate=True)
        row = conversation_document(conversation, idempotency_key=idempotency_key)
        joined = [{"user": user, "role": role.value} for user, role in chosen.items()]
        new = NewEntry(conversation.id, EntryKind.MEMBER_JOINED, by, at, None, {"members": joined})
        # The log is empty as far as anybody knows; if it is not, the row is there as well and the insert below says so.
        self._appender.learn(conversation.id, 0, 0)
        try:
            appended = await self._appender.append_with(new, partial(self._insert, row, chosen))
        except Conflict:
            return Created(await self._existing(conversation, idempotency_key), None, duplicate=True)
        if appended is None:
            raise AssertionError("creating a conversation always changes something")
        return Created(conversation, appended.entry, duplicate=False)

    async def __aenter__(self) -> Self:
        await self._asking.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._asking.__aexit__(kind, error, traceback)

    async def get(self, conversation: str) -> Conversation | None:
        """One conversation. The read begins after the call. Raises Overloaded."""
        return await self._asking.ask(conversation)

    async def _read(self, conversations: Sequence[str]) -> list[Conversation | None]:
        found = await self.get_many(conversations)
        return [found.get(conversation) for conversation in conversations]

    async def get_many(self, conversations: Collection[str]) -> dict[str, Conversation]:
        """Those that exist, by id. Any number; they are read in chunks."""
        return {row["_id"]: conversation_of(row) for row in await read_rows(self._db, conversations)}

    async def heads(self, conversations: Collection[str]) -> dict[str, Position]:
        """How far each log is known to reach, for those that exist: committed, but about a second behind."""
        return await read_heads(self._db, conversations)

    async def extents(self, conversations: Collection[str]) -> dict[str, Extent]:
        """From where to where each log is known to be, for those that exist; the head about a second behind."""
        return await read_extents(self._db, conversations)

    async def by_external_id(self, external_id: str) -> Conversation | None:
        """The conversation that the application knows under this id."""
        return await self._find({"external_id": external_id})

    async def update(
        self,
        conversation: str,
        *,
        by: str,
        at: int,
        title: str | None = None,
        avatar_url: str | None = None,
        description: str | None = None,
        custom: Mapping[str, Any] | None = None,
        settings: Mapping[str, int] | None = None,
        check: Callable[[], bool] | None = None,
    ) -> Appended | None:
        """Set what is given; None leaves one alone, as does a setting that is left out. Returns None if that changes
        nothing. The entry names only what changed, the settings as a whole.

        Raises NotFound, Invalid, PreconditionFailed, Overloaded.
        """
        texts = {"title": title, "avatar_url": avatar_url, "description": description}
        body: dict[str, Any] = {name: text(value, name) for name, value in texts.items() if value is not None}
        if custom is not None:
            body["custom"] = dict(custom)
        if settings is not None:
            body["settings"] = dict(settings)
        new = NewEntry(conversation, EntryKind.CONVERSATION_UPDATED, by, at, None, body)
        return await self._appender.append_with(new, self._apply_update, check=check)

    async def changed_since(self, at: int, *, after: str = "", limit: int = _CHUNK) -> list[Changed]:
        """Conversations whose summaries were written after (at, after), ordered by (at, conversation).

        A full list: go on from its last one's (at, conversation). Stamps become visible a little out of order, so begin
        each round STAMP_SLACK_MS before the newest that was seen. `server_time` is where to begin the first one.
        """
        since = datetime.fromtimestamp(at / 1000, UTC)
        query: Document = {
            "$or": [{"summary_at": since, "_id": {"$gt": after}}, {"summary_at": {"$gt": since}}],
            "summary_at": {"$gte": since},
        }
        with translated():
            rows = await self._conversations.find(
                query,
                {"head": 1, "summary_at": 1},
                sort=[("summary_at", ASCENDING), ("_id", ASCENDING)],
                limit=limit,
                batch_size=limit + 1,
            ).to_list(limit)
        return [Changed(row["_id"], position_of(row["head"]), _milliseconds(row["summary_at"])) for row in rows]

    async def server_time(self) -> int:
        """MongoDB's clock, in milliseconds."""
        with translated():
            hello = await self._db.command("hello")
        return _milliseconds(hello["localTime"])

    async def _insert(self, row: Document, members: Mapping[str, Role], session: Session, entry: Entry) -> Entry:
        with translated():
            await self._conversations.insert_one(row, session=session)
            await self._members.put(session, entry, members)
        return entry

    async def _apply_update(self, session: Session, entry: Entry) -> Entry | None:
        with translated():
            row = await self._conversations.find_one({"_id": entry.conversation}, session=session)
            if row is None:
                raise NotFound(f"no conversation {entry.conversation}")
            body, changes = _changed(conversation_of(row), entry.body)
            if not body:
                return None
            changes["updated_at"] = entry.at
            await self._conversations.update_one({"_id": entry.conversation}, {"$set": changes}, session=session)
        return entry.with_body(body)

    async def _existing(self, wanted: Conversation, idempotency_key: str | None) -> Conversation:
        """What is there already instead of the one that was to be made."""
        for pause_s in _WAITS_FOR_MAJORITY_S:
            found = await self.get(wanted.id)
            if found is None and idempotency_key is not None:
                found = await self._find({"created_by": wanted.created_by, "idempotency_key": idempotency_key})
            if found is None and wanted.external_id is not None:
                found = await self.by_external_id(wanted.external_id)
            if found is None:
                await asyncio.sleep(pause_s)
            elif found.kind is not wanted.kind:
                raise Conflict(f"it belongs to the {found.kind.value} conversation {found.id}")
            else:
                return found
        raise Unavailable("the conversation is being made by somebody else")

    async def _find(self, query: Document) -> Conversation | None:
        with translated():
            row = await self._conversations.find_one(query)
        return conversation_of(row) if row else None


def _members_to_join(kind: ConversationKind, members: Sequence[tuple[str, Role]]) -> dict[str, Role]:
    chosen = dict(members)
    if not 1 <= len(chosen) <= MAX_MEMBERS_AT_ONCE:
        raise Invalid(f"a conversation begins with 1 to {MAX_MEMBERS_AT_ONCE} members")
    if kind is ConversationKind.DIRECT and len(chosen) != 2:
        raise Invalid("a direct conversation is of two users")
    return chosen


def _changed(present: Conversation, wanted: Mapping[str, Any]) -> tuple[dict[str, Any], Document]:
    """What of the wanted is not so yet, as an entry tells it and as the row has it."""
    settings = replace(present.settings, **wanted.get("settings", {}))
    told: dict[str, Any] = {**wanted, "settings": settings_document(settings)}
    now: dict[str, Any] = {
        "title": present.title,
        "avatar_url": present.avatar_url,
        "description": present.description,
        "custom": present.custom,
        "settings": settings_document(present.settings),
    }
    body = {name: value for name, value in told.items() if value != now[name]}
    row = dict(body)
    if "custom" in body:
        row["custom"] = custom_text(body["custom"]) or "{}"
    return body, row


def _milliseconds(time: datetime) -> int:
    """The driver gives times without a zone; they are UTC."""
    return round(time.replace(tzinfo=UTC).timestamp() * 1000)
