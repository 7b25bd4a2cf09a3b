"""What people may not do, tried by everybody who might: over the socket and over HTTP, with the same answer.

Nobody is told anything of what they may not see, in the answer or in an error. Numbers are those of docs/security.md.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from support.app import App
from support.talking import group, say
from support.wire_client import WireClient, wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

FORBIDDEN, BAD, CONFLICT, LIMIT, FINE = 103, 107, 113, 106, 0
STATUSES = {FORBIDDEN: (403, 404), BAD: (400,), CONFLICT: (409,), LIMIT: (429,), FINE: (200,)}
SECRET = "the password is swordfish"

Params = dict[str, Any]


@dataclass
class World:
    """`group`: alice owns it, bob is in it, carol was, dave is banned, eve never was. `private`: alice alone.

    `hers` and `his` are offsets of messages of alice and bob in the group, `carols` of one of carol's.
    """

    app: App
    group: str
    private: str
    hers: int
    his: int
    carols: int
    sockets: dict[str, WireClient] = field(default_factory=dict)

    @property
    def thread(self) -> str:
        return f"{self.group}~{self.hers}"

    def filled(self, params: Params) -> Params:
        """The parameters with what stands for this world's things."""
        return {name: getattr(self, value[1:]) if is_place(value) else value for name, value in params.items()}


