"""What each command of a connection does, between the protocol's rules (the machine) and the product's (the backend).

A handler does all its waiting first. Then, in one turn of the event loop, it lets the session in and returns the
result, so that the reply goes out before anything that is delivered because of it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from msgspec.structs import replace

from realtime.backend import Grant, Identity
from realtime.channel import Channel, Subscription
from realtime.hub import Member
from realtime.outbox import Priority
from realtime.ports import Delivery, StreamPage
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.protocol.messages import (
    ClientInfo,
    ConnectRequest,
    ConnectResult,
    HistoryRequest,
    HistoryResult,
    Payload,
    PresenceRequest,
    PresenceResult,
    PresenceStatsRequest,
    PresenceStatsResult,
    Publication,
    PublishRequest,
    PublishResult,
    RefreshRequest,
    RefreshResult,
    Request,
    RPCRequest,
    RPCResult,
    SubRefreshRequest,
    SubRefreshResult,
    Subscribe,
    SubscribeRequest,
    SubscribeResult,
    UnsubscribeRequest,
    UnsubscribeResult,
)
from realtime.protocol.recovery import Position, Recovered, decide
from realtime.session import SERVER_SIDE, Context, Deferred, Handler, Session
from realtime.streamfeed import StreamFeed

log = structlog.get_logger(__name__)

FAIL_IF_UNRECOVERABLE: Final = 2
"""The bit of `subscribe.flag` by which a client asks for error 112 instead of a subscription behind a gap."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A subscription about to begin: what was read of its stream while waiting was still allowed."""

    grant: Grant
    asked: Position | None
    page: StreamPage | None = None


async def connect(session: Session, request: ConnectRequest) -> ConnectResult:
    ctx = session.context
    admission = await ctx.backend.connect(session.client, request, session.peer)
    identity = admission.identity
    try:
        entries = await _prepare_all(ctx, admission.subscriptions, request)
        for name, entry in entries.items():
            await _appear(session, name, entry.grant, identity)
        _still_open(session)
    except BaseException:
        ctx.hub.release(session.client, admission.subscriptions)
        raise
    # From here on without waiting: register, let in, reply.
    session.accepted(identity, f"{request.name} {request.version}".strip())
    ctx.hub.add(session)
    subs = {name: _start(session, name, entry, server_side=True) for name, entry in entries.items()}
    for name, grant in admission.watched.items():
        _position_channel(ctx, name, _Entry(grant, None))
    ctx.hub.watch(session, admission.watched)
    for name in subs:
        _announce(session, name)
    ttl = _ttl(ctx, identity.expire_at)
    return ConnectResult(
        client=session.client,
        version=ctx.version,
        ping=max(1, int(ctx.settings.connection.ping_interval_s)),
        pong=True,
        data=admission.data,
        subs=subs,
        expires=ttl is not None,
        ttl=ttl or 0,
        session=session.client,
        node=ctx.node,
        time=int(ctx.clock() * 1000),
    )


async def subscribe(session: Session, request: SubscribeRequest) -> SubscribeResult:
    ctx = session.context
    name = request.channel
    existing = session.subscriptions.get(name)
    if existing is not None and existing.client_side:
        raise ClientError(codes.ALREADY_SUBSCRIBED, "the client subscribed before", "subscribe.channel")
    grant = await ctx.backend.subscribe(session, request)
    asked = Position(request.epoch, request.offset) if request.recover else None
    try:
        entry = await _prepare(ctx, name, grant, asked)
        if existing is None:
            await _appear(session, name, grant, session.identity)
        _still_open(session)
        joined = name not in session.subscriptions
        result = _start(session, name, entry, server_side=False, strict=bool(request.flag & FAIL_IF_UNRECOVERABLE))
    except BaseException:
        if existing is None:
            ctx.hub.release(session.client, (name,))
        raise
    if joined:
        _announce(session, name)
    if grant.expire_at is not None:
        ctx.wake(session, ctx.monotonic())
    return result


async def give(session: Session, name: str, grant: Grant, asked: Position | None) -> None:
    """Subscribe a session from the server's side and tell it by a push. Without effect where it has the channel."""
    ctx = session.context
    if _has(session, name):
        return
    try:
        entry = await _prepare(ctx, name, grant, asked)
        await _appear(session, name, grant, session.identity)
    except BaseException:
        ctx.hub.release(session.client, (name,))
        raise
    if _has(session, name):
        return
    result = _start(session, name, entry, server_side=True)
    event = Subscribe(result.recoverable, result.epoch, result.offset, result.positioned, result.data)
    session.push(name, event, Priority.CONTROL)
    for publication in result.publications:
        session.push(name, publication)
    _announce(session, name)


def _has(session: Session, name: str) -> bool:
    return session.ended or name in session.subscriptions


