"""Who may open a socket: asked before the upgrade, while refusing is still an ordinary HTTP answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog
from aiohttp import web

from chat.auth.origin import OriginCheck
from realtime.websocket import WebSocketEndpoint

log = structlog.get_logger(__name__)

RETRY_AFTER_S: Final = "2"


@dataclass(frozen=True, slots=True)
class Gate:
    """Admits or refuses an upgrade: browsers of foreign pages, what is over the limit, everybody while draining."""

    endpoint: WebSocketEndpoint
    origins: OriginCheck
    refused: dict[str, int]
    connection_limit: int
    draining: Callable[[], bool]

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        if not self.origins.allows(request.headers.getall("Origin", []), host=request.host):
            self.refused["origin"] += 1
            log.info("origin_refused", origin=request.headers.get("Origin", "")[:200], key="client.allowed_origins")
            raise web.HTTPForbidden(text="this origin is not in client.allowed_origins\n")
        if self.draining():
            self.refused["draining"] += 1
            raise web.HTTPServiceUnavailable(headers={"Retry-After": RETRY_AFTER_S}, text="shutting down\n")
        if self.connection_limit and len(self.endpoint.open) >= self.connection_limit:
            self.refused["overload"] += 1
            raise web.HTTPServiceUnavailable(headers={"Retry-After": RETRY_AFTER_S}, text="too many connections\n")
        return await self.endpoint.handle(request)
