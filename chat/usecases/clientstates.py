"""What is on screen where: each device says it of itself, and it is forgotten a minute later.

It is kept in Redis, where the worker that decides about notifications sees it whichever hub heard it. Nothing but the
sound of a notification hangs on it, so a Redis that has lost it costs one ring too many.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import structlog
from msgspec import Struct

from chat.vocabulary.devices import ClientState, ClientStateResult
from realtime.protocol import codes
from realtime.protocol.codes import ClientError

log = structlog.get_logger(__name__)

TTL_S: Final = 60.0


class States(Protocol):
    """Remembers for a while, over all processes. Raises ConnectionError or TimeoutError."""

    async def put(self, user: str, device: str, said: bytes, *, ttl_s: float) -> None: ...

    async def drop(self, user: str, device: str) -> None: ...

    async def of_users(self, users: Collection[str]) -> dict[str, dict[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class OnScreen:
    """Of one device: whether the app is in front, and which conversation is on screen."""

    foreground: bool
    conversation: str | None = None


class ClientStates:
    def __init__(self, states: States) -> None:
        self._states = states

    async def put(self, user: str, request: ClientState) -> ClientStateResult:
        """Remember it. Raises ClientError, also where it cannot be: then it should be said again."""
        if request.conversation is not None and not request.foreground:
            raise ClientError(codes.BAD_REQUEST, "nothing is on screen in the background", "conversation")
        said = msgspec.json.encode(_Said(request.foreground, request.conversation))
        try:
            await self._states.put(user, request.device, said, ttl_s=TTL_S)
        except (ConnectionError, TimeoutError):
            raise ClientError(codes.UNAVAILABLE, "it cannot be remembered just now") from None
        return ClientStateResult(round(TTL_S * 1000))

    async def of_users(self, users: Collection[str]) -> dict[str, dict[str, OnScreen]]:
        """What was said in the last minute, by user and device; none is known of who is not there.

        Raises ConnectionError or TimeoutError when it cannot be known.
        """
        found = await self._states.of_users(users)
        return {user: dict(_understood(user, states)) for user, states in found.items()}


class _Said(Struct, frozen=True, omit_defaults=True):
    foreground: bool = False
    conversation: str | None = None


def _understood(user: str, states: dict[str, bytes]) -> list[tuple[str, OnScreen]]:
    understood = []
    for device, said in states.items():
        try:
            one = msgspec.json.decode(said, type=_Said)
        except msgspec.MsgspecError as error:
            log.warning("client_state_not_understood", user=user, error=str(error))
            continue
        understood.append((device, OnScreen(one.foreground, one.conversation)))
    return understood