async def unsubscribe(session: Session, request: UnsubscribeRequest) -> UnsubscribeResult:
    """Always succeeds: an error here makes SDKs reconnect. What the server had given stays with the server's side."""
    subscription = session.subscriptions.get(request.channel)
    if subscription is not None:
        if subscription.server_side and subscription.client_side:
            session.subscriptions[request.channel] = replace(subscription, client_side=False)
        else:
            session.context.hub.unsubscribe(session, request.channel)
    return UnsubscribeResult()


async def publish(session: Session, request: PublishRequest) -> PublishResult:
    ctx = session.context
    allowed = await ctx.backend.publish(session, request.channel, request.data)
    if allowed is None:
        return PublishResult()
    subscription = session.subscriptions.get(request.channel)
    info = session.info(subscription or Subscription(server_side=False, client_side=False, chan_info=allowed.chan_info))
    publication = Publication(data=allowed.data, info=info)
    if allowed.stream is None:
        ctx.hub.publish(Delivery(request.channel, "pub", publication))
    else:
        # The stream publishes it to every process, this one too, in the order of its offsets.
        await ctx.streams.publish(request.channel, publication, allowed.stream)
    return PublishResult()


async def presence(session: Session, request: PresenceRequest) -> PresenceResult:
    ctx = session.context
    await ctx.backend.presence(session, request.channel)
    try:
        return PresenceResult(await ctx.presence.of_channel(request.channel, limit=ctx.settings.max_presence_entries))
    except OverflowError:
        raise ClientError(
            codes.LIMIT_EXCEEDED,
            f"more than {ctx.settings.max_presence_entries} are present; ask for presence_stats",
            "presence.channel",
        ) from None


async def presence_stats(session: Session, request: PresenceStatsRequest) -> PresenceStatsResult:
    ctx = session.context
    await ctx.backend.presence(session, request.channel)
    clients, users = await ctx.presence.stats(request.channel)
    return PresenceStatsResult(clients, users)


async def history(session: Session, request: HistoryRequest) -> HistoryResult:
    ctx = session.context
    options = await ctx.backend.history(session, request)
    cap = ctx.settings.max_history_publications
    limit = cap if request.limit < 0 else min(request.limit, cap)
    since = None if request.since is None else Position(request.since.epoch, request.since.offset)
    page = await ctx.streams.read(request.channel, options, since=since, limit=limit, reverse=request.reverse)
    if since is not None and since.epoch and since.epoch != page.position.epoch:
        raise ClientError(codes.UNRECOVERABLE_POSITION, "the stream was restarted", "history.since.epoch")
    return HistoryResult(page.publications, page.position.epoch, page.position.offset)


async def rpc(session: Session, request: RPCRequest) -> RPCResult | Deferred:
    answer = await session.context.backend.rpc(session, request.method, request.data)
    return RPCResult(answer) if isinstance(answer, Payload) else Deferred(answer)


async def refresh(session: Session, request: RefreshRequest) -> RefreshResult:
    ctx = session.context
    expire_at = await ctx.backend.refresh(session, request.token)
    session.refreshed(expire_at)
    ttl = _ttl(ctx, expire_at)
    return RefreshResult(ttl is not None, ttl or 0, client=session.client, version=ctx.version)


async def sub_refresh(session: Session, request: SubRefreshRequest) -> SubRefreshResult:
    ctx = session.context
    subscription = session.subscriptions.get(request.channel)
    if subscription is None or not subscription.client_side:
        raise ClientError(codes.PERMISSION_DENIED, "the client is not subscribed to it", "sub_refresh.channel")
    expire_at = await ctx.backend.sub_refresh(session, request.channel, request.token)
    current = session.subscriptions.get(request.channel)
    if current is not None:
        session.subscriptions[request.channel] = replace(current, expire_at=expire_at)
    ctx.wake(session, ctx.monotonic())
    ttl = _ttl(ctx, expire_at)
    return SubRefreshResult(ttl is not None, ttl or 0)


HANDLERS: Final[Mapping[type[Request], tuple[str, Handler]]] = {
    ConnectRequest: ("connect", connect),
    SubscribeRequest: ("subscribe", subscribe),
    UnsubscribeRequest: ("unsubscribe", unsubscribe),
    PublishRequest: ("publish", publish),
    PresenceRequest: ("presence", presence),
    PresenceStatsRequest: ("presence_stats", presence_stats),
    HistoryRequest: ("history", history),
    RPCRequest: ("rpc", rpc),
    RefreshRequest: ("refresh", refresh),
    SubRefreshRequest: ("sub_refresh", sub_refresh),
}
"""What a connection may invoke, with the names that metrics and logs use."""


