"""The resources, over the whole product."""

import asyncio
from typing import Any

import aiohttp
import pytest

from support.resting import create, key, refusal, send
from support.waiting import eventually
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_conversation_is_created_found_and_listed(alice):
    async with alice.post("/v1/conversations", json={"kind": "group", "members": ["bob"], "title": "A"}) as response:
        assert response.status == 201
        created = await response.json()
        location = response.headers["Location"]
    assert created["duplicate"] is False
    async with alice.get(location) as response:
        assert response.status == 200
        assert (await response.json())["conversation"] == created["conversation"]
    async with alice.get("/v1/conversations?limit=1") as response:
        page = await response.json()
    assert [one["id"] for one in page["conversations"]] == [created["conversation"]["id"]]


async def test_two_people_have_one_direct_conversation(alice, bob):
    one = await create(alice, "direct", members=["bob"])
    async with bob.post("/v1/conversations", json={"kind": "direct", "members": ["alice"]}) as response:
        assert response.status == 200
        told = await response.json()
    assert told["duplicate"] is True
    assert told["conversation"]["id"] == one["id"]
    assert told["conversation"]["peer"]["id"] == "alice"


async def test_a_key_as_header_makes_one_conversation(alice):
    headers = {"Idempotency-Key": f'"{key()}"'}
    statuses, ids = [], set()
    for _ in range(2):
        async with alice.post("/v1/conversations", json={"kind": "group"}, headers=headers) as response:
            statuses.append(response.status)
            ids.add((await response.json())["conversation"]["id"])
    assert statuses == [201, 200]
    assert len(ids) == 1


async def test_title_and_custom_are_changed_by_those_who_may(alice, bob):
    conversation = (await create(alice, members=["bob"]))["id"]
    async with alice.patch(f"/v1/conversations/{conversation}", json={"title": "New", "custom": {"a": 1}}) as response:
        assert response.status == 200
        changed = (await response.json())["conversation"]
    assert (changed["title"], changed["custom"]) == ("New", {"a": 1})
    async with bob.patch(f"/v1/conversations/{conversation}", json={"title": "Mine"}) as response:
        assert await refusal(response) == (403, "permission_denied")


async def test_members_come_and_go(alice, bob):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}"
    async with alice.post(f"{path}/members", json={"members": ["bob", "carol"]}) as response:
        assert (response.status, await response.json()) == (200, {})
    async with bob.get(f"{path}/members") as response:
        members = {one["user"]: one["role"] for one in (await response.json())["members"]}
    assert members == {"alice": "owner", "bob": "member", "carol": "member"}
    async with alice.patch(f"{path}/members/bob", json={"role": "moderator"}) as response:
        assert response.status == 200
    async with bob.delete(f"{path}/members/carol") as response:
        assert response.status == 200
    async with bob.delete(f"{path}/members/alice") as response:
        assert await refusal(response) == (403, "permission_denied")
    async with bob.delete(f"{path}/members/nobody") as response:
        assert await refusal(response) == (404, "permission_denied")
    async with bob.post(f"{path}/leave") as response:
        assert response.status == 200
    async with bob.get(path) as response:
        assert await refusal(response) == (404, "permission_denied")


async def test_anybody_may_join_a_channel_but_only_read(alice, bob):
    conversation = (await create(alice, "channel", title="News"))["id"]
    async with bob.post(f"/v1/conversations/{conversation}/join") as response:
        assert (await response.json())["conversation"]["role"] == "reader"
    body = {"text": "me too", "idempotency_key": key()}
    async with bob.post(f"/v1/conversations/{conversation}/messages", json=body) as response:
        assert await refusal(response) == (403, "permission_denied")


async def test_a_message_is_sent_once_for_its_key(alice):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}/messages"
    body = {"text": "hello", "idempotency_key": key()}
    async with alice.post(path, json=body) as response:
        assert response.status == 201
        first = await response.json()
        location = response.headers["Location"]
    async with alice.post(path, json=body) as response:
        assert response.status == 200
        again = await response.json()
    assert again == {**first, "duplicate": True}
    async with alice.get(location) as response:
        assert (await response.json())["message"] == first["message"]


async def test_the_key_of_a_message_may_be_a_header(alice):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}/messages"
    headers = {"Idempotency-Key": "from-the-header"}
    async with alice.post(path, json={"text": "hello"}, headers=headers) as response:
        assert (await response.json())["message"]["idempotency_key"] == "from-the-header"
    async with alice.post(path, json={"text": "hello", "idempotency_key": "other"}, headers=headers) as response:
        assert await refusal(response) == (400, "bad_request")
    async with alice.post(path, json={"text": "hello"}) as response:
        assert await refusal(response) == (400, "bad_request")
    for bad in ("", "with space", '"x" "y"', "x" * 65):
        async with alice.post(path, json={"text": "hello"}, headers={"Idempotency-Key": bad}) as response:
            assert await refusal(response) == (400, "bad_request")


