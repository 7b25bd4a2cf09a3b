"""What the use cases ask of a place where files are, and of who looks into them. Implemented in `chat.files`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class FilesAway(Exception):
    """The place where files are does not answer, or is full. `str()` is for the log; repeating may help."""


class FilesBusy(Exception):
    """As many files are looked into as this process takes at a time. Repeat later."""


class Unacceptable(Exception):
    """The content is not what was announced. `str()` is the rule that it breaks, `field` what was announced."""

    def __init__(self, rule: str, field: str = "upload") -> None:
        super().__init__(rule)
        self.field = field


@dataclass(frozen=True, slots=True)
class SignedPut:
    """A request that puts a file. Good for this size and type only, until it expires."""

    url: str
    headers: Mapping[str, str]


class Files(Protocol):
    """One directory or bucket. A client puts a file by its link; what was put is copied before it is looked at, so
    that what was found right is what is given out, whatever the link is used for later.

    Ids and names of copies are lower-case letters and digits. Every coroutine may raise FilesAway.
    """

    def put_link(self, upload: str, *, size_bytes: int, content_type: str, now: int, ttl_ms: int) -> SignedPut: ...

    def get_link(self, upload: str, copy: str, *, name: str, content_type: str, now: int, ttl_ms: int) -> str:
        """Shown by a browser if the type is harmless, else downloaded under this name."""

    async def copy(self, upload: str, copy: str, *, content_type: str) -> int | None:
        """Copy what was put; the copy's size in bytes. None: nothing was put."""

    async def read(self, upload: str, copy: str, upto_bytes: int) -> bytes:
        """The first bytes of a copy."""

    async def drop_put(self, upload: str) -> None:
        """Remove what was put, not the copies."""

    async def drop_copy(self, upload: str, copy: str) -> None: ...

    async def drop(self, upload: str, copies: Sequence[str]) -> None:
        """Remove everything there is of an upload. Missing things are no error."""

    async def probe(self) -> None:
        """Write, read and remove something small. Raises FilesAway with what to do about it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file is, beyond its type. Pixels as shown."""

    width: int | None = None
    height: int | None = None
    preview: str | None = None


class Inspector(Protocol):
    async def inspect(self, files: Files, upload: str, copy: str, *, content_type: str, size_bytes: int) -> Seen:
        """Look into a copy. Raises Unacceptable, FilesBusy, FilesAway."""


@dataclass(frozen=True, slots=True)
class UploadRules:
    """What may be uploaded and how long it stays. Sizes in bytes, times in ms."""

    max_bytes: int = 25 * 1024**2
    allowed_types: tuple[str, ...] = ("*/*",)
    pending_per_user: int = 20
    day_count: int = 500
    day_bytes: int = 1024**3
    link_ttl_ms: int = 900_000
    pending_ttl_ms: int = 3_600_000
    unused_ttl_ms: int = 86_400_000


@dataclass(frozen=True, slots=True)
class Uploading:
    """What uploads need. `files` is None where they are off; `off` says why."""

    files: Files | None = None
    inspector: Inspector | None = None
    rules: UploadRules = UploadRules()
    off: str = "uploads are off here (uploads.store)"