async def _prepare_all(ctx: Context, grants: Mapping[str, Grant], request: ConnectRequest) -> dict[str, _Entry]:
    """Read what the plain channels among them need; durable ones bring their position along."""
    asked = {name: Position(wish.epoch, wish.offset) for name, wish in request.subs.items() if wish.recover}
    entries = {name: _Entry(grant, asked.get(name)) for name, grant in grants.items()}
    plain = [name for name, grant in grants.items() if grant.feed is None]
    prepared = await asyncio.gather(*(_prepare(ctx, name, grants[name], asked.get(name)) for name in plain))
    entries.update(zip(plain, prepared, strict=True))
    return entries


async def _prepare(ctx: Context, name: str, grant: Grant, asked: Position | None) -> _Entry:
    """Subscribe on the bus, then read the stream: so nothing is lost between the two."""
    if grant.feed is not None:
        return _Entry(grant, asked)
    if ctx.hub.channel(name).empty:
        await ctx.bus.settled()
    if grant.stream is None or not (grant.positioned or grant.recoverable):
        return _Entry(grant, None)
    page = await ctx.streams.read(name, grant.stream, since=asked, limit=-1 if asked else 0, reverse=False)
    return _Entry(grant, asked, page)


async def _appear(session: Session, name: str, grant: Grant, identity: Identity) -> None:
    """Enter presence. Best effort: a subscription does not fail because presence is away."""
    if not grant.presence:
        return
    info = ClientInfo(identity.user, session.client, identity.info, grant.chan_info)
    try:
        await session.context.presence.add(name, session.client, info)
    except (ConnectionError, TimeoutError):
        log.warning("presence_unavailable", operation="add")


def _still_open(session: Session) -> None:
    if session.ended:
        raise ClientError(codes.INTERNAL, "the connection ended meanwhile")


def _announce(session: Session, name: str) -> None:
    subscription = session.subscriptions[name]
    if subscription.join_leave:
        publication = Publication(info=session.info(subscription))
        session.context.hub.publish(Delivery(name, "join", publication))


def _start(session: Session, name: str, entry: _Entry, *, server_side: bool, strict: bool = False) -> SubscribeResult:
    """Let the session in and make the result. To be called in one turn of the loop with the reply."""
    ctx, grant = session.context, entry.grant
    existing = session.subscriptions.get(name)
    start = _place(session, name, entry)
    if strict and entry.asked is not None and not start.recovered:
        raise ClientError(codes.UNRECOVERABLE_POSITION, "the missed publications are gone", "subscribe.offset")
    if entry.asked is not None:
        ctx.stats.recoveries["yes" if start.recovered else "no"] += 1
    if existing is None:
        ctx.hub.subscribe(session, name, _subscription(grant, server_side=server_side), at=start.at)
    else:
        session.subscriptions[name] = replace(existing, client_side=True, expire_at=grant.expire_at)
        if entry.asked is not None and start.at is not None:
            ctx.hub.reposition(session, name, start.at)
    if grant.verify:
        ctx.hub.gaps.put(ctx.hub.channel(name))
    positioned = start.at is not None
    ttl = _ttl(ctx, grant.expire_at)
    return SubscribeResult(
        recoverable=positioned and grant.recoverable,
        positioned=positioned and grant.positioned,
        epoch=start.epoch,
        offset=start.offset,
        was_recovering=entry.asked is not None,
        recovered=start.recovered,
        publications=start.inline,
        data=grant.data,
        expires=ttl is not None,
        ttl=ttl or 0,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a subscription begins. `offset` is for the reply, `at` is where the session stands after it."""

    epoch: str = ""
    offset: int = 0
    at: int | None = None
    recovered: bool = False
    inline: list[Publication] = field(default_factory=list)


def _place(session: Session, name: str, entry: _Entry) -> _Place:
    ctx, grant, page = session.context, entry.grant, entry.page
    channel = _position_channel(ctx, name, entry)
    if channel.cursor is None or (grant.feed is None and page is None):
        return _Place()
    if page is None:
        known = 0 if grant.position is None else grant.position.offset
        head = max(known, channel.behind.get(session, channel.offset))
        oldest: int | None = 1
    else:
        head = page.position.offset
        oldest = page.publications[0].offset if page.publications else None
    decision = decide(entry.asked, epoch=channel.epoch, head=head, oldest=oldest, max_entries=grant.max_missed)
    if not isinstance(decision, Recovered):
        return _Place(channel.epoch, head, head)
    if page is None:
        return _Place(channel.epoch, decision.after, decision.after, recovered=True)
    inline = _fitting(page.publications, ctx.settings.max_reply_bytes)
    at = head if len(inline) == len(page.publications) else inline[-1].offset
    return _Place(channel.epoch, decision.after, at, recovered=True, inline=inline)


def _position_channel(ctx: Context, name: str, entry: _Entry) -> Channel[Member]:
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


def _ttl(ctx: Context, expire_at: float | None) -> int | None:
    """Seconds until a wall-clock time, at least 1; None for never."""
    return None if expire_at is None else max(1, int(expire_at - ctx.clock()))
