"""The store in a bucket, against a server that checks what is signed."""

import time
from datetime import timedelta

import aiohttp
import botocore.auth
import pytest
from yarl import URL

from chat.files.s3 import Bucket, s3_files
from chat.files.signing import Signer
from chat.usecases.files import FilesAway
from support.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY

UPLOAD = "u" * 26
DATA = b"hello, bucket"
MINUTE_MS = 60_000


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


def link(files, ttl_ms=MINUTE_MS):
    return files.put_link(
        UPLOAD, size_bytes=len(DATA), content_type="text/plain", now=int(time.time() * 1000), ttl_ms=ttl_ms
    )


async def put(http, url, data=DATA, content_type="text/plain"):
    async with http.put(URL(url, encoded=True), data=data, headers={"Content-Type": content_type}) as answer:
        return answer.status, (await answer.read()).decode()


async def test_what_is_put_is_copied_read_given_out_and_removed(remote, s3, http):
    assert await remote.copy(UPLOAD, "copy", content_type="text/plain") is None
    signed = link(remote)
    assert signed.headers == {"Content-Type": "text/plain"}
    assert (await put(http, signed.url))[0] == 200
    assert await remote.copy(UPLOAD, "copy", content_type="text/plain") == len(DATA)
    assert s3.objects() == [f"hub/{UPLOAD}/copy", f"hub/{UPLOAD}/put"]
    assert await remote.read(UPLOAD, "copy", 5) == b"hello"
    assert await remote.read(UPLOAD, "copy", 1000) == DATA
    # What is put later changes nothing of the copy.
    assert (await put(http, signed.url, b"HELLO, BUCKET"))[0] == 200
    assert await remote.read(UPLOAD, "copy", 1000) == DATA
    url = remote.get_link(
        UPLOAD, "copy", name="ä b.html", content_type="text/html", now=int(time.time() * 1000), ttl_ms=MINUTE_MS
    )
    async with http.get(URL(url, encoded=True)) as answer:
        assert (answer.status, await answer.read()) == (200, DATA)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        disposition = "attachment; filename=\"_ b.html\"; filename*=UTF-8''%C3%A4%20b.html"
        assert answer.headers["Content-Disposition"] == disposition
    await remote.drop_put(UPLOAD)
    assert s3.objects() == [f"hub/{UPLOAD}/copy"]
    await remote.drop(UPLOAD, ["copy", "never"])
    assert s3.objects() == []
    await remote.drop(UPLOAD, ["copy"])


async def test_a_link_is_good_for_the_announced_size_and_type_only(remote, s3, http):
    signed = link(remote)
    for data, content_type in ((DATA + b"x", "text/plain"), (DATA[:-1], "text/plain"), (DATA, "text/html")):
        status, answer = await put(http, signed.url, data, content_type)
        assert (status, "SignatureDoesNotMatch" in answer) == (403, True)
    assert s3.objects() == []


async def test_a_wrong_signature_is_refused(remote, bucket, s3, http):
    async with s3_files(bucket, Signer(ACCESS_KEY, "another secret", "us-east-1")) as forger:
        status, answer = await put(http, link(forger).url)
    assert (status, "SignatureDoesNotMatch" in answer) == (403, True)
    good = link(remote).url
    for changed in (good.replace(UPLOAD, "v" * 26), good.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")):
        assert changed != good
        status, answer = await put(http, changed)
        assert (status, "SignatureDoesNotMatch" in answer) == (403, True)
    assert (await http.get(f"{s3.endpoint}/{BUCKET}/hub/{UPLOAD}/put")).status in (400, 403)
    assert s3.objects() == []


async def test_an_expired_link_is_refused(remote, s3, http, monkeypatch):
    real = botocore.auth.get_current_datetime

    def past():
        return real() - timedelta(minutes=2)

    monkeypatch.setattr(botocore.auth, "get_current_datetime", past)
    assert (await put(http, link(remote, ttl_ms=3 * MINUTE_MS).url))[0] == 200
    status, answer = await put(http, link(remote).url)
    assert status in (400, 403)
    assert "AccessDenied" in answer
    monkeypatch.undo()
    await remote.drop(UPLOAD, [])


async def test_links_for_clients_name_the_public_address(s3):
    for path_style, begin in (
        (True, f"https://files.example/{BUCKET}/hub/{UPLOAD}/put?"),
        (False, f"https://{BUCKET}.files.example/hub/{UPLOAD}/put?"),
    ):
        bucket = Bucket(s3.endpoint, "https://files.example", BUCKET, "hub/", path_style=path_style)
        async with s3_files(bucket, Signer(ACCESS_KEY, SECRET_KEY, "eu-central-1")) as files:
            url = link(files).url
            assert url.startswith(begin)
            assert "eu-central-1" in url
            assert SECRET_KEY not in url


async def test_the_probe_says_what_is_wrong_and_keeps_the_keys_to_itself(remote, bucket, s3):
    await remote.probe()
    assert s3.objects() == []
    async with s3_files(bucket, Signer(ACCESS_KEY, "another secret", "us-east-1")) as files:
        with pytest.raises(FilesAway, match="the store answers 403 SignatureDoesNotMatch"):
            await files.probe()
    away = Bucket("http://127.0.0.1:1", "http://127.0.0.1:1", BUCKET, "", path_style=True)
    async with s3_files(away, Signer(ACCESS_KEY, SECRET_KEY, "us-east-1")) as files:
        with pytest.raises(FilesAway) as refused:
            await files.read(UPLOAD, "copy", 5)
    assert "Signature" not in str(refused.value)


def test_a_signer_does_not_show_its_secret():
    assert SECRET_KEY not in repr(Signer(ACCESS_KEY, SECRET_KEY, "us-east-1"))
