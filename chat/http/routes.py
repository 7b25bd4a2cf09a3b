"""Everything that `chat.app` needs to put the HTTP side into its application."""

from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from chat.http.deps import HttpDeps
from chat.http.framing import framed, with_expect
from chat.http.middleware import edge_middlewares
from chat.http.rest import rest_routes
from chat.http.server_api.api import API_METHODS
from chat.http.server_api.routes import api_routes
from chat.http.uploads import upload_routes
from chat.methods import METHODS

METHOD_NAMES: Final = (*METHODS, *API_METHODS)
"""Every name that `MethodStats` has to know."""


def http_routes(deps: HttpDeps) -> list[web.RouteDef]:
    """`/v1/…`, `/api/…` and `/uploads/…`.

    From here on this process also answers the questions of others about its channels.
    """
    return [with_expect(route) for route in (*rest_routes(deps), *api_routes(deps), *upload_routes(deps))]


def http_middlewares(deps: HttpDeps) -> list[Middleware]:
    """For the application, outermost first. Every request gets an id and is to be framed well; the rest is for APIs."""
    return [*edge_middlewares(deps.origins, deps.limits, deps.addresses, deps.docs_url), framed]
