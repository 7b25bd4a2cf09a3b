"""Who may open a socket: asked before the upgrade, while refusing is still an ordinary HTTP answer."""

import asyncio
import math
import os
import resource
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from chat.admission import Admission, Refused
from chat.auth.origin import OriginCheck
from chat.http.addresses import ClientAddresses
from chat.http.handshake import NotAHandshake, check_handshake
from chat.limits.addresses import AddressLimits
from realtime.stats import Stats
from realtime.websocket import WebSocketEndpoint

log = structlog.get_logger(__name__)

AWAY_RETRY_S: Final = (1, 5)
"""Told to those who come while the process goes down, or is full: any whole number of seconds between the two."""

_DESCRIPTORS_KEPT: Final = 256
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_STATM: Final = Path("/proc/self/statm")


def within_descriptors(limit: int) -> int:
    """`limit` connections (0: no limit), or as many as the descriptors of this process allow: a tenth is left for all
    else. Who comes beyond it is told so; a process without descriptors cannot even accept them to say it.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limit
    most = max(1, soft - max(_DESCRIPTORS_KEPT, soft // 10))
    return min(limit, most) if limit else most


def used_memory_bytes() -> int:
    """What this process uses of the machine's memory; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


@dataclass(frozen=True, slots=True)
class Gate:
    """Admits or refuses an upgrade: browsers of foreign pages, what is over the limits, everybody while draining.

    Somebody may be kept waiting for up to `chat.admission.MAX_WAIT_S`. `memory_bytes` is asked each time. `random`
    gives numbers from 0 to 1.
    """

    endpoint: WebSocketEndpoint
    origins: OriginCheck
    stats: Stats
    admission: Admission
    connection_limit: int
    draining: Callable[[], bool]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    addresses: ClientAddresses
    limits: AddressLimits
    memory_bytes: Callable[[], int] = lambda: 0

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        check_handshake(request)
        if not self.origins.allows(request.headers.getall("Origin", []), host=request.host):
            self.stats.connections_refused["origin"] += 1
            log.info("origin_refused", origin=request.headers.get("Origin", "")[:200], key="client.allowed_origins")
            raise NotAHandshake(HTTPStatus.FORBIDDEN, "this origin is not in client.allowed_origins")
        address = self.addresses.of(request)
        self._check_address(address)
        self._check_room()
        asked = self.admission.ask(self.monotonic(), connecting=self.stats.connecting, memory_bytes=self.memory_bytes())
        if isinstance(asked, Refused):
            raise self._overloaded(asked)
        if asked:
            await asyncio.sleep(asked)
            if request.transport is None or request.transport.is_closing():
                # Something has to be returned; nobody will see it.
                return web.Response()
            self._check_room()
            refused = self.admission.still_refused(connecting=self.stats.connecting, memory_bytes=self.memory_bytes())
            if refused is not None:
                raise self._overloaded(refused)
        return await self.endpoint.handle(request, address=address)

    def _check_address(self, address: str) -> None:
        """Raises HTTPTooManyRequests."""
        if not (wait_s := self.limits.upgrade(address)):
            return
        self.stats.connections_refused["address_limit"] += 1
        answer = web.HTTPTooManyRequests(
            headers={"Retry-After": str(math.ceil(wait_s))},
            text="too many connections from this address at once (rate_limits.address_upgrades)\n",
        )
        answer.force_close()
        raise answer

    def _check_room(self) -> None:
        """Raises HTTPServiceUnavailable."""
        if self.draining():
            raise self._unavailable("draining", "shutting down", self._soon_s())
        if self.connection_limit and self.endpoint.sockets >= self.connection_limit:
            raise self._unavailable("connection_limit", "too many connections", self._soon_s())

    def _soon_s(self) -> int:
        least, most = AWAY_RETRY_S
        return least + math.floor(self.random() * (most - least + 0.999))

    def _overloaded(self, refused: Refused) -> web.HTTPServiceUnavailable:
        return self._unavailable(refused.reason, "too many are coming at once", refused.retry_after_s)

    def _unavailable(self, reason: str, text: str, retry_after_s: int) -> web.HTTPServiceUnavailable:
        self.stats.connections_refused[reason] += 1
        answer = web.HTTPServiceUnavailable(headers={"Retry-After": str(retry_after_s)}, text=f"{text}\n")
        # Else thousands of refused ones would each keep a socket here that they do not use.
        answer.force_close()
        return answer
