"""The admin page's view of the engine: connections of all processes, found by asking each of them."""

from typing import Final

import msgspec
from msgspec import Struct

from chat.admin.connections import ConnectionInfo, ConnectionPage, Order, page, together
from realtime.engine import Engine
from realtime.ports import Processes
from realtime.protocol.codes import CLOSE_FORCE_NO_RECONNECT, CLOSE_FORCE_RECONNECT
from realtime.session import Session

SEARCH: Final = "admin.connections"
DISCONNECT: Final = "admin.disconnect"


class _Search(Struct):
    search: str
    order: Order
    limit: int
    process: str | None


class _Disconnect(Struct):
    client: str
    reconnect: bool


class EngineConnections:
    """Implements `chat.admin.connections.Connections` over `Operations.ask`."""

    def __init__(self, engine: Engine, processes: Processes, *, process: str, node: str) -> None:
        self._engine = engine
        self._processes = processes
        self._process = process
        self._node = node
        engine.operations.answer(SEARCH, self._answer_search)
        engine.operations.answer(DISCONNECT, self._answer_disconnect)

    async def search(self, search: str, *, process: str | None, order: Order, limit: int) -> ConnectionPage:
        question = _Search(search, order, limit, process)
        answers = await self._engine.operations.ask(SEARCH, msgspec.json.encode(question))
        pages = [msgspec.json.decode(answer, type=ConnectionPage) for answer in answers.values()]
        return together(pages, await self._silent(answers), order=order, limit=limit)

    async def disconnect(self, client: str, *, reconnect: bool) -> bool:
        question = msgspec.json.encode(_Disconnect(client, reconnect))
        if self._end(client, reconnect=reconnect):
            return True
        answers = await self._engine.operations.ask(DISCONNECT, question)
        return any(answer == b"true" for answer in answers.values())

    async def _silent(self, answers: dict[str, bytes]) -> list[str]:
        try:
            living = {info.process for info in await self._processes.living()}
        except (ConnectionError, TimeoutError):
            return []
        return sorted(living - answers.keys())

    async def _answer_search(self, data: bytes) -> bytes:
        wanted = msgspec.json.decode(data, type=_Search)
        if wanted.process not in (None, self._process):
            return msgspec.json.encode(ConnectionPage(items=[], matching=0))
        sessions = [member for member in self._engine.hub.sessions.values() if isinstance(member, Session)]
        found = await page(sessions, self._describe, wanted.search, order=wanted.order, limit=wanted.limit)
        return msgspec.json.encode(found)

    def _answer_disconnect(self, data: bytes) -> bytes:
        wanted = msgspec.json.decode(data, type=_Disconnect)
        return msgspec.json.encode(self._end(wanted.client, reconnect=wanted.reconnect))

    def _end(self, client: str, *, reconnect: bool) -> bool:
        member = self._engine.hub.sessions.get(client)
        if member is None:
            return False
        member.end(CLOSE_FORCE_RECONNECT if reconnect else CLOSE_FORCE_NO_RECONNECT)
        return True

    def _describe(self, session: Session) -> ConnectionInfo:
        sdk, _, version = session.sdk.partition(" ")
        return ConnectionInfo(
            client=session.client,
            user=session.user,
            process=self._process,
            node=self._node,
            codec=session.codec.name,
            sdk=sdk[:64],
            sdk_version=version[:64],
            connected_at=round(session.opened_at * 1000),
            queued_bytes=session.wire.queued_bytes,
            subscriptions=len(session.subscriptions),
            address=session.peer.address,
        )
