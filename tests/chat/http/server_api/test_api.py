"""The server API as bytes: what `cent` does not show."""

import base64
import json
from typing import Any

import pytest

from support.app import API_KEY
from support.wire_client import wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def call(api: Any, name: str, /, **params: Any) -> Any:
    async with api.post(f"/api/{name}", json=params) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "application/json"
        return await response.json()


async def rpc(api: Any, user: str, method: str, /, **params: Any) -> Any:
    answer = await call(api, "rpc", user=user, method=method, params=params)
    return answer["result"]["data"] if "result" in answer else answer


async def conversation_of(api: Any, *users: str) -> str:
    made = await rpc(api, users[0], "conversation.create", kind="group", members=list(users[1:]))
    return made["conversation"]["id"]


async def test_without_the_key_the_answer_is_an_empty_401(http):
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "apikey wrong"}, {"Authorization": API_KEY}):
        async with http.post("/api/info", json={}, headers=headers) as response:
            assert response.status == 401
            assert await response.read() == b""
    async with http.post("/api/info", params={"api_key": API_KEY}, json={}) as response:
        assert response.status == 401


async def test_the_key_may_come_as_authorization(http):
    async with http.post("/api/info", json={}, headers={"Authorization": f"apikey {API_KEY}"}) as response:
        assert response.status == 200


async def test_a_users_token_opens_nothing(alice):
    async with alice.post("/api/info", json={}) as response:
        assert response.status == 401


@pytest.mark.parametrize("body", [b"{", b"nul", b'{"channel":"\xff"}', b"[" * 100_000, b'{"channel":NaN}'])
async def test_what_is_no_json_is_400(api, body):
    async with api.post("/api/publish", data=body) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "bad_request"


async def test_the_content_type_does_not_matter(api):
    body = b'{"channel":"plain:x","data":1}'
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
        async with api.post("/api/publish", data=body, headers={"Content-Type": content_type}) as response:
            assert await response.json() == {"result": {"offset": 0, "epoch": ""}}


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "$.channel"),
        ({"channel": "plain:x"}, "$.data"),
        ({"channel": 7, "data": 1}, "$.channel"),
        ({"channel": "", "data": 1}, "$.channel"),
        ({"channel": "x" * 300, "data": 1}, "$.channel"),
        ({"channel": "plain:ü", "data": 1}, "$.channel"),
        ({"channel": "plain:x", "data": 1, "tags": {"a": 1}}, "$.tags"),
        ({"channel": "plain:x", "b64data": "?"}, "$.b64data"),
        ({"channel": "plain:x", "b64data": base64.b64encode(b"\xff\xfe").decode()}, "$.b64data"),
        ({"channel": "plain:x", "b64data": base64.b64encode(b'"%s"' % (b"x" * 65536)).decode()}, "$.b64data"),
        ({"channel": "plain:x", "data": "x" * 65536}, "$.data"),
    ],
)
async def test_wrong_parameters_are_107_and_name_the_field(api, params, field):
    error = (await call(api, "publish", **params))["error"]
    assert error["code"] == 107
    assert field in error["message"]


async def test_unknown_methods_are_104(api):
    assert (await call(api, "nothing"))["error"]["code"] == 104
    assert (await call(api, "map_publish", channel="x"))["error"]["code"] == 104


async def test_a_body_may_be_left_out(api):
    async with api.post("/api/info") as response:
        assert len((await response.json())["result"]["nodes"]) == 1


async def test_versions_are_refused_not_ignored(api):
    assert (await call(api, "publish", channel="news:v", data=1, version=3))["error"]["code"] == 108


async def test_nothing_is_silently_wrong(api):
    assert (await call(api, "refresh", user="anna", info={"a": 1}))["error"]["code"] == 108
    assert (await call(api, "disconnect", user="anna", disconnect={"code": 200}))["error"]["code"] == 107
    assert (await call(api, "disconnect", user="anna", disconnect={"code": 3500, "reason": "x" * 200}))["error"]
    assert (await call(api, "subscribe", channel="news:a"))["error"]["code"] == 107
    assert (await call(api, "channels", pattern="{a,b}" * 20))["error"]["code"] == 107