async def test_one_key_sent_many_times_at_once_over_rest_and_socket_is_one_message(app, alice):
    conversation = (await create(alice))["id"]
    path = f"/v1/conversations/{conversation}/messages"
    fields = {"text": "once", "idempotency_key": key()}

    async def over_rest() -> dict[str, Any]:
        async with alice.post(path, json=fields) as response:
            assert response.status in (200, 201)
            return await response.json()

    async with wire_client(app.websocket) as socket:
        await socket.connect(app.token("alice"))
        answers = await asyncio.gather(
            *(over_rest() for _ in range(15)),
            *(socket.rpc("message.send", conversation=conversation, **fields) for _ in range(15)),
        )
    assert {answer["message"]["id"] for answer in answers} == {answers[0]["message"]["id"]}
    assert sum(not answer["duplicate"] for answer in answers) == 1


async def test_what_rest_sends_reaches_the_sockets(app, alice):
    conversation = (await create(alice, members=["dora"]))["id"]
    async with wire_client(app.websocket) as dora:
        await dora.connect(app.token("dora"))
        message = await send(alice, conversation, "over REST")
        await dora.until(lambda: dora.offsets(f"conv:{conversation}") == [message["offset"]])
        (publication,) = dora.publications(f"conv:{conversation}")
    assert publication["data"]["message"] == message


async def test_reading_moves_forward(alice, bob):
    conversation = (await create(alice, members=["bob"]))["id"]
    sent = [await send(alice, conversation, str(number)) for number in range(3)]
    path = f"/v1/conversations/{conversation}"
    async with bob.put(f"{path}/read", json={"offset": sent[1]["offset"]}) as response:
        told = await response.json()
    assert told["read"]["offset"] == sent[1]["offset"]

    async def unread() -> bool:
        async with bob.get(path) as response:
            return (await response.json())["conversation"]["unread"] == 1

    await eventually(unread)
    async with bob.put(f"{path}/read", json={"offset": sent[0]["offset"]}) as response:
        assert (await response.json())["read"]["offset"] == sent[1]["offset"]


async def test_typing_is_told(app, alice):
    conversation = (await create(alice, members=["emil"]))["id"]
    async with wire_client(app.websocket) as emil:
        await emil.connect(app.token("emil"))
        async with alice.post(f"/v1/conversations/{conversation}/typing") as response:
            assert response.status == 200
        async with alice.delete(f"/v1/conversations/{conversation}/typing") as response:
            assert response.status == 200

        def typing() -> list[bool]:
            told = [one["data"] for one in emil.publications(f"conv:{conversation}")]
            return [one["active"] for one in told if one["type"] == "typing"]

        await emil.until(lambda: len(typing()) == 2)
    assert typing() == [True, False]


async def test_sync_tells_what_is_new(alice):
    conversation = (await create(alice))["id"]
    async with alice.post("/v1/sync", json={}) as response:
        first = await response.json()
    assert conversation in [one["conversation"]["id"] for one in first["conversations"]]
    assert first["epoch"]


async def test_a_profile_is_ones_own(app, alice, bob):
    async with alice.patch("/v1/me", json={"name": "Alice", "custom": {"team": "a"}}) as response:
        assert (await response.json())["user"]["name"] == "Alice"
    async with alice.get("/v1/me") as response:
        me = (await response.json())["user"]
    async with bob.get("/v1/users/alice") as response:
        seen = (await response.json())["user"]
    assert seen.items() <= me.items()
    assert "privacy" in me.keys() - seen.keys()
    assert (me["id"], me["custom"]) == ("alice", {"team": "a"})
    async with bob.patch("/v1/me", json={"role": "admin", "id": "alice"}) as response:
        assert (await response.json())["user"]["id"] == "bob"


async def test_a_token_introduces_its_user(app):
    headers = {"Authorization": f"Bearer {app.token('frida', info={'name': 'Frida'})}"}
    async with aiohttp.ClientSession(app.http, headers=headers) as frida:
        async with frida.get("/v1/me") as response:
            assert (await response.json())["user"]["name"] == "Frida"
        async with frida.patch("/v1/me", json={"name": "Frida K."}) as response:
            assert response.status == 200
        async with frida.get("/v1/me") as response:
            assert (await response.json())["user"]["name"] == "Frida K."


async def test_presence_tells_who_is_online(app, alice):
    async with alice.post("/v1/conversations", json={"kind": "direct", "members": ["gustav"]}) as response:
        assert response.status == 201
    async with wire_client(app.websocket) as gustav:
        await gustav.connect(app.token("gustav"))

        async def online() -> bool:
            async with alice.post("/v1/presence", json={"users": ["gustav", "never"]}) as response:
                presence = {one["user"]: one.get("online", False) for one in (await response.json())["presence"]}
            return presence == {"gustav": True, "never": False}

        await eventually(online)


async def test_every_method_is_an_rpc(alice):
    async with alice.post("/v1/rpc/user.get", json={"user": "alice"}) as response:
        assert response.status == 200
        assert (await response.json())["user"]["id"] == "alice"
    async with alice.post("/v1/rpc/conversation.list") as response:
        assert response.status == 200
    async with alice.post("/v1/rpc/nothing.here", json={}) as response:
        assert await refusal(response) == (404, "not_available")
    async with alice.post("/v1/rpc/user.get", json={"user": 7}) as response:
        assert await refusal(response) == (400, "bad_request")
    async with alice.post("/v1/rpc/user.get?user=alice", json={}) as response:
        assert await refusal(response) == (400, "bad_request")
