"""The Markdown files of `docs/` as pages, with the addresses of this server in their links."""

import html
import posixpath
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

from chat.docs.calls import Call, curl, javascript, parse

FEATURES: Final = "features"
_TITLES: Final = {
    "quickstart": "Quick start",
    FEATURES: "Features",
    "push": "Push",
    "permissions": "Permissions",
    "security": "Security",
    "protocol": "Protocol",
    "reference": "Reference",
    "limits": "Limits",
    "configuration": "Configuration",
    "deployment": "Deployment",
    "operations": "Operations",
    "architecture": "Architecture",
    "performance": "Performance",
    "capacity": "Capacity",
    "reliability": "Reliability",
    "chaos": "Chaos",
    "autobahn": "Autobahn",
}
"""Pages in the order of the menu. That of the features has a folder of its own."""

_PLACES: Final = (
    Path(__file__).parent.parent.parent / "docs",
    Path(sys.prefix) / "share" / "hubbub" / "docs",
)
"""In a clone, and where an installation puts them."""

_LINK: Final = re.compile(r"([a-zA-Z_./-]+)\.md(#.*)?")
_HEADING: Final = re.compile(r"^# (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its name in the address (`protocol`, `features/editing`), its title, its Markdown."""

    name: str
    title: str
    text: str
    at: str
    """Its file without the ending, which links to other pages start from."""

    @property
    def body(self) -> str:
        """The page in HTML, rendered at each call: a long one takes tenths of a second."""
        return render(self.text, at=self.at)

    @property
    def section(self) -> str:
        """The page of the menu that this one is, or is below."""
        return self.name.partition("/")[0]


def load() -> Iterator[Page]:
    """The pages that are there, in the order of the menu; what is below a page comes after it."""
    folder = next((place for place in _PLACES if place.is_dir()), None)
    if folder is None:
        return
    for name, title in _TITLES.items():
        inside = folder / name
        file = inside / "README.md" if inside.is_dir() else folder / f"{name}.md"
        if file.is_file():
            yield Page(name, title, file.read_text(), f"{name}/README" if inside.is_dir() else name)
        for other in sorted(inside.glob("*.md")) if inside.is_dir() else ():
            if other.name != "README.md":
                yield _below(name, other)


def _below(section: str, file: Path) -> Page:
    text = file.read_text()
    name = f"{section}/{file.stem}"
    heading = _HEADING.search(text)
    return Page(name, heading[1].replace("`", "") if heading else file.stem.capitalize(), text, name)


def render(markdown: str, *, at: str = "page") -> str:
    """Markdown of ours to HTML: headings with anchors, calls that can be copied, links as addresses of this server.

    `at` is the name of the page, which links to other pages start from.
    """
    parser = MarkdownIt("commonmark", {"html": True}).enable("table")
    parser.add_render_rule("fence", _fence)
    tokens = parser.parse(markdown)
    for token, inline in pairwise(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(inline.content))
        _relink(token, posixpath.dirname(at))
    return str(parser.renderer.render(tokens, parser.options, {}))


def anchor(heading: str) -> str:
    """The anchor of a heading, as forges make it."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).strip().replace(" ", "-")


def _relink(token: Token, folder: str) -> None:
    for child in token.children or ():
        href = child.attrGet("href") if child.type == "link_open" else None
        if isinstance(href, str) and (found := _LINK.fullmatch(href)):
            name = posixpath.normpath(posixpath.join(folder, found[1])).removesuffix("/README")
            if not name.startswith(".."):  # what is beside the documentation is not served
                child.attrSet("href", f"/docs/{name}{found[2] or ''}")


def _fence(self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType) -> str:
    token = tokens[index]
    call = parse(token.info, token.content)
    return self.fence(tokens, index, options, env) if call is None else _shown(call)


def _shown(call: Call) -> str:
    """A call with the same for a shell and for JavaScript, one click away."""
    kind = "socket" if call.over_socket else call.verb
    head = f'<span class="call-kind">{html.escape(kind)}</span> <code>{html.escape(call.method or call.path)}</code>'
    body = f"<pre><code>{html.escape(call.body)}</code></pre>" if call.body else ""
    others = "".join(
        f"<details><summary>{title}</summary><pre><code>{html.escape(text)}</code></pre></details>"
        for title, text in (("JavaScript", javascript(call)), ("curl", curl(call)))
    )
    return f'<div class="call"><div class="call-head">{head}</div>{body}{others}</div>\n'
