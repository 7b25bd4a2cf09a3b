"""Files from the announcement to the message, on two hubs that share a directory."""

import asyncio
import base64
import io
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from PIL import Image

from support.app import App, serve_app, test_config
from support.talking import group
from support.waiting import eventually
from support.wire_client import wire_client


def an_image(kind: str = "PNG", size: tuple[int, int] = (300, 200), **options: Any) -> bytes:
    target = io.BytesIO()
    Image.effect_mandelbrot(size, (-3, -2.5, 2, 2.5), 50).convert("RGB").save(target, kind, **options)
    return target.getvalue()


PNG = an_image()


@pytest.fixture
def config(mongodb_url, database_name, redis_url, redis_prefix, tmp_path):
    return test_config(
        mongodb_url,
        database_name,
        redis_url,
        redis_prefix,
        uploads__directory=str(tmp_path / "files"),
        uploads__max_size=200_000,
        uploads__user_pending_limit=3,
        uploads__user_day_limit=10,
        uploads__user_day_max_size=1_000_000,
        uploads__image_max_pixels=100_000,
    )


async def announce(rest: aiohttp.ClientSession, data: bytes, content_type: str = "image/png", **more: Any) -> Any:
    asked = {"name": "fractal.png", "size_bytes": len(data), "content_type": content_type, **more}
    async with rest.post("/v1/uploads", json=asked) as answer:
        return answer.status, await answer.json()


async def put(app: App, link: dict[str, Any], data: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(app.http) as session,
        session.put(link["url"], data=data, headers=headers or link["headers"]) as answer,
    ):
        return answer.status, await answer.json(content_type=None) if answer.content_length else None


async def uploaded(app: App, user: str, data: bytes = PNG, content_type: str = "image/png", **more: Any) -> Any:
    """A ready upload, made by REST."""
    async with app.rest(user) as rest:
        status, made = await announce(rest, data, content_type, **more)
        assert status == 201, made
        assert (await put(app, made["put"], data))[0] == 204
        async with rest.post(f"/v1/uploads/{made['upload']['id']}/complete") as answer:
            completed = await answer.json()
            assert answer.status == 200, completed
        return completed["upload"]


async def refused(app: App, user: str, data: bytes, content_type: str) -> Any:
    """The problem that completing this file ends with."""
    async with app.rest(user) as rest:
        _, made = await announce(rest, data, content_type)
        assert (await put(app, made["put"], data))[0] == 204
        async with rest.post(f"/v1/uploads/{made['upload']['id']}/complete") as answer:
            assert answer.status == 400
            return await answer.json()


async def test_a_file_goes_from_one_to_the_other(apps):
    one, two = apps
    async with wire_client(one.websocket) as alice, wire_client(two.websocket) as bob:
        limits = (await alice.connect(one.token("alice")))["data"]["limits"]
        assert (limits["upload_bytes"], limits["upload_types"]) == (200_000, ["*/*"])
        await bob.connect(two.token("bob"))
        conversation = await group(alice, "bob")
        made = await alice.rpc(
            "upload.create", name="fractal.png", size_bytes=len(PNG), content_type="image/png", idempotency_key="k"
        )
        assert made["upload"]["state"] == "pending"
        assert made["put"]["method"] == "PUT"
        assert (await put(two, made["put"], PNG))[0] == 204
        upload = (await alice.rpc("upload.complete", upload=made["upload"]["id"]))["upload"]
        assert (upload["state"], upload["width"], upload["height"]) == ("ready", 300, 200)
        preview = base64.b64decode(upload["preview"])
        assert len(upload["preview"]) <= 1024
        with Image.open(io.BytesIO(preview)) as small:
            assert (small.format, max(small.size)) == ("WEBP", 32)
        sent = await alice.rpc(
            "message.send",
            conversation=conversation,
            idempotency_key=str(uuid4()),
            attachments=[{"upload": upload["id"], "custom": {"a": 1}}, {"url": "https://own.example/x"}],
        )
        attached, free = sent["message"]["attachments"]
        assert attached == {
            "upload": upload["id"],
            "name": "fractal.png",
            "content_type": "image/png",
            "size_bytes": len(PNG),
            "width": 300,
            "height": 200,
            "preview": upload["preview"],
            "custom": {"a": 1},
        }
        assert free == {"url": "https://own.example/x"}
        seen = await bob.rpc("upload.get", upload=upload["id"])
        async with aiohttp.ClientSession(two.http) as session, session.get(seen["get"]["url"]) as answer:
            assert answer.status == 200
            assert await answer.read() == PNG
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["Content-Disposition"].startswith("inline")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
        headers = {"Range": "bytes=1-3"}
        async with (
            aiohttp.ClientSession(one.http) as session,
            session.get(seen["get"]["url"], headers=headers) as answer,
        ):
            assert (answer.status, await answer.read()) == (206, b"PNG")


