"""Every method, called as everybody stands to a conversation, over the socket and by REST, against the table.

A new method needs a row in `chat/methods/permissions.py` and, here, an entry of `PARAMETERS` for each of its cases.
"""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from chat.http.resources import RESOURCES, Resource
from chat.methods import METHODS
from chat.methods.permissions import RULES, Outcome, Relation, Rule
from chat.vocabulary.invites import InviteCreate
from storage.model import ConversationKind, Role
from storage.store import Store
from support.app import App, serve_app, test_config
from support.entries import message
from support.push_keys import kept_web_push
from support.wire_client import WireClient, wire_client

pytestmark = pytest.mark.asyncio(loop_scope="module")

AT = 1_700_000_000_000
ACTOR, OWNER, PEER, BLOCKER = "actor", "olga", "pia", "bea"
SUBJECTS = [f"subject{number:02}" for number in range(8)]
MESSAGES = 6
"""Of each sender in a world, so that a case that deletes one finds another."""

Case: TypeAlias = tuple[ConversationKind, Role, Relation]

GROUP, CHANNEL, DIRECT = ConversationKind.GROUP, ConversationKind.CHANNEL, ConversationKind.DIRECT
CASES: list[Case] = [
    *((GROUP, role, relation) for role in Role for relation in (Relation.MEMBER, Relation.MUTED)),
    *((GROUP, Role.ADMIN, relation) for relation in (Relation.LEFT, Relation.BANNED, Relation.STRANGER)),
    *((CHANNEL, role, Relation.MEMBER) for role in Role),
    *((CHANNEL, Role.READER, relation) for relation in (Relation.STRANGER, Relation.LEFT, Relation.BANNED)),
    *((DIRECT, Role.MEMBER, relation) for relation in (Relation.MEMBER, Relation.BLOCKED)),
]
ENDS = {"conversation.leave", "conversation.join", "invite.accept"}
"""Where the actor is not what they were when it was allowed."""

_numbers = count()


@dataclass
class World:
    """A conversation in which the actor is what a case says, with things for calls to be about."""

    store: Store
    conversation: str
    owner: str
    own: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    subjects: list[str] = field(default_factory=lambda: [*SUBJECTS])
    code: str = "a" * 32
    upload: str = "a" * 26
    thread: str = ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(_mongodb: Any, _redis: Any, mongodb_url: str, redis_url: str) -> AsyncIterator[App]:
    name = f"test_{secrets.token_hex(6)}"
    async with serve_app(test_config(mongodb_url, name, redis_url, name)) as app:
        yield app
    _mongodb.drop_database(name)
    for key in _redis.scan_iter(f"{name}*", count=1000):
        _redis.delete(key)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def socket(app: App) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token(ACTOR), data={"conversations": "none"})
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rest(app: App) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.rest(ACTOR) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(app: App) -> dict[Case, World]:
    """One for each case, shared by all calls that leave the actor what they were."""
    store = app.running.process.store
    await store.blocks.block(BLOCKER, ACTOR, at=AT)
    await kept_web_push(store)
    return {case: await world(app, *case) for case in CASES}


async def world(app: App, kind: ConversationKind, role: Role, relation: Relation) -> World:
    store = app.running.process.store
    peer = BLOCKER if relation is Relation.BLOCKED else PEER if kind is DIRECT else OWNER
    if kind is DIRECT:
        members = [(peer, Role.MEMBER), (ACTOR, Role.MEMBER)]
    else:
        members = [(peer, Role.OWNER), *((subject, Role.READER) for subject in SUBJECTS)]
        members += [] if relation is Relation.STRANGER else [(ACTOR, role)]
    made = (await store.conversations.create(kind=kind, by=peer, members=members, at=AT)).conversation
    here = World(store, made.id, peer)
    for _ in range(MESSAGES):
        for sender, offsets in ((ACTOR, here.own), (peer, here.others)):
            appended = await store.appender.append(message(made.id, by=sender, text="x", key=str(uuid4())))
            offsets.append(appended.entry.offset)
    if relation is Relation.LEFT:
        await store.members.leave(made.id, ACTOR, at=AT)
    elif relation is Relation.BANNED:
        await store.members.ban(made.id, ACTOR, by=peer, at=AT)
    elif relation is Relation.MUTED:
        await store.members.mute(made.id, ACTOR, 2**47, by=peer, at=AT)
    service = app.running.process.calls.service
    if kind is not DIRECT:
        here.code = (await service.invites.create(peer, InviteCreate(made.id))).invite.code or ""
    here.thread = f"{made.id}~{here.own[-1]}"
    await store.threads.append(message(here.thread, by=peer, text="x", key=str(uuid4())), check=lambda: True)[0]
    return here


