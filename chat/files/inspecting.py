"""Looks into files: their type by content, the size of images, and a preview of those.

An image's size in pixels is in its head and is looked up before anything is decoded, so that a small file cannot
become a large picture in memory. Decoding runs in threads of its own, a few at a time, beside the event loop.
"""

import asyncio
import base64
import io
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, TypeVar

import structlog
from PIL import Image, ImageOps

from chat.files.types import HEAD_BYTES, plain, refusal
from chat.usecases.files import Files, FilesBusy, Seen, Unacceptable

T = TypeVar("T")

log = structlog.get_logger(__name__)

THREADS: Final = 2
WAITING: Final = 64
MAX_IMAGE_BYTES: Final = 64 * 1024**2
"""Larger images are taken without a look inside: they would have to be held in memory."""

PREVIEW_PIXELS: Final = 32
PREVIEW_BYTES: Final = 768
"""1 KiB in base64: there may be twenty in a message."""

_QUALITIES: Final = (60, 40, 20, 5)
_SMOOTH: Final = ("RGB", "RGBA", "L", "LA")
"""Kinds of pixels that can be made fewer as they are."""

_FORMATS: Final = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
    "image/avif": "AVIF",
    "image/bmp": "BMP",
}


class ContentInspector:
    """At most `THREADS` files are in memory at a time, and `WAITING` more wait for their turn."""

    def __init__(self, executor: ThreadPoolExecutor, *, allowed_types: Sequence[str], max_pixels: int) -> None:
        self._executor = executor
        self._allowed_types = allowed_types
        self._max_pixels = max_pixels
        self._turn = asyncio.Semaphore(THREADS)
        self._present = 0

    async def inspect(self, files: Files, upload: str, copy: str, *, content_type: str, size_bytes: int) -> Seen:
        """Raises Unacceptable, FilesBusy, FilesAway."""
        if self._present >= THREADS + WAITING:
            raise FilesBusy
        self._present += 1
        try:
            async with self._turn:
                head = await files.read(upload, copy, HEAD_BYTES)
                # The library has hundreds of marks to compare with: that takes milliseconds.
                why = await self._in_thread(partial(refusal, content_type, head, self._allowed_types))
                if why is not None:
                    raise Unacceptable(why, "content_type")
                image_format = _FORMATS.get(plain(content_type))
                if image_format is None or size_bytes > MAX_IMAGE_BYTES:
                    return Seen()
                data = head if size_bytes <= HEAD_BYTES else await files.read(upload, copy, size_bytes)
                return await self._in_thread(partial(look, data, image_format, self._max_pixels))
        finally:
            self._present -= 1

    async def _in_thread(self, work: "partial[T]") -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


@asynccontextmanager
async def inspecting(*, allowed_types: Sequence[str], max_pixels: int) -> AsyncIterator[ContentInspector]:
    """Leaving does not wait for what is being decoded: its thread ends by itself."""
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="inspect")
    try:
        yield ContentInspector(executor, allowed_types=allowed_types, max_pixels=max_pixels)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def look(data: bytes, image_format: str, max_pixels: int) -> Seen:
    """Size and preview of an image. Raises Unacceptable."""
    try:
        with Image.open(io.BytesIO(data), formats=[image_format]) as image:
            width, height = image.size
            _check_pixels(width, height, max_pixels)
            # JPEG is decoded at a fraction of its size right away.
            image.draft("RGB", (4 * PREVIEW_PIXELS, 4 * PREVIEW_PIXELS))
            image.load()
            if _is_turned(image):
                width, height = height, width
            return Seen(width, height, base64.b64encode(_preview(image)).decode())
    except Unacceptable:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unacceptable(f"its image has too many pixels; {max_pixels} are the most") from None
    except Exception as error:
        # Decoders fail in as many ways as images can be broken.
        log.info("image_unreadable", format=image_format, error=type(error).__name__, exc_info=True)
        raise Unacceptable(f"its content cannot be read as {image_format}") from error


def _check_pixels(width: int, height: int, most: int) -> None:
    if width * height > most:
        raise Unacceptable(f"its image has {width}×{height} pixels; {most} are the most")


def _preview(image: Image.Image) -> bytes:
    """Made small first: a second image of the full size would take as much memory again."""
    small = image if image.mode in _SMOOTH else image.convert(_mode_of(image))
    small.thumbnail((PREVIEW_PIXELS, PREVIEW_PIXELS))
    ImageOps.exif_transpose(small, in_place=True)
    small = small.convert(_mode_of(small))
    encoded = b""
    for quality in _QUALITIES:
        target = io.BytesIO()
        small.save(target, "WEBP", quality=quality, method=4, exif=b"", icc_profile=b"")
        encoded = target.getvalue()
        if len(encoded) <= PREVIEW_BYTES:
            break
    return encoded


def _mode_of(image: Image.Image) -> str:
    return "RGBA" if "A" in image.getbands() or "transparency" in image.info else "RGB"


def _is_turned(image: Image.Image) -> bool:
    """Whether it is shown on its side: orientations 5 to 8 change width and height."""
    return image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