async def test_only_its_user_and_those_who_got_it_may_have_it(app):
    upload = await uploaded(app, "alice")
    async with app.rest("alice") as alice, app.rest("bob") as bob, app.rest("mallory") as mallory:
        path = f"/v1/uploads/{upload['id']}"
        async with mallory.get(path) as foreign, mallory.get(f"/v1/uploads/{'a' * 26}") as missing:
            assert foreign.status == missing.status == 404
            told = [await answer.json() for answer in (foreign, missing)]
            assert told[0]["detail"] == told[1]["detail"]
        assert (await alice.get(path)).status == 200
        assert (await bob.get(path)).status == 404
        async with alice.post("/v1/conversations", json={"kind": "group", "members": ["bob"]}) as answer:
            conversation = (await answer.json())["conversation"]["id"]
        message = {"idempotency_key": "k", "attachments": [{"upload": upload["id"], "name": "mine.png"}]}
        async with alice.post(f"/v1/conversations/{conversation}/messages", json=message) as answer:
            sent = (await answer.json())["message"]
        assert sent["attachments"][0]["name"] == "mine.png"
        for params in ({}, {"conversation": conversation}):
            assert (await bob.get(path, params=params)).status == 200
            assert (await mallory.get(path, params=params)).status == 404
        assert (await bob.get(path, params={"conversation": "a" * 26})).status == 404
        assert (await bob.post(f"{path}/complete")).status == 404
        offset = sent["offset"]
        async with alice.delete(f"/v1/conversations/{conversation}/messages/{offset}") as answer:
            assert answer.ok, await answer.text()
        assert (await bob.get(path)).status == 404
        assert (await alice.get(path)).status == 200


async def test_a_message_may_carry_only_ones_own_that_is_ready(app):
    theirs = await uploaded(app, "bob")
    async with wire_client(app.websocket) as alice, app.rest("alice") as rest:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        _, pending = await announce(rest, PNG)
        mine = await uploaded(app, "alice")
        for other in (theirs["id"], pending["upload"]["id"], "a" * 26):
            attachments = [{"upload": mine["id"]}, {"upload": other}]
            error = (await send(alice, conversation, attachments))["error"]
            assert error["code"] == 107
            assert error["message"].startswith("bad_request: $.attachments[1].upload: must be an upload of yours")
        error = (await send(alice, conversation, [{"upload": mine["id"], "size_bytes": 5}]))["error"]
        assert error["message"].startswith("bad_request: $.attachments[0]: ")
        error = (await send(alice, conversation, [{"upload": 5}]))["error"]
        assert error["message"].startswith("bad_request: $.attachments[0].upload: ")
        error = (await send(alice, conversation, [{"upload": mine["id"], "name": "a/b"}]))["error"]
        assert error["message"].startswith("bad_request: $.attachments[0].name: ")


async def send(client: Any, conversation: str, attachments: list[Any], key: str = "") -> Any:
    return await client.rpc(
        "message.send", conversation=conversation, idempotency_key=key or str(uuid4()), attachments=attachments
    )


async def test_a_message_carries_twenty_and_no_more(app):
    mine = await uploaded(app, "alice")
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        sent = await send(alice, conversation, [{"upload": mine["id"]}] * 20)
        assert len(sent["message"]["attachments"]) == 20
        error = (await send(alice, conversation, [{"upload": mine["id"]}] * 21))["error"]
        assert error["message"].startswith("bad_request: $.attachments: ")


async def test_a_repeated_send_gets_its_message_also_when_the_upload_is_gone(app):
    mine = await uploaded(app, "alice")
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice)
        first = await send(alice, conversation, [{"upload": mine["id"]}], key="k")
        uploads = app.running.process.store.uploads
        assert await uploads.remove(await uploads.get(mine["id"]))
        again = await send(alice, conversation, [{"upload": mine["id"]}], key="k")
        assert again == {**first, "duplicate": True}
        assert (await send(alice, conversation, [{"upload": mine["id"]}]))["error"]["code"] == 107


