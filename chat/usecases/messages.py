"""Sending and reading single messages."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import UNSET

from chat.usecases.access import Access, Standing
from chat.usecases.checking import given
from chat.usecases.composing import Composer, message_body
from chat.usecases.expiring import expiring
from chat.usecases.failures import Unseen, told
from chat.usecases.futures import conclude
from chat.usecases.hiding import Hiding
from chat.usecases.mentions import Mentions
from chat.usecases.ports import Limits
from chat.usecases.rights import Right
from chat.usecases.sending import SendingRules
from chat.usecases.threads import Threads
from chat.usecases.turns import Sending, Turns
from chat.usecases.uploads import Uploads
from chat.vocabulary import render
from chat.vocabulary.messages import MentionsGroup, MessageGet, MessageResult, MessageSend, MessageSent
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from storage.model import Appended, AppendOutcome, EntryKind, NewEntry
from storage.store import Store

ATTEMPTS: Final = 8
"""How often a send looks up the sender's membership again when it changed under way."""


class Messages:
    def __init__(
        self,
        store: Store,
        access: Access,
        rules: SendingRules,
        threads: Threads,
        mentions: Mentions,
        hiding: Hiding,
        uploads: Uploads,
        limits: Limits,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._access = access
        self._rules = rules
        self._threads = threads
        self._mentions = mentions
        self._hiding = hiding
        self._uploads = uploads
        self._limits = limits
        self._clock_ms = clock_ms
        self._composer = Composer(store, access, hiding, uploads)
        self._turns = Turns(self._may_send, self._append)

    async def send(self, user: str, request: MessageSend) -> "asyncio.Future[MessageSent]":
        """Queue a message. The returned future is done when it is committed.

        The order in which calls return is the order of the messages of one sender. Cancelling does not unsend.
        Raises ClientError at once for what is known at once; the future raises it for the rest.
        """
        body = message_body(request, self._limits)
        standing = await self._access.require(user, request.conversation, Right.SEND)
        await self._rules.check(user, request.conversation, request.idempotency_key, standing)
        await self._threads.coming(user, request.conversation)
        if _refers(request):
            body = await self._completed(user, request, body, standing)
        at = self._clock_ms()
        new = NewEntry(
            conversation=request.conversation,
            kind=EntryKind.MESSAGE_CREATED,
            by=user,
            at=at,
            key=request.idempotency_key,
            body=expiring(body, request.expires_in_s, standing.facts.settings, self._limits, at=at),
        )
        answer: asyncio.Future[MessageSent] = asyncio.get_running_loop().create_future()
        sending = Sending(self._turns.next_number(), new, answer, ATTEMPTS)
        if self._turns.waits(sending.sender):
            self._turns.put(sending)
        else:
            self._append(sending, standing)
        return answer

    async def _completed(
        self, user: str, request: MessageSend, body: Mapping[str, Any], standing: Standing
    ) -> Mapping[str, Any]:
        """The body with what has to be looked up.

        A repeat is not refused for what has changed since: the log has its answer.
        """
        try:
            found = await self._looked_up(user, request, standing)
        except ClientError:
            with told():
                known = await self._store.log.by_key(request.conversation, user, request.idempotency_key)
            if known is None:
                raise
            return body
        return {**body, **found}

    async def _looked_up(self, user: str, request: MessageSend, standing: Standing) -> dict[str, Any]:
        found = await self._composer.looked_up(user, request)
        group: MentionsGroup | None = given(request.mentions_group)
        meant = await self._mentions.fields(user, request.conversation, standing, request.mentions, group)
        if request.attachments:
            found = {**found, "attachments": await self._uploads.attached(user, request.attachments)}
        return {**found, **meant}

    async def _may_send(self, user: str, conversation: str) -> Standing:
        return await self._access.require(user, conversation, Right.SEND)

    def _append(self, sending: Sending, standing: Standing) -> None:
        """Append, and settle the answer when it is known what came of it. Raises what is known at once."""
        new, refused = sending.new, False

        def still() -> bool:
            if self._access.still(new.by, new.conversation, standing):
                return True
            sending.attempts -= 1
            return False

        def turned_away() -> None:
            # The sender's membership may have changed before the message had its place: look again, then append.
            nonlocal refused
            if sending.attempts and not sending.answer.done():
                refused = True
                self._turns.put(sending)

        def answered(outcome: AppendOutcome) -> None:
            if not refused:
                conclude(sending.answer, outcome, _sent)

        with told():
            self._threads.append(new, answered, check=still, refused=turned_away)

    async def get(self, user: str, request: MessageGet) -> MessageResult:
        standing = await self._access.require(user, request.conversation, Right.READ)
        with told():
            entry = await self._store.log.get(request.conversation, request.offset)
        hidden = await self._hiding.is_hidden(user, standing, request.conversation, request.offset)
        if entry is None or entry.kind is not EntryKind.MESSAGE_CREATED or hidden:
            raise Unseen("there is no message at this offset", "offset")
        return MessageResult(render.message(entry))


def _refers(request: MessageSend) -> bool:
    """Whether something has to be looked up: what it replies to, forwards or carries, whom it mentions."""
    group = request.mentions_group is not UNSET
    other = request.reply_to is not UNSET or request.forward is not UNSET
    return bool(request.mentions or group or other or request.attachments)


def _sent(appended: Appended | None) -> MessageSent:
    if appended is None or appended.entry.kind is not EntryKind.MESSAGE_CREATED:
        raise ClientError(codes.CONFLICT, "stands for another change", "idempotency_key")
    return MessageSent(render.message(appended.entry), appended.duplicate)
