"""Files on a local disk, which several processes of a machine share.

    <directory>/<2 characters of the id>/<id>/put          what a client put
    <directory>/<2 characters of the id>/<id>/put.<random> what is being put
    <directory>/<2 characters of the id>/<id>/<copy>       what was found right, or is being looked at

A file comes to its name whole or not at all, and is never changed: a copy is a second name for the same bytes.
"""

import asyncio
import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from chat.files.links import Links
from chat.usecases.files import FilesAway, SignedPut, Unacceptable

_PUT: Final = "put"
_NAME: Final = re.compile(r"[a-z0-9]{2,64}")
_DIRECTORY_MODE: Final = 0o700


class DiskFiles:
    """`Files` on disk. Every access runs in a thread."""

    def __init__(self, directory: Path, links: Links) -> None:
        self._directory = directory
        self.links: Final = links

    def put_link(self, upload: str, *, size_bytes: int, content_type: str, now: int, ttl_ms: int) -> SignedPut:
        fields = {"size": str(size_bytes), "type": content_type}
        return SignedPut(
            self.links.make("PUT", upload, fields, expires_at=now + ttl_ms), {"Content-Type": content_type}
        )

    def get_link(self, upload: str, copy: str, *, name: str, content_type: str, now: int, ttl_ms: int) -> str:
        fields = {"file": copy, "name": name, "type": content_type}
        return self.links.make("GET", upload, fields, expires_at=now + ttl_ms)

    def path(self, upload: str, copy: str) -> Path:
        """Where a copy is, or would be. Raises ValueError for what is no name of ours."""
        if _NAME.fullmatch(upload) is None or _NAME.fullmatch(copy) is None:
            raise ValueError("not the name of an upload")
        return self._directory / upload[:2] / upload / copy

    async def receive(self, upload: str, size_bytes: int, chunks: AsyncIterator[bytes]) -> None:
        """Take what a client puts. Raises Unacceptable for another size than announced, FilesAway.

        Cancelling, and whatever `chunks` raises, leaves nothing behind.
        """
        target = self.path(upload, _PUT)
        part = target.with_name(f"{_PUT}.{secrets.token_hex(8)}")
        with _told():
            file = await asyncio.to_thread(_create, part)
        try:
            await _write_all(file, size_bytes, chunks)
            with _told():
                await asyncio.to_thread(_settle, file, part, target)
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise

    async def copy(self, upload: str, copy: str, *, content_type: str) -> int | None:
        with _told():
            return await asyncio.to_thread(_link, self.path(upload, _PUT), self.path(upload, copy))

    async def read(self, upload: str, copy: str, upto_bytes: int) -> bytes:
        with _told():
            return await asyncio.to_thread(_read, self.path(upload, copy), upto_bytes)

    async def drop_put(self, upload: str) -> None:
        await self.drop_copy(upload, _PUT)

    async def drop_copy(self, upload: str, copy: str) -> None:
        with _told():
            await asyncio.to_thread(self.path(upload, copy).unlink, missing_ok=True)

    async def drop(self, upload: str, copies: Sequence[str]) -> None:
        with _told():
            await asyncio.to_thread(_remove, self.path(upload, _PUT).parent)

    async def probe(self) -> None:
        """Raises FilesAway."""
        try:
            await asyncio.to_thread(_probe, self._directory)
        except OSError as error:
            raise FilesAway(f"cannot write {self._directory.absolute()}: {error.strerror}") from error


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilesAway(f"{error.strerror}: {error.filename}") from error


async def _write_all(file: BinaryIO, size_bytes: int, chunks: AsyncIterator[bytes]) -> None:
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        if received > size_bytes:
            raise Unacceptable(f"more bytes than the {size_bytes} that were announced")
        with _told():
            await asyncio.to_thread(file.write, chunk)
    if received < size_bytes:
        raise Unacceptable(f"{received} bytes, announced were {size_bytes}")


def _create(part: Path) -> BinaryIO:
    part.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _settle(file: BinaryIO, part: Path, target: Path) -> None:
    """On disk first, then under its name."""
    file.flush()
    os.fsync(file.fileno())
    file.close()
    part.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _link(source: Path, target: Path) -> int | None:
    try:
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:  # a file system without hard links
            shutil.copyfile(source, target)
    except FileNotFoundError:
        return None
    return target.stat().st_size


def _read(path: Path, upto_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(upto_bytes)


def _remove(directory: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(directory)


def _probe(directory: Path) -> None:
    if not directory.exists():
        # It is made with the first upload: where it is to be must let us.
        there = next(parent for parent in directory.absolute().parents if parent.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))
        return
    path = directory / f".probe-{secrets.token_hex(8)}"
    try:
        path.write_bytes(b"probe")
    finally:
        path.unlink(missing_ok=True)