async def test_an_edit_may_keep_and_take_uploads_but_not_those_of_others(app):
    mine, other = await uploaded(app, "alice"), await uploaded(app, "alice")
    theirs = await uploaded(app, "bob")
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        offset = (await send(alice, conversation, [{"upload": mine["id"]}]))["message"]["offset"]
        place = {"conversation": conversation, "offset": offset}
        error = (await alice.rpc("message.edit", **place, attachments=[{"upload": theirs["id"]}]))["error"]
        assert error["message"].startswith("bad_request: $.attachments[0].upload: ")
        edited = await alice.rpc("message.edit", **place, attachments=[{"upload": other["id"]}])
        assert edited["message"]["attachments"][0]["content_type"] == "image/png"
        uploads = app.running.process.store.uploads
        assert await uploads.used_in(mine["id"], 5) == []
        assert await uploads.used_in(other["id"], 5) == [conversation]


async def test_a_forwarded_message_takes_its_files_along(app):
    mine = await uploaded(app, "alice")
    async with wire_client(app.websocket) as alice, wire_client(app.websocket) as bob:
        await alice.connect(app.token("alice"))
        await bob.connect(app.token("bob"))
        first, second = await group(alice, "bob"), await group(bob, "carol")
        offset = (await send(alice, first, [{"upload": mine["id"]}]))["message"]["offset"]
        forward = {"conversation": first, "offset": offset}
        sent = await bob.rpc("message.send", conversation=second, idempotency_key="k", forward=forward)
        assert sent["message"]["attachments"][0]["upload"] == mine["id"]
        async with app.rest("carol") as carol:
            assert (await carol.get(f"/v1/uploads/{mine['id']}")).status == 200


async def test_the_same_key_is_the_same_upload(app):
    async with app.rest("alice") as rest:
        status, made = await announce(rest, PNG, idempotency_key="k")
        assert status == 201
        status, again = await announce(rest, PNG + b"more", idempotency_key="k")
        assert (status, again["upload"], again["duplicate"]) == (200, made["upload"], True)
        assert (await put(app, again["put"], PNG))[0] == 204
        path = f"/v1/uploads/{made['upload']['id']}/complete"
        both = await asyncio.gather(rest.post(path), rest.post(path))
        assert [answer.status for answer in both] == [200, 200]
        assert (await both[0].json()) == (await both[1].json())
        status, ready = await announce(rest, PNG, idempotency_key="k")
        assert (status, ready["upload"]["state"], "put" in ready) == (200, "ready", False)


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


@pytest.mark.parametrize(
    ("settings", "missing"), [({"uploads__store": "off"}, "uploads.store"), ({"api__key": ""}, "uploads.link_key")]
)
async def test_without_a_store_the_methods_say_what_to_set(config_of, settings, missing):
    async with serve_app(config_of(**settings)) as app, app.rest("alice") as rest:
        status, problem = await announce(rest, PNG)
        assert (status, problem["code"]) == (404, "not_available")
        assert missing in problem["detail"]
        assert (await rest.put("/uploads/" + "a" * 26)).status == 404
        async with wire_client(app.websocket) as alice:
            assert (await alice.connect(app.token("alice")))["data"]["limits"]["upload_bytes"] == 0


async def test_links_are_absolute_where_the_public_address_is_known(config_of):
    async with serve_app(config_of(server__public_url="https://chat.example/")) as app, app.rest("alice") as rest:
        _, made = await announce(rest, PNG)
        assert made["put"]["url"].startswith(f"https://chat.example/uploads/{made['upload']['id']}?")


@pytest.fixture
def config_of(mongodb_url, database_name, redis_url, redis_prefix, tmp_path):
    def make(**more: Any) -> Any:
        directory = {"uploads__directory": str(tmp_path / "files")}
        return test_config(mongodb_url, database_name, redis_url, redis_prefix, **{**directory, **more})

    return make


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


async def test_links_and_keys_reach_no_log(app, capfd):
    upload = await uploaded(app, "alice")
    async with app.rest("alice") as rest, rest.get(f"/v1/uploads/{upload['id']}") as answer:
        url = (await answer.json())["get"]["url"]
    async with aiohttp.ClientSession(app.http) as nobody:
        assert (await nobody.get(url)).status == 200
        assert (await nobody.get(url + "x")).status == 403
    assert "signature=" not in "".join(capfd.readouterr())