def of_message(pool: str, **more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda here: {"conversation": here.conversation, "offset": getattr(here, pool)[0], **more}


def deleted(pool: str) -> Callable[[World], dict[str, Any]]:
    return lambda here: {"conversation": here.conversation, "offset": getattr(here, pool).pop()}


def here_with(**more: Any) -> Callable[[World], dict[str, Any]]:
    return lambda here: {"conversation": here.conversation, **more}


def on_subject(*, gone: bool = False, **more: Any) -> Callable[[World], dict[str, Any]]:
    """Acts on a member below everybody who may act; `gone`: who is none afterwards."""
    return lambda here: {
        "conversation": here.conversation,
        "user": here.subjects.pop() if gone and len(here.subjects) > 1 else here.subjects[0],
        **more,
    }


def fixed(**fields: Any) -> Callable[[World], dict[str, Any]]:
    return lambda _: dict(fields)


def edit(pool: str) -> Callable[[World], dict[str, Any]]:
    return lambda here: {**of_message(pool)(here), "text": f"edited {next(_numbers)}"}


PARAMETERS: dict[tuple[str, str], Callable[[World], dict[str, Any]]] = {
    ("message.send", ""): lambda here: {
        "conversation": here.conversation,
        "idempotency_key": str(uuid4()),
        "text": "x",
    },
    ("message.get", ""): of_message("others"),
    ("message.edit", "one's own"): edit("own"),
    ("message.edit", "another's"): edit("others"),
    ("message.delete", "one's own"): deleted("own"),
    ("message.delete", "another's"): deleted("others"),
    ("message.delete", "for oneself"): of_message("others", **{"for": "me"}),
    ("message.versions", "one's own"): of_message("own"),
    ("message.versions", "another's"): of_message("others"),
    ("message.pin", ""): of_message("others"),
    ("message.unpin", ""): of_message("others"),
    ("message.react", ""): of_message("others", reaction="+1"),
    ("message.unreact", ""): of_message("others", reaction="+1"),
    ("message.reactions", ""): of_message("others"),
    ("message.seen_by", ""): of_message("others"),
    ("conversation.create", ""): fixed(kind="group"),
    ("conversation.get", ""): here_with(),
    ("conversation.list", ""): fixed(),
    ("conversation.update", ""): lambda here: {"conversation": here.conversation, "title": f"{next(_numbers)}"},
    ("conversation.set_preferences", ""): here_with(pinned=True),
    ("conversation.join", ""): here_with(),
    ("conversation.leave", ""): here_with(),
    ("conversation.add_members", ""): lambda here: {
        "conversation": here.conversation,
        "members": [f"new{next(_numbers)}"],
        "role": "reader",
    },
    ("conversation.remove_member", ""): on_subject(gone=True),
    ("conversation.set_role", ""): on_subject(role="reader"),
    ("conversation.members", ""): here_with(),
    ("conversation.ban", ""): on_subject(gone=True),
    ("conversation.unban", ""): here_with(user="nobody"),
    ("conversation.bans", ""): here_with(),
    ("conversation.mute", ""): on_subject(),
    ("conversation.unmute", ""): on_subject(),
    ("invite.create", ""): here_with(),
    ("invite.list", ""): here_with(),
    ("invite.revoke", ""): here_with(invite="a" * 26),
    ("invite.get", "with the code"): lambda here: {"code": here.code},
    ("invite.accept", "with the code"): lambda here: {"code": here.code},
    ("thread.list", ""): fixed(),
    ("thread.follow", ""): lambda here: {"conversation": here.thread},
    ("thread.unfollow", ""): lambda here: {"conversation": here.thread},
    ("history.page", ""): here_with(),
    ("history.pins", ""): here_with(),
    ("history.search", ""): here_with(text="x"),
    ("read.mark", ""): here_with(offset=1),
    ("read.mark_unread", ""): of_message("others"),
    ("read.totals", ""): fixed(),
    ("delivered.mark", ""): here_with(offset=1),
    ("mention.list", "of all"): fixed(),
    ("mention.list", "of one"): here_with(),
    ("typing.start", ""): here_with(),
    ("typing.stop", ""): here_with(),
    ("presence.get", ""): fixed(users=[OWNER]),
    ("user.get", ""): fixed(user=ACTOR),
    ("user.update", ""): fixed(name="Actor"),
    ("user.block", ""): fixed(user="nobody"),
    ("user.unblock", ""): fixed(user="nobody"),
    ("user.blocked", ""): fixed(),
    ("sync", ""): fixed(limit=1),
    ("device.register", ""): fixed(device="phone", provider="apns", address="ab" * 32),
    ("device.unregister", ""): fixed(device="phone"),
    ("device.list", ""): fixed(),
    ("push.vapid_key", ""): fixed(app="default"),
    ("push.preferences", ""): fixed(notify="all"),
    ("client.state", ""): fixed(device="phone", foreground=True),
    ("push.trace", ""): fixed(conversation="a" * 26, offset=1),
    ("push.ack", ""): fixed(device="phone", job="7f9d1c3e-52a4-5b0e-9a63-0f2f1d6f8a11"),
    ("push.test", "no device of the caller's"): fixed(device="unregistered"),
    ("upload.create", ""): fixed(name="a.txt", size_bytes=1, content_type="text/plain"),
    ("upload.complete", "another's"): lambda here: {"upload": here.upload},
    ("upload.get", "another's, of no message that one may read"): lambda here: {"upload": here.upload},
}

DETAILS = (
    (Outcome.FOREIGN, "conversation", re.compile("no such conversation, or not a member of it")),
    (Outcome.ROLE, "conversation", re.compile("an? [a-z]+ of a [a-z]+ may not [a-z_]+")),
    (Outcome.MUTED, "conversation", re.compile("muted here, muted_until is [0-9]+")),
    (Outcome.BLOCKED, "conversation", re.compile("one of the two blocks the other")),
    (Outcome.BANNED, "conversation", re.compile("banned here")),
    (Outcome.UNSEEN, "upload", re.compile(".*")),
    (Outcome.UNSEEN, "device", re.compile("no such device: register it first")),
    (Outcome.UNSEEN, "code", re.compile("no such invite, or it is no longer good")),
)
STATUSES = {Outcome.FOREIGN: 404, Outcome.UNSEEN: 404}


def named(slug: str, where: str, detail: str) -> str:
    """The outcome that a refusal is, or itself where it is none of them."""
    for outcome, of_field, rule in DETAILS:
        if slug == "permission_denied" and where == of_field and rule.fullmatch(detail):
            return outcome.value
    return f"{slug}: {where}: {detail}"


async def over_socket(socket: WireClient, method: str, params: dict[str, Any]) -> str:
    answer = await socket.rpc(method, **params)
    if "error" not in answer:
        return Outcome.ALLOWED.value
    slug, _, rest = answer["error"]["message"].partition(": ")
    where, _, detail = rest.partition(": ")
    return named(slug, where.removeprefix("$."), detail)


async def by_rest(rest: aiohttp.ClientSession, method: str, params: dict[str, Any]) -> str:
    answer = await request(rest, method, params)
    if answer.status < 400:
        return Outcome.ALLOWED.value
    problem = await answer.json()
    where, _, detail = problem["detail"].partition(": ")
    outcome = named(problem["code"], where, detail)
    right_status = outcome not in {one.value for one in Outcome} or answer.status == STATUSES.get(Outcome(outcome), 403)
    return outcome if right_status else f"{outcome} with status {answer.status}"


def resource_of(method: str, params: dict[str, Any]) -> Resource:
    """The REST twin that takes these parameters."""
    for one in RESOURCES:
        if one.method.name == method and not one.caller and {*one.path_fields} <= {*params}:
            return one
    raise AssertionError(f"{method} has no REST resource for {sorted(params)}")


async def request(rest: aiohttp.ClientSession, method: str, params: dict[str, Any]) -> aiohttp.ClientResponse:
    resource = resource_of(method, params)
    path = resource.path.format(**{name: params[name] for name in resource.path_fields})
    others = {name: value for name, value in params.items() if name not in resource.path_fields}
    if resource.place == "body":
        return await rest.request(resource.verb, path, json=others)
    return await rest.request(resource.verb, path, params={name: str(value) for name, value in others.items()})


async def test_every_method_has_a_row() -> None:
    missing = set(METHODS) - {rule.method for rule in RULES}
    assert not missing, (
        f"{sorted(missing)} have no row: say in RULES of chat/methods/permissions.py which right each asks for, with "
        "what parameters it is called in PARAMETERS here, and run `python -m chat.describe`"
    )
    assert {rule.method for rule in RULES} <= set(METHODS)
    assert {(rule.method, rule.case) for rule in RULES} == set(PARAMETERS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: " ".join(filter(None, (rule.method, rule.case))))
async def test_everybody_gets_what_the_table_says(
    app: App,
    socket: WireClient,
    rest: aiohttp.ClientSession,
    worlds: dict[Case, World],
    rule: Rule,
) -> None:
    cases = CASES if rule.right is not None else CASES[:1]
    if rule.case == "with the code":
        cases = [case for case in cases if case[0] is not DIRECT]  # of which there are none

    wrong: list[str] = []
    for name, call, client in (("rpc", over_socket, socket), ("rest", by_rest, rest)):
        there = [
            await world(app, *case) if rule.method in ENDS and rule.expected(*case) is Outcome.ALLOWED else worlds[case]
            for case in cases
        ]
        params = [PARAMETERS[rule.method, rule.case](here) for here in there]
        outcomes = await asyncio.gather(*(call(client, rule.method, one) for one in params))
        wrong += [
            f"{name} as {' '.join(case)}: {came}, expected {rule.expected(*case)}"
            for case, came in zip(cases, outcomes, strict=True)
            if came != rule.expected(*case)
        ]
    assert not wrong, "\n".join(wrong)


OF_CONVERSATIONS = [
    rule for rule in RULES if rule.right is not None and not rule.method.startswith(("invite.get", "invite.accept"))
]


@pytest.mark.parametrize("rule", OF_CONVERSATIONS, ids=lambda rule: " ".join(filter(None, (rule.method, rule.case))))
async def test_a_foreign_conversation_cannot_be_told_from_a_missing_one(
    app: App,
    socket: WireClient,
    rest: aiohttp.ClientSession,
    worlds: dict[Case, World],
    rule: Rule,
) -> None:
    there = worlds[GROUP, Role.ADMIN, Relation.STRANGER]
    params = PARAMETERS[rule.method, rule.case](there)
    answers = []
    for conversation in (there.conversation, "".join(secrets.choice("abcdefgh234567") for _ in range(26))):
        asked = {**params, "conversation": params["conversation"].replace(there.conversation, conversation)}
        over_the_socket = await socket.rpc(rule.method, **asked)
        answer = await request(rest, rule.method, asked)
        by_rpc = await rest.post(f"/v1/rpc/{rule.method}", json=asked)
        answers.append([over_the_socket, await told(answer), await told(by_rpc)])
    assert answers[0] == answers[1]
    assert answers[0][0]["error"]["code"] == 103


async def told(answer: aiohttp.ClientResponse) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of a refusal, without what is another one each time."""
    headers = {name: value for name, value in answer.headers.items() if name.lower() not in ("date", "x-request-id")}
    body = json.loads(await answer.read())
    del body["instance"]
    return answer.status, body, headers
