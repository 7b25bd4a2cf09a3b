"""Serves the server API."""

from aiohttp import web

from chat.http.deps import HttpDeps


def api_routes(deps: HttpDeps) -> list[web.RouteDef]:
    del deps
    return []
