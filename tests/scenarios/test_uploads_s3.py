"""Files in a bucket of a server that checks signatures, through the hub."""

import aiohttp
import pytest
from yarl import URL

from chat.files.opening import open_files, open_sweeping
from storage.store import open_uploads
from support.app import serve_app, test_config
from support.s3_server import SECRET_KEY, s3_server
from support.waiting import eventually

HTML = b"<html><script>alert(1)</script></html>"


@pytest.fixture
def s3(tmp_path):
    with s3_server(tmp_path / "data") as server:
        yield server


@pytest.fixture
def config(mongodb_url, database_name, redis_url, redis_prefix, s3):
    return test_config(mongodb_url, database_name, redis_url, redis_prefix, **s3.settings())


async def put(link, data):
    async with (
        aiohttp.ClientSession() as nobody,
        nobody.put(URL(link["url"], encoded=True), data=data, headers=link["headers"]) as answer,
    ):
        return answer.status


async def test_a_file_goes_past_the_hub_and_is_removed_when_nobody_uses_it(config, s3, capfd):
    async with serve_app(config) as app, app.rest("alice") as rest, aiohttp.ClientSession() as nobody:
        asked = {"name": "page.html", "size_bytes": len(HTML), "content_type": "text/html"}
        async with rest.post("/v1/uploads", json=asked) as answer:
            made = await answer.json()
        upload = made["upload"]["id"]
        path = f"/v1/uploads/{upload}"
        async with rest.post(f"{path}/complete") as answer:
            assert "was not put yet" in (await answer.json())["detail"]
        assert await put(made["put"], HTML + b"x") == 403
        assert await put(made["put"], HTML) == 200
        async with rest.post(f"{path}/complete") as answer:
            assert (await answer.json())["upload"]["state"] == "ready"
        # The link is still good, but what is put by it now is not what is given out.
        assert await put(made["put"], HTML.upper()) == 200
        async with rest.get(path) as answer:
            url = (await answer.json())["get"]["url"]
        async with nobody.get(URL(url, encoded=True)) as answer:
            assert await answer.read() == HTML
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert SECRET_KEY not in url
        later = made["upload"]["created_at"] + 2 * 86_400_000
        url, database = config.mongodb.url.reveal(), config.mongodb.database
        async with open_uploads(url, database) as uploads, open_sweeping(config, uploads, lambda: later):
            await eventually(lambda: s3.objects() == [])
        assert (await rest.get(path)).status == 404
    said = "".join(capfd.readouterr())
    assert SECRET_KEY not in said
    assert "X-Amz-Signature" not in said


async def test_a_store_that_is_away_is_a_temporary_error(config, s3):
    away = test_config(
        config.mongodb.url.reveal(),
        config.mongodb.database,
        config.redis.urls[0].reveal(),
        config.redis.prefix,
        **s3.settings(uploads__s3__endpoint="http://127.0.0.1:1"),
    )
    async with serve_app(away) as app, app.rest("alice") as rest:
        asked = {"name": "a", "size_bytes": 1, "content_type": "text/plain"}
        async with rest.post("/v1/uploads", json=asked) as answer:
            upload = (await answer.json())["upload"]["id"]
        async with rest.post(f"/v1/uploads/{upload}/complete") as answer:
            problem = await answer.json()
            assert (answer.status, problem["code"]) == (503, "unavailable")
            assert "repeat it" in problem["detail"]


async def test_the_store_that_is_configured_is_the_one_that_is_opened(config, s3):
    async with open_files(config) as files:
        await files.probe()
    assert s3.objects() == []
