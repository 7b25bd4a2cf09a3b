"""The files of a page: read once, sent packed to whoever takes that, and not again to whoever has them.

Only names found at the start are served: no path from outside meets the file system.
"""

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from aiohttp import hdrs, web

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


class Asset:
    """A file as it is sent. `etag` changes with every byte; `packed` is `data` in gzip, made when first asked for."""

    def __init__(self, data: bytes, content_type: str) -> None:
        self.data: Final = data
        self.content_type: Final = content_type
        self.etag: Final = f'"{hashlib.sha256(data).hexdigest()[:20]}"'

    @cached_property
    def packed(self) -> bytes:
        return gzip.compress(self.data, mtime=0)


def load(package: str) -> Mapping[str, Asset]:
    """What a browser may ask for below `static` of a package, by its path there (`vendor/uplot/uPlot.js`)."""
    return dict(_below(files(package) / "static", ""))


def send(request: web.Request, asset: Asset, headers: Mapping[str, str], *, store: bool = True) -> web.Response:
    """The file, or 304: it is always asked for again, so that an upgrade of the server is one of the page.

    `store` False for pages that say who is signed in.
    """
    described = {
        **headers,
        hdrs.CACHE_CONTROL: "no-cache" if store else "no-store",
        hdrs.ETAG: asset.etag,
        hdrs.VARY: "Accept-Encoding",
    }
    if store and asset.etag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=described)
    body = asset.data
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        described[hdrs.CONTENT_ENCODING] = "gzip"
        body = asset.packed
    return web.Response(body=body, headers=described, content_type=asset.content_type, charset="utf-8")


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{prefix}{entry.name}/")
        elif (suffix := entry.name[entry.name.rfind(".") :]) in _TYPES:
            yield prefix + entry.name, Asset(entry.read_bytes(), _TYPES[suffix])
