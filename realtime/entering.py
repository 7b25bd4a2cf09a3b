"""How a session comes into a channel: first whatever needs waiting, then, in one turn of the event loop, in.

Nothing may be lost between the two. So the channel is held (it exists and is heard) from before its stream is read;
what it hears meanwhile moves its cursor, and a session that was placed by an older read is behind and caught up.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import structlog
from msgspec import Struct
from msgspec.structs import replace

from realtime.backend import Grant, Identity
from realtime.channel import SERVER_SIDE, Channel, Subscription
from realtime.hub import Member
from realtime.ports import Delivery, StreamPage
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import ClientInfo, ConnectRequest, Publication, SubscribeResult
from realtime.protocol.recovery import Position, Recovered, decide
from realtime.session import Context, Session
from realtime.streamfeed import StreamFeed

log = structlog.get_logger(__name__)


class Entry(Struct, frozen=True):
    """A subscription about to begin: what was read of its stream while waiting was still allowed."""

    grant: Grant
    asked: Position | None
    page: StreamPage | None = None


@contextmanager
def entering(session: Session, grants: Mapping[str, Grant]) -> Iterator[None]:
    """Inside, the channels are held. At the end a session that did not come in after all leaves no trace."""
    hub = session.context.hub
    with hub.holding(grants):
        try:
            yield
        finally:
            for name, grant in grants.items():
                if grant.presence:
                    hub.absent(name, session.client)


async def prepare(ctx: Context, name: str, grant: Grant, asked: Position | None) -> Entry:
    """Have the held channel heard, then read its stream: so nothing is lost between the two. Durable channels bring
    their position along.

    Takes at most the two seconds that bus and streams take. Raises ConnectionError, TimeoutError.
    """
    if grant.feed is not None:
        return Entry(grant, asked)
    channel = ctx.hub.channel(name)
    if not channel.settled and await ctx.bus.settled():
        channel.settled = True
    if grant.stream is None or not (grant.positioned or grant.recoverable):
        return Entry(grant, None)
    if not channel.settled:
        ctx.hub.unsettled.put(name)
    page = await ctx.streams.read(name, grant.stream, since=asked, limit=-1 if asked else 0, reverse=False)
    return Entry(grant, asked, page)


async def prepare_all(
    session: Session, grants: Mapping[str, Grant], request: ConnectRequest, identity: Identity
) -> dict[str, Entry]:
    """The same for all channels of a connect at once, presence included."""
    ctx = session.context
    asked = {name: Position(wish.epoch, wish.offset) for name, wish in request.subs.items() if wish.recover}
    entries = {name: Entry(grant, asked.get(name)) for name, grant in grants.items()}
    plain = [name for name, grant in grants.items() if grant.feed is None]
    if plain:
        prepared = await asyncio.gather(*(prepare(ctx, name, grants[name], asked.get(name)) for name in plain))
        entries.update(zip(plain, prepared, strict=True))
    present = [(name, one) for name, one in grants.items() if one.presence]
    if present:
        await asyncio.gather(*(appear(session, name, one, identity) for name, one in present))
    return entries


async def appear(session: Session, name: str, grant: Grant, identity: Identity) -> None:
    """Enter presence. Best effort: a subscription does not fail because presence is away."""
    if not grant.presence:
        return
    info = ClientInfo(identity.user, session.client, identity.info, grant.chan_info)
    try:
        await session.context.presence.add(name, session.client, info)
    except (ConnectionError, TimeoutError):
        log.warning("presence_unavailable", operation="add")


def announce(session: Session, name: str) -> None:
    """Tell those who want to hear of it that somebody joined."""
    subscription = session.subscriptions[name]
    if subscription.join_leave:
        publication = Publication(info=session.info(subscription))
        session.context.hub.publish(Delivery(name, "join", publication))


def start(session: Session, name: str, entry: Entry, *, server_side: bool, strict: bool = False) -> SubscribeResult:
    """Let the session in and make the result. To be called in one turn of the loop with the reply.

    `strict`: raise ClientError (unrecoverable position) rather than begin behind a gap.
    """
    ctx, grant = session.context, entry.grant
    existing = session.subscriptions.get(name)
    if existing is not None:
        ctx.hub.send_pending(name)
    place = _place(session, name, entry)
    # Where others are, the channel was looked at when the first of them came, and has been heard of since.
    verify = grant.verify and not ctx.hub.channel(name).subscribers
    if strict and entry.asked is not None and not place.recovered:
        raise ClientError(codes.UNRECOVERABLE_POSITION, "the missed publications are gone", "subscribe.offset")
    if existing is None:
        ctx.hub.subscribe(session, name, _subscription(grant, server_side=server_side), at=place.at)
    else:
        session.subscriptions[name] = replace(existing, client_side=True, expire_at=grant.expire_at)
        if entry.asked is not None and place.at is not None:
            ctx.hub.reposition(session, name, place.at)
    if grant.feed is not None and session.attending is not None and session.attending.entered(name):
        ctx.hub.unconfirmed[session] = None
    if verify:
        ctx.hub.gaps.put(ctx.hub.channel(name))
    positioned = place.at is not None
    seconds = ttl(ctx, grant.expire_at)
    return SubscribeResult(
        recoverable=positioned and grant.recoverable,
        positioned=positioned and grant.positioned,
        epoch=place.epoch,
        offset=place.offset,
        was_recovering=entry.asked is not None,
        recovered=place.recovered,
        publications=place.inline,
        data=grant.data,
        expires=seconds is not None,
        ttl=seconds or 0,
    )


class _Place(Struct, frozen=True):
    """Where a subscription begins. `offset` is for the reply, `at` is where the session stands after it."""

    epoch: str = ""
    offset: int = 0
    at: int | None = None
    recovered: bool = False
    inline: list[Publication] = []


def _place(session: Session, name: str, entry: Entry) -> _Place:
    ctx, grant, page = session.context, entry.grant, entry.page
    channel = position_channel(ctx, name, entry)
    if channel.cursor is None or (grant.feed is None and page is None):
        return _Place()
    if page is None:
        head = max(0 if grant.position is None else grant.position.offset, channel.offset)
        oldest: int | None = grant.oldest
    else:
        head = page.position.offset
        oldest = page.publications[0].offset if page.publications else None
    decision = decide(entry.asked, epoch=channel.epoch, head=head, oldest=oldest, max_entries=grant.max_missed)
    if not isinstance(decision, Recovered):
        # A session that has the channel already goes on from where it stands: it never gets a lower offset than before.
        at = channel.behind.get(session, channel.offset) if name in session.subscriptions else head
        return _Place(channel.epoch, at, at)
    if page is None:
        return _Place(channel.epoch, decision.after, decision.after, recovered=True)
    inline = _fitting(page.publications, ctx.settings.max_reply_bytes)
    at = head if len(inline) == len(page.publications) else inline[-1].offset
    return _Place(channel.epoch, decision.after, at, recovered=True, inline=inline)


def position_channel(ctx: Context, name: str, entry: Entry) -> Channel[Member]:
    """Give the channel its positions, if it is positioned and has none yet."""
    channel = ctx.hub.channel(name)
    grant, page = entry.grant, entry.page
    if grant.feed is not None and grant.position is not None:
        channel.start(grant.feed, grant.position.epoch, grant.position.offset)
    elif page is not None and grant.stream is not None:
        if channel.cursor is not None and channel.epoch != page.position.epoch:
            ctx.hub.lose_positions(channel)
            channel = ctx.hub.channel(name)
        feed = StreamFeed(ctx.streams, grant.stream, page.position.epoch)
        channel.start(feed, page.position.epoch, page.position.offset)
    return channel


def _fitting(publications: Sequence[Publication], max_bytes: int) -> list[Publication]:
    """As many from the start as fit a reply, but at least one; the rest follows as ordinary publications."""
    size = 0
    for index, publication in enumerate(publications):
        size += len(publication.data) + 200
        if size > max_bytes and index:
            return list(publications[:index])
    return list(publications)


def _subscription(grant: Grant, *, server_side: bool) -> Subscription:
    if server_side and grant.feed is not None:
        return SERVER_SIDE
    return Subscription(
        server_side=server_side,
        client_side=not server_side,
        positioned=grant.positioned,
        recoverable=grant.recoverable,
        presence=grant.presence,
        join_leave=grant.join_leave,
        push_join_leave=grant.push_join_leave,
        chan_info=grant.chan_info,
        expire_at=grant.expire_at,
    )


def ttl(ctx: Context, expire_at: float | None) -> int | None:
    """Seconds until a wall-clock time, at least 1; None for never."""
    return None if expire_at is None else max(1, int(expire_at - ctx.clock()))
