"""Brings sessions that are behind up to date: reads their channels' feeds and sends at the pace of their sockets.

What a session misses is never queued as a whole: a piece is read, written, and the next one only when the socket has
taken it. So the log is the buffer, and a slow client costs one piece.
"""

import asyncio
from typing import Final

import structlog

from realtime.channel import Channel, publication_frames
from realtime.hub import Hub, Member
from realtime.outbox import Priority
from realtime.ports import Feed
from realtime.protocol.codes import CLOSE_INSUFFICIENT_STATE
from realtime.protocol.messages import Publication
from realtime.reads import SharedReads
from realtime.session import Session
from realtime.stats import Stats
from realtime.tasks import Tasks

log = structlog.get_logger(__name__)

RETRY_S: Final = 0.5


class CatchUp:
    """Takes the hub's `behind` list and runs one task per session on it, which ends when the session is live
    everywhere.

    Bounds: one piece per session in memory; at most `max_channel_bytes` for a channel and `max_session_bytes` for a
    session: beyond them the session is put at the head, and told so by a fresh `subscribe` push (never `recovered`).
    """

    def __init__(
        self,
        hub: Hub,
        reads: SharedReads,
        stats: Stats,
        tasks: Tasks,
        *,
        max_channel_bytes: int,
        max_session_bytes: int,
    ) -> None:
        self._hub = hub
        self._reads = reads
        self._stats = stats
        self._tasks = tasks
        self._max_channel_bytes = max_channel_bytes
        self._max_session_bytes = max_session_bytes
        self._working: set[Member] = set()

    async def run(self) -> None:
        """Serve the list until cancelled."""
        while True:
            for member in await self._hub.behind.take():
                if member not in self._working and isinstance(member, Session):
                    self._working.add(member)
                    self._tasks.spawn(self._bring_up(member), name="catch-up")

    async def _bring_up(self, session: Session) -> None:
        budget = self._max_session_bytes
        try:
            while not session.ended and (channel := self._next(session)) is not None:
                budget -= await self._bring_up_channel(session, channel, min(budget, self._max_channel_bytes))
        except ConnectionError:
            pass  # the socket is gone, and with it the session
        except Exception:
            log.exception("catch_up_failed", user=session.user)
            session.end(CLOSE_INSUFFICIENT_STATE)
        finally:
            self._working.discard(session)

    def _next(self, session: Session) -> Channel[Member] | None:
        for name in session.subscriptions:
            channel = self._hub.channels.get(name)
            if channel is not None and session in channel.behind:
                return channel
        return None

    async def _bring_up_channel(self, session: Session, channel: Channel[Member], budget: int) -> int:
        """Returns how many bytes were sent."""
        sent = 0
        while not session.ended:
            # Catch-up is the last in the outbox: only when that is gone may the session go live, or live publications
            # would overtake what was missed.
            await session.wire.emptied()
            if (at := channel.behind.get(session)) is None:
                break
            feed = channel.feed
            if feed is None or at == channel.offset:
                self._hub.caught_up(session, channel)
                break
            if at > channel.offset:
                # The session knows more than this process does yet. Repair brings the channel forward.
                self._hub.gaps.put(channel)
                await asyncio.sleep(RETRY_S / 5)
                continue
            if sent > budget:
                if session.restart(channel.name, channel.epoch, channel.offset):
                    self._hub.caught_up(session, channel)
                break
            publications = await self._read(session, feed, channel, at)
            size = self._send(session, channel, publications)
            sent += size
            if not size and channel.behind.get(session) == at:
                # Not there yet, or the feed is away.
                await asyncio.sleep(RETRY_S)
        return sent

    async def _read(self, session: Session, feed: Feed, channel: Channel[Member], at: int) -> list[Publication]:
        try:
            return await self._reads.after(feed, channel.name, at)
        except LookupError:
            session.end(CLOSE_INSUFFICIENT_STATE)
        except (ConnectionError, TimeoutError):
            log.warning("catch_up_waits", channel=channel.name)
        return []

    def _send(self, session: Session, channel: Channel[Member], publications: list[Publication]) -> int:
        """Write a piece, unless the session was repositioned or went live while it was read."""
        at = channel.behind.get(session)
        fresh = [one for one in publications if at is not None and at < one.offset <= channel.offset]
        if not fresh:
            return 0
        sent = 0
        for ready_frame, _ in publication_frames(session.codec, channel.name, fresh):
            session.write(ready_frame, Priority.CATCH_UP)
            sent += len(ready_frame)
        channel.behind[session] = fresh[-1].offset
        self._stats.catch_up_publications += len(fresh)
        return sent
