"""Records become words of the wire."""

import json

import pytest

from chat.vocabulary import events, render
from storage.model import (
    ORIGIN,
    Conversation,
    ConversationKind,
    Entry,
    EntryKind,
    LastMessage,
    Member,
    Position,
    Role,
    User,
    image,
)

ID = "a" * 26


def entry(kind: EntryKind, **body: object) -> Entry:
    return Entry(ID, 7, 3, kind, "alice", 1000, "k", body)


def of(event) -> dict:
    return json.loads(bytes(render.encode(event)))


def member(user: str = "alice", *, read: Position = ORIGIN) -> Member:
    return Member(ID, user, Role.MEMBER, 5, 1, read, revision=1)


def conversation(**fields: object) -> Conversation:
    whole = {
        "id": ID,
        "kind": ConversationKind.GROUP,
        "title": "",
        "custom": {},
        "external_id": None,
        "created_by": "alice",
        "created_at": 1,
        "updated_at": 2,
        "members_count": 2,
        "head": Position(7, 3),
        "last_message": None,
        "activity_at": 9,
    }
    return Conversation(**{**whole, **fields})


BODIES = {
    EntryKind.MESSAGE_CREATED: {"text": "hi"},
    EntryKind.MESSAGE_EDITED: {"target": 3, "message": image(entry(EntryKind.MESSAGE_CREATED, text="hi", version=1))},
    EntryKind.MESSAGE_DELETED: {"target": 3},
    EntryKind.REACTION_CHANGED: {"target": 3, "reactions": {"+1": 2}},
    EntryKind.MESSAGE_PINNED: {"target": 3},
    EntryKind.MESSAGE_UNPINNED: {"target": 3},
    EntryKind.THREAD_CHANGED: {"target": 3, "thread": {"conversation": f"{ID}~3", "replies": 1}},
    EntryKind.MEMBER_JOINED: {"members": [{"user": "bob", "role": "member"}]},
    EntryKind.MEMBER_LEFT: {"user": "bob"},
    EntryKind.MEMBER_CHANGED: {"user": "bob", "role": "admin"},
    EntryKind.CONVERSATION_UPDATED: {"title": "New"},
}


@pytest.mark.parametrize("kind", EntryKind)
def test_every_entry_is_an_event_at_its_place(kind):
    publication = render.publication(entry(kind, **BODIES[kind]))
    event = json.loads(bytes(publication.data))
    assert publication.offset == event["offset"] == 7
    assert (event["conversation"], event["at"], event["by"]) == (ID, 1000, "alice")
    assert event["type"] in {one.__struct_config__.tag for one in events.DURABLE}


def test_a_message_has_what_was_sent_and_nothing_that_is_empty():
    event = of(render.event(entry(EntryKind.MESSAGE_CREATED, text="hi", reply_to=2, mentions=["bob"])))
    assert event["message"] == {
        "id": f"{ID}.7",
        "conversation": ID,
        "offset": 7,
        "n": 3,
        "sender": "alice",
        "text": "hi",
        "created_at": 1000,
        "idempotency_key": "k",
        "reply_to": 2,
        "mentions": ["bob"],
    }


def test_only_what_changed_of_a_conversation_is_told():
    event = of(render.event(entry(EntryKind.CONVERSATION_UPDATED, title="")))
    assert event["title"] == ""
    assert "custom" not in event


@pytest.mark.parametrize(
    ("read", "head", "unread"),
    [(Position(2, 1), Position(7, 3), 2), (Position(7, 3), Position(7, 3), 0), (Position(9, 5), Position(9, 5), 0)],
)
def test_unread_is_a_difference_and_never_negative(read, head, unread):
    view = render.conversation(conversation(), member(read=read), {})
    assert (view.head.offset, view.head.n, view.unread) == (head.offset, head.n, unread)


@pytest.mark.parametrize(("viewer", "peer"), [("alice", "bob"), ("bob", "alice")])
def test_the_peer_of_a_direct_conversation_is_the_other(viewer, peer):
    record = conversation(kind=ConversationKind.DIRECT, peers=("alice", "bob"))
    known = User(peer, "Known", "", "", {}, None, revision=0, created_at=0)
    assert render.conversation(record, member(viewer), {peer: known}).peer.name == "Known"
    assert render.conversation(record, member(viewer), {}).peer.id == peer
    assert render.conversation(conversation(), member(viewer), {}).peer is None


def test_a_list_shows_the_last_message():
    record = conversation(last_message=LastMessage(7, "bob", "hi", 9))
    view = of(render.conversation(record, member(), {}))
    assert view["last_message"] == {"offset": 7, "sender": "bob", "text": "hi", "created_at": 9}
    assert view["activity_at"] == 9
    assert "external_id" not in view
