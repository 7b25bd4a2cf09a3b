"""`connections`, the user statuses, and what is decided against users and tokens: in the shapes of Centrifugo PRO."""

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from chat.control.restricting import Restricting
from chat.control.statuses import Statuses
from chat.http.deps import HttpDeps
from chat.http.server_api import requests, results
from chat.http.server_api.results import Nothing
from realtime.protocol import codes
from realtime.protocol.codes import ClientError
from realtime.session import Session

log = structlog.get_logger(__name__)

CONNECTIONS: Final = "connections"

MAX_CONNECTIONS: Final = 10_000
"""Connections that one answer may list. Beyond it there is an error, never a shorter list."""

CHUNK: Final = 500


class Control:
    def __init__(self, deps: HttpDeps) -> None:
        self._restricting: Restricting = deps.restricting
        self._statuses = Statuses(deps.store, deps.presence, deps.clock_ms)
        self._engine = deps.engine
        self._clock_ms: Callable[[], int] = deps.clock_ms

    def answer(self) -> None:
        """Answer the others' questions from now on."""
        self._engine.operations.answer(CONNECTIONS, self._connections_here)

    async def connections(self, request: requests.Connections) -> results.Connections:
        """Of a user, or without one of everybody, on all processes that answer within a second."""
        if request.expression:
            raise ClientError(codes.NOT_AVAILABLE, "expressions are not evaluated; ask by user", "expression")
        answers = await self._engine.operations.ask(CONNECTIONS, request.user.encode())
        found: dict[str, results.Connection] = {}
        for process, answer in sorted(answers.items()):
            try:
                here = msgspec.json.decode(answer, type=_Here)
            except msgspec.MsgspecError as error:
                log.warning("answer_not_understood", process=process, error=str(error))
                continue
            found.update(here.connections)
            if here.too_many or len(found) > MAX_CONNECTIONS:
                raise ClientError(codes.LIMIT_EXCEEDED, f"there are more than {MAX_CONNECTIONS} connections", "user")
        return results.Connections(found)

    async def get_user_status(self, request: requests.Users) -> results.UserStatuses:
        found = await self._statuses.get(request.users)
        return results.UserStatuses([results.UserStatus(one.user, one.active, one.online) for one in found])

    async def update_user_status(self, request: requests.Users) -> Nothing:
        await self._statuses.update(request.users)
        return Nothing()

    async def delete_user_status(self, request: requests.Users) -> Nothing:
        await self._statuses.delete(request.users)
        return Nothing()

    async def block_user(self, request: requests.BlockUser) -> Nothing:
        await self._restricting.block(request.user, expires_at=self._end(request.expire_at))
        return Nothing()

    async def unblock_user(self, request: requests.UnblockUser) -> Nothing:
        await self._restricting.unblock(request.user)
        return Nothing()

    async def revoke_token(self, request: requests.RevokeToken) -> Nothing:
        await self._restricting.revoke(request.uid, expires_at=self._end(request.expire_at))
        return Nothing()

    async def invalidate_user_tokens(self, request: requests.InvalidateUserTokens) -> Nothing:
        await self._restricting.invalidate(
            request.user,
            issued_before=request.issued_before or None,
            channel=request.channel or "",
            expires_at=self._end(request.expire_at),
        )
        return Nothing()

    def _end(self, expire_at: int | None) -> int | None:
        if not expire_at:
            return None
        if expire_at * 1000 <= self._clock_ms():
            raise ClientError(codes.BAD_REQUEST, "is over: nothing would happen", "expire_at")
        return expire_at

    async def _connections_here(self, user: bytes) -> bytes:
        hub, name = self._engine.hub, user.decode(errors="replace")
        members = hub.users.get(name, ()) if name else hub.sessions.values()
        sessions = [member for member in islice(members, MAX_CONNECTIONS + 1) if isinstance(member, Session)]
        if len(sessions) > MAX_CONNECTIONS:
            return msgspec.json.encode(_Here({}, too_many=True))
        found: dict[str, results.Connection] = {}
        for start in range(0, len(sessions), CHUNK):
            found.update((one.client, _described(one)) for one in sessions[start : start + CHUNK])
            await asyncio.sleep(0)
        return msgspec.json.encode(_Here(found))


class _Here(Struct, frozen=True):
    """A process's answer. `too_many`: more than `MAX_CONNECTIONS`, none is told."""

    connections: dict[str, results.Connection]
    too_many: bool = False


def _described(session: Session) -> results.Connection:
    sdk, _, version = session.sdk.partition(" ")
    credential = session.identity.credential
    token = results.TokenInfo(next(iter(credential.names), ""), credential.issued_at or 0)
    channels = {name: results.ChannelContext() for name in session.subscriptions}
    return results.Connection(
        app_name=sdk[:64],
        app_version=version[:64],
        transport="websocket",
        protocol=session.codec.name,
        user=session.user,
        state=results.ConnectionState(channels, token),
    )