def is_place(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("@")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(shared_app: App) -> AsyncIterator[World]:
    clients = {name: wire_client(shared_app.websocket) for name in ("alice", "bob", "carol", "dave", "eve")}
    sockets = {name: await client.__aenter__() for name, client in clients.items()}
    for name, socket in sockets.items():
        await socket.connect(shared_app.token(name))
    alice = sockets["alice"]
    shared, private = await group(alice, "bob", "carol", "dave"), await group(alice)
    carols = (await say(sockets["carol"], shared, "hello from carol"))["message"]["offset"]
    his = (await say(sockets["bob"], shared, "hello from bob"))["message"]["offset"]
    hers = (await say(alice, shared, SECRET))["message"]["offset"]
    await say(alice, private, SECRET)
    await sockets["carol"].rpc("conversation.leave", conversation=shared)
    await alice.rpc("conversation.ban", conversation=shared, user="dave")
    yield World(shared_app, shared, private, hers, his, carols, sockets)
    for client in clients.values():
        await client.__aexit__(None, None, None)


@dataclass(frozen=True)
class Row:
    """Who calls what. `@name` in a parameter stands for what the world has under that name."""

    name: str
    user: str
    method: str
    params: Params
    code: int = FORBIDDEN


def here(**more: Any) -> Params:
    return {"conversation": "@group", **more}


def there(**more: Any) -> Params:
    return {"conversation": "@private", **more}


def sending(**more: Any) -> Params:
    return here(idempotency_key=str(uuid4()), text="x", **more)


READS: tuple[tuple[str, Params], ...] = (
    ("conversation.get", {}),
    ("conversation.members", {}),
    ("history.page", {}),
    ("history.pins", {}),
    ("message.get", {"offset": "@hers"}),
    ("message.versions", {"offset": "@hers"}),
    ("history.search", {"text": "swordfish"}),
)
PEOPLE = {"carol": "left", "dave": "is-banned", "eve": "never-was-in"}

TABLE = (
    # Reading what is not one's own
    *(
        Row(f"A1-{method.replace('.', '-')}-by-who-{what}", user, method, here(**more))
        for method, more in READS
        for user, what in PEOPLE.items()
    ),
    Row("A3-search-elsewhere", "bob", "history.search", there(text="swordfish")),
    Row("A3-search-by-a-sender-elsewhere", "bob", "history.search", there(sender="alice")),
    Row("A3-search-for-everything", "bob", "history.search", here(text=".*"), FINE),
    # Setting what only the server sets
    Row("P15-owner-and-role", "bob", "conversation.update", here(title="mine", owner="bob", role="owner")),
    Row("P15-ids-and-counts", "alice", "conversation.update", here(id="x", members_count=9, kind="channel"), BAD),
    Row("P15-a-profile-s-id-and-rights", "eve", "user.update", {"name": "Eve", "id": "alice", "role": "admin"}, FINE),
    Row("P15-another-s-profile", "eve", "user.update", {"name": "Eve", "user": "alice"}, FINE),
    # Messages of others
    Row("P17-edit-another-s", "bob", "message.edit", here(offset="@hers", text="x")),
    Row("P17-delete-another-s", "bob", "message.delete", here(offset="@hers")),
    Row("P17-pin-as-a-member", "bob", "message.pin", here(offset="@his")),
    Row("P17-edit-as-a-stranger", "eve", "message.edit", here(offset="@hers", text="x")),
    Row("P17-delete-as-a-stranger", "eve", "message.delete", here(offset="@hers")),
    Row("P17-edit-one-s-own-after-leaving", "carol", "message.edit", here(offset="@carols", text="x")),
    Row("P17-delete-one-s-own-after-leaving", "carol", "message.delete", here(offset="@carols")),
    Row("P17-an-offset-of-another-conversation", "alice", "message.edit", there(offset="@hers", text="x")),
    Row("P17-versions-of-another-s", "bob", "message.versions", here(offset="@hers")),
    Row("P17-react-as-a-stranger", "eve", "message.react", here(offset="@hers", reaction="+1")),
    Row("P17-hide-as-a-stranger", "eve", "message.delete", here(offset="@hers", **{"for": "me"})),
    # What a message points to
    Row("P18-reply-to-a-message-of-elsewhere", "bob", "message.send", sending(reply_to=4000), BAD),
    Row("P18-mention-of-a-stranger", "bob", "message.send", sending(mentions=["eve"]), BAD),
    Row("P18-mention-of-nobody", "bob", "message.send", sending(mentions=["nobody-at-all"]), BAD),
    Row("P18-a-thread-below-what-one-may-not-see", "eve", "history.page", {"conversation": "@thread"}),
    # Who is in
    Row("P19-add-oneself", "eve", "conversation.add_members", here(members=["eve"])),
    Row("P19-join-a-group", "eve", "conversation.join", here()),
    Row("P19-come-back-though-banned", "dave", "conversation.join", here()),
    Row("P19-add-who-is-banned", "alice", "conversation.add_members", here(members=["dave"]), CONFLICT),
    Row("P19-ten-thousand-members", "alice", "conversation.add_members", here(members=["bob"] * 10_000), BAD),
    Row("P19-one-twice", "alice", "conversation.add_members", here(members=["bob", "bob"]), FINE),
    Row("P19-make-oneself-owner", "bob", "conversation.set_role", here(user="bob", role="owner")),
    Row("P19-demote-the-last-owner", "alice", "conversation.set_role", here(user="alice", role="member"), CONFLICT),
    Row("P19-remove-the-owner", "bob", "conversation.remove_member", here(user="alice")),
    Row("P19-an-id-that-no-user-has", "alice", "conversation.add_members", here(members=["not a user"]), BAD),
    # Positions
    Row("P20-read-where-one-is-not", "eve", "read.mark", here(offset=1)),
    Row("P20-received-where-one-is-not", "eve", "delivered.mark", here(offset=1)),
    Row("P20-read-after-leaving", "carol", "read.mark", here(offset=1)),
    # Typing
    Row("P21-typing-as-a-stranger", "eve", "typing.start", here()),
    Row("P21-typing-though-banned", "dave", "typing.start", here()),
)  # fmt: skip


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in TABLE])
async def test_nobody_gets_what_is_not_theirs(world: World, row: Row) -> None:
    params = world.filled(row.params)
    answer = await world.sockets[row.user].rpc(row.method, **params)
    error = answer.get("error", {"code": FINE})
    assert error["code"] == row.code, answer
    assert row.code == FINE or "swordfish" not in json.dumps(answer)
    async with world.app.rest(row.user) as rest:
        response = await rest.post(f"/v1/rpc/{row.method}", json=params)
        text = await response.text()
    assert response.status in STATUSES[row.code], text
    assert row.code == FINE or "swordfish" not in text
    if row.method == "history.search" and row.code == FINE:
        assert answer["items"] == []  # words are words, not patterns
    if row.code == FORBIDDEN and row.user in PEOPLE:
        # Who is not in is not told that there is anything.
        assert response.status == HTTPStatus.NOT_FOUND, text
        missing = {**params, "conversation": "z" * 26}
        assert (await world.sockets[row.user].rpc(row.method, **missing)) == answer


