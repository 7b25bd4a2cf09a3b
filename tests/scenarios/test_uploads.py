"""Files from the announcement to the message, on two hubs that share a directory."""

import asyncio
import base64
import io
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from PIL import Image

from support.app import serve_app, test_config
from support.talking import group
from support.uploading import PNG, announce, put, send, uploaded, uploads_config
from support.wire_client import wire_client


@pytest.fixture
def config(mongodb_url, database_name, redis_url, redis_prefix, tmp_path):
    return uploads_config(mongodb_url, database_name, redis_url, redis_prefix, tmp_path)


@pytest.fixture
def config_of(mongodb_url, database_name, redis_url, redis_prefix, tmp_path):
    def make(**more: Any) -> Any:
        directory = {"uploads__directory": str(tmp_path / "files")}
        return test_config(mongodb_url, database_name, redis_url, redis_prefix, **{**directory, **more})

    return make


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


async def test_links_and_keys_reach_no_log(app, capfd):
    upload = await uploaded(app, "alice")
    async with app.rest("alice") as rest, rest.get(f"/v1/uploads/{upload['id']}") as answer:
        url = (await answer.json())["get"]["url"]
    async with aiohttp.ClientSession(app.http) as nobody:
        assert (await nobody.get(url)).status == 200
        assert (await nobody.get(url + "x")).status == 403
    assert "signature=" not in "".join(capfd.readouterr())


async def test_who_completes_it_while_another_one_has_just_done_so_gets_the_same(app, monkeypatch):
    """The second begins while the first is under way, and finds what was put taken away."""
    async with app.rest("alice") as rest:
        _, made = await announce(rest, PNG, idempotency_key="k")
        assert (await put(app, made["put"], PNG))[0] == 204
        path = f"/v1/uploads/{made['upload']['id']}/complete"
        files, _ = app.running.process.calls.service.uploads._on()
        copy, first_is_done, second_waits = files.copy, asyncio.Event(), asyncio.Event()

        async def late(*arguments, **more):
            second_waits.set()
            await first_is_done.wait()
            return await copy(*arguments, **more)

        monkeypatch.setattr(type(files), "copy", lambda self, *arguments, **more: late(*arguments, **more))
        second = asyncio.create_task(rest.post(path))
        await second_waits.wait()
        monkeypatch.undo()
        async with rest.post(path) as first:
            assert first.status == 200
            done = await first.json()
        first_is_done.set()
        async with await second as answer:
            assert (answer.status, await answer.json()) == (200, done)
