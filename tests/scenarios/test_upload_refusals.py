"""Files that are too many, too large, something else, too late, or somebody else's."""

import asyncio
from typing import Any

import aiohttp
import pytest

from support.app import serve_app, test_config
from support.uploading import PNG, an_image, announce, put, refused, uploaded, uploads_config
from support.waiting import eventually


@pytest.fixture
def config(mongodb_url, database_name, redis_url, redis_prefix, tmp_path):
    return uploads_config(mongodb_url, database_name, redis_url, redis_prefix, tmp_path)


@pytest.fixture
def config_of(mongodb_url, database_name, redis_url, redis_prefix, tmp_path):
    def make(**more: Any) -> Any:
        directory = {"uploads__directory": str(tmp_path / "files")}
        return test_config(mongodb_url, database_name, redis_url, redis_prefix, **{**directory, **more})

    return make


async def test_what_is_announced_is_checked(app):
    async with app.rest("alice") as rest:
        for field, asked in {
            "size_bytes": {"size_bytes": 200_001},
            "name": {"name": "../etc/passwd"},
            "content_type": {"content_type": "image/png; charset=x"},
        }.items():
            status, problem = await announce(rest, PNG, **asked)
            assert status == 400, field
            assert problem["errors"][0]["pointer"] == f"/{field}"
        status, _ = await announce(rest, PNG, size_bytes=200_000)
        assert status == 201


async def test_so_many_may_be_on_their_way(app):
    async with app.rest("alice") as rest:
        for _ in range(3):
            assert (await announce(rest, PNG))[0] == 201
        status, problem = await announce(rest, PNG)
        assert (status, problem["code"]) == (429, "limit_exceeded")
        assert "3 uploads may be on their way" in problem["detail"]
    await uploaded(app, "bob")
    async with app.rest("bob") as rest:
        for _ in range(3):
            assert (await announce(rest, PNG))[0] == 201


async def test_of_many_at_once_no_more_than_allowed_get_in(app):
    async with app.rest("alice") as rest:
        statuses = [status for status, _ in await asyncio.gather(*(announce(rest, PNG) for _ in range(8)))]
        assert statuses.count(201) <= 3
        assert set(statuses) <= {201, 429}


@pytest.mark.parametrize(("size", "most"), [(1, 10), (200_000, 5)])
async def test_so_much_may_be_announced_in_a_day(app, size, most):
    text = b"x" * size
    for _ in range(most):
        await uploaded(app, "alice", text, "text/plain")
    async with app.rest("alice") as rest:
        status, problem = await announce(rest, text, "text/plain")
        assert (status, problem["code"]) == (429, "too_many_requests")
        assert 86_000_000 < problem["retry_after_ms"] <= 86_400_000


async def test_a_file_that_is_something_else_is_refused(app):
    assert "announced was image/png" in (await refused(app, "a", b"<html>", "image/png"))["detail"]
    assert "its content is image/png" in (await refused(app, "b", PNG, "text/plain"))["detail"]
    assert "cannot be read as PNG" in (await refused(app, "c", PNG[:5000], "image/png"))["detail"]
    bomb = an_image(size=(1001, 100))
    assert "1001×100 pixels; 100000" in (await refused(app, "d", bomb, "image/png"))["detail"]
    assert (await uploaded(app, "e", an_image(size=(1000, 100))))["width"] == 1000


async def test_a_refused_file_may_be_put_again(app):
    async with app.rest("alice") as rest:
        _, made = await announce(rest, PNG)
        path = f"/v1/uploads/{made['upload']['id']}/complete"
        async with rest.post(path) as answer:
            assert "was not put yet" in (await answer.json())["detail"]
        assert (await put(app, made["put"], b"x" * len(PNG)))[0] == 204
        assert (await rest.post(path)).status == 400
        assert (await put(app, made["put"], PNG))[0] == 204
        assert (await rest.post(path)).status == 200


async def test_an_upload_is_checked_ten_times(app):
    async with app.rest("alice") as rest:
        _, made = await announce(rest, PNG)
        path = f"/v1/uploads/{made['upload']['id']}/complete"
        for _ in range(12):
            assert (await rest.post(path)).status == 400  # nothing to check does not count
        assert (await put(app, made["put"], b"x" * len(PNG)))[0] == 204
        for _ in range(10):
            assert (await rest.post(path)).status == 400
        async with rest.post(path) as answer:
            assert (answer.status, (await answer.json())["code"]) == (429, "limit_exceeded")


