"""`presence`, `presence_stats`, `history`, `history_remove`: what a channel has.

A conversation's log reads as the history of its channel: entries are publications with the log's offsets, and the epoch
is the store's.
"""

from typing import Final

from chat.channels import Channel, ChannelKind
from chat.config import ChannelOptions
from chat.http.deps import HttpDeps
from chat.http.server_api import requests
from chat.http.server_api.conversations import conversation_in
from chat.http.server_api.results import History, Nothing, Presence, PresenceStats
from chat.usecases.failures import Unseen, told
from chat.vocabulary import render
from realtime.ports import StreamOptions
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import StreamPosition
from realtime.protocol.recovery import Position

MAX_PRESENT: Final = 10_000
"""Clients that one answer lists. Beyond it there is an error: `presence_stats` still counts them."""

MAX_PUBLICATIONS: Final = 10_000
MAX_ENTRIES: Final = 1_000
MAX_HISTORY_BYTES: Final = 4 * 1024**2
"""What one answer returns of a channel's history, and of a conversation's log. More is to be had with `since`."""


class Reading:
    def __init__(self, deps: HttpDeps) -> None:
        self._deps = deps

    async def presence(self, request: requests.OfChannel) -> Presence:
        self._require_presence(request.channel)
        try:
            return Presence(await self._deps.presence.of_channel(request.channel, limit=MAX_PRESENT))
        except OverflowError:
            raise ClientError(
                codes.LIMIT_EXCEEDED, f"more than {MAX_PRESENT} are present; ask for presence_stats", "channel"
            ) from None

    async def presence_stats(self, request: requests.OfChannel) -> PresenceStats:
        self._require_presence(request.channel)
        return PresenceStats(*await self._deps.presence.stats(request.channel))

    async def history(self, request: requests.History) -> History:
        channel, options = self._deps.plain.resolve(request.channel)
        if channel.kind is ChannelKind.CONVERSATION:
            return await self._entries(conversation_in(channel), request)
        stream = self._stream(channel, options)
        limit = MAX_PUBLICATIONS if request.limit < 0 else min(request.limit, MAX_PUBLICATIONS)
        since = None if request.since is None else Position(request.since.epoch, request.since.offset)
        page = await self._deps.streams.read(request.channel, stream, since=since, limit=limit, reverse=request.reverse)
        _require_epoch(request.since, page.position.epoch)
        return History(page.publications, page.position.offset, page.position.epoch)

    async def history_remove(self, request: requests.OfChannel) -> Nothing:
        """Forget the publications of a channel; its position stays."""
        self._stream(*self._deps.plain.resolve(request.channel))
        await self._deps.streams.remove(request.channel)
        return Nothing()

    async def _entries(self, conversation: str, request: requests.History) -> History:
        log, epoch = self._deps.store.log, self._deps.store.epoch
        with told():
            head = (await log.tail(conversation)).offset
        if head == 0:
            raise Unseen("no such conversation", "channel")
        _require_epoch(request.since, epoch)
        limit = MAX_ENTRIES if request.limit < 0 else min(request.limit, MAX_ENTRIES)
        after, upto = span(
            head, since=None if request.since is None else request.since.offset, limit=limit, reverse=request.reverse
        )
        if after >= upto:
            return History([], head, epoch)
        with told():
            read = await log.range(conversation, after, upto, limit=limit, max_bytes=MAX_HISTORY_BYTES)
        publications = [render.publication(entry) for entry in read.entries]
        return History(publications[::-1] if request.reverse else publications, head, epoch)

    def _require_presence(self, name: str) -> None:
        _, options = self._deps.plain.resolve(name)
        if options is None:
            raise ClientError(codes.NOT_AVAILABLE, "ask presence.get for users", "channel")
        if not options.presence:
            raise ClientError(codes.NOT_AVAILABLE, "presence is not kept in this channel", "channel")

    def _stream(self, channel: Channel, options: ChannelOptions | None) -> StreamOptions:
        stream = None if options is None else self._deps.plain.stream(options)
        if stream is None:
            conversation = channel.kind is ChannelKind.CONVERSATION
            rule = "what is in a log stays there" if conversation else "history is not kept in this channel"
            raise ClientError(codes.NOT_AVAILABLE, rule, "channel")
        return stream


def span(head: int, *, since: int | None, limit: int, reverse: bool) -> tuple[int, int]:
    """(after, upto): the offsets after < offset <= upto that a page of a gap-free log has. `since` is exclusive."""
    if reverse:
        upto = head if since is None else min(head, since - 1)
        return max(0, upto - limit), upto
    after = 0 if since is None else since
    return after, min(head, after + limit)


def _require_epoch(since: StreamPosition | None, epoch: str) -> None:
    if since is not None and since.epoch and since.epoch != epoch:
        raise ClientError(codes.UNRECOVERABLE_POSITION, "the stream was restarted", "since.epoch")
