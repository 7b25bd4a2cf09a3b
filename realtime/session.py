"""One connection, from the socket's frames to the product's answers and back.

The rules of the protocol are the machine's, what a command does is in `commands`; here is what both need of the world:
one ladder from exceptions to replies and close codes, the deadlines, and the end.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import structlog

from realtime.attending import Attending
from realtime.backend import Backend, Credential, Identity, Later, Peer
from realtime.conduct import came_too_soon, count_answer, count_refused
from realtime.hub import Hub
from realtime.ladder import answer_to
from realtime.listening import Listening
from realtime.outbox import Priority
from realtime.ports import Attendance, Bus, Presence, Streams
from realtime.protocol import codes
from realtime.protocol.codec import Codec
from realtime.protocol.codes import Closing, Disconnect
from realtime.protocol.machine import Answer, Close, ConnectionMachine, Invoke, Ping
from realtime.protocol.messages import (
    Payload,
    Pong,
    Reply,
    Request,
    Result,
    RPCResult,
    failure,
)
from realtime.rates import Meter
from realtime.settings import Settings
from realtime.stats import Stats
from realtime.tasks import Tasks
from realtime.wire import Wire

log = structlog.get_logger(__name__)

_PONG: Final = Pong()

MAX_IN_FLIGHT: Final = 128
"""Commands of one connection whose answers are still being made. At the bound the socket is not read."""


AT_ONCE_S: Final = 0.002
"""A frame that is taken so soon after another was served had been there before."""


class Operations(Protocol):
    """What is done to sessions from elsewhere, for those that were not there yet."""

    def mark(self) -> int:
        """This moment: to be noted before one waits for what decides about a subscription."""

    def make_up(self, session: "Session", mark: int, channel: str = "") -> None:
        """Do to it what was done to its user since `mark`: on one channel, or (connect) altogether."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every session of a process shares."""

    hub: Hub
    backend: Backend
    bus: Bus
    streams: Streams
    presence: Presence
    stats: Stats
    tasks: Tasks
    operations: Operations
    settings: Settings
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    wake: Callable[["Session", float], None]
    """Ask the timer wheel to call `tick` at a monotonic time."""
    version: str
    node: str
    attendance: Attendance | None = None
    """Who is told of devices' connections, if anybody."""


class Handler(Protocol):
    """Does one command. Raises `ClientError` or `Closing` to refuse."""

    def __call__(self, session: "Session", request: Any, /) -> Coroutine[Any, Any, Result | Later | None]: ...


