"""What each command of a connection does, between the protocol's rules (the machine) and the product's (the backend).

A handler does all its waiting first. Then, in one turn of the event loop, it lets the session in and returns the
result, so that the reply goes out before anything that is delivered because of it.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from realtime.backend import Grant, Later
from realtime.channel import Subscription
from realtime.entering import Entry, announce, appear, entering, position_channel, prepare, prepare_all, start, ttl
from realtime.ports import Delivery
from realtime.protocol import codes
from realtime.protocol.codes import ClientError, Closing
from realtime.protocol.messages import (
    ConnectRequest,
    ConnectResult,
    HistoryRequest,
    HistoryResult,
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
from realtime.protocol.recovery import Position
from realtime.session import Context, Handler, Session

FAIL_IF_UNRECOVERABLE: Final = 2
"""The bit of `subscribe.flag` by which a client asks for error 112 instead of a subscription behind a gap."""

CONNECT_TIMEOUT_S: Final = 4.0
"""SDKs give up after five seconds, the way included; what was done for them is lost then."""

QUEUE_TIMEOUT_S: Final = 3.0
"""How long a subscribe waits for a slow socket."""


async def connect(session: Session, request: ConnectRequest) -> ConnectResult:
    stats = session.context.stats
    stats.connecting += 1
    stats.connects[session.client] = session.context.monotonic()
    try:
        return await _connect(session, request)
    finally:
        stats.connecting -= 1
        del stats.connects[session.client]


async def _connect(session: Session, request: ConnectRequest) -> ConnectResult:
    ctx = session.context
    mark = ctx.operations.mark()
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        admission = await ctx.backend.connect(session.client, request, session.peer)
        identity = admission.identity
        with entering(session, admission.subscriptions):
            entries = await prepare_all(session, admission.subscriptions, request, identity)
            _still_open(session)
            # From here on without waiting: register, let in, reply.
            if len(ctx.hub.users.get(identity.user, ())) >= (admission.most_of_user or sys.maxsize):
                raise Closing(codes.CLOSE_CONNECTION_LIMIT)
            session.accepted(identity, f"{request.name} {request.version}".strip(), admission.device)
            ctx.hub.add(session)
            if session.attending is not None:
                for name in admission.latest:
                    session.attending.entered(name)
            subs = {name: start(session, name, entry, server_side=True) for name, entry in entries.items()}
    for name, grant in admission.watched.items():
        position_channel(ctx, name, Entry(grant, None))
    ctx.hub.watch(session, admission.watched)
    for name, result in subs.items():
        _count_recovery(ctx, result)
        announce(session, name)
    _after_reply(ctx.operations.make_up, session, mark)
    seconds = ttl(ctx, identity.expire_at)
    return ConnectResult(
        client=session.client,
        version=ctx.version,
        ping=max(1, int(ctx.settings.connection.ping_interval_s)),
        pong=True,
        data=admission.data,
        subs=subs,
        expires=seconds is not None,
        ttl=seconds or 0,
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
    _check_room(session)
    mark = ctx.operations.mark()
    grant = await ctx.backend.subscribe(session, request)
    asked = Position(request.epoch, request.offset) if request.recover else None
    with entering(session, {name: grant}):
        entry = await prepare(ctx, name, grant, asked)
        if existing is None:
            await appear(session, name, grant, session.identity)
        await _queue_gone(session)
        _still_open(session)
        joined = name not in session.subscriptions
        result = start(session, name, entry, server_side=False, strict=bool(request.flag & FAIL_IF_UNRECOVERABLE))
    _count_recovery(ctx, result)
    if joined:
        announce(session, name)
    if grant.expire_at is not None:
        ctx.wake(session, ctx.monotonic())
    _after_reply(ctx.operations.make_up, session, mark, name)
    return result


def _check_room(session: Session) -> None:
    """Raises ClientError for a connection that has as many channels as it may ask for. Commands come one by one."""
    most = session.context.settings.max_channels
    if len(session.subscriptions) < most:
        return
    if sum(subscription.client_side for subscription in session.subscriptions.values()) >= most:
        raise ClientError(codes.LIMIT_EXCEEDED, f"a connection may subscribe to {most} channels", "subscribe.channel")


async def give(session: Session, name: str, grant: Grant, asked: Position | None, *, mark: int) -> None:
    """Subscribe a session from the server's side and tell it by a push. Without effect where it has the channel.

    `mark`: operations since then are made up for.
    """
    ctx = session.context
    if _has(session, name):
        return
    with entering(session, {name: grant}):
        entry = await prepare(ctx, name, grant, asked)
        await appear(session, name, grant, session.identity)
        if _has(session, name):
            return
        result = start(session, name, entry, server_side=True)
    # Among the live ones: it must not overtake the `unsubscribe` of the time before.
    session.push(name, Subscribe(result.recoverable, result.epoch, result.offset, result.positioned, result.data))
    for publication in result.publications:
        session.push(name, publication)
    announce(session, name)
    ctx.operations.make_up(session, mark, name)


def _has(session: Session, name: str) -> bool:
    return session.ended or name in session.subscriptions


def _after_reply(function: Callable[..., None], *arguments: object) -> None:
    """The reply is written before the event loop turns."""
    asyncio.get_running_loop().call_soon(function, *arguments)


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
        ctx.hub.count_published()
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


async def rpc(session: Session, request: RPCRequest) -> RPCResult | Later:
    answer = await session.context.backend.rpc(session, request.method, request.data)
    return answer if isinstance(answer, Later) else RPCResult(answer)


async def refresh(session: Session, request: RefreshRequest) -> RefreshResult:
    ctx = session.context
    mark = ctx.operations.mark()
    identity = await ctx.backend.refresh(session, request.token)
    session.refreshed(identity.expire_at, identity.credential)
    # What was taken back meanwhile was meant for the credential that it has only now.
    _after_reply(ctx.operations.make_up, session, mark)
    seconds = ttl(ctx, identity.expire_at)
    return RefreshResult(seconds is not None, seconds or 0, client=session.client, version=ctx.version)


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
    seconds = ttl(ctx, expire_at)
    return SubRefreshResult(seconds is not None, seconds or 0)


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


def _still_open(session: Session) -> None:
    if session.ended:
        raise ClientError(codes.INTERNAL, "the connection ended meanwhile")


async def _queue_gone(session: Session) -> None:
    """Wait until nothing is queued: a reply would overtake what was published before, which the client would then take
    for what follows the reply.
    """
    if session.wire.outbox is not None:
        async with asyncio.timeout(QUEUE_TIMEOUT_S):
            await session.wire.emptied()


def _count_recovery(ctx: Context, result: SubscribeResult) -> None:
    if result.was_recovering:
        ctx.stats.recoveries["yes" if result.recovered else "no"] += 1
