"""The limits of docs/limits.md that are tested nowhere else: n passes, n + 1 is refused in words that say so."""

import json
import re
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from chat.methods import METHODS
from support.app import serve_app, test_config
from support.talking import created, group, say
from support.waiting import eventually
from support.wire_client import wire_client

USERS = [f"user{number}" for number in range(51)]


@pytest.fixture
def serving(mongodb_url, database_name, redis_url, redis_prefix):
    """Serves a hub with these keys of the configuration, dots written as `__`."""

    @asynccontextmanager
    async def serve(**keys):
        async with serve_app(test_config(mongodb_url, database_name, redis_url, redis_prefix, **keys)) as app:
            yield app

    return serve


@asynccontextmanager
async def connected(app, user="alice", **fields):
    async with wire_client(app.websocket) as client:
        assert "error" not in (reply := await client.connect(app.token(user), **fields)), reply
        yield client


def text_of(size: int) -> str:
    return " ".join("word" for _ in range(size // 5 + 1))[:size]


# Of one request: limit, method, parameters at n and at n + 1, the words of the refusal.
OF_A_REQUEST = [
    (
        "attachments",
        "message.send",
        {"text": "x", "attachments": [{}] * 20},
        {"text": "x", "attachments": [{}] * 21},
        r"\$.attachments: .*length <= 20",
    ),
    (
        "mentions",
        "message.send",
        {"text": "x", "mentions": USERS[:50]},
        {"text": "x", "mentions": USERS},
        r"\$.mentions: .*length <= 50",
    ),
    (
        "idempotency_key",
        "message.send",
        {"text": "x", "idempotency_key": "k" * 64},
        {"text": "x", "idempotency_key": "k" * 65},
        r"\$.idempotency_key: .*\{1,64\}",
    ),
    ("at_once", "message.delete", {"offsets": [1] * 100, "for": "me"}, {"offsets": [1] * 101, "for": "me"}, "<= 100"),
    ("page", "history.page", {"limit": 200}, {"limit": 201}, r"\$.limit: .*<= 200"),
    ("search text", "history.search", {"text": text_of(49)}, {"text": "w" * 201}, r"\$.text: .*length <= 200"),
    ("search words", "history.search", {"text": "a b c d e f g h i j"}, {"text": "a b c d e f g h i j k"}, "10"),
    ("title", "conversation.update", {"title": "t" * 200}, {"title": "t" * 201}, r"\$.title: .*length <= 200"),
    (
        "description",
        "conversation.update",
        {"description": "t" * 2000},
        {"description": "t" * 2001},
        r"\$.description: .*length <= 2000",
    ),
    ("members page", "conversation.members", {"limit": 500}, {"limit": 501}, r"\$.limit: .*<= 500"),
    (
        "members_at_once",
        "conversation.add_members",
        {"members": [f"m{number}" for number in range(1000)]},
        {"members": [f"m{number}" for number in range(1001)]},
        r"\$.members: .*length <= 1000",
    ),
]


@pytest.mark.parametrize(
    ("method", "within", "beyond", "words"), [row[1:] for row in OF_A_REQUEST], ids=[row[0] for row in OF_A_REQUEST]
)
async def test_what_one_request_may_hold(app, method, within, beyond, words):
    async with connected(app) as alice:
        conversation = await group(alice, *USERS)
        key = {"idempotency_key": str(uuid4())} if method == "message.send" else {}
        if method == "message.delete":
            await say(alice, conversation, "x")
        passed = await alice.rpc(method, **{"conversation": conversation, **key, **within})
        assert "error" not in passed, passed
        refused = await alice.rpc(method, **{"conversation": conversation, **key, **beyond})
        assert refused["error"]["code"] == 107
        assert re.search(words, refused["error"]["message"]), refused
        assert method in METHODS


async def test_a_conversation_has_so_many_pins(app):
    async with connected(app) as alice:
        conversation = await group(alice)
        offsets = [(await say(alice, conversation, str(number)))["message"]["offset"] for number in range(101)]
        for offset in offsets[:100]:
            assert "error" not in await alice.rpc("message.pin", conversation=conversation, offset=offset)
        refused = await alice.rpc("message.pin", conversation=conversation, offset=offsets[100])
        assert refused["error"]["code"] == 106
        assert "at most 100 messages are pinned" in refused["error"]["message"]


async def test_channels_that_a_connection_may_ask_for(serving):
    async with serving(client__channel_limit=3) as app, connected(app) as alice:
        reply = await alice.call(subscribe={"channel": "news:0"})
        assert "error" not in reply
        for number in (1, 2):
            assert "error" not in await alice.call(subscribe={"channel": f"news:{number}"})
        refused = await alice.call(subscribe={"channel": "news:3"})
        assert refused["error"]["code"] == 106
        assert refused["error"]["message"] == (
            "limit_exceeded: $.subscribe.channel: a connection may subscribe to 3 channels"
        )
        # What the server subscribed it to does not count, and what it gives back is free again.
        await group(alice)
        await alice.call(unsubscribe={"channel": "news:0"})
        assert "error" not in await alice.call(subscribe={"channel": "news:3"})
        assert "error" in await alice.call(subscribe={"channel": "news:4"})
        async with connected(app) as another:
            assert "error" not in await another.call(subscribe={"channel": "news:4"})


async def test_connections_of_a_user_to_one_process(serving):
    async with serving(client__user_connection_limit=2) as app:
        async with connected(app) as one, connected(app), wire_client(app.websocket) as third:
            assert one.replies[1]["connect"]["data"]["limits"]["connections"] == 2
            await third.send(connect={"token": app.token("alice")})
            assert await third.closed() == 3504
            async with connected(app, "bob"):
                pass

        async def free() -> bool:
            async with wire_client(app.websocket) as again:
                await again.send(connect={"token": app.token("alice")})
                await again.until(lambda: again.replies or again.close_code is not None)
                return again.close_code is None

        await eventually(free)


async def test_data_of_a_command_and_a_frame(serving):
    async with (
        serving(client__command_data_max_size=2000, client__frame_max_size="64KiB") as app,
        connected(app) as alice,
    ):
        limits = alice.replies[1]["connect"]["data"]["limits"]
        assert (limits["command_data_bytes"], limits["frame_bytes"]) == (2000, 65536)

        def rpc(size: int) -> str:
            data = '{"user":"alice","x":"' + "y" * (size - len('{"user":"alice","x":""}')) + '"}'
            return f'{{"id":{size},"rpc":{{"method":"user.get","data":{data}}}}}'

        await alice.socket.send_str(rpc(2000))
        await alice.socket.send_str(rpc(2001))
        await alice.until(lambda: 2001 in alice.replies)
        assert "rpc" in alice.replies[2000]
        assert alice.replies[2001]["error"]["code"] == 107
        assert "2000" in alice.replies[2001]["error"]["message"]

        await alice.socket.send_str(" " * (65536 - len(rpc(1999))) + rpc(1999))
        await alice.until(lambda: 1999 in alice.replies)
        await alice.socket.send_str(" " * (65537 - len(rpc(1998))) + rpc(1998))
        assert await alice.closed() == 1009


async def test_the_body_of_a_request(serving):
    async with serving(limits__request_max_size="64KiB") as app, app.rest("alice") as rest:

        async def patch(size: int) -> int:
            body = '{"name":"Alice"'.ljust(size - 1) + "}"
            async with rest.patch("/v1/me", data=body, headers={"Content-Type": "application/json"}) as answer:
                if answer.status != 200:
                    problem = await answer.json()
                    assert (problem["code"], "65536" in problem["detail"]) == ("limit_exceeded", True)
                return answer.status

        assert [await patch(65536), await patch(65537)] == [200, 413]


async def test_publications_of_a_channels_history_and_recovery(serving):
    async with (
        serving(client__history_max_publication_limit=3, client__recovery_max_publication_limit=4) as app,
        connected(app) as alice,
        app.api() as api,
    ):
        subscribed = await alice.call(subscribe={"channel": "news:1"})
        for number in range(5):
            await api.post("/api/publish", json={"channel": "news:1", "data": {"n": number}})
        page = await alice.call(history={"channel": "news:1", "limit": -1})
        assert len(page["publications"]) == 3
        epoch, offset = subscribed["epoch"], subscribed.get("offset", 0)
        for missed, recovered in ((4, True), (5, False)):
            async with connected(app) as later:
                position = {"recover": True, "epoch": epoch, "offset": offset + 5 - missed}
                result = await later.call(subscribe={"channel": "news:1", **position})
                assert result.get("recovered", False) is recovered
                assert len(result.get("publications", [])) == (missed if recovered else 0)


async def test_entries_of_a_conversation_that_a_resume_streams(serving):
    async with serving(limits__recovery_max_entries=4) as app, connected(app) as alice:
        assert alice.replies[1]["connect"]["data"]["limits"]["recovery_entries"] == 4
        conversation = await group(alice)
        heads = [(await say(alice, conversation, str(number)))["message"]["offset"] for number in range(6)]
        for missed, recovered in ((4, True), (5, False)):
            subs = {f"conv:{conversation}": {"recover": True, "epoch": "", "offset": heads[-1] - missed}}
            async with connected(app, subs=subs) as later:
                result = later.replies[1]["connect"]["subs"][f"conv:{conversation}"]
                assert result["was_recovering"] is True
                assert result.get("recovered", False) is recovered
                if recovered:
                    await later.until(lambda later=later: len(created(later, conversation)) == 4)


async def test_conversations_of_a_connect(serving):
    async with serving(client__conversations_on_connect=2, client__conversations_to_recover=3) as app:
        async with connected(app) as alice:
            conversations = [await group(alice) for _ in range(5)]
        async with connected(app) as alice:
            reply = alice.replies[1]["connect"]
            assert sum(name.startswith("conv:") for name in reply["subs"]) == 2
            assert reply["data"]["left_out"] == 3
        subs = {f"conv:{one}": {"recover": True, "epoch": "", "offset": 1} for one in conversations}
        async with connected(app, subs=subs) as alice:
            resumed = [sub for sub in alice.replies[1]["connect"]["subs"].values() if sub.get("was_recovering")]
            assert len(resumed) == 3


async def test_what_a_connect_tells_of_its_limits_is_what_is_configured(serving):
    async with serving(
        rate_limits__connection_commands=7,
        rate_limits__user_commands=8,
        rate_limits__user_sends=9,
        rate_limits__user_sends_burst=10,
        limits__request_max_size="2MiB",
    ) as app:
        async with connected(app) as alice:
            limits = alice.replies[1]["connect"]["data"]["limits"]
        told = {name: limits[name] for name in limits if name.endswith(("_per_s", "_at_once", "request_bytes"))}
        assert told == {
            "commands_per_s": 7,
            "commands_at_once": 1000,
            "user_commands_per_s": 8,
            "user_commands_at_once": 2000,
            "sends_per_s": 9,
            "sends_at_once": 10,
            "members_at_once": 1000,
            "request_bytes": 2 * 1024**2,
        }


@pytest.mark.parametrize(
    ("method", "body", "size"),
    [
        ("broadcast", lambda n: {"channels": [f"news:{number}" for number in range(n)], "data": {}}, 1000),
        ("batch", lambda n: {"commands": [{"info": {}}] * n}, 1000),
    ],
)
async def test_what_one_request_of_the_server_api_may_hold(app, method, body, size):
    async with app.api() as api:
        passed = await (await api.post(f"/api/{method}", data=json.dumps(body(size)))).json()
        assert "error" not in passed
        refused = await (await api.post(f"/api/{method}", data=json.dumps(body(size + 1)))).json()
        assert refused["error"]["code"] == 107
        assert "1000" in refused["error"]["message"]