async def test_a_put_is_good_for_what_was_announced_only(app, tmp_path):
    async with app.rest("alice") as rest:
        _, made = await announce(rest, PNG)
        link = made["put"]

        async def endless():
            while True:
                yield b"x" * 65536

        assert (await put(app, link, PNG, {"Content-Type": "text/html"}))[0] == 415
        assert (await put(app, link, PNG + b"x"))[0] == 400
        assert (await put(app, link, PNG[:-1]))[0] == 400
        assert (await put(app, link, endless()))[0] == 400
        for wrong in (
            {**link, "url": link["url"].replace("size=", "size=9")},
            {**link, "url": link["url"].replace("image%2Fpng", "text%2Fhtml")},
            {**link, "url": link["url"] + "x"},
            {**link, "url": link["url"].replace(made["upload"]["id"], "a" * 26)},
        ):
            status, problem = await put(app, wrong, PNG)
            assert (status, problem["code"]) == (403, "permission_denied")
        assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
        assert (await put(app, link, PNG))[0] == 204
        assert (await rest.post(f"/v1/uploads/{made['upload']['id']}/complete")).status == 200
        status, problem = await put(app, link, b"x" * len(PNG))
        assert (status, problem["code"]) == (409, "conflict")


async def test_links_of_the_other_kind_and_of_another_server_are_refused(config, app):
    upload = await uploaded(app, "alice")
    async with app.rest("alice") as rest, aiohttp.ClientSession(app.http) as nobody:
        async with rest.get(f"/v1/uploads/{upload['id']}") as answer:
            url = (await answer.json())["get"]["url"]
        assert (await nobody.get(url)).status == 200
        assert (await nobody.head(url)).status == 200
        assert (await nobody.put(url, data=b"x")).status == 403
        assert (await nobody.get(f"/uploads/{upload['id']}")).status == 403
        assert (await nobody.get(url.replace("file=", "file=..%2F"))).status == 403


async def test_pages_and_documents_are_never_shown_by_our_address(app):
    for content_type, data in {
        "text/html": b"<html><script>alert(1)</script></html>",
        "image/svg+xml": b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        "application/pdf": b"%PDF-1.7\n\xff\xfe",
        "text/plain": b"hello",
        "application/octet-stream": b"\x00\x01\x02",
    }.items():
        upload = await uploaded(app, "alice", data, content_type, name='a"b\u202e.html')
        async with app.rest("alice") as rest, rest.get(f"/v1/uploads/{upload['id']}") as answer:
            url = (await answer.json())["get"]["url"]
        async with aiohttp.ClientSession(app.http) as nobody, nobody.get(url) as answer:
            assert await answer.read() == data
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith('attachment; filename="a_b_.html"')
            assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_types_that_are_not_allowed_are_refused_whatever_they_are_called(config_of):
    config = config_of(uploads__allowed_types=["image/*", "application/octet-stream"])
    async with serve_app(config) as app, app.rest("alice") as rest:
        status, problem = await announce(rest, b"x", "text/plain")
        assert (status, problem["errors"][0]["pointer"]) == (400, "/content_type")
        assert "image/*, application/octet-stream" in problem["detail"]
        hidden = await refused(app, "alice", b"\x7fELF\x02\x01\x01" + b"\x00" * 64, "application/octet-stream")
        assert "not taken here" in hidden["detail"]
        await uploaded(app, "alice")


async def test_what_comes_too_late_does_not_stay(app, tmp_path):
    uploads = app.running.process.store.uploads
    async with app.rest("alice") as rest:
        _, made = await announce(rest, PNG)
        upload = made["upload"]["id"]

        async def slow():
            yield PNG[:100]
            await eventually(lambda: any((tmp_path / "files").rglob("put.*")))
            assert await uploads.remove(await uploads.get(upload))
            yield PNG[100:]

        status, problem = await put(app, made["put"], slow())
    assert (status, problem["code"]) == (409, "conflict")
    assert not [path for path in (tmp_path / "files").rglob("*") if path.is_file()]


async def test_pages_of_allowed_origins_may_put_and_get(config_of):
    config = config_of(client__allowed_origins=["https://app.example"])
    async with serve_app(config) as app, app.rest("alice") as rest, aiohttp.ClientSession(app.http) as browser:
        _, made = await announce(rest, PNG)
        asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
        for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
            async with browser.options(made["put"]["url"], headers={"Origin": origin, **asks}) as answer:
                assert answer.headers.get("Access-Control-Allow-Origin") == allowed
                assert answer.ok is bool(allowed)
        headers = {"Origin": "https://app.example", **made["put"]["headers"]}
        async with browser.put(made["put"]["url"], data=PNG, headers=headers) as answer:
            assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "https://app.example")
