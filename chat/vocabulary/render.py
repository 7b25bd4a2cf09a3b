"""Records become what goes over the wire. Pure; the only place where that happens."""

from collections.abc import Mapping
from typing import assert_never

import msgspec

from chat.vocabulary import events, shapes
from realtime.protocol.messages import Payload, Publication
from storage import model
from storage.model import EntryKind

CONVERSATION_PREFIX = "conv:"
USER_PREFIX = "user:"

_encoder = msgspec.json.Encoder()


def conversation_channel(conversation: str) -> str:
    return CONVERSATION_PREFIX + conversation


def user_channel(user: str) -> str:
    return USER_PREFIX + user


def encode(struct: msgspec.Struct) -> Payload:
    """The JSON payload of a result or an event."""
    return Payload(_encoder.encode(struct))


def position(position: model.Position) -> shapes.Position:
    return shapes.Position(position.offset, position.n)


def message(entry: model.Entry) -> shapes.Message:
    """A `MESSAGE_CREATED` entry in its present state."""
    body = entry.body
    return shapes.Message(
        id=f"{entry.conversation}.{entry.offset}",
        conversation=entry.conversation,
        offset=entry.offset,
        n=entry.n,
        sender=entry.by,
        text=body.get("text", ""),
        created_at=entry.at,
        idempotency_key=entry.key,
        content=body.get("content"),
        reply_to=body.get("reply_to"),
        mentions=body.get("mentions", []),
        attachments=body.get("attachments", []),
        custom=body.get("custom", {}),
    )


def event(entry: model.Entry) -> msgspec.Struct:
    """The event that an entry of the log is to its readers, live, on resume and in `sync`."""
    place = (entry.conversation, entry.offset, entry.at, entry.by)
    body = entry.body
    match entry.kind:
        case EntryKind.MESSAGE_CREATED:
            return events.MessageCreated(*place, message=message(entry))
        case EntryKind.MEMBER_JOINED:
            joined = [events.JoinedMember(one["user"], one["role"]) for one in body["members"]]
            return events.MemberJoined(*place, members=joined)
        case EntryKind.MEMBER_LEFT:
            return events.MemberLeft(*place, user=body["user"])
        case EntryKind.MEMBER_CHANGED:
            return events.MemberChanged(*place, user=body["user"], role=body["role"])
        case EntryKind.CONVERSATION_UPDATED:
            return events.ConversationUpdated(*place, title=body.get("title"), custom=body.get("custom"))
        case (
            EntryKind.MESSAGE_EDITED
            | EntryKind.MESSAGE_DELETED
            | EntryKind.REACTION_CHANGED
            | EntryKind.MESSAGE_PINNED
            | EntryKind.MESSAGE_UNPINNED
            | EntryKind.THREAD_CHANGED
        ):
            # Written by a newer version. Offsets must not have holes for whoever reads this log with an older one.
            return events.Unknown(*place, kind=entry.kind.name.lower().replace("_", ".", 1))
        case _:
            assert_never(entry.kind)


def publication(entry: model.Entry) -> Publication:
    """An entry as a publication of its conversation's channel."""
    return Publication(encode(event(entry)), offset=entry.offset)


def user(record: model.User) -> shapes.User:
    return shapes.User(
        id=record.id,
        name=record.name,
        avatar_url=record.avatar_url,
        locale=record.locale,
        custom=dict(record.custom),
        last_seen_at=record.last_seen_at,
    )


def member(record: model.Member) -> shapes.Member:
    return shapes.Member(record.user, record.role.value, record.joined_at, position(record.read))


def conversation(
    record: model.Conversation, membership: model.Member, users: Mapping[str, model.User]
) -> shapes.Conversation:
    """A conversation as `membership.user` sees it. `users` has the peer of a direct one, if known."""
    peer = None
    if record.peers is not None:
        other = record.peers[1] if record.peers[0] == membership.user else record.peers[0]
        peer = user(users[other]) if other in users else shapes.User(id=other, name="")
    last = record.last_message
    # A read position may be ahead of a summary that trails the log by a second.
    head = max(record.head, membership.read)
    return shapes.Conversation(
        id=record.id,
        kind=record.kind.value,
        title=record.title,
        custom=dict(record.custom),
        external_id=record.external_id,
        role=membership.role.value,
        members_count=record.members_count,
        peer=peer,
        parent=record.parent,
        head=position(head),
        read=position(membership.read),
        unread=max(0, head.n - membership.read.n),
        last_message=None if last is None else shapes.LastMessage(last.offset, last.sender, last.text, last.created_at),
        activity_at=record.activity_at,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
