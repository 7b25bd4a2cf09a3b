"""Changing messages that are there, for all who read them: editing, deleting, pinning; and what they said before."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import UNSET

from chat.usecases.access import Access, Standing
from chat.usecases.checking import given
from chat.usecases.composing import edited_fields
from chat.usecases.failures import Unseen, denied, told
from chat.usecases.hiding import Hiding
from chat.usecases.membership import decided
from chat.usecases.mentions import Mentions
from chat.usecases.ports import Limits
from chat.usecases.rights import Right
from chat.usecases.sending import SendingRules
from chat.usecases.uploads import Uploads
from chat.vocabulary import render
from chat.vocabulary.messages import (
    MAX_EDITS,
    MessageDelete,
    MessageEdit,
    MessagePin,
    MessageSent,
    MessageUnpin,
    MessageVersion,
    MessageVersions,
    VersionsPage,
)
from chat.vocabulary.shapes import Done, Message
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.errors import NotFound
from storage.model import Appended, Change, Entry, EntryKind, NewEntry, imaged
from storage.model.changes import edited
from storage.store import Store

MAX_PAGE_BYTES: Final = 48 * 1024
"""About as much as a page may take, as in `history`."""

_WORTH_SENDING: Final = ("text", "content", "attachments")


class Changing:
    """Each change is one transaction, decided by the message as it is there. Raises ClientError."""

    def __init__(
        self,
        store: Store,
        access: Access,
        rules: SendingRules,
        mentions: Mentions,
        hiding: Hiding,
        uploads: Uploads,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._rules = rules
        self._mentions = mentions
        self._hiding = hiding
        self._uploads = uploads
        self._limits = limits
        self._clock_ms = clock_ms

    async def edit(self, user: str, request: MessageEdit) -> MessageSent:
        """The author, or a moderator. What changes nothing is no edit. A repeated key answers with the message as it
        is now.
        """
        fields = edited_fields(request, self._limits)
        conversation, key = request.conversation, given(request.idempotency_key)

        async def change() -> Appended | None:
            standing = await self._access.require(user, conversation, Right.READ)
            await self._rules.check_edit(standing)
            new = NewEntry(conversation, EntryKind.MESSAGE_EDITED, user, self._clock_ms(), key, {})
            asked = {**fields, **await self._looked_up(user, standing, request)}
            decide = partial(self._decide_edit, user, standing, asked, given(request.if_version))
            with _there():
                return await self._store.rewording.edit(
                    new, request.offset, decide, check=self._access.check(conversation, {user: standing})
                )

        appended = await decided(change)
        if appended is not None and not appended.duplicate:
            return MessageSent(_after(appended.entry), duplicate=False)
        if appended is not None and not _edits(appended.entry, request.offset):
            raise ClientError(codes.CONFLICT, "stands for another change", "idempotency_key")
        present = await self._message(conversation, request.offset)
        return MessageSent(render.message(present), duplicate=appended is not None)

    async def delete(self, user: str, request: MessageDelete) -> Done:
        """For all: the author, or a moderator. For oneself: any member. What is deleted already stays so."""
        if (request.offset is UNSET) is (request.offsets is UNSET):
            raise ClientError(codes.BAD_REQUEST, "give an offset, or several as `offsets`", "offset")
        if request.for_ == "me":
            if request.offsets is not UNSET:
                await self._hiding.hide(user, request.conversation, request.offsets, lambda index: f"offsets[{index}]")
            elif request.offset is not UNSET:
                await self._hiding.hide(user, request.conversation, [request.offset], lambda _: "offset")
            return Done()
        if request.offset is UNSET:
            raise ClientError(codes.BAD_REQUEST, 'is for deleting for "me"; for all it is one `offset`', "offsets")
        await self._delete(user, request.conversation, request.offset)
        return Done()

    async def _delete(self, user: str, conversation: str, offset: int) -> None:
        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.READ)

            def permit(message: Entry, _entry: Entry) -> None:
                right = Right.DELETE_OWN if message.by == user else Right.DELETE_ANY
                with denied():
                    self._access.demand(standing, right)

            new = NewEntry(conversation, EntryKind.MESSAGE_DELETED, user, self._clock_ms(), None, {})
            with _there():
                await self._store.rewording.delete(
                    new, offset, permit=permit, check=self._access.check(conversation, {user: standing})
                )

        await decided(change)

    async def pin(self, user: str, request: MessagePin) -> Done:
        """Pinning what is pinned changes nothing."""
        conversation = request.conversation

        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.PIN)
            new = NewEntry(conversation, EntryKind.MESSAGE_PINNED, user, self._clock_ms(), None, {})
            with _there():
                await self._store.rewording.pin(
                    new,
                    request.offset,
                    permit=_require_not_deleted,
                    check=self._access.check(conversation, {user: standing}),
                )

        await decided(change)
        return Done()

    async def unpin(self, user: str, request: MessageUnpin) -> Done:
        """Unpinning what is not pinned changes nothing."""
        conversation = request.conversation

        async def change() -> None:
            standing = await self._access.require(user, conversation, Right.PIN)
            new = NewEntry(conversation, EntryKind.MESSAGE_UNPINNED, user, self._clock_ms(), None, {})
            with _there():
                await self._store.rewording.unpin(
                    new, request.offset, check=self._access.check(conversation, {user: standing})
                )

        await decided(change)
        return Done()

    async def versions(self, user: str, request: MessageVersions) -> VersionsPage:
        """For the author and moderators, newest first."""
        standing = await self._access.require(user, request.conversation, Right.READ)
        message = await self._message(request.conversation, request.offset)
        if message.by != user:
            self._access.demand(standing, Right.READ_VERSIONS)
        if "deleted_at" in message.body:
            raise _deleted()
        newest: int = message.body.get("version", 0)
        first = newest if request.before is UNSET else min(newest, request.before - 1)
        found: list[MessageVersion] = []
        size = 0
        async for version in self._versions(message, first):
            size += len(msgspec.json.encode(version))
            if found and (len(found) == request.limit or size > MAX_PAGE_BYTES):
                return VersionsPage(found, next=found[-1].version)
            found.append(version)
        return VersionsPage(found)

    async def _versions(self, message: Entry, first: int) -> AsyncIterator[MessageVersion]:
        edits: list[int] = message.body.get("edits", [])
        for version in range(first, 0, -1):
            entry = await self._entry(message.conversation, edits[version - 1])
            if entry is not None:
                yield _version(version, entry.at, entry.by, entry.body["message"]["body"])
        if first < 0:
            return
        if not edits:
            yield _version(0, message.at, message.by, message.body)
        elif (entry := await self._entry(message.conversation, edits[0])) is not None:
            yield _version(0, message.at, message.by, entry.body.get("original", {}))

    async def _looked_up(self, user: str, standing: Standing, request: MessageEdit) -> Mapping[str, Any]:
        """What of an edit has to be looked up. A repeat is not refused for what has changed since."""
        try:
            meant = await self._mentions.edited(user, standing, request)
            return {**meant, **await self._attached(user, request)}
        except ClientError:
            if request.idempotency_key is UNSET:
                raise
            with told():
                known = await self._store.log.by_key(request.conversation, user, request.idempotency_key)
            if known is None:
                raise
            return {}

    async def _attached(self, user: str, request: MessageEdit) -> Mapping[str, Any]:
        """The attachments that an edit sets. Uploads of the message may stay, whoever edits it."""
        if request.attachments is UNSET or not request.attachments:
            return {}
        message = await self._message(request.conversation, request.offset)
        already = message.body.get("attachments", ())
        return {"attachments": await self._uploads.attached(user, request.attachments, already)}

    def _decide_edit(
        self,
        user: str,
        standing: Standing,
        fields: Mapping[str, Any],
        if_version: int | None,
        message: Entry,
        entry: Entry,
    ) -> Change | None:
        with denied():
            self._access.demand(standing, Right.EDIT_OWN if message.by == user else Right.EDIT_ANY)
        _require_not_deleted(message, entry)
        version = message.body.get("version", 0)
        with denied():
            if if_version is not None and if_version != version:
                raise ClientError(codes.CONFLICT, f"the message has version {version} by now", "if_version")
            change = edited(message, entry, fields)
            if change is None or change.message is None:
                return None
            if not any(name in change.message for name in _WORTH_SENDING):
                raise ClientError(codes.BAD_REQUEST, "leaves nothing: give a text, a content or attachments", "text")
            if version >= MAX_EDITS:
                raise ClientError(codes.LIMIT_EXCEEDED, f"a message is edited at most {MAX_EDITS} times", "offset")
        return change

    async def _message(self, conversation: str, offset: int) -> Entry:
        entry = await self._entry(conversation, offset)
        if entry is None or entry.kind is not EntryKind.MESSAGE_CREATED:
            raise _missing()
        return entry

    async def _entry(self, conversation: str, offset: int) -> Entry | None:
        with told():
            return await self._store.log.get(conversation, offset)


def _require_not_deleted(message: Entry, entry: Entry) -> None:
    """Raises Denied. What has expired counts as deleted, whether or not that has been done yet."""
    if "deleted_at" in message.body or message.body.get("expires_at", entry.at + 1) <= entry.at:
        with denied():
            raise _deleted()


@contextmanager
def _there() -> Iterator[None]:
    """There has to be a message at the request's offset."""
    try:
        yield
    except NotFound:
        raise _missing() from None


def _missing() -> ClientError:
    return Unseen("there is no message at this offset", "offset")


def _deleted() -> ClientError:
    return ClientError(codes.CONFLICT, "the message is deleted", "offset")


def _edits(entry: Entry, offset: int) -> bool:
    return entry.kind is EntryKind.MESSAGE_EDITED and entry.body["target"] == offset


def _after(entry: Entry) -> Message:
    """The message as an edit leaves it."""
    return render.message(imaged(entry.conversation, entry.body["target"], entry.body["message"]))


def _version(version: int, at: int, by: str, said: Mapping[str, Any]) -> MessageVersion:
    return MessageVersion(
        version,
        at,
        by,
        text=said.get("text", ""),
        content=said.get("content"),
        mentions=said.get("mentions", []),
        attachments=said.get("attachments", []),
        custom=said.get("custom", {}),
    )