async def test_nothing_of_that_has_changed_anything(world: World) -> None:
    """After the table above: the conversation is what it was but for its title."""
    alice = world.sockets["alice"]
    seen = (await alice.rpc("conversation.get", conversation=world.group))["conversation"]
    assert (seen["kind"], seen["members_count"], seen["id"]) == ("group", 2, world.group)
    members = (await alice.rpc("conversation.members", conversation=world.group))["members"]
    assert {member["user"]: member["role"] for member in members} == {"alice": "owner", "bob": "member"}
    assert (await alice.rpc("message.get", conversation=world.group, offset=world.hers))["message"]["text"] == SECRET
    assert (await alice.rpc("user.get", user="alice"))["user"].get("name", "") != "Eve"


@pytest.mark.parametrize("reader", [pytest.param("eve", id="P18-forward-of-a-message-one-may-not-see")])
async def test_a_forward_takes_nothing_along_that_one_may_not_see(world: World, reader: str) -> None:
    mine = await group(world.sockets[reader])
    answers = []
    for conversation in (world.group, world.private, "z" * 26):
        forward = {"conversation": conversation, "offset": world.hers}
        send = {"conversation": mine, "idempotency_key": str(uuid4()), "forward": forward}
        answers.append(await world.sockets[reader].rpc("message.send", **send))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["error"]["code"] == FORBIDDEN
    assert (await world.sockets[reader].rpc("history.page", conversation=mine))["items"] == []


KEYS = [
    pytest.param("elsewhere", id="P16-the-same-key-in-another-conversation"),
    pytest.param("somebody", id="P16-the-key-of-somebody-else"),
    pytest.param("text", id="P16-the-same-key-with-another-text"),
]


@pytest.mark.parametrize("case", KEYS)
async def test_a_key_stands_for_one_message_of_one_sender_in_one_conversation(world: World, case: str) -> None:
    alice, bob, key = world.sockets["alice"], world.sockets["bob"], str(uuid4())
    send = {"conversation": world.group, "idempotency_key": key, "text": SECRET}
    first = await alice.rpc("message.send", **send)
    if case == "elsewhere":
        other = await alice.rpc("message.send", **{**send, "conversation": world.private})
        assert (other["duplicate"], other["message"]["conversation"]) == (False, world.private)
    elif case == "somebody":
        other = await bob.rpc("message.send", **{**send, "text": "mine"})
        assert (other["duplicate"], other["message"]["sender"], other["message"]["text"]) == (False, "bob", "mine")
    else:
        other = await alice.rpc("message.send", **{**send, "text": "another"})
        assert (other["duplicate"], other["message"]) == (True, first["message"])


@pytest.mark.parametrize("who", [pytest.param("carol", id="P16-a-key-of-one-s-own-after-leaving")])
async def test_a_key_shows_nothing_to_who_has_left(world: World, who: str) -> None:
    """The original of a repeat is given to who may still see it only."""
    alice, key = world.sockets["alice"], str(uuid4())
    conversation = await group(alice, who)
    send = {"conversation": conversation, "idempotency_key": key, "text": "before"}
    assert "message" in await world.sockets[who].rpc("message.send", **send)
    await alice.rpc("conversation.remove_member", conversation=conversation, user=who)
    again = await world.sockets[who].rpc("message.send", **send)
    assert again["error"]["code"] == FORBIDDEN
    async with world.app.rest(who) as rest:
        response = await rest.post("/v1/rpc/message.send", json=send)
        assert response.status in (403, 404)


