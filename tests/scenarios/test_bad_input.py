"""Bad input: the documented answer, nothing stored, and the connection lives."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pymongo import MongoClient

from chat.http.problems import pointer
from chat.methods import METHODS
from support.app import App, serve_app, test_config
from support.bad_values import bad
from support.talking import group, say
from support.wire_client import WireClient, wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(shared_app: App) -> App:
    return shared_app


@pytest_asyncio.fixture(loop_scope="module")
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


@pytest.fixture
def stored(_mongodb: MongoClient[dict[str, Any]], app: App) -> Any:
    """What is in the database; what follows the log by itself is left out."""

    def read() -> dict[str, list[Any]]:
        database = _mongodb[app.running.process.config.mongodb.database]
        late = {"head": 0, "summary_at": 0, "last_message": 0, "activity_at": 0, "read": 0, "last_seen_at": 0}
        return {
            name: list(database[name].find({}, late, sort=[("_id", 1)]))
            for name in ("conversations", "members", "messages", "users")
        }

    return read


@pytest.mark.parametrize("name", METHODS)
async def test_every_parameter_of_a_method_that_breaks_a_rule_is_refused_by_name(app, alice, stored, name):
    """Over the socket and over HTTP alike. The values come from the types, so a new method is in here by itself."""
    known = {"conversation": await group(alice, "bob"), "user": "bob", "reply_to": 2, "offset": 2}
    await say(alice, known["conversation"], "the only message")
    before = stored()
    cases = list(bad(METHODS[name].request, known))
    assert cases
    async with app.rest("alice") as rest:
        for case in cases:
            error = (await alice.call(rpc={"method": name, "data": case.data}))["error"]
            assert error["code"] == 107, case
            place = f"$.{case.field}: " if case.field else ""
            assert error["message"].startswith(f"bad_request: {place}"), (case, error)
            assert len(error["message"]) < 400, case
            answer = await rest.post(f"/v1/rpc/{name}", data=json.dumps(case.data), headers=JSON)
            problem = await answer.json()
            assert (answer.status, problem["code"]) == (400, "bad_request"), (case, problem)
            if case.field:
                (named,) = problem["errors"]
                assert named["pointer"] == pointer(case.field), case
                assert error["message"] == f"bad_request: {place}{named['detail']}"
    assert stored() == before
    assert await alice.rpc("conversation.get", conversation=known["conversation"])


@pytest.mark.parametrize(
    "data",
    [
        b'{"conversation": "%s", "idempotency_key": "k", "text": "\\ud800"}',
        b'{"conversation": "%s", "idempotency_key": "k", "text": "x", "custom": {"n": NaN}}',
        b'{"conversation": "%s", "idempotency_key": "k", "text": "x", "custom": {"n": 1e400}}',
        b'{"conversation": "%s", "idempotency_key": "k", "text": "x", "custom": {"\\ud800": 1}}',
        b'{"conversation": "%s", "idempotency_key": "k", "text": "x", "custom": ' + b'{"a":' * 100 + b"1" + b"}" * 101,
        b'{"conversation": "%s", "idempotency_key": "k", "text": "x", "custom": {"n": ' + b"9" * 5000 + b"}}",
        b'{"conversation": "%s", "idempotency_key": "k", "text": ""}',
        b'{"conversation": "%s", "idempotency_key": "k"}',
        b'{"conversation": "%s", "idempotency_key": "k", "text": "x", "attachments": [[]]}',
        b'{"conversation": {"$gt": ""}, "idempotency_key": "%s", "text": "x"}',
        b'{"conversation": "%s", "idempotency_key": "k", "text": {"$regex": ".*"}}',
    ],
)
async def test_what_not_every_client_could_read_is_refused_for_all(app, alice, stored, data):
    conversation = await group(alice)
    before = stored()
    text = data.replace(b"%s", conversation.encode())
    for command in (
        b'{"id": 90, "rpc": {"method": "message.send", "data": %s}}' % text,
        b'{"id": 91, "publish": {"channel": "conv:%s", "data": %s}}' % (conversation.encode(), text),
    ):
        command_id = json.loads(command.split(b",")[0] + b"}")["id"]
        if b'"$gt"' in data and command_id == 91:
            continue  # in a publish the channel says where to, whatever the data does
        await alice.socket.send_str(command.decode())
        await alice.until(lambda command_id=command_id: command_id in alice.replies)
        error = alice.replies[command_id]["error"]
        assert error["code"] == 107, error
        assert error["message"].startswith("bad_request: $."), error
    async with app.rest("alice") as rest:
        answer = await rest.post("/v1/rpc/message.send", data=text, headers=JSON)
        assert answer.status == 400
        assert (await answer.json())["code"] == "bad_request"
    assert stored() == before


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "data"),
        ([], "data"),
        ("x", "data"),
        ({}, "data.idempotency_key"),
        ({"idempotency_key": "k"}, "data.text"),
        ({"idempotency_key": "k", "text": "x" * 17_000}, "data.text"),
        ({"idempotency_key": "k", "text": 1}, "data.text"),
        ({"idempotency_key": "k", "text": "x", "reply_to": 0}, "data.reply_to"),
    ],
)
async def test_a_publish_to_a_conversation_is_refused_as_the_send_that_it_is(alice, stored, data, field):
    conversation = await group(alice)
    before = stored()
    publish = {"channel": f"conv:{conversation}"} if data is None else {"channel": f"conv:{conversation}", "data": data}
    error = (await alice.call(publish=publish))["error"]
    assert error["code"] == 107
    assert error["message"].startswith(f"bad_request: $.publish.{field}: ")
    assert stored() == before


async def test_text_of_any_script_and_any_custom_data_come_back_as_they_were(alice):
    conversation = await group(alice)
    text = "\U0001f469\u200d\U0001f467 \u202eعربى\u2028 \x00 \x1b[31m é"
    custom = {"": 1, "$set": {"a.b": None}, "__proto__": [], "n\x00": 10**19, "f": -0.5, "deep": {"er": [[[{}]]]}}
    sent = await alice.rpc("message.send", conversation=conversation, idempotency_key="k", text=text, custom=custom)
    for message in (sent["message"], (await alice.rpc("history.page", conversation=conversation))["items"][0]):
        assert (message["text"], message["custom"]) == (text, custom)
    named = await alice.rpc("conversation.update", conversation=conversation, title=text, custom=custom)
    assert (named["conversation"]["title"], named["conversation"]["custom"]) == (text, custom)
    user = await alice.rpc("user.update", name=text, custom=custom)
    assert (user["user"]["name"], user["user"]["custom"]) == (text, custom)


async def test_what_the_server_says_of_a_message_is_not_for_the_sender_to_say(alice):
    conversation = await group(alice)
    sent = await alice.rpc(
        "message.send",
        conversation=conversation,
        idempotency_key="k",
        text="x",
        sender="bob",
        offset=99,
        n=99,
        id="x",
        created_at=1,
        role="owner",
    )
    message = sent["message"]
    assert (message["sender"], message["offset"], message["n"]) == ("alice", 2, 1)
    assert message["created_at"] > 1
    assert message["id"] == f"{conversation}.2"


async def test_limits_hold_to_the_byte(mongodb_url, database_name, redis_url, redis_prefix):
    config = test_config(mongodb_url, database_name, redis_url, redis_prefix, limits__message_text_max_size=1000)
    async with serve_app(config) as app, wire_client(app.websocket) as alice:
        limits = (await alice.connect(app.token("alice")))["data"]["limits"]
        assert limits["message_text_bytes"] == 1000
        conversation = await group(alice)
        send = {"conversation": conversation, "text": "x"}
        for key, text in enumerate(("x" * 1000, "\U0001f600" * 250, "é" * 500)):
            assert "message" in await alice.rpc("message.send", **{**send, "text": text}, idempotency_key=str(key))
            error = (await alice.rpc("message.send", **{**send, "text": text + "x"}, idempotency_key="no"))["error"]
            assert error["message"] == "bad_request: $.text: must have at most 1000 bytes, has 1001"
        whole = {"x": "y" * (16 * 1024 - len('{"x":""}'))}
        for method, fields in (
            ("message.send", {**send, "idempotency_key": "k"}),
            ("conversation.update", {"conversation": conversation}),
            ("conversation.create", {"kind": "group", "members": []}),
            ("user.update", {}),
        ):
            assert "error" not in await alice.rpc(method, **fields, custom=whole), method
            error = (await alice.rpc(method, **fields, custom={"x": whole["x"] + "y"}))["error"]
            assert error["message"] == "bad_request: $.custom: must have at most 16384 bytes, has 16385", method
        for field in ("content", "attachments"):
            empty: Any = {"type": "x", "x": ""} if field == "content" else [{"x": ""}]
            filling = "y" * (32 * 1024 - len(json.dumps(empty, separators=(",", ":"))))
            for extra, answer in (("", "message"), ("y", "error")):
                text = filling + extra
                one: Any = {"type": "x", "x": text} if field == "content" else [{"x": text}]
                got = await alice.rpc("message.send", **send, idempotency_key=f"{field}{extra}", **{field: one})
                assert answer in got, (field, extra)
        page = await alice.rpc("history.page", conversation=conversation)
        assert "no" not in {message["idempotency_key"] for message in page["items"]}


@pytest.mark.parametrize(
    ("data", "subscribed"),
    [
        (None, True),
        ({}, True),
        ({"conversations": "auto"}, True),
        ({"conversations": "none"}, False),
        ({"conversations": "none", "device": "phone"}, False),
        ({"conversations": ["none"], "device": "phone"}, True),
        ({"devices": 7}, True),
        ({"conversations": ["none"]}, True),
        ({"anything": {"of": "the application's"}}, True),
        ([1], True),
        ("none", True),
        (7, True),
    ],
)
async def test_data_of_a_connect_is_the_applications_but_for_two_wishes(app, alice, data, subscribed):
    conversation = await group(alice)
    async with wire_client(app.websocket) as phone:
        fields = {} if data is None else {"data": data}
        result = await phone.connect(app.token("alice"), **fields)
        assert (f"conv:{conversation}" in result["subs"]) is subscribed
        assert "user:alice" in result["subs"]
        if not subscribed:
            assert "recoverable" in await phone.call(subscribe={"channel": f"conv:{conversation}"})


@pytest.mark.parametrize("device", [7, None, "", "a b", "x" * 65, ["phone"]])
async def test_a_device_connects_by_a_name_that_it_could_register(app, alice, device):
    async with wire_client(app.websocket) as phone:
        answer = await phone.connect(app.token("alice"), data={"device": device})
        assert answer["error"]["code"] == 107
        assert answer["error"]["message"].startswith("bad_request: $.connect.data.device: ")
        assert "client" in await phone.connect(app.token("alice"), data={"device": "x" * 64})
