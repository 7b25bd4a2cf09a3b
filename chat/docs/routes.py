"""Serves the documentation: its pages, and one that shows the API description and calls what it describes."""

import asyncio
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from chat import assets
from chat.docs.pages import Page, load

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_API: Final = "api"
_API_TITLE: Final = "Try the API"
_SCRIPTS: Final = '<script type="module" src="/docs/static/copy.js"></script>'


@dataclass(frozen=True, slots=True)
class _Menu:
    """What every page has beside it."""

    pages: Sequence[Page]

    def around(self, title: str, content: str, *, section: str, name: str, scripts: str) -> str:
        links = "".join(self._links(section, name))
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(title)} · Hubbub</title>"
            '<link rel="icon" href="/docs/static/icon.svg">'
            '<link rel="stylesheet" href="/docs/static/docs.css">'
            f"{scripts}</head><body>"
            f'<a class="skip" href="#content">Skip to content</a><nav aria-label="Pages">{links}</nav>'
            f'<main id="content">{content}</main></body></html>'
        )

    def _links(self, section: str, name: str) -> Iterator[str]:
        for page in self.pages:
            below = page.name != page.section
            if below and page.section != section:
                continue
            yield _link(page.name, page.title, here=page.name == name, below=below)
            if page.name == "reference":
                yield _link(_API, _API_TITLE, here=name == _API, below=False)


class _Bodies:
    """Pages in HTML, each rendered when it is first asked for, in a thread, one at a time: all of them would take most
    of a second of every start. As many are kept as there are pages.
    """

    def __init__(self) -> None:
        self._rendered: dict[str, str] = {}
        self._turn = asyncio.Lock()

    async def of(self, page: Page) -> str:
        async with self._turn:
            if page.name not in self._rendered:
                self._rendered[page.name] = await asyncio.to_thread(lambda: page.body)
            return self._rendered[page.name]


def _link(name: str, title: str, *, here: bool, below: bool) -> str:
    marks = f"{' class=below' if below else ''}{' aria-current=page' if here else ''}"
    return f'<a href="/docs/{name}"{marks}>{html.escape(title)}</a>'


def docs_routes(users: Sequence[str] = ()) -> list[web.RouteDef]:
    """`GET /docs` (the quick start), `GET /docs/<page>`, `GET /docs/api`, and their files.

    `users` are demo users as whom the page of the API may sign in, as the playground may.
    """
    pages = {page.name: page for page in load()}
    bodies = _Bodies()
    menu = _Menu(list(pages.values()))
    files = assets.load("chat.docs")
    api = menu.around(
        _API_TITLE,
        f'<div id="api" data-users="{html.escape(msgspec.json.encode(list(users)).decode())}">'
        "<noscript>This page needs JavaScript. The same is in the reference, and in /openapi.json.</noscript></div>",
        section=_API,
        name=_API,
        scripts='<link rel="stylesheet" href="/docs/static/api.css">'
        '<script type="module" src="/docs/static/api.js"></script>',
    )

    async def get_page(request: web.Request) -> web.Response:
        page = pages.get(request.match_info.get("page", "quickstart"))
        if page is None:
            return web.Response(status=404, text="there is no such page\n", headers=_HEADERS)
        body = await bodies.of(page)
        return _page(menu.around(page.title, body, section=page.section, name=page.name, scripts=_SCRIPTS))

    async def get_api(_: web.Request) -> web.Response:
        return _page(api)

    async def get_file(request: web.Request) -> web.Response:
        asset = files.get(request.match_info["file"])
        if asset is None:
            return web.Response(status=404, text="there is no such file\n", headers=_HEADERS)
        return assets.send(request, asset, _HEADERS)

    return [
        web.get("/docs", get_page),
        web.get("/docs/static/{file}", get_file),
        web.get(f"/docs/{_API}", get_api),
        web.get("/docs/{page:[a-z]+(?:/[a-z_-]+)?}", get_page),
    ]


def _page(text: str) -> web.Response:
    response = web.Response(text=text, content_type="text/html", headers=_HEADERS)
    response.enable_compression()
    return response
