"""What answers on the port while a process is not there yet: alive, not ready, try again."""

from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web

from chat.health import Readiness, json_answer

RETRY_AFTER_S: Final = "2"


def starting_app(reasons: Callable[[], list[str]]) -> web.Application:
    """`/livez` answers 200, `/readyz` 503 with the reasons, everything else 503 with the time to wait.

    Connections end with their answer: the next request is to find what comes after this.
    """

    async def livez(_: web.Request) -> web.Response:
        return _last(json_answer(200, {"status": "ok"}))

    async def readyz(_: web.Request) -> web.Response:
        return _last(json_answer(503, Readiness("unavailable", reasons(), {})))

    async def refuse(_: web.Request) -> web.Response:
        answer = json_answer(503, {"code": "unavailable", "detail": "starting", "retry_after_ms": 2000})
        answer.headers[hdrs.RETRY_AFTER] = RETRY_AFTER_S
        return _last(answer)

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_route("*", "/{path:.*}", refuse)
    return app


def _last(answer: web.Response) -> web.Response:
    answer.force_close()
    return answer
