"""Images: their size, their preview, and those that would be too large."""

import asyncio
import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from chat.files.inspecting import PREVIEW_BYTES, THREADS, WAITING, inspecting, look
from chat.usecases.files import FilesBusy, Seen, Unacceptable

MANY = 10_000_000


def image(kind: str, size=(300, 200), mode="RGB", **options) -> bytes:
    target = io.BytesIO()
    Image.effect_mandelbrot(size, (-3, -2.5, 2, 2.5), 50).convert(mode).save(target, kind, **options)
    return target.getvalue()


class Held:
    """A store with one file, which may be made to wait."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.released = asyncio.Event()
        self.released.set()

    async def read(self, _upload, _copy, upto_bytes):
        await self.released.wait()
        return self.data[:upto_bytes]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP"])
def test_an_image_has_a_size_and_a_small_preview(kind):
    seen = look(image(kind), kind, MANY)
    assert (seen.width, seen.height) == (300, 200)
    preview = base64.b64decode(seen.preview)
    assert len(preview) <= PREVIEW_BYTES
    with Image.open(io.BytesIO(preview)) as small:
        assert (small.format, small.size) == ("WEBP", (32, 21))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16"])
def test_every_kind_of_pixel_becomes_a_preview(mode):
    if mode == "I;16":
        target = io.BytesIO()
        Image.new("I;16", (40, 30), 1000).save(target, "PNG")
        data = target.getvalue()
    else:
        data = image("PNG", (40, 30), mode)
    assert look(data, "PNG", MANY).preview


def test_noise_still_fits():
    target = io.BytesIO()
    Image.effect_noise((400, 400), 200).convert("RGB").save(target, "PNG")
    assert len(base64.b64decode(look(target.getvalue(), "PNG", MANY).preview)) <= PREVIEW_BYTES


def test_an_image_on_its_side_has_the_size_that_is_shown():
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = look(image("JPEG", exif=exif), "JPEG", MANY)
    assert (seen.width, seen.height) == (200, 300)
    with Image.open(io.BytesIO(base64.b64decode(seen.preview))) as small:
        assert small.size == (21, 32)


def test_a_preview_tells_nothing_of_where_it_was_taken():
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    preview = base64.b64decode(look(image("JPEG", exif=exif), "JPEG", MANY).preview)
    assert b"Camera" not in preview


def test_a_bomb_is_found_before_it_is_decoded():
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(Unacceptable, match="pixels"):
        look(bomb, "PNG", MANY)


def test_an_image_of_the_most_pixels_is_taken_and_one_more_is_not():
    assert look(image("PNG", (100, 10)), "PNG", 1000).width == 100
    with pytest.raises(Unacceptable, match="1001×1 pixels; 1000 are the most"):
        look(image("PNG", (1001, 1)), "PNG", 1000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_an_image_that_breaks_off_is_refused(kind):
    data = image(kind)
    for size in (20, len(data) // 2):
        with pytest.raises(Unacceptable, match=f"cannot be read as {kind}"):
            look(data[:size], kind, MANY)


def test_another_kind_of_image_is_refused():
    with pytest.raises(Unacceptable, match="cannot be read as JPEG"):
        look(image("PNG"), "JPEG", MANY)


async def test_what_is_no_image_has_no_size():
    async with inspecting(allowed_types=["*/*"], max_pixels=MANY) as inspector:
        seen = await inspector.inspect(Held(b"hello"), "u", "c", content_type="text/plain", size_bytes=5)
    assert seen == Seen()


async def test_so_many_may_wait_and_no_more():
    held = Held(b"hello")
    held.released.clear()
    async with inspecting(allowed_types=["*/*"], max_pixels=MANY) as inspector:

        def inspect():
            return inspector.inspect(held, "u", "c", content_type="text/plain", size_bytes=5)

        waiting = [asyncio.create_task(inspect()) for _ in range(THREADS + WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(FilesBusy):
            await inspect()
        held.released.set()
        assert await asyncio.gather(*waiting) == [Seen()] * len(waiting)
        assert await inspect() == Seen()
