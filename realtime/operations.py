"""Operations on sessions wherever they are connected: done here at once, and told to the other processes.

Also questions to all processes (`ask`), for what no single one knows: how many are in a channel, who is connected.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
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

Answerer = Callable[[bytes], bytes | Awaitable[bytes]]


class Operations:
    """Applies operations to the local sessions and passes them on.

    Bounds: an `ask` waits `ASK_TIMEOUT_S` for processes that do not answer, then goes without them.
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
        """Do an operation to the sessions of this process."""
        for session in self._targets(operation.target):
            match operation:
                case DisconnectSessions(code=code, reason=reason):
                    session.end(_disconnect(code, reason))
                case UnsubscribeSessions(channel=channel, code=code, reason=reason):
                    for name in [channel] if channel else list(session.subscriptions):
                        session.unsubscribe(name, Unsubscribe(code, reason, ""))
                case SubscribeSessions() as subscribe:
                    self._tasks.spawn(self._subscribe(session, subscribe), name="server-side-subscribe")
                case RefreshSessions(expired=True):
                    session.end(codes.CLOSE_EXPIRED)
                case RefreshSessions(expire_at=expire_at):
                    session.refreshed(expire_at)

    async def _own_answer(self, subject: str, data: bytes) -> bytes:
        answer = self._answerers[subject](data)
        return answer if isinstance(answer, bytes) else await answer

    async def _tell(self, question: str, process: str, subject: str, data: bytes) -> None:
        tell = Tell(question, self._process, await self._own_answer(subject, data))
        self._bus.control(control.encode(Envelope(self._process, tell)), process=process)

    async def _subscribe(self, session: Session, subscribe: SubscribeSessions) -> None:
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
            await give(session, subscribe.channel, grant, None if subscribe.durable else since)
        except (ConnectionError, TimeoutError):
            # The client would never learn of it: let it come again and be given everything by the connect.
            session.end(codes.CLOSE_INSUFFICIENT_STATE)

    def _targets(self, target: Target) -> Iterator[Session]:
        for member in tuple(self._hub.users.get(target.user, ())):
            if not isinstance(member, Session) or member.client in target.whitelist:
                continue
            if not target.client or member.client == target.client:
                yield member


def _disconnect(code: int, reason: str) -> Disconnect:
    known = next((one for one in codes.DISCONNECTS if one.code == code), None)
    if known is not None and not reason:
        return known
    return Disconnect(code, reason or "disconnected by the server", "")
