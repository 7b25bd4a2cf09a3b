"""The store in a directory."""

import asyncio

import pytest

from chat.usecases.files import FilesAway, Unacceptable

UPLOAD = "ab" * 13


async def chunks(*parts: bytes):
    for part in parts:
        yield part


def files_in(disk, tmp_path):
    return sorted(str(path.relative_to(tmp_path / "files")) for path in tmp_path.rglob("*") if path.is_file())


async def test_a_copy_keeps_what_it_was_made_of(disk, tmp_path):
    assert await disk.copy(UPLOAD, "copy", content_type="text/plain") is None
    await disk.receive(UPLOAD, 5, chunks(b"he", b"llo"))
    assert await disk.copy(UPLOAD, "copy", content_type="text/plain") == 5
    await disk.receive(UPLOAD, 5, chunks(b"HELLO"))
    assert await disk.read(UPLOAD, "copy", 100) == b"hello"
    assert await disk.read(UPLOAD, "copy", 2) == b"he"
    assert files_in(disk, tmp_path) == [f"ab/{UPLOAD}/copy", f"ab/{UPLOAD}/put"]
    await disk.drop_put(UPLOAD)
    assert files_in(disk, tmp_path) == [f"ab/{UPLOAD}/copy"]
    for _ in range(2):
        await disk.drop(UPLOAD, ["copy"])
        assert files_in(disk, tmp_path) == []


async def test_without_hard_links_it_is_a_real_copy(disk, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links here")

    monkeypatch.setattr("os.link", refuse)
    assert await disk.copy(UPLOAD, "copy", content_type="text/plain") is None
    await disk.receive(UPLOAD, 5, chunks(b"hello"))
    assert await disk.copy(UPLOAD, "copy", content_type="text/plain") == 5
    await disk.receive(UPLOAD, 5, chunks(b"HELLO"))
    assert await disk.read(UPLOAD, "copy", 100) == b"hello"


@pytest.mark.parametrize("parts", [(b"hell",), (b"hel", b"lo!"), ()])
async def test_another_size_leaves_nothing(disk, tmp_path, parts):
    with pytest.raises(Unacceptable, match="5"):
        await disk.receive(UPLOAD, 5, chunks(*parts))
    assert files_in(disk, tmp_path) == []


async def test_who_breaks_off_leaves_nothing_and_the_file_before_stays(disk, tmp_path):
    await disk.receive(UPLOAD, 5, chunks(b"hello"))
    waiting = asyncio.Event()

    async def stalled():
        yield b"HE"
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(disk.receive(UPLOAD, 5, stalled()))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files_in(disk, tmp_path) == [f"ab/{UPLOAD}/put"]
    assert await disk.read(UPLOAD, "put", 100) == b"hello"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "A", "a\x00", "put.part", "a" * 65])
def test_no_path_leads_out_of_the_directory(disk, name):
    with pytest.raises(ValueError, match="not the name of an upload"):
        disk.path(UPLOAD, name)
    with pytest.raises(ValueError, match="not the name of an upload"):
        disk.path(name, "copy")


async def test_what_cannot_be_written_is_said(disk, tmp_path):
    await disk.probe()
    (tmp_path / "files").write_text("in the way")
    with pytest.raises(FilesAway, match="cannot write"):
        await disk.probe()
    with pytest.raises(FilesAway):
        await disk.receive(UPLOAD, 5, chunks(b"hello"))
