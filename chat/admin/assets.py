"""The files of the page, read once: fixed names, so a path from outside never reaches the file system."""

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import hdrs, web

from chat.admin.http import SECURITY

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file with its validator. `packed` is it in gzip."""

    data: bytes
    packed: bytes
    content_type: str
    etag: str


def load() -> dict[str, Asset]:
    """Every file below static/ that a browser may ask for, by its path there (`vendor/uplot/uPlot.esm.js`)."""
    return dict(_below(files("chat.admin") / "static", ""))


def answer(request: web.Request, asset: Asset, *, store: bool = True) -> web.Response:
    """The file, or 304. `store` False for pages that say who is signed in."""
    headers = {
        **SECURITY,
        hdrs.CACHE_CONTROL: "no-cache" if store else "no-store",
        hdrs.ETAG: asset.etag,
        hdrs.VARY: "Accept-Encoding",
    }
    if store and asset.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=headers)
    packed = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
    if packed:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(
        body=asset.packed if packed else asset.data, headers=headers, content_type=asset.content_type, charset="utf-8"
    )


def _below(folder: Traversable, prefix: str) -> list[tuple[str, Asset]]:
    found: list[tuple[str, Asset]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _below(entry, f"{prefix}{entry.name}/")
        elif (suffix := entry.name[entry.name.rfind(".") :]) in _TYPES:
            data = entry.read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
            found.append((prefix + entry.name, Asset(data, gzip.compress(data, mtime=0), _TYPES[suffix], etag)))
    return found
