"""Whom a message mentions, who may mention whom, and what one is mentioned in."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from chat.usecases.access import Access, Standing, parent_of
from chat.usecases.checking import given
from chat.usecases.failures import told
from chat.usecases.ports import Limits, Online
from chat.usecases.rights import Right, allowed
from chat.usecases.unread import Unreads
from chat.vocabulary import render
from chat.vocabulary.cursor import decode_mention_cursor, encode_mention_cursor
from chat.vocabulary.messages import MentionsGroup, MessageEdit
from chat.vocabulary.reading import MentionList, MentionPage
from chat.vocabulary.shapes import Message
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import Entry
from storage.model.keys import MAX_OFFSET
from storage.mongo.inbox import MAX_CONVERSATIONS
from storage.mongo.mentions import Place, everyone
from storage.store import Store

MAX_EXAMINED: Final = 5_000
"""Members of whom it is asked whether they are here. In a larger conversation, those with the first ids."""

MAX_PAGE_BYTES: Final = 56 * 1024
"""A larger reply would hold up pings and, on a slow socket, end the connection."""

_CHUNK: Final = 500
_ROUNDS: Final = 4
"""Pages that are read for one, where mentions are in conversations that one has left."""


class Mentions:
    """The one place where it is decided who is mentioned. Raises ClientError."""

    def __init__(self, store: Store, access: Access, online: Online, unreads: Unreads, limits: Limits) -> None:
        self._store = store
        self._access = access
        self._online = online
        self._unreads = unreads
        self._limits = limits

    async def fields(
        self, user: str, conversation: str, standing: Standing, users: Sequence[str], group: MentionsGroup | None = None
    ) -> dict[str, Any]:
        """`mentions`, `mentions_group` and `meant` of a message's body, as far as there are any.

        Everyone who is named must be a member: one query, and none for those whose standing is known. Without mentions
        it costs nothing.
        """
        if not users and group is None:
            return {}
        if group is not None:
            self._require_group(standing)
        members = parent_of(conversation) or conversation
        await self._require_members(members, users)
        fields: dict[str, Any] = {}
        named = list(dict.fromkeys(users))
        meant = dict.fromkeys(name for name in named if name != user)
        if named:
            fields["mentions"] = named
        if group is not None:
            fields["mentions_group"] = group
        if group == "all":
            # Whoever is named besides is one of them.
            meant = {everyone(conversation): None}
        elif group == "here":
            meant |= dict.fromkeys(name for name in await self._here(members) if name != user)
        if meant:
            fields["meant"] = list(meant)
        return fields

    async def edited(self, user: str, standing: Standing, request: MessageEdit) -> dict[str, Any]:
        """What an edit sets of a message's body; None takes a field away. An edit that says something of `mentions` or
        `mentions_group` says everything: what it leaves out of the two is gone.
        """
        if request.mentions is UNSET and request.mentions_group is UNSET:
            return {}
        group = None if isinstance(request.mentions_group, UnsetType) else request.mentions_group
        fields = await self.fields(user, request.conversation, standing, given(request.mentions) or [], group)
        return {"mentions": None, "mentions_group": None, "meant": None, **fields}

    def _require_group(self, standing: Standing) -> None:
        limit = self._limits.mention_group_members
        if standing.facts.members_count <= limit:
            return
        if not allowed(Right.MENTION_EVERYONE, standing.kind, standing.role):
            raise ClientError(
                codes.PERMISSION_DENIED,
                f"a {standing.role} may not mention everyone in a {standing.kind} of more than {limit} members",
                "mentions_group",
            )

    async def _require_members(self, conversation: str, users: Sequence[str]) -> None:
        unknown = {user for user in users if self._access.cached(user, conversation) is None}
        if not unknown:
            return
        with told():
            live = await self._store.members.live(conversation, unknown)
        for index, user in enumerate(users):
            if user in unknown and user not in live:
                raise ClientError(codes.BAD_REQUEST, "is no member of the conversation", f"mentions[{index}]")

    async def _here(self, conversation: str) -> list[str]:
        """Members who are connected now, at most `mention_group_members`; nobody where that cannot be known."""
        here: list[str] = []
        after, limit = "", self._limits.mention_group_members
        for _ in range(0, MAX_EXAMINED, _CHUNK):
            with told():
                page = await self._store.members.page(conversation, after=after, limit=_CHUNK)
            names = [member.user for member in page]
            try:
                online = await self._online.online(names) if names else set()
            except (ConnectionError, TimeoutError):
                return []
            here += [name for name in names if name in online]
            if len(page) < _CHUNK or len(here) >= limit:
                break
            after = names[-1]
        return here[:limit]

    async def list_of(self, user: str, request: MentionList) -> MentionPage:
        """Messages that mention the user in conversations that the user can read now, newest first.

        In one conversation it is one query; over all of them one for each 100 conversations that the user is in.
        """
        before = Place(*decode_mention_cursor(request.before)) if isinstance(request.before, str) else None
        with told():
            without = await self._unreads.unheard(user)
            if isinstance(request.conversation, str):
                entries, more = await self._of_one(user, request.conversation, before, request.limit, without)
            else:
                entries, more = await self._of_all(user, before, request.limit, without)
            hidden = await self._store.hidden.among(user, [(entry.conversation, entry.offset) for entry in entries])
        items = [render.message(entry) for entry in entries if (entry.conversation, entry.offset) not in hidden]
        kept = _fitting(items)
        if len(kept) < len(items):
            last = kept[-1]
            more = Place(last.created_at, last.conversation, last.offset)
        return MentionPage(
            kept, None if more is None else encode_mention_cursor(more.at, more.conversation, more.offset)
        )

    async def _of_one(
        self, user: str, conversation: str, before: Place | None, limit: int, without: set[str]
    ) -> tuple[list[Entry], Place | None]:
        await self._access.require(user, conversation, Right.READ)
        if before is not None and before.conversation != conversation:
            raise ClientError(codes.BAD_REQUEST, "must be the `next` of an earlier page", "before")
        offset = None if before is None else before.offset
        found = await self._store.mentions.of_conversation(
            user, conversation, before=offset, limit=limit + 1, without=without
        )
        member = await self._store.members.get(conversation, user)
        page = found[:limit]
        joined = {} if member is None else {conversation: member.joined_offset}
        return [entry for entry in page if _concerns(entry, user, joined)], _last(page, found)

    async def _of_all(
        self, user: str, before: Place | None, limit: int, without: set[str]
    ) -> tuple[list[Entry], Place | None]:
        kept: list[Entry] = []
        members = await self._store.members.of_user(user, MAX_CONVERSATIONS)
        joined = {member.conversation: member.joined_offset for member in members}
        for _ in range(_ROUNDS):
            found = await self._store.mentions.by_time(user, joined, before=before, limit=limit + 1, without=without)
            for entry in found[:limit]:
                if len(kept) == limit:
                    return kept, before
                before = _place(entry)
                if (parent_of(entry.conversation) or entry.conversation) in joined and _concerns(entry, user, joined):
                    kept.append(entry)
            if len(found) <= limit:
                return kept, None
            if len(kept) == limit:
                break
        return kept, before


def _concerns(entry: Entry, user: str, joined: Mapping[str, int]) -> bool:
    """Whether it mentions the user, or everyone and the user was there."""
    return user in entry.body.get("meant", ()) or entry.offset >= joined.get(entry.conversation, MAX_OFFSET)


def _place(entry: Entry) -> Place:
    return Place(entry.at, entry.conversation, entry.offset)


def _last(page: Sequence[Entry], found: Sequence[Entry]) -> Place | None:
    """Where to go on, if there is more than the page."""
    return _place(page[-1]) if len(found) > len(page) else None


def _fitting(items: list[Message]) -> list[Message]:
    """As many from the start as fit a reply, one at least."""
    size = 0
    for index, item in enumerate(items):
        size += len(msgspec.json.encode(item))
        if size > MAX_PAGE_BYTES and index:
            return items[:index]
    return items