async def test_batch_shapes(api):
    commands = [
        {"publish": {"channel": "plain:x", "data": 1}},
        {"publish": {"channel": "undefined:x", "data": 1}},
        {"nothing": {}},
        {"batch": {"commands": []}},
        {},
        {"info": {}, "channels": {}},
    ]
    for parallel in (False, True):
        answer = await call(api, "batch", commands=commands, parallel=parallel)
        assert list(answer) == ["replies"]
        replies = answer["replies"]
        assert replies[0] == {"publish": {"offset": 0, "epoch": ""}}
        assert [reply["error"]["code"] for reply in replies[1:]] == [102, 104, 104, 107, 107]
    assert (await call(api, "batch", commands=[{"info": {}}] * 1001))["error"]["code"] == 107
    assert (await call(api, "batch", commands="x"))["error"]["code"] == 107


async def test_a_user_is_made_and_changed_by_the_application(api):
    made = await call(api, "user_upsert", user="hugo", name="Hugo", custom={"a": 1})
    assert made["result"]["user"]["name"] == "Hugo"
    changed = await call(api, "user_upsert", user="hugo", avatar_url="https://x.example/h.png")
    assert (changed["result"]["user"]["name"], changed["result"]["user"]["custom"]) == ("Hugo", {"a": 1})
    assert (await call(api, "user_upsert", user="", name="x"))["error"]["code"] == 107
    assert (await call(api, "user_upsert", user="hugo", avatar_url="javascript:1"))["error"]["code"] == 107


async def test_every_method_on_behalf_of_a_user(api):
    conversation = await conversation_of(api, "ida", "jon")
    sent = await rpc(api, "jon", "message.send", conversation=conversation, text="hi", idempotency_key="k")
    assert sent["message"]["sender"] == "jon"
    page = await rpc(api, "ida", "history.page", conversation=conversation)
    assert [one["text"] for one in page["items"]] == ["hi"]
    assert (await rpc(api, "stranger", "history.page", conversation=conversation))["error"]["code"] == 103
    assert (await rpc(api, "ida", "no.method"))["error"]["code"] == 108
    wrong = (await rpc(api, "ida", "history.page", conversation=conversation, limit="x"))["error"]
    assert (wrong["code"], "$.params.limit" in wrong["message"]) == (107, True)
    assert (await call(api, "rpc", method="sync"))["error"]["code"] == 107


async def test_publishing_to_a_conversation_is_sending_a_message(app, api):
    conversation = await conversation_of(api, "kai", "lea")
    channel = f"conv:{conversation}"
    async with wire_client(app.websocket) as lea:
        await lea.connect(app.token("lea"))
        data = {"sender": "kai", "text": "from the application", "custom": {"ref": 7}}
        result = (await call(api, "publish", channel=channel, data=data, idempotency_key="once"))["result"]
        again = (await call(api, "publish", channel=channel, data=data, idempotency_key="once"))["result"]
        assert result == again
        assert result["epoch"]
        await lea.until(lambda: lea.offsets(channel) == [result["offset"]])
        (publication,) = lea.publications(channel)
    message = publication["data"]["message"]
    assert (message["sender"], message["text"], message["custom"]) == ("kai", "from the application", {"ref": 7})
    assert message["idempotency_key"] == "once"