class Session(Listening):
    """One connection. Made when the socket is open, known to the hub once its connect is accepted.

    Bounds: `MAX_IN_FLIGHT` answers being made, `Settings.max_queued_bytes` waiting for the socket; a peer too slow for
    that is closed with 3008 and resumes from the log. After `end` nothing is read and nothing is written any more.
    """

    __slots__ = (
        "_asked_at",
        "_free_at",
        "_handlers",
        "_in_flight",
        "_leaving",
        "_machine",
        "_receiving",
        "_taken_at",
        "attending",
        "meter",
        "opened_at",
        "peer",
        "sdk",
        "wheel_tick",
    )

    _ctx: Context

    def __init__(
        self,
        ctx: Context,
        handlers: Mapping[type[Request], tuple[str, Handler]],
        wire: Wire,
        codec: Codec,
        peer: Peer,
        *,
        client: str,
    ) -> None:
        super().__init__(ctx, wire, codec, client=client)
        now = ctx.monotonic()
        self._handlers = handlers
        self._machine = ConnectionMachine(ctx.settings.connection, now=now)
        self.meter = Meter(ctx.settings.rates)
        self._in_flight: set[asyncio.Future[Any]] | None = None
        self._leaving: Disconnect | None = None
        self._receiving = False
        # When the present frame came at the earliest, when it was taken, and when the one before was done.
        self._asked_at = self._taken_at = self._free_at = now
        self.attending: Attending | None = None
        self.peer = peer
        self.sdk = ""
        self.opened_at = ctx.clock()
        self.wheel_tick = 0
        ctx.wake(self, self._machine.due_at)

    @property
    def context(self) -> Context:
        return self._ctx

    @property
    def waited_s(self) -> float:
        return self._ctx.monotonic() - self._asked_at

    def take(self, data: bytes) -> Coroutine[Any, Any, None] | None:
        """Serve one frame: by what is returned, or, where it is no more than a pong, at once. Not while another one is
        being served.
        """
        stats = self._ctx.stats
        stats.frames_in += 1
        stats.bytes_in += len(data)
        if data != self.codec.ping:
            return self.receive(data)
        self._ponged(_PONG)
        return None

    def _ponged(self, pong: Pong) -> None:
        self._machine.receive(pong)
        if self.attending is not None:
            self.attending.ponged()

    async def receive(self, data: bytes) -> None:
        """Serve the commands of one frame, in order. Commands whose answer takes its time do not hold up the next.

        Never raises but `CancelledError`; not safe to cancel and go on with the same session.
        """
        if self._leaving is not None:
            return  # not taken: the client asks again when it has reconnected
        self._receiving = True
        now = self._ctx.monotonic()
        # What is there as soon as the frame before was served has waited, maybe since that was begun.
        self._asked_at = self._taken_at if now - self._free_at < AT_ONCE_S else now
        self._taken_at = now
        try:
            await self._serve(data)
        finally:
            self._receiving = False
            self._free_at = self._ctx.monotonic()
            self._leave_when_quiet()

    async def _serve(self, data: bytes) -> None:
        try:
            received = self.codec.decode(data)
        except Closing as closing:
            self.end(closing.disconnect, closing.reason)
            return
        now = self._ctx.monotonic()
        for item in received:
            if not isinstance(item, Pong) and (wait_s := self.meter.command(now)) and came_too_soon(self, item, wait_s):
                if self.ended:
                    return
                continue
            match self._machine.receive(item):
                case Invoke(command_id, request):
                    await self._invoke(command_id, request)
                case Answer(reply):
                    self.reply(reply)
                    count_answer(self, reply)
                case Close(disconnect, reason):
                    self.end(disconnect, reason)
                case None:
                    if self.attending is not None and isinstance(item, Pong):
                        self.attending.ponged()
            if self.ended:
                return

    async def _invoke(self, command_id: int, request: Request) -> None:
        ctx = self._ctx
        name, handler = self._handlers[type(request)]
        ctx.stats.commands[name] += 1
        started = ctx.monotonic()
        try:
            outcome = await handler(self, request)
        except Exception as exception:  # noqa: BLE001 - the ladder answers and logs every kind
            self._refuse(command_id, name, exception)
            return
        if isinstance(outcome, Later):
            await self._defer(command_id, outcome, started)
            return
        if outcome is not None and not self.ended:
            self.reply(Reply(command_id, outcome))
        ctx.stats.command_duration[name].observe(ctx.monotonic() - started)

    async def _defer(self, command_id: int, outcome: Later, started: float) -> None:
        future = outcome.answer
        if self._in_flight is None:
            self._in_flight = set()
        self._in_flight.add(future)
        future.add_done_callback(partial(self._deferred_done, command_id, started, outcome.encode))
        while len(self._in_flight) >= MAX_IN_FLIGHT:
            await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)

    def _deferred_done(
        self, command_id: int, started: float, encode: Callable[[Any], Payload], future: "asyncio.Future[Any]"
    ) -> None:
        if self._in_flight is not None:
            self._in_flight.discard(future)
        exception = ConnectionAbortedError() if future.cancelled() else future.exception()
        if exception is None:
            self.reply(Reply(command_id, RPCResult(encode(future.result()))))
        else:
            self._refuse(command_id, "rpc", exception)
        self._ctx.stats.command_duration["rpc"].observe(self._ctx.monotonic() - started)
        self._leave_when_quiet()

    def _refuse(self, command_id: int, name: str, exception: BaseException) -> None:
        error = answer_to(exception, command=name, user=self.user)
        if isinstance(error, Closing):
            self.end(error.disconnect, error.reason)
            return
        if self.ended:
            return
        if name == "connect":
            self._machine.refused()
            self._ctx.wake(self, self._machine.due_at)
        self._ctx.stats.failed(error.code.code)
        self.reply(failure(command_id, error))
        count_refused(self, name, error.code)

    def accepted(self, identity: Identity, sdk: str, device: str = "") -> None:
        """The connect was accepted: the session is somebody from here on, and perhaps that device of theirs."""
        self.identity = identity
        self.sdk = sdk
        ctx = self._ctx
        if device and ctx.attendance is not None:
            now, random = ctx.monotonic(), ctx.random()
            self.attending = Attending(ctx.attendance, self.user, device, self.client, now=now, random=random)
            ctx.hub.devices += 1
        # Those who come together after a restart must not be pinged, and answer, together for ever.
        first_ping_s = self._ctx.settings.connection.ping_interval_s * (1 + self._ctx.random()) / 2
        self._machine.connected(
            self._monotonic_of(identity.expire_at), self._ctx.monotonic(), first_ping_after_s=first_ping_s
        )
        self._ctx.wake(self, self._machine.due_at)

    def refreshed(self, expire_at: float | None, credential: Credential | None = None) -> None:
        """It goes on until then, by another credential if there is one."""
        now = self.identity
        self.identity = Identity(now.user, expire_at, now.info, credential or now.credential)
        self._machine.refreshed(self._monotonic_of(expire_at))
        self._ctx.wake(self, self._machine.due_at)

    def _monotonic_of(self, wall_s: float | None) -> float | None:
        return None if wall_s is None else self._ctx.monotonic() + (wall_s - self._ctx.clock())

    def tick(self) -> float | None:
        """Do what is due now (ping, time-outs, expiry). Returns when to be called again, None when over."""
        if self.ended:
            return None
        now = self._ctx.monotonic()
        if self._receiving:
            # A command that waits for a server that is away holds up what came after it, pongs too.
            self._machine.unread(now)
        for effect in self._machine.tick(now):
            match effect:
                case Ping():
                    self._ping()
                case Close(disconnect, reason):
                    self.end(disconnect, reason)
                    return None
        due_at = self._machine.due_at
        expiring = self.expire_subscriptions()
        return due_at if expiring is None else min(due_at, expiring)

    def ask(self) -> None:
        """Ping out of turn, to hear whether the peer has what it was sent. A missing answer ends nothing."""
        if not self.ended and self._wire.outbox is None:
            self._ping()

    def _ping(self) -> None:
        if self.attending is not None:
            # It overtakes what is queued: then its answer says nothing.
            stands = None if self._wire.outbox is not None else self._ctx.hub.stands(self, self.attending.moved)
            self.attending.pinged(stands, self._ctx.monotonic())
        self._write_part(self.codec.ping, Priority.CONTROL)

    def has(self, channel: str, offset: int) -> None:
        """The peer has the channel up to there, by its own word."""
        if self.attending is not None:
            self.attending.has(channel, offset)

    def _left(self) -> None:
        attending, ctx = self.attending, self._ctx
        if attending is None or not attending.ended(int(ctx.clock() * 1000)):
            return
        ctx.hub.devices -= 1
        for other in ctx.hub.users.get(self.user, ()):
            if (
                isinstance(other, Session)
                and other.attending is not None
                and other.attending.device == attending.device
            ):
                # Another tab, or what a reconnect has left behind: its answer tells which.
                other.ask()

    def end(self, disconnect: Disconnect, reason: str = "") -> None:
        """Close the connection with a code; returns at once, whatever the peer does. The first code counts."""
        if self.ended:
            return
        self._cease(disconnect.code)
        self._machine.close()
        self._ctx.stats.disconnected(disconnect.code)
        self._left()
        self._wire.close(disconnect.code, reason or disconnect.reason, flush=disconnect is not codes.CLOSE_SLOW)

    def leave(self, disconnect: Disconnect) -> None:
        """Take no more commands, answer those that were taken, then end with the code. Returns at once.

        Has no end of its own: whoever asks for it calls `end` when it takes too long.
        """
        if self._leaving is None:
            self._leaving = disconnect
            self._leave_when_quiet()

    def _leave_when_quiet(self) -> None:
        if self._leaving is not None and not self._receiving and not self._in_flight:
            self.end(self._leaving)

    def gone(self) -> None:
        """The socket is closed: leave the hub. Called once, by whoever read the socket."""
        if not self.ended:
            self._cease(0)
            self._machine.close()
            self._ctx.stats.disconnected(0)
            self._left()
        if self._ctx.hub.remove(self):
            self._ctx.backend.disconnected(self.user)
        self._wire.finish()
