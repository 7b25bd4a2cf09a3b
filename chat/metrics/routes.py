"""`GET /metrics`: the samples of all processes of this node, in the text format that the scraper asks for."""

import hmac
from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import web
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from chat.metrics.node import NodeMetrics

_NO_STORE: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0"

_log = structlog.get_logger(__name__)


def metrics_routes(metrics: NodeMetrics, *, token: str | None) -> list[web.RouteDef]:
    """`token`: what a scraper must send as `Authorization: Bearer`; None: open to whoever reaches this port."""

    async def get_metrics(request: web.Request) -> web.Response:
        if token is not None and not _bears(request, token):
            return web.Response(
                status=401, text="a bearer token is needed\n", headers={**_NO_STORE, "WWW-Authenticate": "Bearer"}
            )
        encode, content_type = _encoder(request.headers.get("Accept", ""))
        try:
            body = await metrics.exposition(encode)
        except (OSError, TimeoutError) as error:
            _log.warning("metrics_not_read", reason=str(error))
            return web.Response(status=503, text="the samples of this node cannot be read\n", headers=_NO_STORE)
        response = web.Response(body=body, headers={**_NO_STORE, "Content-Type": content_type})
        response.enable_compression()
        return response

    return [web.get("/metrics", get_metrics)]


def _bears(request: web.Request, token: str) -> bool:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    given = credentials.strip().encode(errors="replace")
    return scheme.lower() == "bearer" and hmac.compare_digest(given, token.encode())


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """The encoder and its content type.

    prometheus_client is asked with one of two headers of ours: given the client's own it fails on a version that is no
    number, and repeats the client's escaping in the answer's Content-Type.
    """
    offered = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    return choose_encoder(_OPENMETRICS if "application/openmetrics-text" in offered else "")