async def test_only_members_can_be_the_sender(api):
    conversation = await conversation_of(api, "kai", "lea")
    channel = f"conv:{conversation}"
    for sender in ("mia", "never-seen"):
        answer = await call(api, "publish", channel=channel, data={"sender": sender, "text": "x"})
        assert answer["error"]["code"] == 103
    for nowhere in ("conv:" + "z" * 26, "conv:nope"):
        missing = await call(api, "publish", channel=nowhere, data={"sender": "kai", "text": "x"})
        assert missing["error"]["code"] == 103
        assert (await call(api, "history", channel=nowhere))["error"]["code"] == 103


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"text": "x"}, "$.data.sender"),
        ({"sender": 7, "text": "x"}, "$.data.sender"),
        ({"sender": "kai", "text": 7}, "$.data.text"),
        ({"sender": "kai"}, "$.data.text"),
        ({"sender": "kai", "text": "x", "idempotency_key": ""}, "$.data.idempotency_key"),
        ("text", "$.data"),
        (None, "$.data"),
    ],
)
async def test_wrong_messages_are_107_and_name_the_field(api, data, field):
    conversation = await conversation_of(api, "kai", "lea")
    error = (await call(api, "publish", channel=f"conv:{conversation}", data=data))["error"]
    assert error["code"] == 107
    assert field in error["message"]


async def test_a_conversations_history_is_its_log(api):
    conversation = await conversation_of(api, "kai", "lea")
    channel = f"conv:{conversation}"
    for number in range(5):
        await call(api, "publish", channel=channel, data={"sender": "kai", "text": str(number)})

    async def history(**fields: Any) -> Any:
        return (await call(api, "history", channel=channel, **fields))["result"]

    position = await history()
    assert (position["publications"], position["offset"]) == ([], 6)
    everything = await history(limit=-1)
    assert [one["offset"] for one in everything["publications"]] == [1, 2, 3, 4, 5, 6]
    assert everything["publications"][0]["data"]["type"] == "member.joined"
    assert everything["publications"][5]["data"]["message"]["text"] == "4"
    assert [one["offset"] for one in (await history(limit=2, reverse=True))["publications"]] == [6, 5]
    since = {"offset": 3, "epoch": position["epoch"]}
    assert [one["offset"] for one in (await history(limit=2, since=since))["publications"]] == [4, 5]
    back = await history(limit=9, since=since, reverse=True)
    assert [one["offset"] for one in back["publications"]] == [2, 1]
    answer = await call(api, "history", channel=channel, limit=1, since={"offset": 3, "epoch": "other"})
    assert answer["error"]["code"] == 112
    assert (await call(api, "history", channel="conv:" + "z" * 26))["error"]["code"] == 103


async def test_what_conversations_and_users_do_not_offer_is_108(api):
    channel = f"conv:{await conversation_of(api, 'kai', 'lea')}"
    for name in (channel, "user:kai"):
        assert (await call(api, "subscribe", user="kai", channel=name))["error"]["code"] == 108
        assert (await call(api, "history_remove", channel=name))["error"]["code"] == 108
        assert (await call(api, "presence", channel=name))["error"]["code"] == 108
        assert (await call(api, "presence_stats", channel=name))["error"]["code"] == 108
    assert (await call(api, "history", channel="user:kai"))["error"]["code"] == 108
    data = {"sender": "kai", "text": "x"}
    assert (await call(api, "publish", channel=channel, data=data, tags={"a": "b"}))["error"]["code"] == 108


async def test_an_event_for_a_users_devices(app, api):
    async with wire_client(app.websocket) as nora:
        await nora.connect(app.token("nora"))
        await call(api, "publish", channel="user:nora", data={"type": "order.shipped"})
        await nora.until(lambda: nora.publications("user:nora"))
        (publication,) = nora.publications("user:nora")
    assert publication == {"data": {"type": "order.shipped"}}


async def test_bytes_of_a_publication_are_those_of_its_sender(app, api):
    async with wire_client(app.websocket) as nora:
        await nora.connect(app.token("nora"))
        await nora.call(subscribe={"channel": "news:bytes"})
        body = b'{"channel":"news:bytes","data":\n{"b" : 1.50,\r\n "a":[ ]}}'
        async with api.post("/api/publish", data=body) as response:
            assert "result" in await response.json()
        await nora.until(lambda: nora.publications("news:bytes"))
        assert nora.publications("news:bytes")[0]["data"] == json.loads(b'{"b":1.5,"a":[]}')
