"""Renders the Markdown files of `docs/` once, and serves them."""

import html
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Final

from aiohttp import web
from markdown_it import MarkdownIt
from markdown_it.token import Token

_TITLES: Final = {
    "quickstart": "Quick start",
    "protocol": "Protocol",
    "reference": "Reference",
    "configuration": "Configuration",
    "operations": "Operations",
    "architecture": "Architecture",
    "performance": "Performance",
}
"""Pages in the order of the menu."""

_PLACES: Final = (
    Path(__file__).parent.parent.parent / "docs",
    Path(sys.prefix) / "share" / "hubbub" / "docs",
)
"""In a clone, and where an installation puts them."""

_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its name in the address, its title, its body in HTML."""

    name: str
    title: str
    body: str


def docs_routes() -> list[web.RouteDef]:
    """`GET /docs` (the quick start), `GET /docs/<page>`, and the style sheet."""
    pages = {page.name: page for page in load()}
    style = (resources.files("chat.docs") / "static" / "docs.css").read_bytes()

    async def get_page(request: web.Request) -> web.Response:
        page = pages.get(request.match_info.get("page", "quickstart"))
        if page is None:
            return web.Response(status=404, text="there is no such page\n", headers=_HEADERS)
        response = web.Response(text=_document(page, pages), content_type="text/html", headers=_HEADERS)
        response.enable_compression()
        return response

    async def get_style(_: web.Request) -> web.Response:
        return web.Response(body=style, content_type="text/css", headers=_HEADERS)

    return [
        web.get("/docs", get_page),
        web.get("/docs/docs.css", get_style),
        web.get("/docs/{page:[a-z]+}", get_page),
    ]


def load() -> Iterator[Page]:
    """The pages that are there, in the order of the menu."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    if folder is None:
        return
    for name, title in _TITLES.items():
        file = folder / f"{name}.md"
        if file.is_file():
            yield Page(name, title, render(file.read_text()))


def render(markdown: str) -> str:
    """Markdown of ours to HTML: headings with anchors, links between pages as addresses of this server."""
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    tokens = parser.parse(markdown)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(inline.content))
        _relink(token)
    return str(parser.renderer.render(tokens, parser.options, {}))


def anchor(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).strip().replace(" ", "-")


def _relink(token: Token) -> None:
    for child in token.children or ():
        href = child.attrGet("href") if child.type == "link_open" else None
        if isinstance(href, str) and (found := re.fullmatch(r"([a-z]+)\.md(#.*)?", href)):
            child.attrSet("href", f"/docs/{found[1]}{found[2] or ''}")


def _document(page: Page, pages: dict[str, Page]) -> str:
    menu = "".join(
        f'<a href="/docs/{other.name}"{" aria-current=page" if other is page else ""}>{html.escape(other.title)}</a>'
        for other in pages.values()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(page.title)} · Hubbub</title>"
        '<link rel="stylesheet" href="/docs/docs.css"></head><body>'
        f'<a class="skip" href="#content">Skip to content</a><nav aria-label="Pages">{menu}</nav>'
        f'<main id="content">{page.body}</main></body></html>'
    )