@pytest.mark.parametrize("thief", [pytest.param("bob", id="P23-a-captured-command-on-another-connection")])
async def test_a_command_that_was_captured_says_nothing_of_who_sends_it(world: World, thief: str) -> None:
    send = {"conversation": world.group, "idempotency_key": str(uuid4()), "text": "captured"}
    first = (await world.sockets["alice"].rpc("message.send", **send))["message"]
    async with wire_client(world.app.websocket) as again:
        await again.connect(world.app.token("alice"))
        repeated = await again.rpc("message.send", **send)
    assert (repeated["duplicate"], repeated["message"]) == (True, first)
    stolen = (await world.sockets[thief].rpc("message.send", **send))["message"]
    assert (stolen["sender"], stolen["offset"] != first["offset"]) == (thief, True)
    async with wire_client(world.app.websocket) as nobody:
        await nobody.send(rpc={"method": "message.send", "data": send})
        assert await nobody.closed() == 3501


RESUMES = {
    "P22-beyond-the-head": ({"recover": True, "epoch": "", "offset": 10**6}, False),
    "P22-another-epoch": ({"recover": True, "epoch": "nowhen", "offset": 1}, False),
    "P22-from-the-start": ({"recover": True, "epoch": "", "offset": 0}, True),
}


@pytest.mark.parametrize(("position", "recovered"), [pytest.param(*row, id=name) for name, row in RESUMES.items()])
async def test_a_position_that_there_is_not_is_told_so(world: World, position: Params, recovered: bool) -> None:
    channel = f"conv:{world.group}"
    async with wire_client(world.app.websocket) as client:
        result = await client.connect(world.app.token("bob"), subs={channel: position})
        told = result["subs"][channel]
        assert told["was_recovering"] is True
        assert told.get("recovered", False) is recovered
        assert told.get("offset", 0) <= 10**4


BROKEN = {
    "P22-a-negative-offset": {"recover": True, "offset": -1},
    "P22-an-offset-as-text": {"recover": True, "offset": "9"},
    "P22-an-offset-of-65-bits": {"recover": True, "offset": 2**65},
    "P22-an-epoch-as-number": {"recover": True, "epoch": 7, "offset": 1},
    "P22-a-list": [],
}


@pytest.mark.parametrize("position", [pytest.param(position, id=name) for name, position in BROKEN.items()])
async def test_a_position_that_is_none_is_refused_by_name(world: World, position: Any) -> None:
    async with wire_client(world.app.websocket) as client:
        error = (await client.connect(world.app.token("bob"), subs={f"conv:{world.group}": position}))["error"]
        assert error["code"] == BAD
        assert "$.connect.subs" in error["message"]


FOREIGN = {
    "P22-a-foreign-conversation": ["@private"],
    "P22-conversations-that-there-are-not": ["z" * 26, "nope", "", "\0"],
    "P22-ten-thousand-conversations": [f"{number:026}" for number in range(10_000)],
}


@pytest.mark.parametrize("names", [pytest.param(names, id=name) for name, names in FOREIGN.items()])
async def test_positions_in_what_is_not_one_s_own_are_nothing(world: World, names: list[str]) -> None:
    subs = {f"conv:{world.private if name == '@private' else name}": {"recover": True, "offset": 0} for name in names}
    async with wire_client(world.app.websocket) as client:
        result = await client.connect(world.app.token("bob"), subs=subs)
        assert "error" not in result, result
        assert not {f"conv:{world.private}", "conv:nope"} & set(result["subs"])
        assert f"conv:{world.group}" in result["subs"]


@pytest.mark.parametrize("count", [pytest.param(200, id="P21-two-hundred-starts-of-typing")])
async def test_a_flood_of_typing_is_one_or_two_events_for_the_others(world: World, count: int) -> None:
    alice, bob = world.sockets["alice"], world.sockets["bob"]
    conversation = await group(alice, "bob")
    for _ in range(count):
        await bob.send(rpc={"method": "typing.start", "data": {"conversation": conversation}})
    await say(bob, conversation, "done")
    await alice.until(lambda: any(pub["data"]["type"] == "message.created" for pub in seen(alice, conversation)))
    started = [pub for pub in seen(alice, conversation) if pub["data"]["type"] == "typing" and pub["data"]["active"]]
    assert len(started) <= 5


def seen(client: WireClient, conversation: str) -> list[Any]:
    return client.publications(f"conv:{conversation}")
