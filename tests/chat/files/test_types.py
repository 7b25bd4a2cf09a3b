"""What a file is by its content, and what is taken for what."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chat.files.dispositions import disposition, served_type
from chat.files.types import INLINE, refusal

ANY = ("*/*",)


def image(kind: str) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(target, kind)
    return target.getvalue()


def archive(*names: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return target.getvalue()


DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + b"\x00" * 64
WEBM = b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x86\x81\x01"
OGG = b"OggS\x00\x02" + b"\x00" * 22 + b"\x01\x13OpusHead"
MP3 = b"ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x44" + b"\x00" * 64
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 32
M4A = b"\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00" + b"\x00" * 64
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + b"\x00" * 64


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/png", image("PNG")),
        ("image/jpeg", image("JPEG")),
        ("image/jpg", image("JPEG")),
        ("image/gif", image("GIF")),
        ("image/webp", image("WEBP")),
        ("image/avif", image("AVIF")),
        ("image/bmp", image("BMP")),
        ("image/heic", HEIC),
        ("video/mp4", MP4),
        ("audio/mp4", M4A),
        ("audio/x-m4a", M4A),
        ("video/webm", WEBM),
        ("audio/webm", WEBM),
        ("audio/ogg", OGG),
        ("audio/mpeg", MP3),
        ("audio/wav", WAV),
        ("audio/x-wav", WAV),
        ("application/pdf", b"%PDF-1.7\n\xff\xfe"),
        ("application/zip", archive("a.txt")),
        (DOCX, archive("[Content_Types].xml", "word/document.xml")),
        ("application/gzip", b"\x1f\x8b\x08\x00" + b"\x00" * 16),
        ("text/plain", b"hello"),
        ("text/csv", "ä,b\n".encode()),
        ("text/markdown", b"# Title"),
        ("text/html", b"<!DOCTYPE html>"),
        ("application/json", b'{"a": 1}'),
        ("text/plain", b'{"a": 1}'),
        ("image/svg+xml", b"<?xml version='1.0'?>\n<svg xmlns='x'/>"),
        ("application/octet-stream", b"\x00\x01"),
        ("application/octet-stream", image("PNG")),
    ],
)
def test_what_is_taken(declared, head):
    assert refusal(declared, head, ANY) is None


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/png", b"<html><script>alert(1)</script>"),
        ("image/png", image("JPEG")),
        ("image/jpeg", b"\x7fELF\x02\x01\x01"),
        ("image/svg+xml", b"<html>"),
        ("image/svg+xml", image("PNG")),
        ("text/plain", image("PNG")),
        ("text/plain", b"a\x00b"),
        ("text/html", MP4),
        ("video/mp4", image("PNG")),
        ("video/mp4", b"\x00" * 100),
        ("audio/mpeg", b"plain text"),
        ("application/pdf", b"MZ\x90\x00" + b"\x00" * 60),
        ("application/unheard-of", b"\x80\x81\x82"),
    ],
)
def test_what_is_not_taken(declared, head):
    why = refusal(declared, head, ANY)
    assert why is not None
    assert why.endswith(f"announced was {declared}")


def test_what_claims_nothing_is_no_way_around_the_rules():
    only = ("image/*", "application/octet-stream")
    assert refusal("application/octet-stream", image("PNG"), only) is None
    assert refusal("application/octet-stream", b"\x80\x81", only) is None
    assert refusal("application/octet-stream", MP3, only) == "its content is audio/mpeg, which is not taken here"


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["image/png", "text/plain", "application/pdf", "video/mp4"]))
def test_nothing_is_too_strange_to_be_looked_at(head, declared):
    refusal(declared, head, ANY)


def test_text_may_be_cut_within_a_character():
    assert refusal("text/plain", ("a" * 10 + "€").encode()[:-1], ANY) is None
    assert refusal("text/plain", b"a\xe2b", ANY) is not None


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf"])
def test_what_could_run_something_is_downloaded(kind):
    assert kind not in INLINE
    assert served_type(kind) == "application/octet-stream"
    assert disposition("a", kind).startswith("attachment;")


@given(st.text(min_size=1, max_size=40))
def test_a_name_stays_within_its_header(name):
    header = disposition(name.encode(errors="replace").decode(), "image/png")
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
