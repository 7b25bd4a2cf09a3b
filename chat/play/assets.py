"""The files of the page, read once. Only names found then are served: no path from outside meets the file system."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, Self

_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent: `packed` is `data` in gzip, `etag` changes with every byte."""

    data: bytes
    packed: bytes
    content_type: str
    etag: str

    @classmethod
    def of(cls, data: bytes, content_type: str) -> Self:
        return cls(data, gzip.compress(data, mtime=0), content_type, f'"{hashlib.sha256(data).hexdigest()[:20]}"')


def load() -> Mapping[str, Asset]:
    """The page's own files and those of others (vendor/), by their names."""
    static = files("chat.play") / "static"
    return {
        entry.name: Asset.of(entry.read_bytes(), _TYPES[suffix])
        for folder in (static, static / "vendor" / "centrifuge")
        for entry in folder.iterdir()
        if entry.is_file() and (suffix := entry.name[entry.name.rfind(".") :]) in _TYPES
    }
