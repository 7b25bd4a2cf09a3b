"""Operations on sessions wherever they are connected: done here at once, and told to the other processes.

Also questions to all processes (`ask`), for what no single one knows: how many are in a channel, who is connected.
"""

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from realtime import control
from realtime.backend import Grant, Heads
from realtime.commands import give
from realtime.control import (
    Ask,
    DisconnectSessions,
    Envelope,
    Notice,
    Operation,
    RefreshSessions,
    SubscribeSessions,
    Target,
    Tell,
    UnsubscribeSessions,
)
from realtime.hub import Hub
from realtime.ports import Bus, Processes
from realtime.protocol import codes
from realtime.protocol.codes import Disconnect, Unsubscribe
from realtime.protocol.recovery import Position
from realtime.session import Session
from realtime.tasks import Tasks

log = structlog.get_logger(__name__)

ASK_TIMEOUT_S: Final = 1.0

MAX_RECENT: Final = 16_384
"""Operations remembered for sessions that were not there yet: a connect or subscribe takes seconds at most."""

AT_ONCE: Final = 100
"""Sessions that an operation is done to before the event loop turns."""

Answerer = Callable[[bytes], bytes | Awaitable[bytes]]


class Operations:
    """Applies operations to the local sessions and passes them on.

    Bounds: an `ask` waits `ASK_TIMEOUT_S` for processes that do not answer, then goes without them. `MAX_RECENT`
    operations are remembered; a session that may have missed an older one is closed and comes again.
    """

    def __init__(self, hub: Hub, bus: Bus, processes: Processes, heads: Heads, tasks: Tasks, *, process: str) -> None:
        self._hub = hub
        self._bus = bus
        self._processes = processes
        self._heads = heads
        self._tasks = tasks
        self._process = process
        self._answerers: dict[str, Answerer] = {}
        self._listeners: dict[str, Callable[[bytes], None]] = {}
        self._waiting: dict[str, asyncio.Queue[Tell]] = {}
        self._recent: deque[tuple[int, Operation]] = deque(maxlen=MAX_RECENT)
        self._number = 0

    def answer(self, subject: str, answerer: Answerer) -> None:
        """Answer questions about `subject` with what `answerer` makes of their data, now or soon. It must not raise."""
        self._answerers[subject] = answerer

    def on_notice(self, subject: str, listener: Callable[[bytes], None]) -> None:
        """Call `listener` with what other processes `notify` about a subject. It must neither block nor raise."""
        self._listeners[subject] = listener

    def notify(self, subject: str, data: bytes) -> None:
        """Tell the other processes; this one knows."""
        self._bus.control(control.encode(Envelope(self._process, Notice(subject, data))))

    def do(self, operation: Operation) -> None:
        """Do it here and everywhere."""
        self.apply(operation)
        self._bus.control(control.encode(Envelope(self._process, operation)))

    async def ask(self, subject: str, data: bytes = b"") -> dict[str, bytes]:
        """Ask every living process. Returns the answers by process; those that do not answer in time are left out."""
        answers = {self._process: await self._own_answer(subject, data)}
        try:
            others = {info.process for info in await self._processes.living()} - {self._process}
        except (ConnectionError, TimeoutError):
            return answers
        if not others:
            return answers
        question = uuid.uuid4().hex
        told: asyncio.Queue[Tell] = asyncio.Queue()
        self._waiting[question] = told
        try:
            self._bus.control(control.encode(Envelope(self._process, Ask(question, self._process, subject, data))))
            async with asyncio.timeout(ASK_TIMEOUT_S):
                while others - answers.keys():
                    tell = await told.get()
                    answers[tell.process] = tell.data
        except TimeoutError:
            log.warning("processes_silent", subject=subject, missing=sorted(others - answers.keys()))
        finally:
            del self._waiting[question]
        return answers

    def on_control(self, payload: bytes) -> None:
        """What came over the bus from another process, or from this one."""
        try:
            envelope = control.decode(payload)
        except ValueError as error:
            log.warning("control_not_understood", error=str(error))
            return
        if envelope.process == self._process:
            return
        match envelope.control:
            case Ask(question, process, subject, data):
                if subject in self._answerers:
                    self._tasks.spawn(self._tell(question, process, subject, data), name="answer")
            case Tell() as tell:
                if (told := self._waiting.get(tell.question)) is not None:
                    told.put_nowait(tell)
            case Notice(subject, data):
                if (listener := self._listeners.get(subject)) is not None:
                    listener(data)
            case operation:
                self.apply(operation)

    def apply(self, operation: Operation) -> None:
        """Do an operation to the sessions of this process, those about to come included (see `make_up`)."""
        self._number += 1
        self._recent.append((self._number, operation))
        target = operation.target
        everybody = self._hub.sessions.values() if target.of_anybody else self._hub.users.get(target.user, ())
        meant = [member for member in everybody if isinstance(member, Session) and _is_meant(member, target)]
        for member in meant[:AT_ONCE]:
            self._do_to(member, operation, self._number)
        if len(meant) > AT_ONCE:
            self._tasks.spawn(self._do_to_the_rest(meant[AT_ONCE:], operation, self._number), name="operation")

    def mark(self) -> int:
        """See `realtime.session.Operations`."""
        return self._number

    def make_up(self, session: Session, mark: int, channel: str = "") -> None:
        """See `realtime.session.Operations`."""
        missed: list[tuple[int, Operation]] = []
        for number, operation in reversed(self._recent):
            if number <= mark:
                break
            missed.append((number, operation))
        if len(missed) < self._number - mark:
            session.end(codes.CLOSE_INSUFFICIENT_STATE)
            return
        for number, operation in reversed(missed):
            if _is_meant(session, operation.target) and (not channel or _is_about(operation, channel)):
                self._do_to(session, operation, number)

    def _do_to(self, session: Session, operation: Operation, number: int) -> None:
        match operation:
            case DisconnectSessions(code=code, reason=reason):
                session.end(_disconnect(code, reason))
            case UnsubscribeSessions(channel=channel, code=code, reason=reason):
                every = [channel]
                if operation.prefix or not channel:
                    every = [name for name in (*session.subscriptions, *session.watched) if operation.is_about(name)]
                if operation.own:
                    every = [name for name in every if _is_own(session, name)]
                for name in every:
                    session.unsubscribe(name, Unsubscribe(code, reason, ""))
            case SubscribeSessions() as subscribe:
                self._tasks.spawn(self._subscribe(session, subscribe, number), name="server-side-subscribe")
            case RefreshSessions(expired=True):
                session.end(codes.CLOSE_EXPIRED)
            case RefreshSessions(expire_at=expire_at):
                session.refreshed(expire_at)

    async def _do_to_the_rest(self, sessions: list[Session], operation: Operation, number: int) -> None:
        """Let the event loop turn in between: ten thousand closes in one piece would hold up everybody else."""
        for start in range(0, len(sessions), AT_ONCE):
            await asyncio.sleep(0)
            for session in sessions[start : start + AT_ONCE]:
                if not session.ended and _is_meant(session, operation.target):
                    self._do_to(session, operation, number)

    async def _own_answer(self, subject: str, data: bytes) -> bytes:
        answer = self._answerers[subject](data)
        return answer if isinstance(answer, bytes) else await answer

    async def _tell(self, question: str, process: str, subject: str, data: bytes) -> None:
        tell = Tell(question, self._process, await self._own_answer(subject, data))
        self._bus.control(control.encode(Envelope(self._process, tell)), process=process)

    async def _subscribe(self, session: Session, subscribe: SubscribeSessions, mark: int) -> None:
        since = None
        if subscribe.since_offset is not None:
            since = Position(subscribe.since_epoch, subscribe.since_offset)
        grant = Grant(
            data=subscribe.data,
            chan_info=subscribe.chan_info,
            expire_at=subscribe.expire_at,
            presence=subscribe.presence,
            join_leave=subscribe.join_leave,
            push_join_leave=subscribe.push_join_leave,
            positioned=subscribe.positioned,
            recoverable=subscribe.recoverable,
            stream=subscribe.stream,
            feed=self._heads.feed(subscribe.channel) if subscribe.durable else None,
            position=since if subscribe.durable else None,
            verify=subscribe.durable,
        )
        try:
            await give(session, subscribe.channel, grant, since, mark=mark)
        except (ConnectionError, TimeoutError):
            # The client would never learn of it: let it come again and be given everything by the connect.
            session.end(codes.CLOSE_INSUFFICIENT_STATE)


def _is_meant(session: Session, target: Target) -> bool:
    if (session.user != target.user and not target.of_anybody) or session.client in target.whitelist:
        return False
    if target.client and session.client != target.client:
        return False
    credential = session.identity.credential
    if target.tokens and target.tokens.isdisjoint(credential.names):
        return False
    if target.keys and credential.key not in target.keys:
        return False
    return target.issued_before is None or (credential.issued_at or 0) < target.issued_before


def _is_own(session: Session, channel: str) -> bool:
    subscription = session.subscriptions.get(channel)
    return subscription is not None and subscription.client_side and not subscription.server_side


def _is_about(operation: Operation, channel: str) -> bool:
    """Whether it decides if a session has the channel."""
    match operation:
        case UnsubscribeSessions():
            return operation.is_about(channel)
        case SubscribeSessions():
            return operation.channel in ("", channel)
        case _:
            return False


def _disconnect(code: int, reason: str) -> Disconnect:
    known = next((one for one in codes.DISCONNECTS if one.code == code), None)
    if known is not None and not reason:
        return known
    return Disconnect(code, reason or "disconnected by the server", "")
